//! How long to wait before a service that ended is started again.

use std::time::Duration;

/// The first wait, before jitter.
pub const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(30);
/// A service that ran this long counts as stable: the next wait is the first again.
pub const STABLE: Duration = Duration::from_secs(10);
/// How far a wait may be from the one that doubling gives, in percent.
const SPREAD: u64 = 20;

/// Where jitter comes from, so that services that fell together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// None: waits are exact.
    Off,
    /// A sequence that begins with this seed.
    Seed(u64),
}

impl Jitter {
    /// A whole number from `-SPREAD` to `SPREAD`.
    fn percent(&mut self) -> i64 {
        let Self::Seed(state) = self else { return 0 };
        // SplitMix64 (Steele, Lea, Flood 2014): one word of state, good enough for spreading.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let spread = (z ^ (z >> 31)) % (2 * SPREAD + 1);
        i64::try_from(spread).unwrap_or_default() - i64::try_from(SPREAD).unwrap_or_default()
    }
}

/// Waits that double from [`FIRST`] to [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    jitter: Jitter,
}

impl Default for Backoff {
    /// Without jitter: for what there is only one of.
    fn default() -> Self {
        Self::new(Jitter::Off)
    }
}

impl Backoff {
    /// No failures yet.
    #[must_use]
    pub fn new(jitter: Jitter) -> Self {
        Self { failures: 0, jitter }
    }

    /// The wait after a run of `ran`; zero for a start that failed.
    pub fn next(&mut self, ran: Duration) -> Duration {
        if ran >= STABLE {
            self.failures = 0;
        }
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(31);
        let wait = FIRST.saturating_mul(factor).min(LONGEST);
        let percent = u32::try_from(100 + self.jitter.percent()).unwrap_or(100);
        (wait * percent / 100).min(LONGEST)
    }

    /// Forgets the past, as an operator's start does.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let mut backoff = Backoff::new(Jitter::Off);
        let waits: Vec<u128> = (0..11).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        for _ in 0..100 {
            assert_eq!(backoff.next(Duration::ZERO), LONGEST);
        }
    }

    #[test]
    fn a_stable_run_starts_over() {
        let mut backoff = Backoff::new(Jitter::Off);
        for _ in 0..5 {
            backoff.next(Duration::from_secs(9));
        }
        assert_eq!(backoff.next(STABLE), FIRST);
        assert_eq!(backoff.next(Duration::ZERO), FIRST * 2);
    }

    proptest! {
        #[test]
        fn jitter_moves_a_wait_by_a_fifth_at_most(seed: u64) {
            let (mut exact, mut spread) = (Backoff::new(Jitter::Off), Backoff::new(Jitter::Seed(seed)));
            let mut moved = false;
            for _ in 0..20 {
                let (wait, with) = (exact.next(Duration::ZERO), spread.next(Duration::ZERO));
                prop_assert!(with >= wait * 4 / 5 && with <= (wait * 6 / 5).min(LONGEST), "{wait:?} {with:?}");
                moved |= with != wait;
            }
            prop_assert!(moved);
        }
    }
}
