//! Devices that come after the boot: PID 1 hands their aliases to one `modprobe` at a time.
//!
//! A child does the loading because a driver's probe may take minutes, and because a driver that crashes kills the
//! process that loads it. PID 1 can afford neither.

use std::collections::{HashSet, VecDeque};

/// Aliases in one `modprobe` command.
const BATCH: usize = 64;
/// Aliases that wait while a `modprobe` runs; a device tree that grows faster than that is broken.
const QUEUE: usize = 4096;

/// The aliases that wait for a `modprobe`.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<String>,
    /// The same, to look them up.
    known: HashSet<String>,
}

impl Queue {
    /// Adds an alias, unless it waits already; says whether there was room.
    pub fn push(&mut self, modalias: String) -> bool {
        if self.known.contains(&modalias) {
            return true;
        }
        let room = self.waiting.len() < QUEUE;
        if room {
            self.known.insert(modalias.clone());
            self.waiting.push_back(modalias);
        }
        room
    }

    /// Takes what the next `modprobe` shall load; empty when nothing waits.
    pub fn take(&mut self) -> Vec<String> {
        let batch: Vec<String> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        for alias in &batch {
            self.known.remove(alias);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_taken_once_in_order_and_in_batches() {
        let mut queue = Queue::default();
        for n in (0..BATCH + 1).chain(0..3) {
            assert!(queue.push(format!("usb:{n}")));
        }
        assert_eq!(queue.take().len(), BATCH);
        assert_eq!(queue.take(), [format!("usb:{BATCH}")]);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_full_queue_says_so() {
        let mut queue = Queue::default();
        assert!((0..QUEUE).all(|n| queue.push(n.to_string())));
        assert!(!queue.push("one more".into()));
    }
}
