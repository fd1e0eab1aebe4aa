//! How fast a stream may speak.

use std::time::{Duration, Instant};

/// What a stream may say at once, after it was quiet (bytes, each line counting [`LINE_COST`] more).
pub const BURST: f64 = 4.0 * 1024.0 * 1024.0;
/// What a stream may say in a second, for ever. Who says more is held back by its pipe: it waits, and loses nothing.
pub const RATE: f64 = 1024.0 * 1024.0;
/// What a line costs beside its bytes: without it, empty lines would be the most expensive flood.
pub const LINE_COST: usize = 64;

/// A token bucket.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { tokens: BURST, filled: now }
    }

    /// Takes what was said at `now`; the pause that is due, if any.
    pub fn take(&mut self, cost: usize, now: Instant) -> Option<Duration> {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * RATE;
        self.filled = now;
        #[allow(clippy::cast_precision_loss)]
        let cost = cost as f64;
        self.tokens = (self.tokens + gained).min(BURST) - cost;
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / RATE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_is_free_and_a_flood_is_slowed() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        assert_eq!(bucket.take(4 << 20, start), None);
        assert_eq!(bucket.take(512 << 10, start), Some(Duration::from_millis(500)));
        assert_eq!(bucket.take(0, start + Duration::from_millis(600)), None);
    }

    proptest! {
        #[test]
        fn nobody_says_more_than_the_rate_allows(costs in prop::collection::vec(1_usize..100_000, 1..200)) {
            let start = Instant::now();
            let (mut bucket, mut now, mut said) = (Bucket::new(start), start, 0.0);
            for cost in costs {
                said += cost as f64;
                now += bucket.take(cost, now).unwrap_or_default();
                let allowed = BURST + (now - start).as_secs_f64() * RATE;
                prop_assert!(said <= allowed * 1.000_001 + 1.0);
            }
        }
    }
}
