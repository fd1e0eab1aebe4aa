//! What goes into the machine and what comes out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use containerd_shim_protos::api::{CreateTaskRequest, ExecProcessRequest};

use crate::shim::event::Event;
use crate::shim::reply::Reply;
use crate::shim::request::Incoming;
use crate::shim::wire::Fault;

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The connection's number.
    pub connection: u64,
    /// The call on it.
    pub stream: u32,
}

/// What happens to the container.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Something is asked.
    Call(Ticket, Incoming),
    /// The job that was begun is done; with the process it made, if it makes one.
    Done(Result<Option<u32>, String>),
    /// A process ended, of the container's or not.
    Exited {
        /// Which.
        pid: u32,
        /// Its exit code, or 128 + the signal that killed it.
        status: u32,
        /// When that was seen.
        at: SystemTime,
    },
    /// The kernel killed a process of the container for want of memory.
    OutOfMemory,
    /// Nobody listens on this connection any more.
    Gone(u64),
    /// The machine goes down.
    Terminate,
}

/// Work that takes time; one at a time, and its end is told as [`Input::Done`].
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Make the container.
    Create(Box<CreateTaskRequest>),
    /// Run its first process.
    Start,
    /// Run another process.
    Exec(Box<ExecProcessRequest>),
    /// Remove the container, with all that is left of it.
    Delete,
    /// Freeze it.
    Pause,
    /// Thaw it.
    Resume,
    /// Change its resources: JSON.
    Update(Vec<u8>),
}

/// Work that is done at once; its result is the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Send a signal.
    Signal {
        /// To this process.
        pid: u32,
        /// Which.
        signal: u32,
        /// And to all others of the container.
        all: bool,
    },
    /// List the container's processes: those that the machine knows, with the execs they are, are among them in any case.
    Pids(BTreeMap<u32, String>),
    /// Set the size of a terminal.
    Resize {
        /// Whose.
        exec: String,
        /// Columns.
        width: u16,
        /// Lines.
        height: u16,
    },
    /// Measure the container.
    Stats,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Answer.
    Answer(Ticket, Result<Reply, Fault>),
    /// Do something, and answer with its result.
    Perform(Ticket, Deed),
    /// Begin a job.
    Begin(Job),
    /// Kill the container's first process; nobody waits for an answer.
    Kill(u32),
    /// Tell containerd.
    Tell(Event),
    /// The size of a process's terminal: columns, lines. Nobody waits for an answer.
    Resize(String, u16, u16),
    /// A process gets no more input.
    CloseInput(String),
    /// A process has been forgotten: so can its input and output be.
    Release(String),
    /// The container's first process has ended: no other may stay.
    KillRest,
    /// End.
    Quit,
}
