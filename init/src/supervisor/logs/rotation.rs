//! How large logs on disk may become: pure decisions.

/// A file of this size is put aside and a new one begun.
pub const FILE_LIMIT: u64 = 1 << 20;
/// How many files that were put aside are kept: `NAME.log.1` is the newest.
pub const KEPT: usize = 2;
/// All files of all logs together, at most.
pub const TOTAL_LIMIT: u64 = 32 << 20;
/// And at most this part of the file system that they are on.
const PART: u64 = 4;

/// The limit for all files together on a file system of `capacity` bytes.
#[must_use]
pub fn total_limit(capacity: u64) -> u64 {
    TOTAL_LIMIT.min(capacity / PART)
}

/// Whether a file of `size` bytes is put aside before `more` are written.
#[must_use]
pub fn is_due(size: u64, more: u64) -> bool {
    size > 0 && size.saturating_add(more) > FILE_LIMIT
}

/// The sizes of a log's files: the current one, then those put aside, newest first.
pub type Sizes = [u64; 1 + KEPT];

/// Which log loses its oldest file so that `more` bytes fit into `limit`: the one that has most; `None` when they fit,
/// or when there is nothing to lose.
#[must_use]
pub fn victim(logs: &[Sizes], more: u64, limit: u64) -> Option<usize> {
    let sum = |sizes: &Sizes| sizes.iter().sum::<u64>();
    let total: u64 = logs.iter().map(sum).sum();
    if total.saturating_add(more) <= limit {
        return None;
    }
    let largest = logs.iter().enumerate().max_by_key(|(_, sizes)| sum(sizes));
    largest.filter(|(_, sizes)| sum(sizes) > 0).map(|(index, _)| index)
}

/// Which of a log's files is the oldest; 0 is the current one.
#[must_use]
pub fn oldest(sizes: &Sizes) -> usize {
    sizes.iter().rposition(|size| *size > 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_file_is_put_aside_but_never_an_empty_one() {
        assert!(!is_due(0, FILE_LIMIT + 1));
        assert!(!is_due(FILE_LIMIT - 10, 10));
        assert!(is_due(FILE_LIMIT - 10, 11));
        assert!(is_due(u64::MAX, 1));
    }

    #[test]
    fn the_log_that_has_most_loses_its_oldest_file_first() {
        let logs = [[5, 0, 0], [1, 9, 9], [8, 8, 0]];
        assert_eq!(victim(&logs, 0, 40), None);
        assert_eq!(victim(&logs, 1, 40), Some(1));
        assert_eq!(oldest(&logs[1]), 2);
        assert_eq!(oldest(&logs[2]), 1);
        assert_eq!(oldest(&logs[0]), 0);
        assert_eq!(victim(&[[0, 0, 0]], 1, 0), None);
    }

    #[test]
    fn a_small_disk_has_a_small_limit() {
        assert_eq!(total_limit(8 << 20), 2 << 20);
        assert_eq!(total_limit(1 << 40), TOTAL_LIMIT);
    }

    proptest! {
        #[test]
        fn taking_victims_away_always_makes_room(
            mut logs in prop::collection::vec(prop::array::uniform3(0_u64..1000), 0..8), more in 0_u64..500
        ) {
            const LIMIT: u64 = 1500;
            let mut steps = 0;
            while let Some(index) = victim(&logs, more, LIMIT) {
                let at = oldest(&logs[index]);
                logs[index][at] = 0;
                steps += 1;
                prop_assert!(steps <= 3 * logs.len());
            }
            prop_assert!(logs.iter().flatten().sum::<u64>() + more <= LIMIT);
        }
    }
}
