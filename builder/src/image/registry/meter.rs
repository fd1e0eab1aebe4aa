//! How much of an image has come, or gone.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Tell;
use crate::event::{Event, Work};

/// Counts the bytes of one pull or push, and tells them. Threads may share it.
pub(super) struct Meter<'a> {
    work: Work,
    image: &'a str,
    tell: &'a Tell,
    total: AtomicU64,
    come: AtomicU64,
}

impl<'a> Meter<'a> {
    /// One for work on an image.
    pub(super) fn new(work: Work, image: &'a str, tell: &'a Tell) -> Self {
        Self { work, image, tell, total: AtomicU64::new(0), come: AtomicU64::new(0) }
    }

    /// Tells something else about it.
    pub(super) fn note(&self, message: &str) {
        (self.tell)(Event::Note(message));
    }

    /// So many bytes more are wanted.
    pub(super) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many have come or gone, or were there.
    pub(super) fn receive(&self, bytes: u64) {
        let come = self.come.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let total = self.total.load(Ordering::Relaxed);
        (self.tell)(Event::Advanced { work: self.work, name: self.image, bytes: come.min(total), total });
    }

    /// So many of these must come again.
    pub(super) fn lose(&self, bytes: u64) {
        self.come.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_must_come_again_is_not_counted_twice() {
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        let heard = std::sync::Arc::clone(&told);
        let tell = move |event: Event<'_>| {
            if let Event::Advanced { bytes, total, .. } = event {
                heard.lock().unwrap().push((bytes, total));
            }
        };
        let meter = Meter::new(Work::Pull, "a", &tell);
        meter.expect(100);
        meter.receive(60);
        meter.lose(60);
        meter.receive(100);
        assert_eq!(*told.lock().unwrap(), [(60, 100), (100, 100)]);
    }
}
