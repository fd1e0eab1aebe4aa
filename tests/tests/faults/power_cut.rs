//! The power is cut at random moments during writes to the data disk.

use std::time::Duration;

use lk_tests::PATIENCE;
use lk_tests::disk::Disk;
use lk_tests::guest::{Engine, Guest, Setup};

use crate::dice::Dice;
use crate::scaled;

/// The longest that a machine writes before it is cut off.
const LONGEST_MS: usize = 1500;

/// The number in `found N` or `wrote N`.
fn number(line: &str, word: &str) -> u64 {
    let number = line.strip_prefix(word).and_then(|text| text.trim().parse().ok());
    number.unwrap_or_else(|| panic!("the writer said {line:?} instead of {word} and a number"))
}

#[test]
fn every_write_that_was_acknowledged_is_there_after_the_power_was_cut() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::blank(dir.path(), 64);
    let setup = Setup { disk: Some(disk.path().into()), ..Setup::default() };
    let mut dice = Dice::new(7);
    // How many records were acknowledged in all the lives of the disk.
    let mut acknowledged = 0;
    for cut in 0..=scaled(3, 100) {
        let guest = Guest::boot(Engine::Embedded, "disk", &setup);
        let guest = guest.watched();
        let next = |patience| guest.writes().next(patience);
        let found = number(&next(PATIENCE).expect("what the writer found"), "found ");
        assert!(
            found >= acknowledged,
            "cut {cut}: {acknowledged} records were acknowledged, {found} are there"
        );
        // The moment of the cut is drawn before, and the first write waited for: every life of the disk adds something.
        let moment = Duration::from_millis(dice.below(LONGEST_MS) as u64);
        acknowledged = 1 + number(&next(PATIENCE).expect("a write"), "wrote ");
        let cut_at = std::time::Instant::now() + moment;
        while let Some(line) = next(cut_at.saturating_duration_since(std::time::Instant::now())) {
            acknowledged = 1 + number(&line, "wrote ");
        }
        guest.cut();
        // What was acknowledged before the cut, and not read yet.
        while let Some(line) = next(PATIENCE) {
            acknowledged = 1 + number(&line, "wrote ");
        }
        println!("cut {cut} after {moment:?}: {found} were there, {acknowledged} are acknowledged");
    }
}
