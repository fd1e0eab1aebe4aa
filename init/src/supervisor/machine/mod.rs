//! A service's life: a pure state machine. Events come in, actions come out; the driver beside it does them.
//!
//! ```text
//!             released                gate open            started               ready
//! waiting ──────────────► blocked ◄──────────► starting ──────────────► running ──────► running, ready
//!                            ▲                    ▲  │ cannot              │ ended, late, unhealthy
//!                            └──── elapsed ── backing-off ◄────────────────┤
//!                                                                          ├─► stopping ─► stopped
//!                                                                          └─► failed (policy)
//! ```

mod endings;
mod event;
mod probing;
#[cfg(test)]
mod properties;
mod stopping;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

use probing::ask;

pub use event::{Action, Event, Past, Policy, Question};

use super::backoff::{Backoff, Jitter};
use super::dependencies::{Gate, Standing};
use super::hearing::Hearing;
use super::probe::Schedule;
use crate::service::protocol::State;

/// How long a killed process may take to be gone before we say so.
pub const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// One service.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    state: State,
    wanted: bool,
    /// Whether one that it requires is about to be stopped.
    held: bool,
    gate: Gate,
    pid: Option<u32>,
    ready: bool,
    schedule: Schedule,
    /// Whether it is being stopped because it did not serve, which counts as a crash.
    crashed: bool,
    restarts: u32,
    starts: u32,
    backoff: Backoff,
    running_since: Duration,
    problem: Option<String>,
}

impl Machine {
    /// A service that waits to be released, or one that was stopped or had failed for good before.
    #[must_use]
    pub fn new(policy: Policy, past: Past, jitter: Jitter) -> Self {
        let fresh = if past.wanted { State::Waiting } else { State::Stopped };
        Self {
            policy,
            state: past.over.unwrap_or(fresh),
            wanted: past.wanted,
            held: false,
            gate: Gate::Open,
            pid: None,
            ready: false,
            schedule: Schedule::Idle,
            crashed: false,
            restarts: past.restarts,
            starts: past.starts,
            backoff: Backoff::new(jitter),
            running_since: Duration::ZERO,
            problem: None,
        }
    }

    /// Takes one event at `now` (any clock that does not jump) and says what must be done, in order.
    pub fn on(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Released if self.state == State::Waiting => self.attempt(),
            Event::Released => Vec::new(),
            Event::Withheld(reason) => self.withheld(reason),
            Event::Gate(gate) => self.gate_moved(gate),
            Event::Adopted { pid, ready } => self.running(pid, ready, now),
            Event::Started(pid) => self.started(pid, now),
            Event::StartFailed(problem) => self.start_failed(problem),
            Event::Exited { exit, oom } => self.exited(exit, oom, now),
            Event::ProbeSucceeded => self.answered_well(now),
            Event::ProbeFailed { reason, hearing } => self.answered_badly(&reason, hearing, now),
            Event::Elapsed => self.elapsed(),
            Event::StartAsked => self.start_asked(),
            Event::StopAsked(hearing) => {
                self.wanted = false;
                self.stop(hearing)
            }
            Event::RestartAsked(hearing) => {
                self.wanted = true;
                self.crashed = false;
                match self.state {
                    State::Running => self.stop(hearing),
                    _ => self.start_asked(),
                }
            }
            Event::HoldAsked(hearing) => {
                self.held = true;
                match self.state {
                    State::Running => self.stop(hearing),
                    State::BackingOff => {
                        self.rest(State::Blocked);
                        vec![Action::Disarm]
                    }
                    _ => Vec::new(),
                }
            }
            Event::HoldEnded => {
                self.held = false;
                if self.state == State::Blocked { self.attempt() } else { Vec::new() }
            }
        }
    }

    /// The only way to a launch: when nothing that it needs is missing.
    fn attempt(&mut self) -> Vec<Action> {
        self.wanted = true;
        if self.held || self.gate != Gate::Open {
            self.rest(State::Blocked);
            return self.tell_if_hopeless();
        }
        self.state = State::Starting;
        vec![Action::Launch]
    }

    fn gate_moved(&mut self, gate: Gate) -> Vec<Action> {
        let changed = self.gate != gate;
        self.gate = gate;
        match (self.state, &self.gate) {
            (State::Blocked, Gate::Open) => self.attempt(),
            (State::Blocked, _) if changed => self.tell_if_hopeless(),
            _ => Vec::new(),
        }
    }

    fn tell_if_hopeless(&self) -> Vec<Action> {
        match &self.gate {
            Gate::Shut { by, standing: Standing::Failed } => {
                vec![Action::Say(format!("is not started: it requires {by}, which has failed"))]
            }
            Gate::Shut { .. } | Gate::Open => Vec::new(),
        }
    }

    fn withheld(&mut self, reason: String) -> Vec<Action> {
        if self.state == State::Waiting {
            self.wanted = false;
            self.problem = Some(reason);
            self.rest(State::Stopped);
        }
        Vec::new()
    }

    fn rest(&mut self, state: State) {
        self.state = state;
        self.pid = None;
        self.ready = false;
        self.schedule = Schedule::Idle;
    }

    fn running(&mut self, pid: u32, ready: bool, now: Duration) -> Vec<Action> {
        self.state = State::Running;
        self.pid = Some(pid);
        self.running_since = now;
        self.problem = None;
        self.crashed = false;
        let mut actions = vec![Action::Watch];
        match self.policy.ready {
            Some(plan) if !ready => {
                let attempt = self.schedule.ask_ready(plan, now);
                actions.push(ask(Question::Ready, attempt));
            }
            _ => actions.extend(self.serves(now)),
        }
        actions
    }

    fn started(&mut self, pid: u32, now: Duration) -> Vec<Action> {
        self.starts = self.starts.saturating_add(1);
        let mut actions = self.running(pid, false, now);
        if !self.wanted || self.held {
            // Stopped while it was being created; it has had no time to become deaf.
            actions.extend(self.stop(Hearing::Hears));
        }
        actions
    }

    fn start_asked(&mut self) -> Vec<Action> {
        self.wanted = true;
        match self.state {
            State::Waiting | State::Starting | State::Running | State::Stopping => Vec::new(),
            State::Blocked | State::BackingOff | State::Stopped | State::Failed => {
                self.backoff.reset();
                let mut actions = vec![Action::Disarm];
                actions.extend(self.attempt());
                actions
            }
        }
    }
}
