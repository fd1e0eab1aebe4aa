//! The hardware watchdog: it resets a machine whose PID 1 does not feed it any more.
//!
//! While the machine runs, PID 1 feeds it only when it hears the supervisor's beat: a machine whose PID 1, supervisor or
//! kernel hangs is reset. Once the machine is asked to end PID 1 feeds it by itself, until the end has taken longer than
//! it may. The device may come late, with its module.

use std::time::Duration;

use kmod::cmdline::Cmdline;
use nix::errno::Errno;

use super::machine::Machine;
use super::system::System;

/// How long the watchdog waits for food, unless `lkb.watchdog=` says otherwise.
const DEFAULT: u32 = 60;
/// What `lkb.watchdog=` may say: less than a few beats would reset machines that are only busy.
const SECONDS: std::ops::RangeInclusive<u32> = 10..=3600;
/// It is fed this many times in its time.
const MEALS: u32 = 4;

/// What is known about the watchdog.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Watchdog {
    /// Not wanted, or not ours.
    #[default]
    Off,
    /// Not there yet; how long it shall wait for food once it is.
    Awaited(Duration),
    /// It runs.
    Armed {
        /// How long it waits for food.
        timeout: Duration,
        /// When it was last fed.
        fed: Duration,
        /// The last time it could not be fed, which was said.
        refused: bool,
    },
}

/// What the kernel's command line says: seconds, or off; and what is wrong with it.
fn setting(cmdline: &Cmdline) -> (Option<u32>, Option<String>) {
    match cmdline.last("lkb.watchdog") {
        None => (Some(DEFAULT), None),
        Some("off" | "0" | "no") => (None, None),
        Some(value) => match value.parse() {
            Ok(seconds) if SECONDS.contains(&seconds) => (Some(seconds), None),
            _ => {
                let (least, most) = (SECONDS.start(), SECONDS.end());
                let problem = format!(
                    "lkb.watchdog={value} is neither off nor a number of seconds from {least} to {most}: it is {DEFAULT}"
                );
                (Some(DEFAULT), Some(problem))
            }
        },
    }
}

/// Decides whether a watchdog is wanted, and starts it if it is there.
pub fn prepare<S: System>(machine: &mut Machine<S>) {
    if machine.contained {
        return;
    }
    let (seconds, problem) = setting(&machine.cmdline);
    if let Some(problem) = problem {
        machine.say(problem);
    }
    if let Some(seconds) = seconds {
        machine.watchdog = Watchdog::Awaited(Duration::from_secs(seconds.into()));
        look(machine);
    }
}

