//! A disk that loses what was never flushed, as a real one does when its power is cut.
//!
//! When qemu is killed, the host still has every write that the guest made. So qemu's driver `blklogwrites` notes writes and
//! flushes in the order in which they came (format: Linux, `drivers/md/dm-log-writes.c`); after the cut, writes up to the last
//! flush are there, and of those after it only some.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a sector, of disk and log.
const SECTOR: u64 = 512;
/// The first sector of the log is a superblock, whose numbers are those of the last flush.
const FIRST: u64 = 1;

const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// One entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Its first sector on the disk.
    sector: u64,
    /// How many there are.
    count: u64,
    /// [`FLUSH`], [`DISCARD`], or 0 for a write.
    flags: u64,
    /// Where its data is, in sectors of the log.
    data: u64,
}

/// Arguments of qemu for the raw disk `disk` whose writes are noted in `log`, which must be there and empty.
#[must_use]
pub fn arguments(disk: &Path, log: &Path) -> Vec<String> {
    let file = |path: &Path, name: &str| format!("driver=file,filename={},node-name={name}", path.display());
    let options = [
        ("-blockdev", file(disk, "data")),
        ("-blockdev", file(log, "log")),
        ("-blockdev", "driver=blklogwrites,file=data,log=log,node-name=logged".to_string()),
        ("-device", "virtio-blk-pci,drive=logged".to_string()),
    ];
    options.into_iter().flat_map(|(option, value)| [option.to_string(), value]).collect()
}

/// What was done to a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Writes that were kept.
    pub kept: usize,
    /// Writes after the last flush that were lost.
    pub lost: usize,
}

/// What was done to a disk, in order.
#[derive(Debug)]
pub struct WriteLog {
    file: File,
    entries: Vec<Entry>,
}

impl WriteLog {
    /// Reads the log at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let entries = entries(&file)?;
        Ok(Self { file, entries })
    }

    /// How many writes and flushes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Applies to `disk`, as it was before the machine was started, the first `until` entries: all up to the last flush among
    /// them, and after it the writes for which `keep` says so.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn replay(&self, disk: &Path, until: usize, mut keep: impl FnMut() -> bool) -> io::Result<Replayed> {
        let disk = File::options().write(true).open(disk)?;
        let entries = &self.entries[..until.min(self.entries.len())];
        let durable = entries.iter().rposition(|entry| entry.flags & FLUSH != 0).unwrap_or(0);
        let mut replayed = Replayed::default();
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.flags == 0) {
            if index < durable || keep() {
                disk.write_all_at(&self.data(entry)?, entry.sector * SECTOR)?;
                replayed.kept += 1;
            } else {
                replayed.lost += 1;
            }
        }
        Ok(replayed)
    }

    /// What the machine had last written to a sector when the first `until` entries were done, kept or not; none if nothing.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn written(&self, sector: u64, until: usize) -> io::Result<Option<Vec<u8>>> {
        let entries = &self.entries[..until.min(self.entries.len())];
        let is_it = |entry: &&Entry| entry.flags == 0 && entry.sector == sector && entry.count > 0;
        let Some(entry) = entries.iter().rev().find(is_it) else { return Ok(None) };
        let mut data = self.data(entry)?;
        data.truncate(SECTOR as usize);
        Ok(Some(data))
    }

    fn data(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(entry.count * SECTOR).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut data, entry.data * SECTOR)?;
        Ok(data)
    }
}

/// All entries whose data is there: the last one may have been cut off.
fn entries(log: &File) -> io::Result<Vec<Entry>> {
    let end = log.metadata()?.len() / SECTOR;
    let (mut entries, mut at) = (Vec::new(), FIRST);
    while at < end {
        let mut bytes = [0; 24];
        log.read_exact_at(&mut bytes, at * SECTOR)?;
        let number = |index: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            u64::from_le_bytes(field)
        };
        let entry = Entry { sector: number(0), count: number(1), flags: number(2), data: at + 1 };
        let next = if entry.flags & DISCARD == 0 { entry.data + entry.count } else { entry.data };
        if (entry.count, entry.flags) == (0, 0) || next > end {
            break;
        }
        entries.push(entry);
        at = next;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A log of writes, given as sector and filling, and of flushes.
    fn log(dir: &Path, events: &[Option<(u64, u8)>]) -> std::path::PathBuf {
        let path = dir.join("log");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[0; 512]).unwrap();
        for event in events {
            let (sector, count, flags) = event.map_or((0, 0, FLUSH), |(sector, _)| (sector, 1, 0));
            let mut head = [sector, count, flags, 0].map(u64::to_le_bytes).concat();
            head.resize(512, 0);
            file.write_all(&head).unwrap();
            if let Some((_, filling)) = event {
                file.write_all(&[*filling; 512]).unwrap();
            }
        }
        path
    }

    fn replayed(events: &[Option<(u64, u8)>], keep: bool) -> (Vec<u8>, Replayed) {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        std::fs::write(&disk, [0; 4 * 512]).unwrap();
        let log = WriteLog::open(&log(dir.path(), events)).unwrap();
        let done = log.replay(&disk, log.count(), || keep).unwrap();
        (std::fs::read(&disk).unwrap().into_iter().step_by(512).collect(), done)
    }

    #[test]
    fn only_what_was_flushed_is_sure_to_be_there() {
        let events = [Some((1, 7)), Some((2, 7)), None, Some((1, 9)), Some((3, 9))];
        assert_eq!(replayed(&events, false), (vec![0, 7, 7, 0], Replayed { kept: 2, lost: 2 }));
        assert_eq!(replayed(&events, true), (vec![0, 9, 7, 9], Replayed { kept: 4, lost: 0 }));
        assert_eq!(replayed(&events[..2], false), (vec![0; 4], Replayed { kept: 0, lost: 2 }));
        assert_eq!(replayed(&[], false).1, Replayed::default());
    }

    #[test]
    fn a_cut_anywhere_loses_what_came_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let events = [Some((1, 7)), None, Some((2, 7)), Some((1, 9)), None];
        let log = WriteLog::open(&log(dir.path(), &events)).unwrap();
        for (until, keep, wanted, written) in [
            (0, true, [0, 0, 0, 0], None),
            (1, false, [0, 0, 0, 0], Some(7)),
            (2, false, [0, 7, 0, 0], Some(7)),
            (3, false, [0, 7, 0, 0], Some(7)),
            (4, false, [0, 7, 0, 0], Some(9)),
            (4, true, [0, 9, 7, 0], Some(9)),
            (5, false, [0, 9, 7, 0], Some(9)),
        ] {
            std::fs::write(&disk, [0; 4 * 512]).unwrap();
            log.replay(&disk, until, || keep).unwrap();
            let found: Vec<u8> = std::fs::read(&disk).unwrap().into_iter().step_by(512).collect();
            assert_eq!(found, wanted, "{until}, {keep}");
            let found = log.written(1, until).unwrap();
            assert_eq!(found, written.map(|filling| vec![filling; 512]), "{until}");
        }
    }

    #[test]
    fn an_entry_that_was_cut_off_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = log(dir.path(), &[Some((1, 7)), None, Some((2, 7))]);
        let whole = std::fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(whole - 512).unwrap();
        assert_eq!(entries(&File::open(&path).unwrap()).unwrap().len(), 2);
    }
}
