//! The command `hwclock`: reads and sets the clock that runs while the machine is off. It keeps UTC.

mod calendar;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::process::ExitCode;

use kmod::options::{Word, Words};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};

use crate::sys::{read_rtc, set_rtc};

const USAGE: &str = "usage: hwclock [-r|--show] [-s|--hctosys] [-w|--systohc] [-u|--utc] [-f|--rtc DEVICE]";
/// Where the clock is, the first that is there.
const DEVICES: [&str; 3] = ["/dev/rtc", "/dev/rtc0", "/dev/misc/rtc"];

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Show,
    ToSystem,
    FromSystem,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    action: Action,
    device: Option<String>,
}

/// Runs the command; `args` are those after its name.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let request = match parse(Words::new(args)) {
        Ok(request) => request,
        Err(reason) => {
            eprintln!("hwclock: {reason}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("hwclock: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// util-linux's and busybox' options, as far as they make sense with a clock that keeps UTC.
fn parse(mut words: Words) -> Result<Request, String> {
    let mut request = Request { action: Action::Show, device: None };
    while let Some(word) = words.next() {
        let value = match &word {
            Word::Name(_, value) => value.clone(),
            Word::Letter(_) => None,
            Word::Argument(_) => return Err(word.unknown()),
        };
        match (word.to_string().as_str(), value) {
            ("-r" | "--show", None) => request.action = Action::Show,
            ("-s" | "--hctosys", None) => request.action = Action::ToSystem,
            ("-w" | "--systohc", None) => request.action = Action::FromSystem,
            ("-u" | "--utc", None) => {}
            ("-l" | "--localtime", None) => {
                return Err("the clock keeps UTC: local time is not supported".into());
            }
            ("--rtc", Some(device)) => request.device = Some(device),
            ("-f" | "--rtc", None) => request.device = Some(words.value().ok_or("-f needs a device")?),
            _ => return Err(word.unknown()),
        }
    }
    Ok(request)
}

fn run(request: &Request) -> Result<(), String> {
    let (path, clock) = open(request.device.as_deref())?;
    let failed = |what: &str, errno: nix::errno::Errno| format!("cannot {what} {path}: {errno}");
    let read = || {
        let fields = read_rtc(&clock).map_err(|errno| failed("read", errno))?;
        calendar::seconds(fields).ok_or_else(|| format!("{path} holds no date: {fields:?}"))
    };
    match request.action {
        Action::Show => {
            println!("{}", calendar::text(read()?));
            Ok(())
        }
        Action::ToSystem => {
            let time = TimeSpec::new(read()?, 0);
            clock_settime(ClockId::CLOCK_REALTIME, time)
                .map_err(|errno| format!("cannot set the system's clock: {errno}"))
        }
        Action::FromSystem => {
            let now = clock_gettime(ClockId::CLOCK_REALTIME);
            let now = now.map_err(|errno| format!("cannot read the system's clock: {errno}"))?;
            set_rtc(&clock, calendar::fields(now.tv_sec())).map_err(|errno| failed("set", errno))
        }
    }
}

fn open(device: Option<&str>) -> Result<(String, File), String> {
    let try_open = |path: &str| -> io::Result<File> { OpenOptions::new().read(true).open(path) };
    if let Some(path) = device {
        let file = try_open(path).map_err(|error| format!("cannot open {path}: {error}"))?;
        return Ok((path.to_owned(), file));
    }
    let found = DEVICES.iter().find_map(|path| Some(((*path).to_owned(), try_open(path).ok()?)));
    found.ok_or_else(|| format!("this machine has no clock: none of {} can be opened", DEVICES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_in_which_scripts_call_it_are_understood() {
        let words = |line: &str| Words::new(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        let request =
            |action, device: Option<&str>| Ok(Request { action, device: device.map(str::to_owned) });
        let cases = [
            ("", request(Action::Show, None)),
            ("-r", request(Action::Show, None)),
            ("--hctosys --utc", request(Action::ToSystem, None)),
            ("-s -u", request(Action::ToSystem, None)),
            ("-su", request(Action::ToSystem, None)),
            ("--systohc --utc", request(Action::FromSystem, None)),
            ("-wu", request(Action::FromSystem, None)),
            ("-s -f /dev/rtc1", request(Action::ToSystem, Some("/dev/rtc1"))),
            ("--rtc=/dev/rtc1", request(Action::Show, Some("/dev/rtc1"))),
            ("-f", Err("-f needs a device".into())),
            ("--adjust", Err("unknown option --adjust".into())),
            ("-sx", Err("unknown option -x".into())),
            ("--r", Err("unknown option --r".into())),
            ("-suf /dev/rtc1", request(Action::ToSystem, Some("/dev/rtc1"))),
            ("now", Err("unknown option now".into())),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(words(line)), expected, "{line}");
        }
        assert!(parse(words("--localtime")).is_err());
    }
}
