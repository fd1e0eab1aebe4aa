//! containerd as a process: started, watched, started again, taken over, held still, stopped.

mod config;
mod daemon;
mod pause;

pub use daemon::Daemon;

/// What it is called in logs and on the time-line.
const NAME: &str = "containerd";
/// Where it is, if the image has it.
pub const BINARY: &str = "/usr/bin/containerd";
