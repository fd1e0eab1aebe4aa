//! Initrds: cpio archives one after the other, each as it is or packed.
//!
//! What the kernel unpacks is a row of archives, in gzip, zstd or lz4 or plain, with zeros between them
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). What is packed with lz4 goes on to the end.

mod lz4;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

use super::bytes::Bytes;
use super::damaged;
use super::found::{Found, Gathered, MAX_PATH, what};
use super::{Inside, Reader};
use crate::image::limits::{FREE_EXPANSION, MAX_EXPANSION};
use crate::output::vmlinux::lz4::MAGIC as LZ4;

/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Bytes of a header: magic and 13 numbers of 8 hexadecimal digits.
const HEADER: usize = 110;
/// Of a mode: what an entry is, a file, and a link.
const KIND: (u32, u32, u32) = (0o170_000, 0o100_000, 0o120_000);

/// Reads initrds.
#[derive(Debug)]
pub(super) struct Initrd;

impl Reader for Initrd {
    fn called(&self) -> &'static str {
        "initrd"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        // gzip (RFC 1952), zstd (RFC 8878), lz4's legacy frame, cpio.
        Ok(match bytes.start(4)?.as_slice() {
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | b"0707" => true,
            start => start == LZ4,
        })
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        // It has no name, and is gone when it is closed.
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlag::O_TMPFILE.bits()).mode(0o600);
        let mut contents = options.open(std::env::temp_dir())?;
        let most = bytes.len().saturating_mul(MAX_EXPANSION).max(FREE_EXPANSION);
        let entries = read(bytes.reader(), &mut contents, most)?;
        let contents = Bytes::of_file(contents)?;
        let mut gathered = Gathered::default();
        for entry in entries {
            let Entry { path, mode, uid, gid, device, content, link_to } = entry;
            let (offset, len) = content;
            let content = || contents.slice(offset, len);
            let what = what(mode, device, content, || content().and_then(|bytes| bytes.start(MAX_PATH)))?;
            let mode = mode & 0o7777;
            gathered.add(Found { path, what, mode, uid, gid, xattrs: BTreeMap::new(), link_to })?;
        }
        Ok(Inside { files: gathered.finish(), ..Inside::default() })
    }
}

/// One entry.
#[derive(Debug)]
struct Entry {
    /// As it is written.
    path: Vec<u8>,
    /// File type and permission bits.
    mode: u32,
    uid: u32,
    gid: u32,
    device: (u32, u32),
    /// Where its content is in the file that [`read`] has written, and its length; of a link, its target.
    content: (u64, u64),
    /// The first name of a file with several, in all the others.
    link_to: Option<Vec<u8>>,
}

/// Reads all archives of an initrd. The content of files goes to `contents`, in order, `most` bytes at most.
fn read(initrd: impl Read, contents: &mut File, most: u64) -> io::Result<Vec<Entry>> {
    let mut reading = Reading { contents, written: 0, most, entries: Vec::new(), archives: 0 };
    let mut from = BufReader::with_capacity(1 << 20, initrd);
    loop {
        let start = from.fill_buf()?;
        match start {
            [] => break,
            [0, ..] => {
                let zeros = start.iter().take_while(|byte| **byte == 0).count();
                from.consume(zeros);
            }
            [0x1f, ..] => {
                reading.archives(&mut BufReader::new(flate2::bufread::GzDecoder::new(&mut from)))?
            }
            [0x28, ..] => {
                let frame = zstd::stream::read::Decoder::with_buffer(&mut from)?.single_frame();
                reading.archives(&mut BufReader::new(frame))?;
            }
            [first, ..] if *first == LZ4[0] => {
                reading.archives(&mut BufReader::new(lz4::Reader::new(&mut from)))?
            }
            [b'0', ..] => reading.archive(&mut from)?,
            _ => {
                return Err(damaged(
                    "it holds something that is no cpio archive, in gzip, zstd, lz4 or plain",
                ));
            }
        }
    }
    match reading.archives {
        0 => Err(damaged("it is empty")),
        _ => Ok(reading.entries),
    }
}

