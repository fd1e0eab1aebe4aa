//! What follows from the answers to probes.

use std::time::Duration;

use image_layout::Restart;

use super::endings::seconds;
use super::{Action, Machine, Question};
use crate::service::protocol::Health;
use crate::supervisor::hearing::Hearing;
use crate::supervisor::probe::{Schedule, Try, Verdict};

impl Machine {
    /// It is ready; from now on its health is looked after.
    pub(super) fn serves(&mut self, now: Duration) -> Vec<Action> {
        self.ready = true;
        match self.policy.health {
            Some(plan) => vec![ask(Question::Health, self.schedule.ask_health(plan, now))],
            None => {
                self.schedule = Schedule::Idle;
                Vec::new()
            }
        }
    }

    pub(super) fn answered_well(&mut self, now: Duration) -> Vec<Action> {
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

    pub(super) fn answered_badly(&mut self, reason: &str, hearing: Hearing, now: Duration) -> Vec<Action> {
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
}

/// The action that asks.
pub(super) fn ask(question: Question, attempt: Try) -> Action {
    Action::Probe { question, after: attempt.after, limit: attempt.limit }
}
