//! The power is cut at random moments during writes to the data disk.

use std::fs::File;
use std::time::{Duration, Instant};

use lk_tests::PATIENCE;
use lk_tests::disk::Disk;
use lk_tests::guest::{Engine, Guest, Setup};
use lk_tests::write_log::WriteLog;

use super::dice::Dice;
use super::scaled;

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
    let (machine, log) = (dir.path().join("machine.raw"), dir.path().join("writes.log"));
    // What outlives a cut. The machine has a copy of it.
    let disk = Disk::blank(dir.path(), 64);
    let setup = Setup { disk: Some((machine.clone(), log.clone())), ..Setup::default() };
    let mut dice = Dice::new(7);
    // How many records were acknowledged in all the lives of the disk.
    let mut acknowledged = 0;
    let cuts = scaled(3, 100);
    for cut in 0..=cuts {
        std::fs::copy(disk.path(), &machine).expect("copying the disk");
        File::create(&log).expect("an empty log");
        let guest = Guest::boot(Engine::Embedded, "disk", &setup);
        let guest = guest.watched();
        let next = |patience| guest.writes().next(patience);
        let found = number(&next(PATIENCE).expect("what the writer found"), "found ");
        assert!(
            found >= acknowledged,
            "cut {cut}: {acknowledged} records were acknowledged, {found} are there"
        );
        // The first write is waited for: every life of the disk adds something.
        acknowledged = 1 + number(&next(PATIENCE).expect("a write"), "wrote ");
        let moment = Duration::from_millis(dice.below(LONGEST_MS) as u64);
        let cut_at = Instant::now() + moment;
        while let Some(line) = next(cut_at.saturating_duration_since(Instant::now())) {
            acknowledged = 1 + number(&line, "wrote ");
        }
        guest.cut();
        // What was acknowledged before the cut, and not read yet.
        while let Some(line) = next(PATIENCE) {
            acknowledged = 1 + number(&line, "wrote ");
        }
        let log = WriteLog::open(&log).expect("the log of the writes");
        let replayed = log.replay(disk.path(), log.count(), || dice.below(2) == 0);
        let replayed = replayed.expect("replaying the writes");
        println!(
            "cut {cut} of {cuts} after {moment:?}: {found} were there, {acknowledged} acknowledged; {replayed:?}"
        );
        assert!(replayed.kept > 0, "nothing was written to the disk");
    }
}
