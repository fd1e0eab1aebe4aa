//! Reads the kernel's messages and prints them, those that there are and those to come.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lk_command::command::Command;
use lk_command::flags::Parsed;
use lk_command::signals::{Ending, Woken};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};

use crate::record::Record;

const USAGE: &str = "\
kmsg: prints what the kernel logs, as it comes, until it is told to end

usage: kmsg
";

const PATH: &str = "/dev/kmsg";
/// Longest record in bytes (`PRINTK_MESSAGE_MAX`, kernel/printk/internal.h); each read(2) returns one.
const LONGEST: usize = 8192;

#[derive(Debug, thiserror::Error)]
#[error("{0:?}: is one argument too many")]
struct TooMany(String);

/// Why it ended.
#[derive(Debug, thiserror::Error)]
enum KmsgError {
    #[error(
        "{PATH}: cannot open it: {0}; it takes CAP_SYSLOG, and {PATH} of the machine bound to this container"
    )]
    Open(io::Error),
    #[error("{PATH}: cannot read it: {0}")]
    Read(io::Error),
    #[error("cannot print: {0}")]
    Print(io::Error),
    #[error("cannot wait for messages and signals: {0}")]
    Wait(io::Error),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | it was told to end |
/// | 1 | the kernel's log cannot be read |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "kmsg", usage: USAGE, flags: &[] }.main(arguments, nothing, |()| run())
}

fn nothing(parsed: Parsed) -> Result<(), TooMany> {
    parsed.positional.into_iter().next().map_or(Ok(()), |extra| Err(TooMany(extra)))
}

fn run() -> Result<(), KmsgError> {
    let ending = Ending::listen().map_err(KmsgError::Wait)?;
    let mut options = OpenOptions::new();
    let kernel =
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(PATH).map_err(KmsgError::Open)?;
    let started = kernel_start();
    let mut out = io::stdout().lock();
    let mut expected = None;
    while ending.wait(kernel.as_fd()).map_err(KmsgError::Wait)? == Woken::Input {
        print_all(&kernel, started, &mut expected, &mut out)?;
    }
    Ok(())
}

/// Prints the messages that there are. `expected` is the number of the next one.
fn print_all(
    mut kernel: &File,
    started: SystemTime,
    expected: &mut Option<u64>,
    out: &mut impl Write,
) -> Result<(), KmsgError> {
    let mut buffer = [0; LONGEST];
    loop {
        let length = match kernel.read(&mut buffer) {
            Ok(0) => return Err(KmsgError::Read(io::ErrorKind::UnexpectedEof.into())),
            Ok(length) => length,
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => return out.flush().map_err(KmsgError::Print),
                // The message that was next has been overwritten: the one after it tells how many.
                Some(Errno::EPIPE | Errno::EINTR) => continue,
                _ => return Err(KmsgError::Read(error)),
            },
        };
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        let Some(record) = Record::parse(&text) else { continue };
        let lost = expected.map_or(0, |expected| record.sequence.saturating_sub(expected));
        if lost > 0 {
            writeln!(out, "{lost} messages were lost").map_err(KmsgError::Print)?;
        }
        *expected = Some(record.sequence + 1);
        writeln!(out, "{}", record.line(started)).map_err(KmsgError::Print)?;
    }
}

/// When the kernel started, by today's clock.
fn kernel_start() -> SystemTime {
    let uptime = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    SystemTime::now().checked_sub(uptime).unwrap_or(SystemTime::UNIX_EPOCH)
}
