//! From bytes to volumes: each part is given to the reader that recognises it.

use std::io;

use super::bytes::Bytes;
use super::found::{Found, What};
use super::{Inside, Part, READERS, Reader, Role, damaged};

/// How many things may be one in the other: an ISO has a FAT, that a program, that an initrd, in a disk in a qcow2.
const MAX_DEPTH: usize = 8;
/// Most volumes.
const MAX_VOLUMES: usize = 256;
/// Where a boot loader's file system has kernels, initrds, programs and disks, by how their names begin or end.
const BOOT_FILES: [&str; 4] = ["initrd", ".efi", ".img", "kernel"];
/// The kernel's name there, and under which the tar format has it.
const KERNEL: (&[u8], &str) = (b"kernel", "boot/kernel");

/// What the reader of initrds calls them: wherever they are, that is the volume's name.
const INITRD: &str = "initrd";

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) volumes: Vec<Volume>,
    /// What the tar format has under `boot`.
    pub(super) boot: Vec<(&'static str, Bytes)>,
    seen: Vec<Bytes>,
}

/// The files of one file system, archive or table.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) name: String,
    /// What its reader calls it.
    pub(super) format: &'static str,
    pub(super) is_initrd: bool,
    pub(super) files: Vec<(Found, Looked)>,
}

/// Whether a file was looked into, and what it is made of is listed beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    At,
    Into,
}

/// Why something cannot be looked into: where, and what is wrong there.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) place: String,
    pub(super) source: io::Error,
}

/// A place's failure.
fn at(place: &str) -> impl Fn(io::Error) -> Failure {
    move |source| Failure { place: place.to_owned(), source }
}

/// Who recognises this.
fn reader_of(bytes: &Bytes) -> io::Result<Option<&'static dyn Reader>> {
    for reader in READERS {
        if reader.recognises(bytes)? {
            return Ok(Some(*reader));
        }
    }
    Ok(None)
}

impl Explored {
    /// Everything that is in some bytes; nothing if nobody recognises them.
    pub(super) fn of(bytes: &Bytes) -> Result<Option<Self>, Failure> {
        let mut explored = Self::default();
        Ok(explored.explore(None, bytes, 0)?.then_some(explored))
    }

    /// What a reader has found in something that has no name of its own.
    pub(super) fn of_inside(called: &'static str, inside: Inside) -> Self {
        let mut explored = Self::default();
        explored.add(called, called, inside.files.into_iter().map(|file| (file, Looked::At)).collect());
        explored
    }

    /// Looks into something that has this name; says whether anybody recognises it.
    fn explore(&mut self, name: Option<&str>, bytes: &Bytes, depth: usize) -> Result<bool, Failure> {
        let place = name.unwrap_or_default();
        if self.seen.iter().any(|seen| seen.is_same(bytes)) {
            return Ok(true);
        }
        let Some(reader) = reader_of(bytes).map_err(at(place))? else { return Ok(false) };
        if depth == MAX_DEPTH || self.seen.len() == MAX_VOLUMES {
            return Err(at(place)(damaged("it has more parts, or parts in parts, than anything real")));
        }
        self.seen.push(bytes.clone());
        let called = reader.called();
        let is_initrd = called == INITRD;
        let name = match name {
            Some(name) if !is_initrd => name,
            _ => called,
        };
        let named = |source: io::Error| Failure {
            place: if place.is_empty() { called.to_owned() } else { format!("{place} ({called})") },
            source,
        };
        let Inside { files, boots, parts } = reader.read(bytes).map_err(named)?;
        let mut listed = Vec::with_capacity(files.len());
        for file in files {
            let looked = match &file.what {
                What::File(content) if boots && is_boot_file(&file.path) => {
                    self.boot_file(&file.path, content, depth)?
                }
                _ => Looked::At,
            };
            listed.push((file, looked));
        }
        for Part { name: part, bytes, role, facts } in parts {
            if !facts.is_empty() {
                listed.push((Found::plain(part.as_str(), What::Part(facts), 0), Looked::At));
            }
            match role {
                Role::Itself => {
                    return match self.explore(None, &bytes, depth + 1)? {
                        true => Ok(true),
                        false => Err(named(damaged("nobody knows what is on it"))),
                    };
                }
                Role::Boot(path) => self.boot(path, bytes),
                Role::Raw => self.raw(&part, bytes),
                Role::Volume => {
                    if !self.explore(Some(&part), &bytes, depth + 1)? {
                        self.raw(&part, bytes);
                    }
                }
            }
        }
        if !listed.is_empty() || is_initrd {
            self.add(name, called, listed);
        }
        Ok(true)
    }

    fn boot_file(&mut self, path: &[u8], content: &Bytes, depth: usize) -> Result<Looked, Failure> {
        let last = crate::tree::split(path).1;
        // FAT has short names in capital letters.
        if last.eq_ignore_ascii_case(KERNEL.0) {
            self.boot(KERNEL.1, content.clone());
            return Ok(Looked::Into);
        }
        Ok(match self.explore(Some(&String::from_utf8_lossy(last)), content, depth + 1)? {
            true => Looked::Into,
            false => Looked::At,
        })
    }

    fn boot(&mut self, path: &'static str, bytes: Bytes) {
        if !self.boot.iter().any(|(known, _)| *known == path) {
            self.boot.push((path, bytes));
        }
    }

    /// Adds what nobody looks into.
    fn raw(&mut self, name: &str, bytes: Bytes) {
        self.add(name, "", vec![(Found::file("content", bytes), Looked::At)]);
    }

    /// Adds a volume, with a number when its name is taken.
    fn add(&mut self, name: &str, format: &'static str, files: Vec<(Found, Looked)>) {
        let taken = |name: &str| self.volumes.iter().any(|volume| volume.name == name);
        let numbered = (2..).map(|number| format!("{name} {number}")).find(|name| !taken(name));
        let name = if taken(name) { numbered.unwrap_or_default() } else { name.to_owned() };
        self.volumes.push(Volume { name, format, is_initrd: format == INITRD, files });
    }
}

fn is_boot_file(path: &[u8]) -> bool {
    let (directory, last) = crate::tree::split(path);
    let is_there = directory.is_empty()
        || ["boot", "efi"].iter().any(|top| {
            let first = directory.split(|byte| *byte == b'/').next().unwrap_or_default();
            first.eq_ignore_ascii_case(top.as_bytes())
        });
    let last = String::from_utf8_lossy(last).to_ascii_lowercase();
    is_there && BOOT_FILES.iter().any(|mark| last.starts_with(mark) || last.ends_with(mark))
}
