//! The end of the machine when PID 1 hangs: unmounting and sync(2) wait for disks and servers that may never answer.
//!
//! PID 1 starts it before it unmounts. Usually the machine is down long before it acts.

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::reboot::reboot;

use super::Action;

/// The arguments that make [`main`] act after `delay`.
#[must_use]
pub fn arguments(action: Action, delay: Duration) -> [String; 3] {
    ["last-resort".to_owned(), action.name().to_owned(), delay.as_secs().to_string()]
}

fn parse(args: &[OsString]) -> Option<(Action, Duration)> {
    let [action, seconds] = args else { return None };
    let seconds = seconds.to_str()?.parse().ok()?;
    Some((Action::from_name(action.to_str()?)?, Duration::from_secs(seconds)))
}

/// Waits, then ends the machine without another word to the disks.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let Some((action, delay)) = parse(args) else {
        eprintln!("usage: last-resort poweroff|reboot|halt SECONDS");
        return ExitCode::from(2);
    };
    sleep(delay);
    eprintln!("init: disks did not answer for {} s: {action} without them", delay.as_secs());
    match reboot(action.mode()) {
        Ok(never) => match never {},
        Err(errno) => {
            eprintln!("init: last-resort: {errno}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_arguments_are_understood() {
        let words = arguments(Action::Reboot, Duration::from_secs(60));
        let args: Vec<OsString> = words.iter().skip(1).map(OsString::from).collect();
        assert_eq!(parse(&args), Some((Action::Reboot, Duration::from_secs(60))));
        assert_eq!(parse(&args[..1]), None);
    }
}
