//! Hearing lines as they come, without being able to hold anything up.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;

use super::line::Line;

/// Lines that wait for one follower; one that is slower loses the oldest.
const QUEUE: usize = 1024;
/// What they may hold together (bytes of text).
const QUEUE_BYTES: usize = 256 * 1024;

/// Hears every line of one source, or of all, from when it was made.
#[derive(Debug)]
pub struct Follower(Rc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    source: Option<String>,
    lines: RefCell<VecDeque<Rc<Line>>>,
    bytes: Cell<usize>,
    lost: Cell<u64>,
    closed: Cell<bool>,
    wake: Notify,
}

impl Follower {
    /// The next line; `None` when there will be no more. May be dropped and called again without losing a line.
    pub async fn next(&mut self) -> Option<Rc<Line>> {
        loop {
            let line = self.0.lines.borrow_mut().pop_front();
            if let Some(line) = line {
                self.0.bytes.set(self.0.bytes.get().saturating_sub(line.text.len()));
                return Some(line);
            }
            if self.0.closed.get() {
                return None;
            }
            self.0.wake.notified().await;
        }
    }

    /// How many lines were lost since the last call, because nobody took them.
    pub fn take_lost(&self) -> u64 {
        self.0.lost.take()
    }
}

/// All who follow.
#[derive(Debug, Default)]
pub struct Followers(RefCell<Vec<Weak<Queue>>>);

impl Followers {
    /// One more: of `source`, or of all.
    pub fn add(&self, source: Option<&str>) -> Follower {
        let queue = Rc::new(Queue { source: source.map(str::to_owned), ..Queue::default() });
        let mut all = self.0.borrow_mut();
        all.retain(|queue| queue.strong_count() > 0);
        all.push(Rc::downgrade(&queue));
        Follower(queue)
    }

    /// Tells a line to all who want it.
    pub fn tell(&self, line: &Rc<Line>) {
        for queue in self.0.borrow().iter().filter_map(Weak::upgrade) {
            if queue.source.as_deref().is_none_or(|source| *source == *line.source) {
                queue.push(Rc::clone(line));
            }
        }
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        for queue in self.0.borrow().iter().filter_map(Weak::upgrade) {
            queue.closed.set(true);
            queue.wake.notify_one();
        }
    }
}

impl Queue {
    fn push(&self, line: Rc<Line>) {
        let mut lines = self.lines.borrow_mut();
        let mut bytes = self.bytes.get() + line.text.len();
        lines.push_back(line);
        while lines.len() > QUEUE || (bytes > QUEUE_BYTES && lines.len() > 1) {
            let Some(oldest) = lines.pop_front() else { break };
            bytes = bytes.saturating_sub(oldest.text.len());
            self.lost.set(self.lost.get() + 1);
        }
        self.bytes.set(bytes);
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::line::Stream;
    use super::*;

    fn line(source: &str, text: &str) -> Rc<Line> {
        let text = text.into();
        Rc::new(Line { number: 1, time: UNIX_EPOCH, source: source.into(), stream: Stream::Err, text })
    }

    async fn heard(follower: &mut Follower) -> Option<String> {
        follower.next().await.map(|line| line.text.to_string())
    }

    #[tokio::test]
    async fn a_follower_hears_its_source_until_the_end() {
        let followers = Followers::default();
        let (mut one, mut all) = (followers.add(Some("a")), followers.add(None));
        followers.tell(&line("b", "1"));
        followers.tell(&line("a", "2"));
        drop(followers);
        assert_eq!(heard(&mut one).await.as_deref(), Some("2"));
        assert_eq!(heard(&mut one).await, None);
        assert_eq!(heard(&mut all).await.as_deref(), Some("1"));
        assert_eq!(heard(&mut all).await.as_deref(), Some("2"));
        assert_eq!(heard(&mut all).await, None);
    }

    #[tokio::test]
    async fn one_that_does_not_listen_loses_the_oldest_lines_and_is_told_how_many() {
        let followers = Followers::default();
        let mut slow = followers.add(None);
        for number in 0..QUEUE + 3 {
            followers.tell(&line("a", &number.to_string()));
        }
        assert_eq!(heard(&mut slow).await.as_deref(), Some("3"));
        assert_eq!((slow.take_lost(), slow.take_lost()), (3, 0));
        let big = "x".repeat(QUEUE_BYTES);
        followers.tell(&line("a", &big));
        assert_eq!(heard(&mut slow).await.map(|text| text.len()), Some(QUEUE_BYTES));
        assert!(slow.take_lost() > 1000);
    }
}
