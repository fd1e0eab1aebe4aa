//! The initrd: cpio archives, each compressed on its own and kept for the next build, one after another.
//!
//! The kernel unpacks any number of archives in a row, compressed or not, with zeros between them. So the tree is
//! split into segments that change for different reasons, and a build compresses only what has changed.

mod lz4;
mod marks;
mod method;
mod plan;
mod segment;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::image::Cache;
use crate::tree::Tree;

pub use method::Compression;

use super::lost::Lost;
use super::{Machine, OutputError, cpio};

/// Writes the microcode, uncompressed and first as the kernel wants it, and the root filesystem.
pub(super) fn write(
    machine: &Machine,
    method: Compression,
    cache: &Cache,
    out: &mut dyn Write,
) -> Result<Lost, OutputError> {
    write_microcode(machine, out)?;
    // The microcode ends where anything may begin.
    let mut out = Padded { out, written: 0 };
    write_segments(&super::shared::share(&machine.root)?, method, cache, &mut out)?;
    Ok(Lost::attributes_of(&machine.root))
}

/// Writes the microcode, if there is any, and what aligns that which follows.
pub(super) fn write_microcode(machine: &Machine, out: &mut dyn Write) -> Result<(), OutputError> {
    let mut out = Padded { out, written: 0 };
    if let Some(ucode) = &machine.ucode {
        ucode.copy_to(&mut out).map_err(|source| OutputError::Copy {
            path: "the microcode".into(),
            origin: machine.boot.to_string(),
            into: "the initrd".into(),
            source,
        })?;
        out.pad()?;
    }
    Ok(())
}

/// Compresses, or takes from the cache, on all cores; writes in order. The bytes do not depend on the number of
/// cores: each segment is one frame made by one thread.
fn write_segments(
    tree: &Tree,
    method: Compression,
    cache: &Cache,
    out: &mut Padded<'_>,
) -> Result<(), OutputError> {
    out.write_all(method.start()).map_err(failed)?;
    let marks = marks::Marks::of(tree);
    let segments = plan::plan(tree, marks.as_ref())?;
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(segments.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next, segments) = (sender.clone(), &next, &segments);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(segment) = segments.get(at) else { return };
                    // Nobody listens any more after an error.
                    if sender.send((at, segment::compressed(segment, method, cache))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut written = 0;
        for (at, bytes) in receiver {
            waiting.insert(at, bytes?);
            while let Some(bytes) = waiting.remove(&written) {
                out.write_all(&bytes).map_err(failed)?;
                if method.pads() {
                    out.pad()?;
                }
                written += 1;
            }
        }
        Ok(())
    })
}

fn failed(source: io::Error) -> OutputError {
    OutputError::io("write", Path::new("the initrd"))(source)
}

/// Counts, to align what comes next.
struct Padded<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Padded<'_> {
    fn pad(&mut self) -> Result<(), OutputError> {
        let written = self.written;
        cpio::pad(self, written).map_err(failed)
    }
}

impl Write for Padded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
