//! The machine that a shim works on: processes, cgroups, terminals; and the trait that stands before them.

mod linux;
mod memory;
mod program;
mod record;
mod rootfs;
mod stats;
mod stdio;
mod terminal;

use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::poll::PollFlags;

use super::reply::Reply;
use super::task::{Deed, Input, Job};
use super::wire::Fault;

pub use linux::Linux;
pub use program::Program;
pub use record::{Config, Record};
pub use rootfs::unmount as unmount_rootfs;

/// What a server needs of the machine.
pub trait Host {
    /// Begins a job; its result when it is done at once, else [`Host::news`] tells it.
    fn begin(&mut self, job: Job) -> Option<Result<Option<u32>, String>>;
    /// Does something at once.
    fn perform(&mut self, deed: Deed) -> Result<Reply, Fault>;
    /// Kills a process of the container.
    fn kill(&mut self, pid: u32);
    /// Kills what is left in the container after its first process.
    fn kill_rest(&mut self);
    /// Ends the input of a process.
    fn close_input(&mut self, exec: &str);
    /// Ends the input and output of a process that is forgotten; what it wrote still gets out.
    fn release(&mut self, exec: &str);
    /// What happened since the last call, in order.
    fn news(&mut self) -> Vec<Input>;
    /// What to wait for.
    fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)>;
    /// When to ask for news although nothing happened.
    fn deadline(&self) -> Option<Instant>;
}
