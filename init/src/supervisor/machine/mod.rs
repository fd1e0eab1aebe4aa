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

mod event;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::time::Duration;

use image_layout::Restart;

pub use event::{Action, Event, Past, Policy, Question};

use super::backoff::{Backoff, Jitter};
use super::dependencies::{Gate, Standing};
use super::hearing::Hearing;
use super::probe::{Schedule, Try, Verdict};
use crate::engine::Exit;
use crate::service::protocol::{Health, State};

/// How long a killed process may take to be gone before we say so.
pub const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Grace for a service whose first process takes no notice of its stop signal; its other processes may.
const DEAF_GRACE: Duration = Duration::from_secs(2);

const SIGKILL: u32 = 9;

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

    /// It is ready; from now on its health is looked after.
    fn serves(&mut self, now: Duration) -> Vec<Action> {
        self.ready = true;
        match self.policy.health {
            Some(plan) => vec![ask(Question::Health, self.schedule.ask_health(plan, now))],
            None => {
                self.schedule = Schedule::Idle;
                Vec::new()
            }
        }
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

    fn answered_well(&mut self, now: Duration) -> Vec<Action> {
        let before = self.schedule.health();
        match self.schedule.succeeded() {
            Verdict::Ready => self.serves(now),
            Verdict::Again(attempt) => {
                let mut actions = Vec::new();
                if before == Some(Health::Unhealthy) {
                    actions.push(Action::Say("healthy again".to_owned()));
                }
                actions.push(self.ask_again(attempt));
                actions
            }
            Verdict::Late | Verdict::Unhealthy(_) | Verdict::Unasked => Vec::new(),
        }
    }

    fn answered_badly(&mut self, reason: &str, hearing: Hearing, now: Duration) -> Vec<Action> {
        let before = self.schedule.health();
        match self.schedule.failed(now) {
            Verdict::Again(attempt) => vec![self.ask_again(attempt)],
            Verdict::Late => {
                let limit = self.policy.ready.map_or(Duration::ZERO, |plan| plan.timeout);
                self.give_up(format!("not ready within {}: {reason}; stopping it", seconds(limit)), hearing)
            }
            // Nobody would start it again, so it is left to those who can still use it.
            Verdict::Unhealthy(attempt) if self.policy.restart == Restart::Never => {
                let mut actions = Vec::new();
                if before != Some(Health::Unhealthy) {
                    actions.push(Action::Say(format!("unhealthy: {reason}")));
                }
                actions.push(self.ask_again(attempt));
                actions
            }
            Verdict::Unhealthy(_) => self.give_up(format!("unhealthy: {reason}; stopping it"), hearing),
            Verdict::Ready | Verdict::Unasked => Vec::new(),
        }
    }

    fn ask_again(&self, attempt: Try) -> Action {
        ask(if self.ready { Question::Health } else { Question::Ready }, attempt)
    }

    /// Stops it as if it had crashed.
    fn give_up(&mut self, line: String, hearing: Hearing) -> Vec<Action> {
        self.crashed = true;
        let mut actions = vec![Action::Say(line)];
        actions.extend(self.stop(hearing));
        actions
    }

    fn start_failed(&mut self, problem: String) -> Vec<Action> {
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

    fn exited(&mut self, exit: Exit, oom: bool, now: Duration) -> Vec<Action> {
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

    fn elapsed(&mut self) -> Vec<Action> {
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

    fn stop(&mut self, hearing: Hearing) -> Vec<Action> {
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

fn ask(question: Question, attempt: Try) -> Action {
    Action::Probe { question, after: attempt.after, limit: attempt.limit }
}

/// A wait in seconds, with tenths where they matter.
fn seconds(wait: Duration) -> String {
    if wait < Duration::from_secs(10) {
        format!("{:.1} s", wait.as_secs_f64())
    } else {
        format!("{} s", wait.as_secs())
    }
}
