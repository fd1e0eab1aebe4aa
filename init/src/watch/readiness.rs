//! File descriptors that tokio has no type for.

use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets the event loop say when `fd` is readable.
pub fn readable(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // Deprecated because a type may change the descriptor that it shows; `OwnedFd` cannot. The replacement is unsafe.
    #[allow(deprecated)]
    AsyncFd::with_interest(fd, Interest::READABLE)
}
