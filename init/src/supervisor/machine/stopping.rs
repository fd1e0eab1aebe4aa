//! How a service is stopped, and what follows when a wait is over.

use std::time::Duration;

use super::{Action, KILL_PATIENCE, Machine};
use crate::service::protocol::State;
use crate::supervisor::hearing::Hearing;
use crate::supervisor::probe::Schedule;
use crate::sys::SIGKILL;

/// Grace for a service whose first process takes no notice of its stop signal; its other processes may.
pub(super) const DEAF_GRACE: Duration = Duration::from_secs(2);

impl Machine {
    pub(super) fn elapsed(&mut self) -> Vec<Action> {
        match self.state {
            State::BackingOff => self.attempt(),
            State::Stopping => vec![
                Action::Say("does not stop; killing it".to_owned()),
                Action::Signal { number: SIGKILL, all: true },
                Action::Arm(KILL_PATIENCE),
            ],
            _ => Vec::new(),
        }
    }

    pub(super) fn stop(&mut self, hearing: Hearing) -> Vec<Action> {
        match self.state {
            State::Running => {
                let mut actions = Vec::new();
                if self.schedule != Schedule::Idle {
                    actions.push(Action::EndProbe);
                }
                self.schedule = Schedule::Idle;
                self.ready = false;
                self.state = State::Stopping;
                let number = self.policy.stop_signal;
                actions.extend(match hearing {
                    Hearing::Hears => [Action::Signal { number, all: false }, Action::Arm(self.policy.grace)],
                    Hearing::Deaf => {
                        [Action::Signal { number, all: true }, Action::Arm(self.policy.grace.min(DEAF_GRACE))]
                    }
                    Hearing::DeafAndAlone => {
                        [Action::Signal { number: SIGKILL, all: true }, Action::Arm(KILL_PATIENCE)]
                    }
                });
                actions
            }
            State::BackingOff => {
                self.rest(State::Stopped);
                vec![Action::Disarm, Action::Remove]
            }
            State::Blocked => {
                self.rest(State::Stopped);
                // There may be the container of an earlier run.
                if self.starts > 0 { vec![Action::Remove] } else { Vec::new() }
            }
            State::Waiting | State::Failed => {
                self.rest(State::Stopped);
                Vec::new()
            }
            State::Starting | State::Stopping | State::Stopped => Vec::new(),
        }
    }
}
