//! Writes to a disk, and acknowledges what must outlive a power cut.
//!
//! Record N is appended to one file, which is synced, and becomes the whole content of another, by a rename that is
//! synced. Then N is acknowledged through the port. At its start the writer reads all of it back, and tells up to which
//! record everything is there.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use crate::{notes, port};

/// Bytes of a record.
const RECORD: usize = 512;
/// Files that are replaced in turn.
const SLOTS: u64 = 16;

/// Writes for ever.
pub fn write(dir: &Path) -> Result<(), String> {
    let _lock = notes::note_start("writer")?;
    let mut port = port::open("writes")?;
    let failed = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let appended = appended(dir).map_err(failed("reading the log"))?;
    let replaced = replaced(dir).map_err(failed("reading the slots"))?;
    let found = appended.min(replaced);
    writeln!(port, "found {found}").map_err(failed("the port"))?;

    let path = dir.join("log");
    let mut log =
        OpenOptions::new().create(true).append(true).open(&path).map_err(failed("opening the log"))?;
    // What was not acknowledged may be there in part.
    log.set_len(found * RECORD as u64).map_err(failed("cutting the log"))?;
    log.sync_all().map_err(failed("syncing the log"))?;
    for number in found.. {
        append(&mut log, number).map_err(failed("appending"))?;
        replace(dir, number).map_err(failed("replacing"))?;
        writeln!(port, "wrote {number}").map_err(failed("the port"))?;
    }
    Ok(())
}

/// A record: its number, over and over.
fn record(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(RECORD / 8)
}

fn append(log: &mut File, number: u64) -> std::io::Result<()> {
    log.write_all(&record(number))?;
    log.sync_data()
}

fn replace(dir: &Path, number: u64) -> std::io::Result<()> {
    let (new, path) = (dir.join("new"), dir.join(format!("slot-{}", number % SLOTS)));
    let mut file = File::create(&new)?;
    file.write_all(&record(number))?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}

/// How many records of the log are whole, from its beginning.
fn appended(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    match File::open(dir.join("log")) {
        Ok(mut log) => log.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let whole = bytes.chunks(RECORD).zip(0..).take_while(|(chunk, number)| *chunk == record(*number));
    Ok(whole.count() as u64)
}

/// Up to which record, not included, no slot is behind.
fn replaced(dir: &Path) -> std::io::Result<u64> {
    let mut least = u64::MAX;
    for slot in 0..SLOTS {
        // The record after the one that the slot holds would be the first to be missing.
        let next = match fs::read(dir.join(format!("slot-{slot}"))) {
            Ok(bytes) => holds(&bytes, slot).map_or(0, |number| number + SLOTS),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => slot,
            Err(error) => return Err(error),
        };
        least = least.min(next);
    }
    Ok(least)
}

/// The number of the record that is the whole content of a slot.
fn holds(bytes: &[u8], slot: u64) -> Option<u64> {
    let number = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (bytes == record(number) && number % SLOTS == slot).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_up_to(dir: &Path, count: u64) {
        let mut log = OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        for number in 0..count {
            append(&mut log, number).unwrap();
            replace(dir, number).unwrap();
        }
    }

    #[test]
    fn everything_that_was_written_is_found() {
        for count in [0, 1, 5, SLOTS, SLOTS + 3, 3 * SLOTS] {
            let dir = tempfile::tempdir().unwrap();
            write_up_to(dir.path(), count);
            assert_eq!(appended(dir.path()).unwrap(), count);
            assert_eq!(replaced(dir.path()).unwrap(), count);
        }
    }

    #[test]
    fn what_is_lost_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        write_up_to(dir.path(), 40);
        // As if the replacement of record 35 had never reached the disk.
        fs::write(dir.path().join("slot-3"), record(19)).unwrap();
        assert_eq!(replaced(dir.path()).unwrap(), 35);
        fs::write(dir.path().join("slot-3"), b"").unwrap();
        assert_eq!(replaced(dir.path()).unwrap(), 0);
        let log = OpenOptions::new().write(true).open(dir.path().join("log")).unwrap();
        log.set_len(30 * RECORD as u64 + 7).unwrap();
        assert_eq!(appended(dir.path()).unwrap(), 30);
    }
}
