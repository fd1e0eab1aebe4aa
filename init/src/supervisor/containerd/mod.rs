//! containerd as a process: started, watched, started again, taken over, stopped.

mod config;
mod daemon;

pub use daemon::{BINARY, Daemon};
