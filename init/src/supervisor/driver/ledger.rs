//! What is told about one service: to whoever asks, and to the supervisor's successor.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::engine::Exit;
use crate::service::protocol::{LastExit, ServiceStatus, State};
use crate::supervisor::events::Events;
use crate::supervisor::machine::{Machine, Past};
use crate::supervisor::{console, state_file};

/// A service's status, and the file that keeps it.
#[derive(Debug)]
pub struct Ledger {
    status: watch::Sender<ServiceStatus>,
    path: PathBuf,
    /// Whether the file has what the status says.
    written: bool,
    /// The status that listeners for changes know.
    told: ServiceStatus,
}

impl Ledger {
    /// Opens the ledger of a service; what a former supervisor wrote in it comes along.
    pub fn open(name: &str) -> (Self, Option<ServiceStatus>) {
        let path = state_file::path(&format!("services/{name}.json"));
        let before: Option<ServiceStatus> = state_file::read(&path);
        let status = before.clone().unwrap_or_else(|| {
            let mut status = ServiceStatus::new(name, State::Waiting);
            status.enter(State::Waiting, now());
            // Time before the service was known is no time in a state.
            status.time_in.clear();
            status
        });
        let told = status.clone();
        (Self { status: watch::Sender::new(status), path, written: false, told }, before)
    }

    /// Whoever looks at it from elsewhere.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ServiceStatus> {
        self.status.subscribe()
    }

    /// Takes down how the service is.
    ///
    /// `state` is not the machine's while its container is still being removed; `keep_wanted` is set when it is
    /// stopped because the machine goes down.
    pub fn note(&mut self, machine: &Machine, state: State, keep_wanted: bool, events: &Events) {
        let news = self.status.send_if_modified(|status| {
            let before = status.clone();
            if status.state != state || status.pid != machine.pid() {
                status.enter(state, now());
            }
            status.pid = machine.pid();
            status.ready = machine.ready();
            status.health = machine.health();
            status.starts = machine.starts();
            status.restarts = machine.restarts();
            if !keep_wanted {
                status.wanted = machine.wanted();
            }
            status.problem = machine.problem();
            *status != before
        });
        if news {
            let now = self.status.borrow().clone();
            events.note(&self.told, &now);
            self.told = now;
        }
        self.save(news);
    }

    /// Takes down how it ended; [`Ledger::note`] follows.
    pub fn note_exit(&mut self, exit: Exit, oom: bool) {
        let at = now().1;
        self.written = false;
        self.status.send_modify(|status| status.last_exit = Some(LastExit { exit, at, oom }));
    }

    fn save(&mut self, news: bool) {
        if self.written && !news {
            return;
        }
        let status = self.status.borrow();
        match state_file::write(&self.path, &*status) {
            Ok(()) => self.written = true,
            Err(error) => {
                self.written = false;
                console::say(&format!("{}: cannot write {}: {error}", status.name, self.path.display()));
            }
        }
    }
}

/// What a state machine needs to know of what was before.
#[must_use]
pub fn past(before: Option<&ServiceStatus>) -> Past {
    before.map_or_else(Past::default, |status| Past {
        wanted: status.wanted,
        restarts: status.restarts,
        starts: status.starts,
        over: match status.state {
            State::Stopped | State::Failed => Some(status.state),
            _ => None,
        },
    })
}

/// Milliseconds since the kernel started, and seconds since 1970.
pub fn now() -> (u64, u64) {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX), since_1970.as_secs())
}
