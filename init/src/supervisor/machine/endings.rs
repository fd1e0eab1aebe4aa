//! What follows when a service could not be started, or has ended.

use std::time::Duration;

use image_layout::Restart;

use super::{Action, Machine};
use crate::engine::Exit;
use crate::service::protocol::State;
use crate::supervisor::probe::Schedule;
use crate::sys::SIGKILL;

impl Machine {
    pub(super) fn start_failed(&mut self, problem: String) -> Vec<Action> {
        self.problem = Some(problem.clone());
        if !self.wanted {
            self.rest(State::Stopped);
            return vec![Action::Remove];
        }
        if self.held {
            self.rest(State::Blocked);
            return Vec::new();
        }
        if self.policy.restart == Restart::Never {
            self.rest(State::Failed);
            return vec![Action::Say(format!("cannot be started: {problem}")), Action::Remove];
        }
        let wait = self.backoff.next(Duration::ZERO);
        self.rest(State::BackingOff);
        vec![
            Action::Say(format!("cannot be started: {problem}; trying again in {}", seconds(wait))),
            Action::Arm(wait),
        ]
    }

    pub(super) fn exited(&mut self, exit: Exit, oom: bool, now: Duration) -> Vec<Action> {
        let how = self.ending(exit, oom);
        let mut actions = Vec::new();
        if self.schedule != Schedule::Idle {
            actions.push(Action::EndProbe);
        }
        let (asked, crashed) = (self.state == State::Stopping, std::mem::take(&mut self.crashed));
        if asked && !self.wanted {
            self.rest(State::Stopped);
            actions.extend([Action::Disarm, Action::Say(format!("stopped ({how})")), Action::Remove]);
        } else if self.held {
            self.rest(State::Blocked);
            actions.extend([Action::Disarm, Action::Say(format!("stopped ({how})")), Action::Clear]);
        } else if asked && !crashed {
            actions.extend([Action::Disarm, Action::Clear]);
            self.rest(State::Blocked);
            actions.extend(self.attempt());
        } else {
            actions.extend(self.crash(exit, &how, crashed, now));
        }
        actions
    }

    /// It ended unasked, or was stopped because it did not serve.
    fn crash(&mut self, exit: Exit, how: &str, gave_up: bool, now: Duration) -> Vec<Action> {
        let well = exit.is_success() && !gave_up;
        let again = match self.policy.restart {
            Restart::Always => true,
            Restart::OnFailure => !well,
            Restart::Never => false,
        };
        if !again {
            self.rest(if well { State::Stopped } else { State::Failed });
            return vec![Action::Disarm, Action::Say(how.to_owned()), Action::Remove];
        }
        self.restarts = self.restarts.saturating_add(1);
        let wait = self.backoff.next(now.saturating_sub(self.running_since));
        self.rest(State::BackingOff);
        let line = format!("{how}; starting again in {}", seconds(wait));
        vec![Action::Say(line), Action::Arm(wait), Action::Clear]
    }

    /// How it ended, in words.
    fn ending(&self, exit: Exit, oom: bool) -> String {
        let limit = match self.policy.memory_limit {
            Some(bytes) => format!("out of memory (limit {} MB)", bytes.div_ceil(1 << 20)),
            None => "out of memory (it has no limit; the machine has no more)".to_owned(),
        };
        match (exit, oom) {
            (_, false) => exit.to_string(),
            (Exit::Signal(SIGKILL), true) => format!("killed: {limit}"),
            (_, true) => format!("{exit} after a process of it was killed: {limit}"),
        }
    }
}

/// A wait in seconds, with tenths where they matter.
pub(super) fn seconds(wait: Duration) -> String {
    if wait < Duration::from_secs(10) {
        format!("{:.1} s", wait.as_secs_f64())
    } else {
        format!("{} s", wait.as_secs())
    }
}
