//! How long to wait before a service that ended is started again.

use std::time::Duration;

/// The first wait.
pub const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(30);
/// A service that ran this long counts as healthy: the next wait is the first again.
pub const STABLE: Duration = Duration::from_secs(10);

/// Waits that double from [`FIRST`] to [`LONGEST`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after a run of `ran`; zero for a start that failed.
    pub fn next(&mut self, ran: Duration) -> Duration {
        if ran >= STABLE {
            self.failures = 0;
        }
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(31);
        FIRST.saturating_mul(factor).min(LONGEST)
    }

    /// Forgets the past, as an operator's start does.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..11).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        for _ in 0..100 {
            assert_eq!(backoff.next(Duration::ZERO), LONGEST);
        }
    }

    #[test]
    fn a_stable_run_starts_over() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next(Duration::from_secs(9));
        }
        assert_eq!(backoff.next(STABLE), FIRST);
        assert_eq!(backoff.next(Duration::ZERO), FIRST * 2);
    }
}
