//! Waiting for files to appear or grow.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use super::readiness::readable;

/// A set of watched paths.
#[derive(Debug)]
pub struct Inotify(AsyncFd<OwnedFd>);

impl Inotify {
    /// An empty set.
    pub fn new() -> std::io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        readable(fd).map(Self)
    }

    /// Watches a directory for new entries.
    pub fn watch_entries(&self, dir: &Path) -> std::io::Result<()> {
        inotify::add_watch(self.0.get_ref(), dir, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        Ok(())
    }

    /// Watches a file for new content.
    pub fn watch_content(&self, file: &Path) -> std::io::Result<()> {
        inotify::add_watch(self.0.get_ref(), file, WatchFlags::MODIFY)?;
        Ok(())
    }

    /// Waits until something has happened since the last call; what, the caller looks up itself.
    pub async fn changed(&self) -> std::io::Result<()> {
        let mut ready = self.0.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(self.0.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(_) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => break,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}
