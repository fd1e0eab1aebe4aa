//! The machine.

use std::collections::{BTreeMap, VecDeque};

use containerd_shim_protos::api::{ConnectResponse, CreateTaskRequest, ExecProcessRequest};

use super::action::{Action, Deed, Input, Job, Ticket};
use super::process::{Phase, Process, Stdio};
use crate::shim::event::Event;
use crate::shim::reply::{Ended, Reply};
use crate::shim::request::{Incoming, Request};
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

    fn call(&mut self, ticket: Ticket, incoming: Incoming, actions: &mut Vec<Action>) -> Result<(), Fault> {
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

    fn find_mut(&mut self, exec: &str) -> Result<&mut Process, Fault> {
        self.processes.get_mut(exec).ok_or_else(|| not_found(&self.id, exec))
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

    fn delete(&mut self, ticket: Ticket, exec: &str, actions: &mut Vec<Action>) -> Result<(), Fault> {
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

    fn done(&mut self, result: Result<Option<u32>, String>, actions: &mut Vec<Action>) {
        let Some((ticket, about)) = self.running.take() else { return };
        let result = result.map_err(Fault::failed);
        // What became of the process is told after the answer: who asked learns its number first.
        let mut ends = Vec::new();
        let answer = match about {
            About::Create(request) => self.created(request, result, &mut ends, actions),
            About::Start => self.started(result, &mut ends, actions),
            About::Exec(exec) => self.exec_started(&exec, result, &mut ends, actions),
            About::Delete => self.deleted(result, actions),
            About::Pause => result.map(|_| {
                self.paused = true;
                actions.push(Action::Tell(Event::Paused));
                Reply::Empty
            }),
            About::Resume => result.map(|_| {
                self.paused = false;
                actions.push(Action::Tell(Event::Resumed));
                Reply::Empty
            }),
            About::Update => result.map(|_| Reply::Empty),
        };
        actions.push(Action::Answer(ticket, answer));
        // No job runs, so nobody will claim what is left: those were not the container's, or came by fork.
        self.unclaimed.clear();
        for (exec, ended) in ends {
            self.stop(&exec, ended, actions);
        }
    }

    fn created(
        &mut self,
        request: Box<CreateTaskRequest>,
        result: Result<Option<u32>, Fault>,
        ends: &mut Vec<(String, Ended)>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let pid = match made(result) {
            Ok(pid) => pid,
            Err(fault) => {
                // As if it had never been asked for.
                if let Some(process) = self.processes.remove(INIT) {
                    let gone = |ticket| Action::Answer(ticket, Err(not_found(&self.id, INIT)));
                    actions.extend(process.waiting.into_iter().map(gone));
                }
                actions.push(Action::Release(INIT.to_owned()));
                return Err(fault);
            }
        };
        ends.extend(self.claim(pid).map(|ended| (INIT.to_owned(), ended)));
        let process = self.find_mut(INIT)?;
        process.busy = false;
        process.phase = Phase::Created(pid);
        actions.extend(process.put_off(INIT));
        actions.push(Action::Tell(Event::Created { request, pid }));
        Ok(Reply::Pid(pid))
    }

    fn started(
        &mut self,
        result: Result<Option<u32>, Fault>,
        ends: &mut Vec<(String, Ended)>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let process = self.find_mut(INIT)?;
        process.busy = false;
        ends.extend(process.held.take().map(|ended| (INIT.to_owned(), ended)));
        result?;
        let pid = process.pid();
        process.phase = Phase::Running(pid);
        actions.push(Action::Tell(Event::Started(pid)));
        Ok(Reply::Pid(pid))
    }

    fn exec_started(
        &mut self,
        exec: &str,
        result: Result<Option<u32>, Fault>,
        ends: &mut Vec<(String, Ended)>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let made = made(result);
        let claimed = made.as_ref().ok().and_then(|pid| self.claim(*pid));
        let process = self.find_mut(exec)?;
        process.busy = false;
        process.request = None;
        match made {
            Ok(pid) => {
                process.phase = Phase::Running(pid);
                actions.extend(process.put_off(exec));
                actions.push(Action::Tell(Event::ExecStarted { exec: exec.to_owned(), pid }));
                ends.extend(claimed.map(|ended| (exec.to_owned(), ended)));
                Ok(Reply::Pid(pid))
            }
            Err(fault) => {
                let ended = Ended { pid: 0, status: NEVER_RAN, at: std::time::SystemTime::now() };
                process.phase = Phase::Stopped(ended);
                let waiting = std::mem::take(&mut process.waiting);
                actions.extend(
                    waiting.into_iter().map(|ticket| Action::Answer(ticket, Ok(Reply::Ended(ended)))),
                );
                Err(fault)
            }
        }
    }

    fn deleted(
        &mut self,
        result: Result<Option<u32>, Fault>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let process = self.find_mut(INIT)?;
        process.busy = false;
        result?;
        let Phase::Stopped(ended) = process.phase else {
            return Err(Fault::new(Code::INTERNAL, "the container was deleted while it ran"));
        };
        // Its execs ended with it, and nobody can ask for them any more.
        for (exec, process) in std::mem::take(&mut self.processes) {
            let gone = |ticket| Action::Answer(ticket, Err(not_found(&self.id, &exec)));
            actions.extend(process.waiting.into_iter().map(gone));
            actions.push(Action::Release(exec));
        }
        actions.push(Action::Tell(Event::Deleted(ended)));
        Ok(Reply::Deleted(ended))
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

fn made(result: Result<Option<u32>, Fault>) -> Result<u32, Fault> {
    result?.ok_or_else(|| Fault::new(Code::INTERNAL, "the runtime did not say which process it made"))
}

fn not_found(id: &str, exec: &str) -> Fault {
    let what = if exec.is_empty() { format!("task {id}") } else { format!("exec {exec} of task {id}") };
    Fault::new(Code::NOT_FOUND, format!("{what} not found"))
}

fn too_many(what: &str) -> Fault {
    Fault::new(Code::RESOURCE_EXHAUSTED, format!("too many {what}"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use containerd_shim_protos::api::Status;

    use super::*;

    const AT: SystemTime = SystemTime::UNIX_EPOCH;

    fn ticket(stream: u32) -> Ticket {
        Ticket { connection: 1, stream }
    }

    fn call(stream: u32, request: Request) -> Input {
        Input::Call(ticket(stream), Incoming { id: "c".into(), request })
    }

    fn init() -> String {
        String::new()
    }

    fn create() -> Request {
        let mut request = CreateTaskRequest::new();
        (request.id, request.bundle) = ("c".into(), "/b".into());
        Request::Create(Box::new(request))
    }

    fn exec(name: &str) -> Request {
        let mut request = ExecProcessRequest::new();
        (request.id, request.exec_id) = ("c".into(), name.into());
        Request::Exec(Box::new(request))
    }

    fn exited(pid: u32, status: u32) -> Input {
        Input::Exited { pid, status, at: AT }
    }

    fn ended(pid: u32, status: u32) -> Ended {
        Ended { pid, status, at: AT }
    }

    fn running() -> Machine {
        let mut machine = Machine::new("c".into(), 5);
        machine.on(call(1, create()));
        machine.on(Input::Done(Ok(Some(7))));
        machine.on(call(3, Request::Start { exec: init() }));
        machine.on(Input::Done(Ok(None)));
        machine
    }

    /// Answers only, with codes in place of faults.
    fn answers(actions: &[Action]) -> Vec<(u32, Result<Reply, Code>)> {
        let answer = |action: &Action| match action {
            Action::Answer(ticket, answer) => {
                Some((ticket.stream, answer.clone().map_err(|fault| fault.code)))
            }
            _ => None,
        };
        actions.iter().filter_map(answer).collect()
    }

    fn told(actions: &[Action]) -> Vec<&Event> {
        let event = |action: &'_ Action| matches!(action, Action::Tell(_));
        actions
            .iter()
            .filter(|action| event(action))
            .filter_map(|action| match action {
                Action::Tell(event) => Some(event),
                _ => None,
            })
            .collect()
    }

    fn status(machine: &mut Machine, exec: &str) -> Status {
        let actions = machine.on(call(99, Request::State { exec: exec.into() }));
        match actions.first() {
            Some(Action::Answer(_, Ok(Reply::State(state)))) => state.status.enum_value().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_container_is_created_started_waited_for_and_deleted() {
        let mut machine = Machine::new("c".into(), 5);
        assert!(matches!(machine.on(call(1, create()))[..], [Action::Begin(Job::Create(_))]));
        let actions = machine.on(Input::Done(Ok(Some(7))));
        assert_eq!(answers(&actions), [(1, Ok(Reply::Pid(7)))]);
        assert!(matches!(told(&actions)[..], [Event::Created { pid: 7, .. }]));
        assert_eq!(status(&mut machine, ""), Status::CREATED);

        assert!(machine.on(call(3, Request::Wait { exec: init() })).is_empty());
        assert_eq!(machine.on(call(5, Request::Start { exec: init() })), [Action::Begin(Job::Start)]);
        let actions = machine.on(Input::Done(Ok(None)));
        assert_eq!(answers(&actions), [(5, Ok(Reply::Pid(7)))]);
        assert_eq!(told(&actions), [&Event::Started(7)]);
        assert_eq!(status(&mut machine, ""), Status::RUNNING);

        let actions = machine.on(exited(7, 3));
        assert_eq!(answers(&actions), [(3, Ok(Reply::Ended(ended(7, 3))))]);
        assert_eq!(told(&actions), [&Event::Exited { exec: init(), ended: ended(7, 3) }]);
        assert!(actions.contains(&Action::KillRest));
        assert_eq!(status(&mut machine, ""), Status::STOPPED);

        assert_eq!(machine.on(call(7, Request::Delete { exec: init() })), [Action::Begin(Job::Delete)]);
        let actions = machine.on(Input::Done(Ok(None)));
        assert_eq!(answers(&actions), [(7, Ok(Reply::Deleted(ended(7, 3))))]);
        assert_eq!(told(&actions), [&Event::Deleted(ended(7, 3))]);
        let actions = machine.on(call(9, Request::Shutdown));
        assert_eq!(actions, [Action::Answer(ticket(9), Ok(Reply::Empty)), Action::Quit]);
    }

    #[test]
    fn a_container_that_ends_before_its_start_is_known_is_started_before_it_ends() {
        let mut machine = Machine::new("c".into(), 5);
        machine.on(call(1, create()));
        machine.on(Input::Done(Ok(Some(7))));
        machine.on(call(3, Request::Start { exec: init() }));
        assert!(machine.on(exited(7, 0)).is_empty());
        let actions = machine.on(Input::Done(Ok(None)));
        let events = told(&actions);
        assert!(matches!(events[..], [Event::Started(7), Event::Exited { .. }]), "{events:?}");
    }

    #[test]
    fn a_process_that_ends_before_its_number_is_known_is_not_lost() {
        let mut machine = running();
        machine.on(call(5, exec("e")));
        assert!(matches!(
            machine.on(call(7, Request::Start { exec: "e".into() }))[..],
            [Action::Begin(Job::Exec(_))]
        ));
        assert!(machine.on(exited(99, 1)).is_empty());
        assert!(machine.on(exited(8, 4)).is_empty());
        let actions = machine.on(Input::Done(Ok(Some(8))));
        assert_eq!(answers(&actions), [(7, Ok(Reply::Pid(8)))]);
        assert!(matches!(told(&actions)[..], [Event::ExecStarted { pid: 8, .. }, Event::Exited { .. }]));
        assert_eq!(
            machine.on(call(9, Request::Wait { exec: "e".into() })),
            [Action::Answer(ticket(9), Ok(Reply::Ended(ended(8, 4))))]
        );
        assert!(machine.unclaimed.is_empty());
    }

    #[test]
    fn orphans_take_no_memory() {
        let mut machine = running();
        for pid in 100..1000 {
            machine.on(exited(pid, 0));
        }
        assert!(machine.unclaimed.is_empty());
        machine.on(call(5, Request::Pause));
        for pid in 100..1000 {
            machine.on(exited(pid, 0));
        }
        assert_eq!(machine.unclaimed.len(), UNCLAIMED_LIMIT);
    }

    #[test]
    fn the_first_process_is_listed_until_the_container_is_deleted() {
        let mut machine = running();
        machine.on(exited(7, 137));
        let actions = machine.on(call(5, Request::Pids));
        let known = BTreeMap::from([(7, String::new())]);
        assert_eq!(actions, [Action::Perform(ticket(5), Deed::Pids(known))]);
    }

    #[test]
    fn jobs_run_one_after_another() {
        let mut machine = running();
        assert_eq!(
            machine.on(call(5, Request::Update(b"{}".to_vec()))),
            [Action::Begin(Job::Update(b"{}".to_vec()))]
        );
        assert!(machine.on(call(7, Request::Pause)).is_empty());
        let actions = machine.on(Input::Done(Ok(None)));
        assert_eq!(answers(&actions), [(5, Ok(Reply::Empty))]);
        assert_eq!(actions.last(), Some(&Action::Begin(Job::Pause)));
        machine.on(Input::Done(Ok(None)));
        assert_eq!(status(&mut machine, ""), Status::PAUSED);
        machine.on(call(9, Request::Resume));
        machine.on(Input::Done(Ok(None)));
        assert_eq!(status(&mut machine, ""), Status::RUNNING);
    }

    #[test]
    fn a_signal_reaches_what_lives_and_nothing_else() {
        let kill = |exec: &str| Request::Kill { exec: exec.into(), signal: 9, all: true };
        let mut machine = Machine::new("c".into(), 5);
        assert_eq!(answers(&machine.on(call(1, kill("")))), [(1, Err(Code::NOT_FOUND))]);
        let mut machine = running();
        assert_eq!(
            machine.on(call(5, kill(""))),
            [Action::Perform(ticket(5), Deed::Signal { pid: 7, signal: 9, all: true })]
        );
        machine.on(call(7, exec("e")));
        assert_eq!(answers(&machine.on(call(9, kill("e")))), [(9, Err(Code::FAILED_PRECONDITION))]);
        machine.on(exited(7, 137));
        assert_eq!(answers(&machine.on(call(11, kill("")))), [(11, Err(Code::NOT_FOUND))]);
    }

    #[test]
    fn a_created_container_is_killed_before_it_is_deleted() {
        let mut machine = Machine::new("c".into(), 5);
        machine.on(call(1, create()));
        machine.on(Input::Done(Ok(Some(7))));
        assert_eq!(machine.on(call(3, Request::Delete { exec: init() })), [Action::Kill(7)]);
        let actions = machine.on(exited(7, 137));
        assert_eq!(actions.last(), Some(&Action::Begin(Job::Delete)));
        assert_eq!(answers(&machine.on(Input::Done(Ok(None)))), [(3, Ok(Reply::Deleted(ended(7, 137))))]);
    }

    #[test]
    fn a_creation_that_failed_leaves_nothing() {
        let mut machine = Machine::new("c".into(), 5);
        machine.on(call(1, create()));
        let actions = machine.on(Input::Done(Err("no such program".into())));
        let failed = Fault::failed("no such program");
        assert_eq!(actions, [Action::Release(init()), Action::Answer(ticket(1), Err(failed))]);
        assert!(matches!(machine.on(call(3, create()))[..], [Action::Begin(Job::Create(_))]));
    }

    #[test]
    fn what_is_asked_for_before_the_process_runs_is_done_when_it_does() {
        let mut machine = running();
        machine.on(call(5, exec("e")));
        machine.on(call(7, Request::Start { exec: "e".into() }));
        let actions = machine.on(call(9, Request::CloseInput { exec: "e".into() }));
        assert_eq!(actions, [Action::Answer(ticket(9), Ok(Reply::Empty))]);
        machine.on(call(9, Request::Resize { exec: "e".into(), width: 80, height: 25 }));
        let close = Action::CloseInput("e".into());
        let actions = machine.on(Input::Done(Ok(Some(8))));
        assert!(actions.contains(&close) && actions.contains(&Action::Resize("e".into(), 80, 25)));
        assert!(machine.on(call(11, Request::CloseInput { exec: "e".into() })).contains(&close));
    }

    #[test]
    fn an_exec_that_cannot_be_started_has_ended() {
        let mut machine = running();
        machine.on(call(5, exec("e")));
        machine.on(call(7, Request::Wait { exec: "e".into() }));
        machine.on(call(9, Request::Start { exec: "e".into() }));
        let actions = machine.on(Input::Done(Err("no such program".into())));
        assert!(matches!(
            answers(&actions)[..],
            [(7, Ok(Reply::Ended(Ended { status: NEVER_RAN, .. }))), (9, Err(Code::UNKNOWN))]
        ));
        assert!(matches!(
            answers(&machine.on(call(11, Request::Delete { exec: "e".into() })))[..],
            [(11, Ok(Reply::Deleted(_)))]
        ));
        assert_eq!(
            answers(&machine.on(call(13, Request::State { exec: "e".into() }))),
            [(13, Err(Code::NOT_FOUND))]
        );
    }

    #[test]
    fn what_does_not_fit_the_state_is_refused() {
        let mut machine = running();
        let cases = [
            (create(), Code::ALREADY_EXISTS),
            (Request::Start { exec: init() }, Code::FAILED_PRECONDITION),
            (Request::Delete { exec: init() }, Code::FAILED_PRECONDITION),
            (Request::Resume, Code::FAILED_PRECONDITION),
            (Request::Wait { exec: "none".into() }, Code::NOT_FOUND),
        ];
        for (request, code) in cases {
            assert_eq!(answers(&machine.on(call(5, request.clone()))), [(5, Err(code))], "{request:?}");
        }
        let other = Input::Call(ticket(5), Incoming { id: "d".into(), request: Request::Pids });
        assert_eq!(answers(&machine.on(other)), [(5, Err(Code::NOT_FOUND))]);
        // A shim whose container runs stays, whoever says that it may go.
        assert_eq!(machine.on(call(7, Request::Shutdown)), [Action::Answer(ticket(7), Ok(Reply::Empty))]);
    }

    #[test]
    fn who_has_gone_is_not_answered() {
        let mut machine = running();
        machine.on(call(5, Request::Wait { exec: init() }));
        machine.on(Input::Gone(1));
        assert!(answers(&machine.on(exited(7, 0))).is_empty());
    }

    #[test]
    fn waiting_callers_are_bounded() {
        let mut machine = running();
        let refused =
            (0..1000).filter(|_| !machine.on(call(5, Request::Wait { exec: init() })).is_empty()).count();
        assert_eq!(refused, 1000 - WAITING_LIMIT);
    }

    #[test]
    fn on_the_way_down_a_shim_stays_as_long_as_its_container() {
        let mut machine = running();
        assert!(machine.on(Input::Terminate).is_empty());
        assert_eq!(machine.on(exited(7, 0)).last(), Some(&Action::Quit));
    }
}
