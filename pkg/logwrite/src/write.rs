//! The command `logwrite`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lk_command::command::Command;
use lk_command::flags::{Flag, Parsed};
use lk_command::signals::{Ending, Woken};

use crate::file::{Limits, LogFile};
use crate::message::Message;
use crate::query::{self, Messages, Mode, QueryError, SOCKET};

const USAGE: &str = "\
logwrite: writes the logs of all services to files, and puts full ones aside

usage: logwrite [-log-dir DIRECTORY] [-max-log-files N] [-max-log-size BYTES] [-socket PATH]

  -log-dir        where the files are (default /var/log/logwrite)
  -max-log-files  how many full files of each log are kept (default 10)
  -max-log-size   bytes beyond which a file is full (default 1048576)
  -socket         where logs are asked for (default /run/memlogdq.sock)
";

const FLAGS: &[Flag] = &[
    Flag { name: "log-dir", takes_value: true },
    Flag { name: "max-log-files", takes_value: true },
    Flag { name: "max-log-size", takes_value: true },
    Flag { name: "socket", takes_value: true },
];

/// Logs that are open at the same time; with more, all are closed, and opened again when they say something.
const OPEN: usize = 64;
/// Pause before the logs are asked for again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long writing may take after the signal to end; a service that is stopped has 10 s, unless its YAML says less.
const AT_END: Duration = Duration::from_secs(2);

#[derive(Debug, PartialEq, Eq)]
struct Options {
    directory: PathBuf,
    limits: Limits,
    socket: PathBuf,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum UsageError {
    #[error("-{0} {1}: is a number from {2} to {3}")]
    Number(&'static str, String, u64, u64),
    #[error("{0:?}: there are no arguments but flags")]
    Argument(String),
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{0}: cannot make the directory: {1}")]
    Directory(PathBuf, io::Error),
    #[error("cannot wait for logs and signals: {0}")]
    Wait(io::Error),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | it was told to end |
/// | 1 | nobody tells it logs, or the directory cannot be made |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "logwrite", usage: USAGE, flags: FLAGS }.main(arguments, options, run)
}

fn options(parsed: Parsed) -> Result<Options, UsageError> {
    if let Some(argument) = parsed.positional.first() {
        return Err(UsageError::Argument(argument.clone()));
    }
    let size = number(&parsed, "max-log-size", 1 << 20, (1, 1 << 40))?;
    let files = number(&parsed, "max-log-files", 10, (0, 1000))?;
    Ok(Options {
        directory: parsed.value("log-dir").unwrap_or("/var/log/logwrite").into(),
        limits: Limits { size, files: u32::try_from(files).unwrap_or(u32::MAX) },
        socket: parsed.value("socket").unwrap_or(SOCKET).into(),
    })
}

fn number(
    parsed: &Parsed,
    name: &'static str,
    usual: u64,
    (least, most): (u64, u64),
) -> Result<u64, UsageError> {
    let Some(text) = parsed.value(name) else { return Ok(usual) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| UsageError::Number(name, text.to_owned(), least, most))
}

fn run(options: &Options) -> Result<(), WriteError> {
    let ending = Ending::listen().map_err(WriteError::Wait)?;
    std::fs::create_dir_all(&options.directory)
        .map_err(|error| WriteError::Directory(options.directory.clone(), error))?;
    let mut logs = Logs { options, open: HashMap::new(), failing: false };
    loop {
        let stream = query::ask(&options.socket, Mode::DumpAndFollow)?;
        if follow(stream, &ending, &mut logs).map_err(WriteError::Wait)? == Woken::End {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Writes what is told until nobody tells more, or the service is to end; what was told before that is written, too.
fn follow(mut stream: UnixStream, ending: &Ending, logs: &mut Logs<'_>) -> io::Result<Woken> {
    let mut messages = Messages::default();
    while ending.wait(stream.as_fd())? == Woken::Input {
        match messages.read(&mut stream, |message| logs.write(&message)) {
            Ok(true) => {}
            // The supervisor was started again: it tells what it has, of which nothing is written twice.
            Ok(false) | Err(_) => return Ok(Woken::Input),
        }
    }
    stream.set_nonblocking(true)?;
    messages.drain(&mut stream, Instant::now() + AT_END, |message| logs.write(&message));
    Ok(Woken::End)
}

/// The files that are open.
struct Logs<'o> {
    options: &'o Options,
    open: HashMap<String, LogFile>,
    failing: bool,
}

impl Logs<'_> {
    /// Writes a message to its log. A failure is told once, until it goes well again: this program's own words are logged too.
    fn write(&mut self, message: &Message) {
        if message.source.starts_with("logwrite") {
            return;
        }
        match self.try_write(message) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    eprintln!(
                        "logwrite: {}: cannot write the log of {}: {error}",
                        self.options.directory.display(),
                        message.source
                    );
                }
                self.failing = true;
                self.open.remove(&message.source);
            }
        }
    }

    fn try_write(&mut self, message: &Message) -> io::Result<()> {
        if !self.open.contains_key(&message.source) && self.open.len() >= OPEN {
            self.open.clear();
        }
        let file = match self.open.entry(message.source.clone()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(LogFile::open(&self.options.directory, &message.source)?)
            }
        };
        file.write(message, self.options.limits)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lk_command::flags;
    use nix::sys::signal::{Signal, raise};

    use super::*;

    fn read(line: &str) -> Result<Options, UsageError> {
        options(flags::parse(FLAGS, line.split_whitespace().map(OsString::from)).unwrap())
    }

    #[test]
    fn linuxkits_command_lines_are_understood() {
        let options = |directory: &str, size, files| Options {
            directory: directory.into(),
            limits: Limits { size, files },
            socket: SOCKET.into(),
        };
        assert_eq!(read(""), Ok(options("/var/log/logwrite", 1 << 20, 10)));
        assert_eq!(read("-log-dir /x -max-log-files 2 --max-log-size=1024"), Ok(options("/x", 1024, 2)));
        for line in ["-max-log-size 0", "-max-log-files many", "-max-log-files -1"] {
            assert!(matches!(read(line), Err(UsageError::Number(..))), "{line}");
        }
    }

    #[test]
    fn each_log_has_its_file_and_its_own_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let options = read(&format!("-log-dir {}", directory.path().display())).unwrap();
        let mut logs = Logs { options: &options, open: HashMap::new(), failing: false };
        for n in 0..100 {
            let source = if n == 0 { "logwrite".to_owned() } else { format!("s{n}") };
            logs.write(&Message { time: format!("2026T{n:03}"), source, msg: "m".into() });
        }
        assert!(logs.open.len() <= OPEN);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 99);
    }

    #[test]
    fn what_was_told_before_the_end_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let options = read(&format!("-log-dir {}", directory.path().display())).unwrap();
        let mut logs = Logs { options: &options, open: HashMap::new(), failing: false };
        let ending = Ending::listen().unwrap();
        let (stream, mut supervisor) = UnixStream::pair().unwrap();
        // More than is read at once, in one write: a socket holds some hundred only.
        let line = |n| format!("{{\"time\":\"2026-11-22T00:00:00Z\",\"source\":\"s\",\"msg\":\"{n}\"}}\n");
        let told: String = (0..1000).map(line).collect();
        supervisor.write_all(told.as_bytes()).unwrap();
        // To this thread alone: the test's other threads do not block it.
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(follow(stream, &ending, &mut logs).unwrap(), Woken::End);
        let text = std::fs::read_to_string(directory.path().join("s.log")).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert!(text.ends_with(" s 999\n"), "{text}");
    }
}
