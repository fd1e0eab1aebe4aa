//! What PID 1 knows, from state to state.

use std::fmt::Display;
use std::time::Duration;

use kmod::cmdline::Cmdline;
use nix::errno::Errno;

use super::shutdown::failure;
use super::state::State;
use super::system::{Result, System, Then};
use super::watchdog::Watchdog;
use crate::device::hotplug::Queue;
use crate::power::Action;
use crate::timeline::Timeline;

/// PID 1: the kernel's side, and all that is remembered.
#[derive(Debug)]
pub struct Machine<S> {
    pub(super) system: S,
    /// What the kernel was told; empty until `/proc` is mounted.
    pub(super) cmdline: Cmdline,
    /// In a container: mounts, devices, clock and name are the host's business.
    pub(super) contained: bool,
    /// `/` was the initramfs.
    pub(super) root_in_memory: bool,
    pub(super) supervisor: Supervisor,
    pub(super) watchdog: Watchdog,
    /// There were more dead children than are buried at once.
    pub(super) dead_left: bool,
    /// Aliases of devices that came after the boot, and the `modprobe` that runs.
    pub(super) hotplug: Queue,
    pub(super) modprobe: Option<i32>,
    pub(super) disk_links: DiskLinks,
    /// The device of a `/var` that `/var/config` could not be shown on.
    pub(super) unshown_on: Option<u64>,
    /// How the machine ends, once that is asked for.
    pub(super) ending: Ending,
    /// Why PID 1 cannot go on.
    pub(super) failure: Option<String>,
    /// What was done so far, until it is written.
    pub(super) timeline: Timeline,
    /// Lines from before there was a console.
    unsaid: Vec<String>,
    has_console: bool,
}

/// The links in `/dev/disk`.
#[derive(Debug, Default)]
pub struct DiskLinks {
    /// Disks have changed since `disk-links` was started last.
    pub(super) stale: bool,
    /// The `disk-links` that runs.
    pub(super) pid: Option<i32>,
}

/// The supervisor's life.
#[derive(Debug, Default)]
pub struct Supervisor {
    pub(super) pid: Option<i32>,
    pub(super) started: Duration,
    /// When it was last heard of.
    pub(super) beat: Duration,
    /// It hangs, and was killed.
    pub(super) hung: bool,
    /// Deaths in a row.
    pub(super) deaths: u32,
    /// When it may be started, if it does not run.
    pub(super) due: Duration,
}

/// The end of the machine.
#[derive(Debug)]
pub struct Ending {
    pub(super) action: Action,
    /// When the machine was first asked to end.
    pub(super) asked: Duration,
    /// When the present state stops waiting.
    pub(super) deadline: Duration,
}

impl<S: System> Machine<S> {
    /// A machine that the kernel has just started.
    #[must_use]
    pub fn new(system: S) -> Self {
        Self {
            system,
            cmdline: Cmdline::default(),
            contained: false,
            root_in_memory: false,
            supervisor: Supervisor::default(),
            watchdog: Watchdog::default(),
            dead_left: false,
            hotplug: Queue::default(),
            modprobe: None,
            disk_links: DiskLinks::default(),
            unshown_on: None,
            ending: Ending { action: Action::Reboot, asked: Duration::ZERO, deadline: Duration::ZERO },
            failure: None,
            timeline: Timeline::default(),
            unsaid: Vec::new(),
            has_console: false,
        }
    }

    /// What PID 1 exits with, where it can: in a container.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        i32::from(self.failure.is_some())
    }

    /// Says what goes as it should; nothing when the kernel was told to be `quiet`.
    pub(super) fn info(&mut self, text: impl Display) {
        if !self.cmdline.has("quiet") {
            self.say(text);
        }
    }

    /// Says what does not go as it should, or what people at the console must know.
    pub(super) fn say(&mut self, text: impl Display) {
        let line = format!("init: [{:9.3}] {text}", self.system.now().as_secs_f64());
        if self.has_console {
            self.system.log(&line);
        } else {
            self.unsaid.push(line);
        }
    }

    /// From now on lines go to the console; those from before first.
    pub(super) fn console_is_open(&mut self) {
        self.has_console = true;
        for line in std::mem::take(&mut self.unsaid) {
            self.system.log(&line);
        }
    }

    /// Says what could not be done, if so; whether it could.
    pub(super) fn check(&mut self, result: Result<()>, tried: impl Display) -> bool {
        self.check_unless(result, &[], tried)
    }

    /// The same, silent about errors that only mean that this machine or kernel does not have it.
    pub(super) fn check_unless(
        &mut self,
        result: Result<()>,
        expected: &[Errno],
        tried: impl Display,
    ) -> bool {
        match result {
            Ok(()) => true,
            Err(errno) => {
                if !expected.contains(&errno) {
                    self.say(format_args!("cannot {tried}: {errno}"));
                }
                false
            }
        }
    }

    /// What follows when PID 1 cannot go on: what the kernel was told to do when it cannot (`panic=`).
    pub(super) fn after_failure(&self) -> Then {
        if self.contained { Then::Exit } else { failure::policy(&self.cmdline) }
    }

    /// Gives up: the state that follows.
    pub(super) fn fail(&mut self, reason: impl Display) -> State {
        self.failure = Some(reason.to_string());
        State::Failed
    }

    /// How long until `deadline`; zero when it has passed.
    pub(super) fn until(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.system.now())
    }
}
