//! The entries of an initrd: archives one after the other, each as it is or compressed.
//!
//! What the kernel unpacks is a row of cpio archives, in gzip or zstd or plain, with zeros between them
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Bytes of a header: magic and 13 numbers of 8 hexadecimal digits.
const HEADER: usize = 110;
/// The longest path and the longest target of a link, in bytes (`PATH_MAX`).
const MAX_PATH: u64 = 4096;
/// Most bytes that all files have together; more fit into no machine's memory.
const MAX_CONTENT: u64 = 64 << 30;
/// Most entries.
const MAX_ENTRIES: usize = 8 << 20;

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// As it is written.
    pub path: Vec<u8>,
    /// File type and permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub device: (u32, u32),
    /// Where its content is in the file that [`read`] has written; of a link, its target.
    pub content: Content,
    /// The first name of a file with several, in all the others.
    pub link_to: Option<Vec<u8>>,
}

/// The content of an entry.
#[derive(Debug, Clone)]
pub enum Content {
    /// Of a file.
    File { offset: u64, len: u64 },
    /// The target of a symbolic link.
    Target(Vec<u8>),
}

/// Reads all archives of an initrd. The content of files goes to `contents`, in order.
pub fn read(initrd: File, contents: &mut File) -> io::Result<Vec<Entry>> {
    let mut reading = Reading { contents, written: 0, entries: Vec::new() };
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
            [b'0', ..] => reading.archive(&mut from)?,
            _ => return Err(bad("it holds something that is no cpio archive, in gzip, zstd or plain")),
        }
    }
    match reading.entries.is_empty() {
        true => Err(bad("it is empty")),
        false => Ok(reading.entries),
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

struct Reading<'a> {
    contents: &'a mut File,
    written: u64,
    entries: Vec<Entry>,
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
                return Err(bad("an entry has no header of a cpio archive in the format newc"));
            }
            let mut numbers = [0; 13];
            for (number, digits) in numbers.iter_mut().zip(header[6..].chunks_exact(8)) {
                let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
                let parsed = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
                *number = parsed.ok_or_else(|| bad("a header has something that is no number"))?;
            }
            let [inode, mode, uid, gid, links, _, size, major, minor, rmajor, rminor, name_len, _] = numbers;
            let mut path = text(from, name_len.into())?;
            skip(from, HEADER as u64 + u64::from(name_len))?;
            if path.pop() != Some(0) {
                return Err(bad("a name has no end"));
            }
            if path == TRAILER {
                return Ok(());
            }
            if self.entries.len() == MAX_ENTRIES {
                return Err(bad("it has too many entries"));
            }
            let content = match mode & 0o170_000 {
                0o120_000 => Content::Target(text(from, size.into())?),
                _ => self.content(from, size.into())?,
            };
            skip(from, size.into())?;
            let mut entry = Entry { path, mode, uid, gid, device: (rmajor, rminor), content, link_to: None };
            if links > 1 && mode & 0o170_000 == 0o100_000 {
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
            let content = entry.content.clone();
            self.entries.iter_mut().filter(same).for_each(|other| other.content = content.clone());
        } else {
            entry.content = file.content.clone();
        }
        entry.link_to = Some(name);
    }

    fn content(&mut self, from: &mut impl Read, len: u64) -> io::Result<Content> {
        let offset = self.written;
        if offset.saturating_add(len) > MAX_CONTENT {
            return Err(bad("its files are larger than any memory"));
        }
        let copied = io::copy(&mut from.take(len), self.contents)?;
        self.written += copied;
        match copied == len {
            true => Ok(Content::File { offset, len }),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn text(from: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    if len > MAX_PATH {
        return Err(bad("a path is longer than paths can be"));
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
    use std::io::{Seek, Write};

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
        let (mut initrd, mut contents) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        initrd.write_all(bytes).unwrap();
        initrd.rewind().unwrap();
        let entries = read(initrd, &mut contents).map_err(|error| error.to_string())?;
        let told = entries.into_iter().map(|entry| {
            let content = match entry.content {
                Content::File { offset, len } => {
                    let mut text = String::new();
                    contents.seek(io::SeekFrom::Start(offset)).unwrap();
                    (&contents).take(len).read_to_string(&mut text).unwrap();
                    text
                }
                Content::Target(target) => format!("→ {}", String::from_utf8(target).unwrap()),
            };
            let link = entry.link_to.map(|name| format!(" = {}", String::from_utf8(name).unwrap()));
            let path = String::from_utf8(entry.path).unwrap();
            format!("{path} {:o} {content}{}", entry.mode, link.unwrap_or_default())
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
                "l 120777 → d/f",
                "c 20600 ",
                "a 100755 text",
                "b 100755 text = a",
                "z 100755 text = a",
            ]
        );
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
