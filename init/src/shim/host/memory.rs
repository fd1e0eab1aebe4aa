//! Hears when the kernel kills a process of the container for want of memory.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::cgroup::Cgroup;

/// A count of kills, and with version 2 a watch on it; version 1's is looked at when the container ends.
#[derive(Debug)]
pub struct Watch {
    cgroup: Cgroup,
    watch: Option<OwnedFd>,
    seen: u64,
}

impl Watch {
    /// Watches from now on.
    #[must_use]
    pub fn new(cgroup: Cgroup) -> Self {
        let seen = cgroup.out_of_memory_kills().unwrap_or_default();
        Self { watch: open(&cgroup), cgroup, seen }
    }

    /// What to wait for.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Whether there were kills since the last look.
    pub fn look(&mut self) -> bool {
        self.drain();
        // A cgroup that is gone counts nothing.
        let kills = self.cgroup.out_of_memory_kills().unwrap_or_default();
        let more = kills > self.seen;
        self.seen = self.seen.max(kills);
        more
    }

    fn drain(&mut self) {
        let Some(watch) = &self.watch else { return };
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = inotify::Reader::new(watch, &mut buffer);
        let ended = loop {
            match reader.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::IGNORED) => break true,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => break error != rustix::io::Errno::WOULDBLOCK,
            }
        };
        if ended {
            self.watch = None;
        }
    }
}

fn open(cgroup: &Cgroup) -> Option<OwnedFd> {
    if !cgroup.is_unified() {
        return None;
    }
    // What cannot be watched is looked at when the container ends, as with version 1.
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    // Without the memory controller there is no such file, and nothing to hear.
    inotify::add_watch(&watch, cgroup.dir("memory")?.join("memory.events"), WatchFlags::MODIFY).ok()?;
    Some(watch)
}
