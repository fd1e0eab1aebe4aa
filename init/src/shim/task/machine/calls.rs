//! What is asked of the container.

use containerd_shim_protos::api::{ConnectResponse, ExecProcessRequest};

use super::{EXEC_LIMIT, INIT, Machine, WAITING_LIMIT, not_found, too_many};
use crate::shim::event::Event;
use crate::shim::reply::{Ended, Reply};
use crate::shim::request::{Incoming, Request};
use crate::shim::task::action::{Action, Deed, Job, Ticket};
use crate::shim::task::process::{Phase, Process, Stdio};
use crate::shim::wire::{Code, Fault};

impl Machine {
    pub(super) fn call(
        &mut self,
        ticket: Ticket,
        incoming: Incoming,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Incoming { id, request } = incoming;
        if id != self.id {
            return Err(Fault::new(
                Code::NOT_FOUND,
                format!("container {id} not found: this is the shim of {}", self.id),
            ));
        }
        let answer = match request {
            Request::Create(request) => {
                if self.processes.contains_key(INIT) {
                    return Err(Fault::new(Code::ALREADY_EXISTS, format!("task {id} already exists")));
                }
                let mut process = Process::new(Stdio {
                    stdin: request.stdin.clone(),
                    stdout: request.stdout.clone(),
                    stderr: request.stderr.clone(),
                    terminal: request.terminal,
                });
                process.busy = true;
                self.bundle.clone_from(&request.bundle);
                self.enqueue(ticket, Job::Create(request))?;
                self.processes.insert(INIT.to_owned(), process);
                return Ok(());
            }
            Request::Start { exec } => return self.start(ticket, &exec),
            Request::Delete { exec } => return self.delete(ticket, &exec, actions),
            Request::Exec(request) => self.add_exec(request, actions)?,
            Request::State { exec } => {
                let process = self.find(&exec)?;
                Reply::State(Box::new(process.describe(&self.id, &exec, &self.bundle, self.paused)))
            }
            Request::Wait { exec } => {
                let process = self.find_mut(&exec)?;
                match process.phase {
                    Phase::Stopped(ended) => Reply::Ended(ended),
                    _ if process.waiting.len() >= WAITING_LIMIT => {
                        return Err(too_many("callers wait for it"));
                    }
                    _ => {
                        process.waiting.push(ticket);
                        return Ok(());
                    }
                }
            }
            Request::Kill { exec, signal, all } => {
                let process = self.find(&exec)?;
                let Some(pid) = process.live_pid() else {
                    return Err(match process.phase {
                        Phase::Added => {
                            Fault::new(Code::FAILED_PRECONDITION, "the process has not been started")
                        }
                        _ => Fault::new(Code::NOT_FOUND, "process already finished: not found"),
                    });
                };
                let all = all && exec.is_empty();
                actions.push(Action::Perform(ticket, Deed::Signal { pid, signal, all }));
                return Ok(());
            }
            Request::Pids => {
                self.find(INIT)?;
                // The first process is listed even after its end, until the container is deleted. A containerd that
                // was down at that time takes a container without processes for one whose end it knows.
                let known = self.processes.iter().filter(|(_, process)| process.pid() != 0);
                let known = known
                    .filter(|(exec, process)| exec.is_empty() || process.live_pid().is_some())
                    .map(|(exec, process)| (process.pid(), exec.clone()));
                actions.push(Action::Perform(ticket, Deed::Pids(known.collect())));
                return Ok(());
            }
            Request::Pause | Request::Resume => {
                let pause = matches!(request, Request::Pause);
                if !matches!(self.find(INIT)?.phase, Phase::Running(_)) || self.paused == pause {
                    let state = if pause { "running" } else { "paused" };
                    return Err(Fault::new(
                        Code::FAILED_PRECONDITION,
                        format!("the container is not {state}"),
                    ));
                }
                return self.enqueue(ticket, if pause { Job::Pause } else { Job::Resume });
            }
            Request::Update(resources) => {
                self.live_init()?;
                return self.enqueue(ticket, Job::Update(resources));
            }
            Request::Resize { exec, width, height } => {
                let process = self.find_mut(&exec)?;
                if process.phase != Phase::Added {
                    actions.push(Action::Perform(ticket, Deed::Resize { exec, width, height }));
                    return Ok(());
                }
                process.size = Some((width, height));
                Reply::Empty
            }
            Request::CloseInput { exec } => {
                let process = self.find_mut(&exec)?;
                process.input_closed = true;
                if process.phase != Phase::Added {
                    actions.push(Action::CloseInput(exec));
                }
                Reply::Empty
            }
            Request::Stats => {
                self.live_init()?;
                actions.push(Action::Perform(ticket, Deed::Stats));
                return Ok(());
            }
            Request::Connect => {
                let mut message = ConnectResponse::new();
                message.shim_pid = self.shim;
                message.task_pid = self.processes.get(INIT).map_or(0, Process::pid);
                Reply::Connect(message)
            }
            Request::Shutdown => {
                actions.push(Action::Answer(ticket, Ok(Reply::Empty)));
                if self.is_empty() {
                    actions.push(Action::Quit);
                }
                return Ok(());
            }
            Request::Nothing => Reply::Empty,
        };
        actions.push(Action::Answer(ticket, Ok(answer)));
        Ok(())
    }