struct Reading<'a> {
    contents: &'a mut File,
    written: u64,
    most: u64,
    entries: Vec<Entry>,
    archives: usize,
}

impl Reading<'_> {
    /// All archives of what was compressed together.
    fn archives(&mut self, from: &mut impl BufRead) -> io::Result<()> {
        loop {
            let start = from.fill_buf()?;
            match start {
                [] => return Ok(()),
                [0, ..] => {
                    let zeros = start.iter().take_while(|byte| **byte == 0).count();
                    from.consume(zeros);
                }
                _ => self.archive(from)?,
            }
        }
    }

    /// One archive, up to its end.
    fn archive(&mut self, from: &mut impl BufRead) -> io::Result<()> {
        // Of each file with several names, its first one, by its number in this archive.
        let mut names: HashMap<(u32, u32, u32), usize> = HashMap::new();
        loop {
            let mut header = [0; HEADER];
            from.read_exact(&mut header)?;
            if !matches!(&header[..6], b"070701" | b"070702") {
                return Err(damaged("an entry has no header of a cpio archive in the format newc"));
            }
            let mut numbers = [0; 13];
            for (number, digits) in numbers.iter_mut().zip(header[6..].chunks_exact(8)) {
                let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
                let parsed = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
                *number = parsed.ok_or_else(|| damaged("a header has something that is no number"))?;
            }
            let [inode, mode, uid, gid, links, _, size, major, minor, rmajor, rminor, name_len, _] = numbers;
            let mut path = text(from, name_len.into())?;
            skip(from, HEADER as u64 + u64::from(name_len))?;
            if path.pop() != Some(0) {
                return Err(damaged("a name has no end"));
            }
            if path == TRAILER {
                self.archives += 1;
                return Ok(());
            }
            if mode & KIND.0 == KIND.2 && u64::from(size) > MAX_PATH {
                return Err(damaged("a link's target is longer than paths can be"));
            }
            let content = self.content(from, size.into())?;
            skip(from, size.into())?;
            let mut entry = Entry { path, mode, uid, gid, device: (rmajor, rminor), content, link_to: None };
            if links > 1 && mode & KIND.0 == KIND.1 {
                let first = *names.entry((inode, major, minor)).or_insert(self.entries.len());
                self.link(first, &mut entry, size > 0);
            }
            self.entries.push(entry);
        }
    }

    /// Makes an entry a further name of the file whose first name is entry `first`, unless it is that itself. The
    /// content comes with any of the names.
    fn link(&mut self, first: usize, entry: &mut Entry, has_content: bool) {
        let Some(file) = self.entries.get(first) else { return };
        let name = file.path.clone();
        if has_content {
            let same = |other: &&mut Entry| other.path == name || other.link_to.as_ref() == Some(&name);
            let content = entry.content;
            self.entries.iter_mut().filter(same).for_each(|other| other.content = content);
        } else {
            entry.content = file.content;
        }
        entry.link_to = Some(name);
    }

    fn content(&mut self, from: &mut impl Read, len: u64) -> io::Result<(u64, u64)> {
        let offset = self.written;
        if offset.saturating_add(len) > self.most {
            return Err(damaged("its files are larger than any that were packed so"));
        }
        let copied = io::copy(&mut from.take(len), self.contents)?;
        self.written += copied;
        match copied == len {
            true => Ok((offset, len)),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn text(from: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    if len > MAX_PATH {
        return Err(damaged("a path is longer than paths can be"));
    }
    let mut text = Vec::new();
    from.take(len).read_to_end(&mut text)?;
    if text.len() as u64 == len { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Skips what fills up to a multiple of four after this many bytes.
fn skip(from: &mut impl Read, read: u64) -> io::Result<()> {
    let padding = read.next_multiple_of(4) - read;
    io::copy(&mut from.take(padding), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn entry(inode: u32, mode: u32, links: u32, name: &str, content: &str) -> Vec<u8> {
        let mut bytes = format!(
            "070701{inode:08x}{mode:08x}{:08x}{:08x}{links:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{name}\0",
            1, 2, 0, content.len(), 0, 0, 5, 1, name.len() + 1, 0
        )
        .into_bytes();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
        [entries.concat(), entry(0, 0, 1, "TRAILER!!!", "")].concat()
    }

    fn listed(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut contents = tempfile::tempfile().unwrap();
        let entries = read(bytes, &mut contents, 1 << 20).map_err(|error| error.to_string())?;
        let told = entries.into_iter().map(|entry| {
            let mut text = vec![0; entry.content.1 as usize];
            contents.read_exact_at(&mut text, entry.content.0).unwrap();
            let link = entry.link_to.map(|name| format!(" = {}", String::from_utf8(name).unwrap()));
            let (path, text) = (String::from_utf8(entry.path).unwrap(), String::from_utf8(text).unwrap());
            format!("{path} {:o} {text}{}", entry.mode, link.unwrap_or_default())
        });
        Ok(told.collect())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn archives_are_read_as_they_are_and_compressed() {
        let one = archive(&[entry(1, 0o40755, 2, "d", ""), entry(2, 0o100_644, 1, "d/f", "five5")]);
        let two = archive(&[entry(1, 0o120_777, 1, "l", "d/f"), entry(2, 0o20600, 1, "c", "")]);
        let three = archive(&[
            entry(7, 0o100_755, 3, "a", ""),
            entry(7, 0o100_755, 3, "b", "text"),
            entry(7, 0o100_755, 3, "z", ""),
        ]);
        let initrd =
            [one, vec![0; 400], gzip(&two), zstd::encode_all(three.as_slice(), 1).unwrap(), vec![0; 3]]
                .concat();
        assert_eq!(
            listed(&initrd).unwrap(),
            [
                "d 40755 ",
                "d/f 100644 five5",
                "l 120777 d/f",
                "c 20600 ",
                "a 100755 text",
                "b 100755 text = a",
                "z 100755 text = a",
            ]
        );
    }

    #[test]
    fn blocks_of_lz4_end_anywhere_and_frames_follow_each_other() {
        let archive = archive(&[entry(1, 0o100_644, 1, "f", "content")]);
        // Literals alone: their number, in parts of 255 beyond 15.
        let block = |literals: &[u8]| {
            let mut packed = vec![0xF0];
            let more = literals.len() - 15;
            packed.extend(vec![255; more / 255]);
            packed.push((more % 255) as u8);
            packed.extend(literals);
            [&(packed.len() as u32).to_le_bytes(), &packed[..]].concat()
        };
        let (one, two) = archive.split_at(100);
        let frames = [&LZ4[..], &block(one), &block(two), &LZ4, &block(&archive)].concat();
        assert_eq!(listed(&frames).unwrap(), ["f 100644 content", "f 100644 content"]);
        for len in 5..LZ4.len() + block(one).len() + block(two).len() {
            assert!(listed(&frames[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let whole = archive(&[entry(2, 0o100_644, 1, "f", "content")]);
        let long = archive(&[entry(2, 0o100_644, 1, &"x".repeat(5000), "")]);
        for (bytes, says) in [
            (&b"ustar"[..], "no cpio archive"),
            (b"", "it is empty"),
            (&[0; 512], "it is empty"),
            (&long, "longer than paths can be"),
            (&[b'0'; 200], "no header of a cpio archive"),
            (
                &archive(&[
                    entry(1, 0o100_644, 1, "f", &"x".repeat(1 << 20)),
                    entry(2, 0o100_644, 1, "g", "x"),
                ]),
                "larger than any",
            ),
        ] {
            let error = listed(bytes).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        // What fills up the end is of no use.
        for len in 1..whole.len() - 3 {
            assert!(listed(&whole[..len]).is_err(), "{len}");
        }
    }
}
