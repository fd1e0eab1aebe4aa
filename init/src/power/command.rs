//! `poweroff`, `reboot`, `halt` and LinuxKit's `rc.shutdown`: they ask PID 1, which does the work.

use std::ffi::OsString;
use std::process::ExitCode;

use nix::sys::reboot::reboot;
use nix::unistd::sync;

use super::{Action, request};

/// What the arguments ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// In order, by PID 1.
    Orderly,
    /// At once, after a sync (`-f`).
    Forced,
    /// At once (`-f -n`).
    ForcedWithoutSync,
}

/// Runs `poweroff`, `reboot` or `halt`; `args` are those after the name.
#[must_use]
pub fn main(action: Action, args: &[OsString]) -> ExitCode {
    let words: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
    let Some(how) = parse(words.iter().map(AsRef::as_ref)) else {
        eprintln!(
            "usage: {} [-f [-n]]   -f: at once, without stopping anything; -n: without sync",
            action.name()
        );
        return ExitCode::from(2);
    };
    let result = match how {
        How::Orderly => request(action),
        How::Forced | How::ForcedWithoutSync => {
            if how == How::Forced {
                sync();
            }
            match reboot(action.mode()) {
                Ok(never) => match never {},
                Err(errno) => Err(errno),
            }
        }
    };
    report(action.name(), result)
}

fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Option<How> {
    let (mut force, mut sync) = (false, true);
    for word in words {
        match word {
            "-f" | "--force" => force = true,
            "-n" | "--no-sync" => sync = false,
            "-fn" | "-nf" => (force, sync) = (true, false),
            _ => return None,
        }
    }
    Some(match (force, sync) {
        (false, _) => How::Orderly,
        (true, true) => How::Forced,
        (true, false) => How::ForcedWithoutSync,
    })
}

/// Runs `rc.shutdown [poweroff|reboot|halt|noop]`: `poweroff` without an argument, nothing for `noop`.
///
/// busybox init called it with `noop` when it went down by itself; PID 1 here needs no such call.
#[must_use]
pub fn rc_shutdown(args: &[OsString]) -> ExitCode {
    let word = args.first().map_or_else(|| "poweroff".into(), |word| word.to_string_lossy());
    match (word.as_ref(), Action::from_name(&word)) {
        ("noop", _) => ExitCode::SUCCESS,
        (_, Some(action)) => report("rc.shutdown", request(action)),
        (_, None) => {
            eprintln!("usage: rc.shutdown [poweroff|reboot|halt|noop]");
            ExitCode::from(2)
        }
    }
}

fn report(name: &str, result: nix::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            eprintln!(
                "{name}: the machine cannot be taken down: {errno}; are you root, outside of a container?"
            );
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_force_goes_past_pid_1() {
        let cases: &[(&[&str], Option<How>)] = &[
            (&[], Some(How::Orderly)),
            (&["-n"], Some(How::Orderly)),
            (&["-f"], Some(How::Forced)),
            (&["--force", "-n"], Some(How::ForcedWithoutSync)),
            (&["-fn"], Some(How::ForcedWithoutSync)),
            (&["now"], None),
        ];
        for (words, expected) in cases {
            assert_eq!(parse(words.iter().copied()), *expected, "{words:?}");
        }
    }
}
