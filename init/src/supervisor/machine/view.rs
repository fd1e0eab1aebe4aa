//! What others may know of a service.

use super::Machine;
use crate::service::protocol::{Health, State};
use crate::supervisor::dependencies::{Gate, Standing};

impl Machine {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it is meant to run.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Its first process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Whether it serves.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// How it is, when somebody asks it.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        match (self.state, self.policy.health) {
            (State::Running, Some(_)) => Some(self.schedule.health().unwrap_or(Health::Starting)),
            _ => None,
        }
    }

    /// How often it was started again after it had ended unasked.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Why it does not run: what it waits for, or why it could not be started last time.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match (self.state, &self.gate) {
            (State::Blocked, Gate::Shut { by, standing }) => Some(match standing {
                Standing::Ready | Standing::Coming => format!("waits for {by}"),
                Standing::Retrying => format!("waits for {by}, which does not keep running"),
                Standing::Stopped => format!("waits for {by}, which is stopped"),
                Standing::Failed => format!("waits for {by}, which has failed"),
            }),
            _ => self.problem.clone(),
        }
    }

    /// How it stands for those that wait for it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self.state {
            State::Running if self.ready => Standing::Ready,
            // No better than what it waits for, so that those that only come after it are not kept for ever.
            State::Blocked => match &self.gate {
                Gate::Shut { standing, .. } if !self.held => *standing,
                Gate::Shut { .. } | Gate::Open => Standing::Coming,
            },
            State::Stopping if !self.wanted => Standing::Stopped,
            State::Waiting | State::Starting | State::Running | State::Stopping => Standing::Coming,
            State::BackingOff => Standing::Retrying,
            State::Stopped => Standing::Stopped,
            State::Failed => Standing::Failed,
        }
    }
}
