//! How long to wait before the supervisor is started again.

use std::time::Duration;

/// After the first death: long enough not to spin, short enough not to be noticed.
const FIRST: Duration = Duration::from_millis(100);
/// However often it died: a fault that goes away by itself is found within this time.
const LONGEST: Duration = Duration::from_secs(30);
/// A supervisor that lived this long was healthy: what killed it counts as the first time.
const HEALTHY: Duration = Duration::from_secs(60);

/// The pause after the `deaths`th death in a row, counted from 1; it doubles each time.
#[must_use]
pub fn delay(deaths: u32) -> Duration {
    let doublings = deaths.saturating_sub(1).min(16);
    (FIRST * (1 << doublings)).min(LONGEST)
}

/// How many deaths in a row there are after one more, of a supervisor that lived for `lived`.
#[must_use]
pub fn deaths(before: u32, lived: Duration) -> u32 {
    if lived >= HEALTHY { 1 } else { before.saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_cap() {
        let millis: Vec<u128> = (0..=12).map(|n| delay(n).as_millis()).collect();
        assert_eq!(millis, [100, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }

    #[test]
    fn a_long_life_forgives_earlier_deaths() {
        assert_eq!(deaths(9, Duration::from_secs(59)), 10);
        assert_eq!(deaths(9, Duration::from_secs(60)), 1);
        assert_eq!(deaths(u32::MAX, Duration::ZERO), u32::MAX);
    }
}
