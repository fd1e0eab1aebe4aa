//! The newest lines of all sources, in memory, with a hard limit and a fair share for each source.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::line::{Line, Stream};

/// What a line costs beside its text: the line itself, its places in lists, and the allocator's share (bytes).
const OVERHEAD: usize = 128;

/// Lines by source. All that is kept costs at most the limit.
///
/// When there is no room, a source that has more than its share (the limit divided by the number of sources) loses its
/// own oldest line; if the source that speaks has not, the one that has most. So a flood washes only itself away.
#[derive(Debug)]
pub struct Ring {
    sources: BTreeMap<Rc<str>, Held>,
    cost: usize,
    limit: usize,
}

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<Rc<Line>>,
    cost: usize,
}

fn cost(line: &Line) -> usize {
    line.text.len() + OVERHEAD
}

impl Ring {
    /// An empty ring that keeps at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { sources: BTreeMap::new(), cost: 0, limit }
    }

    /// Adds the newest line.
    pub fn push(&mut self, line: Rc<Line>) {
        let source = Rc::clone(&line.source);
        let held = self.sources.entry(Rc::clone(&source)).or_default();
        held.cost += cost(&line);
        self.cost += cost(&line);
        held.lines.push_back(line);
        while self.cost > self.limit {
            let share = self.limit / self.sources.len().max(1);
            let over = self.sources.get(&source).is_some_and(|held| held.cost > share);
            let victim = if over { Some(Rc::clone(&source)) } else { self.largest() };
            let Some(victim) = victim else { return };
            self.evict(&victim);
        }
    }

    /// Adds lines from before all others of their source, oldest first, as far as there is room without losing any.
    pub fn prepend(&mut self, lines: Vec<Rc<Line>>) {
        for line in lines.into_iter().rev() {
            if self.cost + cost(&line) > self.limit {
                return;
            }
            self.cost += cost(&line);
            let held = self.sources.entry(Rc::clone(&line.source)).or_default();
            held.cost += cost(&line);
            held.lines.push_front(line);
        }
    }

    /// Whose lines there are.
    pub fn sources(&self) -> impl Iterator<Item = &Rc<str>> {
        self.sources.keys()
    }

    fn largest(&self) -> Option<Rc<str>> {
        self.sources.iter().max_by_key(|(_, held)| held.cost).map(|(source, _)| Rc::clone(source))
    }

    fn evict(&mut self, source: &Rc<str>) {
        let Some(held) = self.sources.get_mut(source) else { return };
        if let Some(line) = held.lines.pop_front() {
            held.cost -= cost(&line);
            self.cost -= cost(&line);
        }
        if held.lines.is_empty() {
            self.sources.remove(source);
        }
    }

    /// The lines of one source or of all, in the order in which they came.
    #[must_use]
    pub fn lines(&self, source: Option<&str>) -> Vec<Rc<Line>> {
        let held: Vec<&Held> = match source {
            Some(source) => self.sources.get(source).into_iter().collect(),
            None => self.sources.values().collect(),
        };
        let mut lines: Vec<Rc<Line>> = held.into_iter().flat_map(|held| held.lines.iter().cloned()).collect();
        // Lines that were read back have no number, but a time.
        lines.sort_by(|a, b| {
            let by_time = || if a.number == 0 { a.time.cmp(&b.time) } else { std::cmp::Ordering::Equal };
            a.number.cmp(&b.number).then_with(by_time)
        });
        lines
    }

    /// The newest line of `source` whose number is at least `from` and which says something: of its standard error if
    /// there is one, or else of its standard output.
    #[must_use]
    pub fn last(&self, source: &str, from: u64) -> Option<Rc<Line>> {
        let lines = &self.sources.get(source)?.lines;
        let newest = |stream: Stream| {
            let mut recent = lines.iter().rev().take_while(|line| line.number >= from);
            recent.find(|line| line.stream == stream && !line.text.trim().is_empty()).cloned()
        };
        newest(Stream::Err).or_else(|| newest(Stream::Out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn line(number: u64, source: &str, stream: Stream, text: &str) -> Rc<Line> {
        Rc::new(Line { number, time: UNIX_EPOCH, source: source.into(), stream, text: text.into() })
    }

    fn texts(lines: &[Rc<Line>]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn a_flood_washes_only_itself_away() {
        let mut ring = Ring::new(10_000);
        ring.push(line(1, "quiet", Stream::Err, "started"));
        for number in 2..1000 {
            ring.push(line(number, "loud", Stream::Out, "la"));
        }
        ring.push(line(1000, "quiet", Stream::Err, "still here"));
        assert_eq!(texts(&ring.lines(Some("quiet"))), ["started", "still here"]);
        assert!(ring.lines(Some("loud")).len() > 50);
        assert!(ring.cost <= 10_000);
    }

    #[test]
    fn lines_of_all_sources_come_in_their_order() {
        let mut ring = Ring::new(10_000);
        ring.push(line(1, "b", Stream::Err, "1"));
        ring.push(line(2, "a", Stream::Err, "2"));
        ring.push(line(3, "b", Stream::Out, "3"));
        ring.prepend(vec![line(0, "a", Stream::Err, "-1"), line(0, "a", Stream::Err, "0")]);
        assert_eq!(texts(&ring.lines(None)), ["-1", "0", "1", "2", "3"]);
        assert_eq!(texts(&ring.lines(Some("a"))), ["-1", "0", "2"]);
        assert!(ring.lines(Some("c")).is_empty());
    }

    #[test]
    fn last_words_are_those_of_standard_error_if_there_are_any() {
        let mut ring = Ring::new(10_000);
        assert_eq!(ring.last("a", 0), None);
        ring.push(line(1, "a", Stream::Err, "old"));
        ring.push(line(2, "a", Stream::Err, "cannot bind"));
        ring.push(line(3, "a", Stream::Out, "bye"));
        ring.push(line(4, "a", Stream::Err, " "));
        assert_eq!(ring.last("a", 0).map(|line| line.number), Some(2));
        assert_eq!(ring.last("a", 3).map(|line| line.number), Some(3));
        assert_eq!(ring.last("a", 4), None);
    }

    proptest! {
        /// Whatever is said: the limit holds, and who keeps within a share loses nothing.
        #[test]
        fn the_limit_is_hard_and_the_shares_are_fair(
            said in prop::collection::vec((0_usize..5, 0_usize..600), 0..300)
        ) {
            const LIMIT: usize = 20_000;
            let mut ring = Ring::new(LIMIT);
            let mut total = [0_usize; 5];
            let mut count = [0_usize; 5];
            for (number, (source, length)) in said.into_iter().enumerate() {
                let line = line(number as u64 + 1, &source.to_string(), Stream::Err, &"x".repeat(length));
                total[source] += cost(&line);
                count[source] += 1;
                ring.push(line);
                prop_assert!(ring.cost <= LIMIT);
                prop_assert_eq!(ring.cost, ring.sources.values().map(|held| held.cost).sum::<usize>());
            }
            for source in 0..5 {
                if total[source] <= LIMIT / 5 {
                    prop_assert_eq!(ring.lines(Some(&source.to_string())).len(), count[source]);
                }
            }
        }
    }
}
