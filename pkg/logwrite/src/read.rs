//! The command `logread`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::flags::{Flag, Parsed};

use crate::query::{self, Messages, Mode, QueryError, SOCKET};

const USAGE: &str = "\
logread: prints the logs of all services

usage: logread [-f | -F] [-socket PATH]

  -f       what comes from now on
  -F       what there is, and what comes
  -socket  where logs are asked for (default /run/memlogdq.sock)
";

const FLAGS: &[Flag] = &[
    Flag { name: "f", takes_value: false },
    Flag { name: "F", takes_value: false },
    Flag { name: "socket", takes_value: true },
];

#[derive(Debug, thiserror::Error)]
#[error("{0:?}: there are no arguments but flags")]
struct Argument(String);

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("cannot read or print the logs: {0}")]
    Io(#[from] io::Error),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | all was printed, or nobody reads it any more |
/// | 1 | nobody tells logs |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "logread", usage: USAGE, flags: FLAGS }.main(arguments, options, run)
}

fn options(parsed: Parsed) -> Result<(Mode, PathBuf), Argument> {
    if let Some(argument) = parsed.positional.first() {
        return Err(Argument(argument.clone()));
    }
    let mode = match (parsed.is_set("F"), parsed.is_set("f")) {
        (true, _) => Mode::DumpAndFollow,
        (false, true) => Mode::Follow,
        (false, false) => Mode::Dump,
    };
    Ok((mode, parsed.value("socket").unwrap_or(SOCKET).into()))
}

fn run((mode, socket): &(Mode, PathBuf)) -> Result<(), ReadError> {
    let mut stream = query::ask(socket, *mode)?;
    let (mut messages, mut out) = (Messages::default(), io::stdout().lock());
    loop {
        let mut lines = String::new();
        let more = messages.read(&mut stream, |message| lines.extend([message.listed(), "\n".to_owned()]))?;
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            // `logread | head`
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
        if !more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use lk_command::flags;

    use super::*;

    fn read(line: &str) -> Result<(Mode, PathBuf), Argument> {
        options(flags::parse(FLAGS, line.split_whitespace().map(OsString::from)).unwrap())
    }

    #[test]
    fn linuxkits_command_lines_are_understood() {
        for (line, wanted) in [
            ("", Mode::Dump),
            ("-f", Mode::Follow),
            ("-F", Mode::DumpAndFollow),
            ("-f -F", Mode::DumpAndFollow),
        ] {
            let (mode, socket) = read(line).unwrap();
            assert_eq!((mode, socket), (wanted, SOCKET.into()), "{line}");
        }
        assert!(read("x").is_err());
    }
}
