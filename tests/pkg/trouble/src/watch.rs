//! Waiting for what services note, by inotify.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::notes;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(200);
/// How often something is looked at again that no event tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits until `ready` returns a value; it is asked again at each change in the notes, and now and then.
///
/// # Errors
/// When it takes longer than [`PATIENCE`]: `what` was waited for.
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T, String> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(|e| e.to_string())?;
    let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY;
    inotify.add_watch(notes::DIR, events).map_err(|e| format!("watching {}: {e}", notes::DIR))?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let mut changed = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(LOOK_AGAIN).map_err(|e| e.to_string())?;
        // Interrupted or not: it is looked at again.
        let _ = poll(&mut changed, limit);
        drop(inotify.read_events());
    }
    Err(format!("waited {} s in vain for {what}", PATIENCE.as_secs()))
}
