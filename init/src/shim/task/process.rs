//! One process of the container: its first, or an exec.

use containerd_shim_protos::api::{ExecProcessRequest, StateResponse, Status};

use super::action::{Action, Ticket};
use crate::shim::reply::{Ended, timestamp};

/// Where it is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asked for; there is no process yet.
    Added,
    /// There is a process, which waits to be started.
    Created(u32),
    /// It runs.
    Running(u32),
    /// It ended.
    Stopped(Ended),
}

/// Paths of input and output, as they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stdio {
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
    pub terminal: bool,
}

/// One process.
#[derive(Debug, Clone)]
pub struct Process {
    pub phase: Phase,
    pub stdio: Stdio,
    /// Whether a job about it was asked for and is not done.
    pub busy: bool,
    /// It ended before its start was known to have worked.
    pub held: Option<Ended>,
    /// No more input comes; said, maybe, before it could be done.
    pub input_closed: bool,
    /// The size of its terminal, columns and lines, from when it could not be set.
    pub size: Option<(u16, u16)>,
    /// Who wants to know of its end.
    pub waiting: Vec<Ticket>,
    /// Who wants it deleted when it has ended.
    pub deleting: Option<Ticket>,
    /// How to run it, until it runs: execs only.
    pub request: Option<Box<ExecProcessRequest>>,
}

impl Process {
    pub fn new(stdio: Stdio) -> Self {
        Self {
            phase: Phase::Added,
            stdio,
            busy: false,
            held: None,
            input_closed: false,
            size: None,
            waiting: Vec::new(),
            deleting: None,
            request: None,
        }
    }

    /// Its number, for as long as it is one of ours: a process that ended has none to send signals to.
    pub fn live_pid(&self) -> Option<u32> {
        match self.phase {
            Phase::Created(pid) | Phase::Running(pid) if self.held.is_none() => Some(pid),
            _ => None,
        }
    }

    /// What was asked for before there was anybody to do it for.
    pub fn put_off(&mut self, exec: &str) -> Vec<Action> {
        let close = self.input_closed.then(|| Action::CloseInput(exec.to_owned()));
        let resize = self.size.take().map(|(width, height)| Action::Resize(exec.to_owned(), width, height));
        resize.into_iter().chain(close).collect()
    }

    /// The number it has or had.
    pub fn pid(&self) -> u32 {
        match self.phase {
            Phase::Added => 0,
            Phase::Created(pid) | Phase::Running(pid) => pid,
            Phase::Stopped(ended) => ended.pid,
        }
    }

    pub fn describe(&self, id: &str, exec: &str, bundle: &str, paused: bool) -> StateResponse {
        let mut state = StateResponse::new();
        state.id = id.to_owned();
        state.exec_id = exec.to_owned();
        state.bundle = bundle.to_owned();
        state.pid = self.pid();
        state.stdin = self.stdio.stdin.clone();
        state.stdout = self.stdio.stdout.clone();
        state.stderr = self.stdio.stderr.clone();
        state.terminal = self.stdio.terminal;
        state.status = match self.phase {
            Phase::Added | Phase::Created(_) => Status::CREATED,
            Phase::Running(_) if paused => Status::PAUSED,
            Phase::Running(_) => Status::RUNNING,
            Phase::Stopped(_) => Status::STOPPED,
        }
        .into();
        if let Phase::Stopped(ended) = self.phase {
            state.exit_status = ended.status;
            state.exited_at = Some(timestamp(ended.at)).into();
        }
        state
    }
}