/// Starts an awaited watchdog if it is there now.
pub fn look<S: System>(machine: &mut Machine<S>) {
    let Watchdog::Awaited(wanted) = machine.watchdog else { return };
    match machine.system.open_watchdog(wanted) {
        Ok(dog) => {
            let fed = machine.system.now();
            machine.watchdog = Watchdog::Armed { timeout: dog.timeout, fed, refused: false };
            machine.info(format_args!(
                "the watchdog ({}) resets the machine when init or the supervisor hangs for {} s",
                dog.name,
                dog.timeout.as_secs()
            ));
        }
        Err(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {}
        Err(errno) => {
            machine.watchdog = Watchdog::Off;
            machine.say(format_args!("cannot start the watchdog: {errno}; going on without"));
        }
    }
}

/// Feeds the watchdog if a meal is due.
pub fn feed<S: System>(machine: &mut Machine<S>) {
    if until_meal(machine).is_some_and(|left| left.is_zero()) {
        let result = machine.system.feed_watchdog();
        fed(machine, result);
    }
}

fn fed<S: System>(machine: &mut Machine<S>, result: Result<(), Errno>) {
    let now = machine.system.now();
    let Watchdog::Armed { fed, refused, .. } = &mut machine.watchdog else { return };
    // Due again after the same time, whether it was taken or not.
    *fed = now;
    let is_news = result.is_err() && !*refused;
    *refused = result.is_err();
    if let (true, Err(errno)) = (is_news, result) {
        machine.say(format_args!("cannot feed the watchdog: {errno}; it may reset the machine"));
    }
}

/// How long until the next meal; `None` without a watchdog.
pub fn until_meal<S: System>(machine: &Machine<S>) -> Option<Duration> {
    match machine.watchdog {
        Watchdog::Armed { timeout, fed, .. } => Some(machine.until(fed + timeout / MEALS)),
        Watchdog::Off | Watchdog::Awaited(_) => None,
    }
}

/// Feeds the watchdog, and lets it wait for `time` if it can: PID 1 will be in calls that may take so long.
pub fn stretch<S: System>(machine: &mut Machine<S>, time: Duration) {
    let Watchdog::Armed { timeout, .. } = &machine.watchdog else { return };
    let result = match *timeout >= time {
        true => machine.system.feed_watchdog(),
        false => machine.system.set_watchdog(time).map(|set| {
            if let Watchdog::Armed { timeout, .. } = &mut machine.watchdog {
                *timeout = set;
            }
        }),
    };
    fed(machine, result);
}

/// Stops the watchdog, for a machine that shall be off and stay so.
pub fn stop<S: System>(machine: &mut Machine<S>) {
    if matches!(machine.watchdog, Watchdog::Armed { .. }) {
        machine.watchdog = Watchdog::Off;
        let result = machine.system.stop_watchdog().map(drop);
        machine.check(result, "stop the watchdog");
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, machine};
    use super::*;

    fn armed(prepare_fake: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.watchdog = Some(Duration::ZERO);
            prepare_fake(fake);
        });
        prepare(&mut machine);
        machine
    }

    #[test]
    fn the_command_line_says_how_long_or_off() {
        let cases = [
            ("", Some(60), false),
            ("lkb.watchdog=off", None, false),
            ("lkb.watchdog=0", None, false),
            ("lkb.watchdog=10", Some(10), false),
            ("lkb.watchdog=3600", Some(3600), false),
            ("lkb.watchdog=9", Some(60), true),
            ("lkb.watchdog=soon", Some(60), true),
            ("lkb.watchdog=off lkb.watchdog=30", Some(30), false),
        ];
        for (line, seconds, complains) in cases {
            let (found, problem) = setting(&Cmdline::parse(line));
            assert_eq!((found, problem.is_some()), (seconds, complains), "{line}");
        }
    }

    #[test]
    fn a_watchdog_that_is_there_is_started_and_told_of() {
        let machine = armed(|_| {});
        assert_eq!(machine.system.calls, ["open_watchdog 60"]);
        assert!(machine.system.has_said("the watchdog (fake) resets the machine"));
    }

    #[test]
    fn a_watchdog_that_comes_late_is_started_then() {
        let mut machine = machine(|_| {});
        prepare(&mut machine);
        assert_eq!(machine.watchdog, Watchdog::Awaited(Duration::from_secs(60)));
        assert!(machine.system.calls.is_empty() && machine.system.log.is_empty());
        machine.system.watchdog = Some(Duration::ZERO);
        look(&mut machine);
        assert!(machine.system.has_called("open_watchdog 60"));
    }

    #[test]
    fn one_that_somebody_else_feeds_is_left_alone_and_said_once() {
        let mut machine = armed(|fake| fake.fail("open_watchdog", Errno::EBUSY));
        look(&mut machine);
        assert_eq!(machine.system.calls.len(), 1);
        assert!(machine.system.has_said("cannot start the watchdog: EBUSY"));
    }

    #[test]
    fn none_is_started_in_a_container_or_when_it_is_off() {
        let mut contained = machine(|fake| fake.watchdog = Some(Duration::ZERO));
        contained.contained = true;
        prepare(&mut contained);
        assert!(contained.system.calls.is_empty());
        let mut off = machine(|fake| fake.watchdog = Some(Duration::ZERO));
        off.cmdline = Cmdline::parse("lkb.watchdog=off");
        prepare(&mut off);
        assert_eq!(off.watchdog, Watchdog::Off);
    }

    #[test]
    fn it_is_fed_no_more_often_than_needed() {
        let mut machine = armed(|_| {});
        for _ in 0..60 {
            machine.system.now += Duration::from_secs(1);
            feed(&mut machine);
        }
        assert_eq!(machine.system.calls_of("feed_watchdog").len(), 4);
    }

    #[test]
    fn a_watchdog_that_refuses_food_is_said_once() {
        let mut machine = armed(|fake| fake.fail("feed_watchdog", Errno::EIO));
        for _ in 0..5 {
            machine.system.now += Duration::from_secs(20);
            feed(&mut machine);
        }
        assert_eq!(machine.system.log.iter().filter(|line| line.contains("cannot feed")).count(), 1);
        assert_eq!(machine.system.calls_of("feed_watchdog").len(), 5);
    }

    #[test]
    fn it_can_be_made_to_wait_longer_but_not_shorter() {
        let mut machine = armed(|_| {});
        stretch(&mut machine, Duration::from_secs(90));
        stretch(&mut machine, Duration::from_secs(30));
        assert_eq!(machine.system.calls[1..], ["set_watchdog 90", "feed_watchdog"]);
        let mut stubborn = armed(|fake| fake.fail("set_watchdog", Errno::EOPNOTSUPP));
        stretch(&mut stubborn, Duration::from_secs(90));
        assert!(stubborn.system.has_said("cannot feed the watchdog: EOPNOTSUPP"));
    }

    #[test]
    fn it_is_stopped_once() {
        let mut machine = armed(|_| {});
        stop(&mut machine);
        stop(&mut machine);
        assert_eq!(machine.system.calls_of("stop_watchdog").len(), 1);
        feed(&mut machine);
        assert!(!machine.system.has_called("feed_watchdog"));
    }
}
