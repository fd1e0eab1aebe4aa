//! When it is worth asking again, and after how long.

use std::time::Duration;

/// How often one thing is tried.
const ATTEMPTS: u32 = 5;
/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause of our own.
const LONGEST: Duration = Duration::from_secs(8);
/// The longest pause that a server may ask for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something has failed in a way that may pass.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failed: u32,
}

impl Attempts {
    /// Forgets failures: there has been progress since.
    pub(crate) fn forget(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next attempt, at least as long as was asked for; `None` when there should be none.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= ATTEMPTS || asked.is_some_and(|asked| asked > PATIENCE) {
            return None;
        }
        let own = FIRST.saturating_mul(1 << (self.failed - 1).min(16)).min(LONGEST);
        Some(asked.map_or(own, |asked| asked.max(own)))
    }
}

/// Whether an answer with this status may be another one later.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After` in seconds. The form with a date is as good as none: it needs both clocks to be right.
pub(crate) fn retry_after(header: &str) -> Option<Duration> {
    let digits = header.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_end() {
        let mut attempts = Attempts::default();
        let pauses: Vec<u128> =
            std::iter::from_fn(|| attempts.pause(None)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000]);
        attempts.forget();
        assert_eq!(attempts.pause(None), Some(FIRST));
    }

    #[test]
    fn a_server_may_ask_for_patience_but_not_for_any_amount() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.pause(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(attempts.pause(Some(Duration::ZERO)), Some(Duration::from_secs(1)));
        assert_eq!(attempts.pause(Some(Duration::from_secs(3600))), None);
    }

    #[test]
    fn retry_after_is_a_number_of_seconds() {
        assert_eq!(retry_after(" 12 "), Some(Duration::from_secs(12)));
        assert_eq!(retry_after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        for other in ["", "-1", "+1", "1.5", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(retry_after(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_can_get_better_is_asked_again() {
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(passes));
        assert!(![200, 301, 400, 401, 403, 404, 416, 501, 505].into_iter().any(passes));
    }
}
