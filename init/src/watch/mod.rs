//! What an event loop of one thread waits for: files that grow, processes that end.

pub mod inotify;
pub mod process;
pub mod readiness;
