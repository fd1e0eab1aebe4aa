//! The command `mdev`: what some kernels run for each device, and what scripts run for all of them (`mdev -s`).
//!
//! PID 1 hears of devices by itself and tells the kernel not to run this. It does the same work all the same: the module
//! for a device that was added, the links for a disk.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use kmod::cmdline::Cmdline;
use kmod::load::{Directory, load};
use kmod::modules::Database;

use super::coldplug::{self, Sysfs};
use super::crew::processors;
use super::links;

const USAGE: &str = "usage: mdev -s, or by the kernel with ACTION, SUBSYSTEM and MODALIAS in the environment";

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    /// Look at all devices, rather than at those aliases.
    all: bool,
    aliases: Vec<String>,
    links: bool,
}

/// Runs the command; `args` are those after its name.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(work) = work(args, &variable) else {
        eprintln!("mdev: {USAGE}");
        return ExitCode::from(2);
    };
    let mut complete = true;
    let mut note = |problem: String| {
        eprintln!("mdev: {problem}");
        complete = false;
    };
    if work.all || !work.aliases.is_empty() {
        match load_modules(&work) {
            Ok(problems) => problems.into_iter().for_each(&mut note),
            Err(error) => note(format!("cannot read the files of depmod: {error}")),
        }
    }
    if work.links
        && let Err(problem) = links::update()
    {
        note(problem);
    }
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads the command line or, without `-s`, the environment (kernel lib/kobject_uevent.c); `None` for neither.
fn work(args: &[OsString], variable: &dyn Fn(&str) -> Option<String>) -> Option<Work> {
    if args.iter().any(|arg| arg == "-s") {
        return Some(Work { all: true, aliases: Vec::new(), links: true });
    }
    let action = variable("ACTION")?;
    let aliases = variable("MODALIAS").filter(|alias| action == "add" && !alias.is_empty());
    let links = variable("SUBSYSTEM").is_some_and(|subsystem| subsystem == "block");
    Some(Work { all: false, aliases: aliases.into_iter().collect(), links })
}

/// Loads the modules; returns what went wrong.
fn load_modules(work: &Work) -> io::Result<Vec<String>> {
    let mut directory = Directory::of_running_kernel()?;
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let cmdline = Cmdline::parse(&std::fs::read_to_string("/proc/cmdline")?);
    let texts = directory.texts(false)?;
    let database = Database::new(&texts, directory.config(&cmdline)?);
    let failures = if work.all {
        coldplug::run(&database, &mut directory, &mut Sysfs { events: None }, &[], processors()).failures
    } else {
        let outcomes = work.aliases.iter().filter_map(|alias| load(&database, &mut directory, alias));
        outcomes
            .flat_map(|outcome| outcome.failures)
            .filter(|failure| !failure.is_missing_hardware())
            .collect()
    };
    Ok(failures.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_everything_and_an_event_what_it_is_about() {
        let found = |args: &[&str], environment: &[(&str, &str)]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            work(&args, &|name| {
                environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
            })
        };
        let all = Work { all: true, aliases: vec![], links: true };
        assert_eq!(found(&["-s"], &[]), Some(all));
        let usb = [("ACTION", "add"), ("MODALIAS", "usb:v1"), ("SUBSYSTEM", "usb")];
        assert_eq!(found(&["usb"], &usb), Some(Work { aliases: vec!["usb:v1".into()], ..Work::default() }));
        let gone = [("ACTION", "remove"), ("MODALIAS", "usb:v1"), ("SUBSYSTEM", "block")];
        assert_eq!(found(&[], &gone), Some(Work { links: true, ..Work::default() }));
        assert_eq!(found(&["-x"], &[]), None);
    }
}
