//! Transfers that run side by side.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::error::Reason;

/// Most at a time.
const THREADS: usize = 4;

/// Does `transfer` for every item, several at a time, and says how many bytes that were.
///
/// The first that fails has the others given up: none is begun any more, and those under way are told by the flag that they get.
///
/// # Errors
/// What made the first one fail, in the order of the threads.
pub(super) fn side_by_side<T: Sync>(
    items: &[T],
    transfer: impl Fn(&T, &AtomicBool) -> Result<u64, Reason> + Sync,
) -> Result<u64, Reason> {
    let (next, abandoned) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut bytes = 0;
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if abandoned.load(Ordering::Relaxed) {
                return Err(Reason::Abandoned);
            }
            match transfer(item, &abandoned) {
                Ok(transferred) => bytes += transferred,
                Err(reason) => {
                    abandoned.store(true, Ordering::Relaxed);
                    return Err(reason);
                }
            }
        }
        Ok(bytes)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS.min(items.len())).map(|_| scope.spawn(work)).collect();
        let mut total = Ok(0);
        for worker in workers {
            let outcome = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            total = match (total, outcome) {
                (Ok(total), Ok(bytes)) => Ok(total + bytes),
                // What was abandoned has its reason in another one's failure.
                (Err(Reason::Abandoned) | Ok(_), Err(reason)) => Err(reason),
                (Err(reason), _) => Err(reason),
            };
        }
        total
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_item_is_transferred_once_and_the_bytes_are_added_up() {
        let seen = Mutex::new(Vec::new());
        let items: Vec<u64> = (1..=100).collect();
        let bytes = side_by_side(&items, |item, _| {
            seen.lock().unwrap().push(*item);
            Ok(*item)
        });
        assert_eq!(bytes.unwrap(), 5050);
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, items);
        assert_eq!(side_by_side::<u64>(&[], |_, _| Err(Reason::NotFound)).unwrap(), 0);
    }

    #[test]
    fn the_reason_of_a_failure_is_told_and_not_that_the_others_gave_up() {
        let items: Vec<u64> = (0..8).collect();
        let outcome = side_by_side(&items, |item, abandoned| match item {
            3 => Err(Reason::NotFound),
            _ => {
                while !abandoned.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                Err(Reason::Abandoned)
            }
        });
        assert!(matches!(outcome, Err(Reason::NotFound)), "{outcome:?}");
    }
}