    fn find(&self, exec: &str) -> Result<&Process, Fault> {
        self.processes.get(exec).ok_or_else(|| not_found(&self.id, exec))
    }

    fn live_init(&self) -> Result<u32, Fault> {
        let stopped = || Fault::new(Code::FAILED_PRECONDITION, "the container does not run");
        self.find(INIT)?.live_pid().ok_or_else(stopped)
    }

    fn add_exec(
        &mut self,
        request: Box<ExecProcessRequest>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        self.live_init()?;
        let exec = request.exec_id.clone();
        if self.processes.contains_key(&exec) {
            return Err(Fault::new(Code::ALREADY_EXISTS, format!("exec {exec} already exists")));
        }
        if self.processes.len() > EXEC_LIMIT {
            return Err(too_many("execs are not deleted"));
        }
        let mut process = Process::new(Stdio {
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
        });
        process.request = Some(request);
        self.processes.insert(exec.clone(), process);
        actions.push(Action::Tell(Event::ExecAdded(exec)));
        Ok(Reply::Empty)
    }

    fn start(&mut self, ticket: Ticket, exec: &str) -> Result<(), Fault> {
        let wrong = |words: &str| Err(Fault::new(Code::FAILED_PRECONDITION, words));
        let process = self.find_mut(exec)?;
        if process.busy {
            return wrong("the process is being made or started already");
        }
        let job = match (process.phase, &process.request) {
            (Phase::Created(_), _) => Job::Start,
            (Phase::Added, Some(request)) => Job::Exec(request.clone()),
            (Phase::Running(_), _) => return wrong("the process runs already"),
            _ => return wrong("the process has ended"),
        };
        if process.held.is_some() {
            return wrong("the process has ended");
        }
        self.live_init()?;
        self.enqueue(ticket, job)?;
        self.find_mut(exec)?.busy = true;
        Ok(())
    }

    pub(super) fn delete(
        &mut self,
        ticket: Ticket,
        exec: &str,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let process = self.find_mut(exec)?;
        if process.busy || process.deleting.is_some() {
            return Err(Fault::new(
                Code::FAILED_PRECONDITION,
                "the process is being made, started or deleted",
            ));
        }
        match process.phase {
            Phase::Running(_) => Err(Fault::new(Code::FAILED_PRECONDITION, "the process still runs")),
            Phase::Created(pid) => {
                process.deleting = Some(ticket);
                actions.push(Action::Kill(pid));
                Ok(())
            }
            Phase::Stopped(_) if exec.is_empty() => {
                self.enqueue(ticket, Job::Delete)?;
                self.find_mut(INIT)?.busy = true;
                Ok(())
            }
            Phase::Added | Phase::Stopped(_) => {
                let never = Ended { pid: 0, status: 0, at: std::time::SystemTime::UNIX_EPOCH };
                let ended = match process.phase {
                    Phase::Stopped(ended) => ended,
                    _ => never,
                };
                let waiting = std::mem::take(&mut process.waiting);
                self.processes.remove(exec);
                actions.extend(
                    waiting.into_iter().map(|ticket| Action::Answer(ticket, Ok(Reply::Ended(ended)))),
                );
                actions.push(Action::Release(exec.to_owned()));
                actions.push(Action::Answer(ticket, Ok(Reply::Deleted(ended))));
                Ok(())
            }
        }
    }
}
