//! The machine.

mod calls;
mod outcomes;

use std::collections::{BTreeMap, VecDeque};

use containerd_shim_protos::api::CreateTaskRequest;

use super::action::{Action, Input, Job, Ticket};
use super::process::{Phase, Process};
use crate::shim::event::Event;
use crate::shim::reply::{Ended, Reply};
use crate::shim::wire::{Code, Fault};

/// Execs that are not deleted.
const EXEC_LIMIT: usize = 256;
/// Callers that wait for the end of one process.
const WAITING_LIMIT: usize = 256;
/// Jobs that wait for their turn.
const JOB_LIMIT: usize = 256;
/// Ends that are kept while a job may yet say that the process was the container's.
const UNCLAIMED_LIMIT: usize = 256;
/// What is told of a process that could not be started; runc's number.
const NEVER_RAN: u32 = 128;
/// The id of the container's first process.
const INIT: &str = "";

/// What a job was about, while it runs.
#[derive(Debug, Clone)]
enum About {
    Create(Box<CreateTaskRequest>),
    Start,
    Exec(String),
    Delete,
    Pause,
    Resume,
    Update,
}

/// One container.
#[derive(Debug)]
pub struct Machine {
    id: String,
    shim: u32,
    bundle: String,
    /// By exec id; the first process under the empty one.
    processes: BTreeMap<String, Process>,
    paused: bool,
    running: Option<(Ticket, About)>,
    jobs: VecDeque<(Ticket, Job)>,
    unclaimed: VecDeque<Ended>,
    terminating: bool,
}

impl Machine {
    /// No container yet; `shim` is the process that asks.
    #[must_use]
    pub fn new(id: String, shim: u32) -> Self {
        Self {
            id,
            shim,
            bundle: String::new(),
            processes: BTreeMap::new(),
            paused: false,
            running: None,
            jobs: VecDeque::new(),
            unclaimed: VecDeque::new(),
            terminating: false,
        }
    }

    /// What is to be done now, in this order.
    pub fn on(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Call(ticket, incoming) => {
                if let Err(fault) = self.call(ticket, incoming, &mut actions) {
                    actions.push(Action::Answer(ticket, Err(fault)));
                }
            }
            Input::Done(result) => self.done(result, &mut actions),
            Input::Exited { pid, status, at } => self.exited(Ended { pid, status, at }, &mut actions),
            Input::OutOfMemory => actions.push(Action::Tell(Event::OutOfMemory)),
            Input::Gone(connection) => {
                for process in self.processes.values_mut() {
                    process.waiting.retain(|ticket| ticket.connection != connection);
                }
            }
            Input::Terminate => self.terminating = true,
        }
        self.begin_next(&mut actions);
        if self.terminating && self.is_idle() {
            actions.push(Action::Quit);
        }
        actions
    }

    /// Whether there is no container, and none is being made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.running.is_none() && self.jobs.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.running.is_none() && self.processes.values().all(|process| process.live_pid().is_none())
    }

    fn find_mut(&mut self, exec: &str) -> Result<&mut Process, Fault> {
        self.processes.get_mut(exec).ok_or_else(|| not_found(&self.id, exec))
    }

    fn enqueue(&mut self, ticket: Ticket, job: Job) -> Result<(), Fault> {
        if self.jobs.len() >= JOB_LIMIT {
            return Err(too_many("requests wait for their turn"));
        }
        self.jobs.push_back((ticket, job));
        Ok(())
    }

    fn begin_next(&mut self, actions: &mut Vec<Action>) {
        if self.running.is_some() {
            return;
        }
        let Some((ticket, job)) = self.jobs.pop_front() else { return };
        let about = match &job {
            Job::Create(request) => About::Create(request.clone()),
            Job::Start => About::Start,
            Job::Exec(request) => About::Exec(request.exec_id.clone()),
            Job::Delete => About::Delete,
            Job::Pause => About::Pause,
            Job::Resume => About::Resume,
            Job::Update(_) => About::Update,
        };
        self.running = Some((ticket, about));
        actions.push(Action::Begin(job));
    }

    fn exited(&mut self, ended: Ended, actions: &mut Vec<Action>) {
        let found = self.processes.iter_mut().find(|(_, process)| process.live_pid() == Some(ended.pid));
        match found {
            Some((_, process)) if process.busy => process.held = Some(ended),
            Some((exec, _)) => {
                let exec = exec.clone();
                self.stop(&exec, ended, actions);
            }
            // A process that lost its parent, or the one that the running job makes.
            None if self.running.is_some() => {
                if self.unclaimed.len() >= UNCLAIMED_LIMIT {
                    self.unclaimed.pop_front();
                }
                self.unclaimed.push_back(ended);
            }
            None => {}
        }
    }

    fn claim(&mut self, pid: u32) -> Option<Ended> {
        let at = self.unclaimed.iter().position(|ended| ended.pid == pid)?;
        self.unclaimed.remove(at)
    }

    fn stop(&mut self, exec: &str, ended: Ended, actions: &mut Vec<Action>) {
        let Some(process) = self.processes.get_mut(exec) else { return };
        process.phase = Phase::Stopped(ended);
        process.held = None;
        let (waiting, deleting) = (std::mem::take(&mut process.waiting), process.deleting.take());
        if exec.is_empty() {
            self.paused = false;
            actions.push(Action::KillRest);
        }
        actions.push(Action::Tell(Event::Exited { exec: exec.to_owned(), ended }));
        actions.extend(waiting.into_iter().map(|ticket| Action::Answer(ticket, Ok(Reply::Ended(ended)))));
        if let Some(ticket) = deleting
            && let Err(fault) = self.delete(ticket, exec, actions)
        {
            actions.push(Action::Answer(ticket, Err(fault)));
        }
    }
}

fn not_found(id: &str, exec: &str) -> Fault {
    let what = if exec.is_empty() { format!("task {id}") } else { format!("exec {exec} of task {id}") };
    Fault::new(Code::NOT_FOUND, format!("{what} not found"))
}

fn too_many(what: &str) -> Fault {
    Fault::new(Code::RESOURCE_EXHAUSTED, format!("too many {what}"))
}

#[cfg(test)]
mod tests;
