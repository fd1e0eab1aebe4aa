//! When a service is asked whether it serves, and what its answers mean. Pure.

use std::time::Duration;

use crate::service::protocol::Health;

/// The pause after the first try that came to nothing; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one of several tries may take.
const TRY_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take even if the time is nearly over: cut off earlier, it would tell nothing but that.
const LEAST_LIMIT: Duration = Duration::from_secs(1);

/// How one learns that a service has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyPlan {
    /// How long it may take.
    pub timeout: Duration,
    /// Whether a single try lasts until then, as listening to a log does.
    pub patient: bool,
}

/// How one learns that a service is still well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPlan {
    /// Time from one check to the next.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// How many checks in a row must fail.
    pub retries: u32,
    /// How long after the start failures do not count, unless a check has succeeded before.
    pub start_period: Duration,
}

/// The next time that a service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// After this pause.
    pub after: Duration,
    /// How long it may take then.
    pub limit: Duration,
}

/// What a service's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Again(Try),
    /// It is ready.
    Ready,
    /// Its time to become ready is over.
    Late,
    /// It is unhealthy; this is when it would be asked again.
    Unhealthy(Try),
    /// Nobody had asked.
    Unasked,
}

/// How far asking has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Nothing is asked.
    #[default]
    Idle,
    /// Until it is ready.
    Ready {
        /// How.
        plan: ReadyPlan,
        /// Until when.
        deadline: Duration,
        /// The pause after the next failure.
        pause: Duration,
    },
    /// For as long as it runs.
    Health {
        /// How.
        plan: HealthPlan,
        /// Since when.
        since: Duration,
        /// Failures in a row that count.
        failures: u32,
        /// What is known.
        health: Health,
    },
}

impl Schedule {
    /// Begins to ask whether it is ready.
    pub fn ask_ready(&mut self, plan: ReadyPlan, now: Duration) -> Try {
        let deadline = now.saturating_add(plan.timeout);
        *self = Self::Ready { plan, deadline, pause: FIRST_PAUSE };
        Try { after: Duration::ZERO, limit: limit(plan, plan.timeout) }
    }

    /// Begins to look after its health.
    pub fn ask_health(&mut self, plan: HealthPlan, now: Duration) -> Try {
        *self = Self::Health { plan, since: now, failures: 0, health: Health::Starting };
        next(plan)
    }

    /// What is known about its health, once it is looked after.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        match self {
            Self::Health { health, .. } => Some(*health),
            Self::Idle | Self::Ready { .. } => None,
        }
    }

    /// It answered well.
    pub fn succeeded(&mut self) -> Verdict {
        match self {
            Self::Idle => Verdict::Unasked,
            Self::Ready { .. } => Verdict::Ready,
            Self::Health { plan, failures, health, .. } => {
                (*failures, *health) = (0, Health::Healthy);
                Verdict::Again(next(*plan))
            }
        }
    }

    /// It did not answer, or not well.
    pub fn failed(&mut self, now: Duration) -> Verdict {
        match self {
            Self::Idle => Verdict::Unasked,
            Self::Ready { plan, deadline, pause } => {
                let left = deadline.saturating_sub(now);
                if left.is_zero() {
                    return Verdict::Late;
                }
                let after = (*pause).min(left);
                *pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                let limit = limit(*plan, left.saturating_sub(after));
                Verdict::Again(Try { after, limit })
            }
            Self::Health { plan, since, failures, health } => {
                let counts = *health != Health::Starting || now.saturating_sub(*since) >= plan.start_period;
                if counts {
                    *failures = failures.saturating_add(1);
                }
                if *failures >= plan.retries {
                    *health = Health::Unhealthy;
                    return Verdict::Unhealthy(next(*plan));
                }
                Verdict::Again(next(*plan))
            }
        }
    }
}

fn limit(plan: ReadyPlan, left: Duration) -> Duration {
    if plan.patient { left } else { left.clamp(LEAST_LIMIT, TRY_LIMIT) }
}

fn next(plan: HealthPlan) -> Try {
    Try { after: plan.interval, limit: plan.timeout }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const READY: ReadyPlan = ReadyPlan { timeout: Duration::from_secs(5), patient: false };
    const HEALTH: HealthPlan = HealthPlan {
        interval: Duration::from_secs(3),
        timeout: Duration::from_secs(1),
        retries: 2,
        start_period: Duration::from_secs(4),
    };

    fn seconds(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn readiness_is_asked_at_once_and_then_ever_less_often_until_the_deadline() {
        let mut schedule = Schedule::default();
        let mut now = NOW;
        let mut pauses = Vec::new();
        let mut verdict = Verdict::Again(schedule.ask_ready(READY, now));
        while let Verdict::Again(Try { after, limit }) = verdict {
            assert!(limit >= LEAST_LIMIT && limit <= TRY_LIMIT);
            pauses.push(after.as_millis());
            now += after;
            verdict = schedule.failed(now);
        }
        assert_eq!(verdict, Verdict::Late);
        assert_eq!(now, seconds(5));
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1000, 1000, 1000, 450]);
    }

    #[test]
    fn listening_to_a_log_is_one_try() {
        let mut schedule = Schedule::default();
        let plan = ReadyPlan { timeout: Duration::from_secs(600), patient: true };
        assert_eq!(schedule.ask_ready(plan, NOW), Try { after: Duration::ZERO, limit: plan.timeout });
        assert_eq!(schedule.failed(seconds(600)), Verdict::Late);
        schedule.ask_ready(plan, NOW);
        assert_eq!(schedule.succeeded(), Verdict::Ready);
        assert_eq!(schedule.health(), None);
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy_and_a_success_makes_it_healthy() {
        let mut schedule = Schedule::default();
        let again = Try { after: HEALTH.interval, limit: HEALTH.timeout };
        assert_eq!(schedule.ask_health(HEALTH, NOW), again);
        assert_eq!(schedule.health(), Some(Health::Starting));
        assert_eq!(schedule.succeeded(), Verdict::Again(again));
        assert_eq!(schedule.health(), Some(Health::Healthy));
        assert_eq!(schedule.failed(seconds(6)), Verdict::Again(again));
        assert_eq!(schedule.succeeded(), Verdict::Again(again));
        assert_eq!(schedule.failed(seconds(12)), Verdict::Again(again));
        assert_eq!(schedule.health(), Some(Health::Healthy));
        assert_eq!(schedule.failed(seconds(15)), Verdict::Unhealthy(again));
        assert_eq!(schedule.health(), Some(Health::Unhealthy));
        schedule.succeeded();
        assert_eq!(schedule.health(), Some(Health::Healthy));
    }

    #[test]
    fn failures_in_the_start_period_do_not_count() {
        let mut schedule = Schedule::default();
        schedule.ask_health(HEALTH, NOW);
        for (second, unhealthy) in [(1, false), (2, false), (3, false), (4, false), (5, true)] {
            let verdict = schedule.failed(seconds(second));
            assert_eq!(matches!(verdict, Verdict::Unhealthy(_)), unhealthy, "{second}");
        }
    }

    #[test]
    fn a_late_answer_to_an_old_question_means_nothing() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.succeeded(), Verdict::Unasked);
        assert_eq!(schedule.failed(NOW), Verdict::Unasked);
    }
}
