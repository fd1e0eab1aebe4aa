//! When to try again, and when to stop. Pure: time comes in as a value.
//!
//! | failure | what it means | tried again for |
//! | --- | --- | --- |
//! | [`Failure::NetworkDown`] | there is no route or address yet | the total deadline, at each network event |
//! | [`Failure::NoService`] | the network works, nobody answers | [`Policy::patience`] |
//! | [`Failure::Busy`] | a service is there and not ready | the total deadline |
//!
//! Everything else can't get better and is not tried again.

use std::time::{Duration, Instant};

/// What kind of failure a try ended in, of those that can get better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The kernel has no route, no address or no link to send with.
    NetworkDown,
    /// Refused, unreachable behind a working route, or dropped on the way.
    NoService,
    /// Connected and slow, or an answer that says "later" (408, 429, 5xx).
    Busy,
}

/// The constants of trying again.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Pause after the first failure; doubles with each.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// How long nobody has to answer on a working network before that is taken for the truth. A cloud's metadata
    /// proxy can be seconds behind its network (ARP takes 3 s to fail, a proxy's restart a few more); a machine
    /// without any such service must not wait much longer than that for its boot.
    pub patience: Duration,
    /// Longest wait for a network event: an event can be lost, or the route can be made by other means.
    pub network_tick: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(2),
            patience: Duration::from_secs(10),
            network_tick: Duration::from_secs(1),
        }
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after this pause, or at once when the network changes if that can help.
    Again {
        /// Longest pause.
        pause: Duration,
        /// Whether a change of the network ends the pause.
        wake_on_network: bool,
    },
    /// The time is up.
    GiveUp,
}

/// How one run's tries have gone so far.
#[derive(Debug)]
pub struct Retry {
    policy: Policy,
    deadline: Instant,
    pause: Duration,
    unanswered_since: Option<Instant>,
    answered: bool,
}

impl Retry {
    /// Tries under `policy` until `deadline` at the latest.
    #[must_use]
    pub fn new(policy: Policy, deadline: Instant) -> Self {
        Self { policy, deadline, pause: policy.first_pause, unanswered_since: None, answered: false }
    }

    /// A response came: somebody is there, and pauses start small again.
    pub fn answered(&mut self) {
        self.answered = true;
        self.unanswered_since = None;
        self.pause = self.policy.first_pause;
    }

    /// Whether any response has come.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// When a connection that is being tried at the moment must be there.
    #[must_use]
    pub fn connect_until(&self) -> Instant {
        match self.unanswered_since {
            Some(since) => self.deadline.min(since + self.policy.patience),
            None => self.deadline,
        }
    }

    /// The total deadline.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A try that began at `began` has failed at `now`.
    pub fn failed(&mut self, failure: Failure, began: Instant, now: Instant) -> Next {
        let pause = match failure {
            Failure::NetworkDown => {
                self.unanswered_since = None;
                self.policy.network_tick
            }
            Failure::NoService if !self.answered => {
                self.unanswered_since.get_or_insert(began);
                self.back_off()
            }
            Failure::NoService => self.back_off(),
            Failure::Busy => {
                self.unanswered_since = None;
                self.back_off()
            }
        };
        let left = self.connect_until().saturating_duration_since(now);
        if left.is_zero() || (pause >= left && failure != Failure::NetworkDown) {
            return Next::GiveUp;
        }
        Next::Again { pause: pause.min(left), wake_on_network: failure != Failure::Busy }
    }

    fn back_off(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.policy.longest_pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: u64 = 30;

    /// Plays failures that each take `each` seconds; returns the pauses, and when it was given up.
    fn play(retry: &mut Retry, start: Instant, failure: Failure, each: f32) -> (Vec<f32>, f32) {
        let (mut now, mut pauses) = (start, Vec::new());
        for _ in 0..100_000 {
            let began = now;
            let until = match failure {
                Failure::Busy => retry.deadline(),
                _ => retry.connect_until(),
            };
            now += Duration::from_secs_f32(each).min(until.saturating_duration_since(began));
            match retry.failed(failure, began, now) {
                Next::GiveUp => return (pauses, (now - start).as_secs_f32()),
                Next::Again { pause, .. } => {
                    pauses.push(pause.as_secs_f32());
                    now += pause;
                }
            }
        }
        panic!("never gave up");
    }

    fn new() -> (Retry, Instant) {
        let start = Instant::now();
        (Retry::new(Policy::default(), start + Duration::from_secs(DEADLINE)), start)
    }

    #[test]
    fn pauses_double_up_to_their_cap() {
        let (mut retry, start) = new();
        retry.answered();
        let (pauses, _) = play(&mut retry, start, Failure::Busy, 0.0);
        assert_eq!(pauses.get(..6).unwrap(), [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn every_failure_ends_within_its_time() {
        for (failure, each, earliest, latest) in [
            (Failure::NoService, 0.0, 7.0, 10.0), // refused at once
            (Failure::NoService, 3.0, 7.0, 10.0), // SYNs dropped
            (Failure::Busy, 0.0, 27.0, 30.0),
            (Failure::Busy, 10.0, 27.0, 30.0),
            (Failure::NetworkDown, 0.0, 29.0, 30.0),
        ] {
            let (mut retry, start) = new();
            let (_, ended) = play(&mut retry, start, failure, each);
            assert!((earliest..=latest).contains(&ended), "{failure:?} {each}: ended after {ended} s");
        }
    }

    #[test]
    fn the_network_coming_up_late_leaves_full_patience() {
        let (mut retry, start) = new();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..15 {
            assert!(matches!(retry.failed(Failure::NetworkDown, at(second), at(second)), Next::Again { .. }));
        }
        let (_, ended) = play(&mut retry, at(15), Failure::NoService, 0.0);
        assert!((7.0..=10.0).contains(&ended), "{ended}");
    }

    #[test]
    fn a_service_that_has_answered_and_goes_away_is_waited_for_until_the_deadline() {
        let (mut retry, start) = new();
        retry.answered();
        let (_, ended) = play(&mut retry, start, Failure::NoService, 0.0);
        assert!(ended > 20.0, "{ended}");
    }

    #[test]
    fn only_a_busy_service_is_not_woken_for_by_the_network() {
        for (failure, wanted) in
            [(Failure::NetworkDown, true), (Failure::NoService, true), (Failure::Busy, false)]
        {
            let (mut retry, start) = new();
            match retry.failed(failure, start, start) {
                Next::Again { wake_on_network, .. } => assert_eq!(wake_on_network, wanted, "{failure:?}"),
                Next::GiveUp => panic!("gave up at once"),
            }
        }
    }

    #[test]
    fn nothing_is_tried_after_the_deadline() {
        let (mut retry, start) = new();
        let late = start + Duration::from_secs(DEADLINE);
        for failure in [Failure::NetworkDown, Failure::NoService, Failure::Busy] {
            assert_eq!(retry.failed(failure, late, late), Next::GiveUp, "{failure:?}");
        }
    }
}
