//! The running kernel.

mod begin;
mod files;
mod finish;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use containerd_shim_protos::api::{PidsResponse, ProcessInfo, StatsResponse};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::ProcessDetails;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::memory::Watch;
use super::program::Program;
use super::record::Config;
use super::terminal::{ConsoleSocket, Terminal};
use super::{Host, stats};
use crate::cgroup::Cgroup;
use crate::runtime;
use crate::shim::args::Identity;
use crate::shim::reply::Reply;
use crate::shim::say;
use crate::shim::task::{Deed, Input, Job};
use crate::shim::wire::{Code, Fault, encode};
use crate::sys::{SIGKILL, kill};

/// How long the runtime may take for one step; hooks are part of it.
const JOB_LIMIT: Duration = Duration::from_secs(60);
/// How long processes without a pid namespace of their own may take to be gone after SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// How long the output of a forgotten process may take to be read.
const LINGER: Duration = Duration::from_secs(2);
/// The container's first process, by the id of its exec.
const INIT: &str = "";

/// Children, files, cgroups.
#[derive(Debug)]
pub struct Linux {
    identity: Identity,
    /// The server's own socket; those for terminals stand beside it.
    socket: PathBuf,
    signals: SignalFd,
    container: Option<Container>,
    running: Option<Running>,
    /// What is copied or held open for a process, by the id of its exec.
    streams: BTreeMap<String, Stream>,
    /// Terminals of processes that are forgotten, and until when they are copied.
    lingering: Vec<(Instant, Terminal)>,
}

/// What is known of the container while there is one.
#[derive(Debug)]
struct Container {
    bundle: PathBuf,
    program: Program,
    config: Config,
    pid: u32,
    cgroup: Option<Cgroup>,
    memory: Option<Watch>,
}

#[derive(Debug)]
enum Stream {
    /// Keeps the input of a process from ending.
    Input {
        _held: OwnedFd,
    },
    Terminal(Terminal),
}

/// A runtime that works for us.
#[derive(Debug)]
struct Running {
    pid: Pid,
    step: Step,
    deadline: Instant,
    late: bool,
}

/// What it does, and what its end means.
#[derive(Debug)]
enum Step {
    Create {
        stdio: Copied,
    },
    Exec {
        exec: String,
        stdio: Copied,
        files: [PathBuf; 2],
    },
    Delete,
    /// A container that could not be created is removed; why it could not is what is told.
    Undo(String),
    Other,
}

/// Standard streams, between the start of a process and the news that it was started.
#[derive(Debug)]
enum Copied {
    Direct(Option<OwnedFd>),
    Terminal { console: ConsoleSocket, input: Option<std::fs::File>, output: Option<std::fs::File> },
}

impl Linux {
    /// Becomes the parent of all that the container leaves behind.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(identity: Identity, socket: PathBuf) -> Result<Self, Errno> {
        nix::sys::prctl::set_child_subreaper(true)?;
        let mut set = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self {
            identity,
            socket,
            signals,
            container: None,
            running: None,
            streams: BTreeMap::new(),
            lingering: Vec::new(),
        })
    }

    fn signal(&self, pid: u32, number: u32, all: bool) -> Result<(), Fault> {
        if !(1..=64).contains(&number) {
            return Err(Fault::new(Code::INVALID_ARGUMENT, "signals are numbers from 1 to 64"));
        }
        let container = self.container.as_ref();
        let cgroup = container.and_then(|container| container.cgroup.as_ref()).filter(|_| all);
        let ends_with_init = container.is_some_and(|container| container.config.own_pid_namespace);
        let result = match cgroup {
            Some(cgroup) if number == SIGKILL && !ends_with_init => cgroup.kill(),
            // The kernel kills the others of a pid namespace with its first.
            Some(cgroup) if number != SIGKILL => cgroup.signal(number),
            _ => kill(pid, number),
        };
        match result {
            Ok(()) => Ok(()),
            Err(Errno::ESRCH) => Err(Fault::new(Code::NOT_FOUND, "process already finished: not found")),
            Err(errno) => {
                Err(Fault::failed(format!("cannot send signal {number} to process {pid}: {errno}")))
            }
        }
    }

    fn pids(&self, known: BTreeMap<u32, String>) -> Result<Reply, Fault> {
        let cgroup = self.container.as_ref().and_then(|container| container.cgroup.as_ref());
        let mut pids = cgroup.map(Cgroup::pids).unwrap_or_default();
        pids.extend(known.keys());
        pids.sort_unstable();
        pids.dedup();
        let mut message = PidsResponse::new();
        for pid in pids {
            let mut process = ProcessInfo::new();
            process.pid = pid;
            if let Some(exec) = known.get(&pid).filter(|exec| !exec.is_empty()) {
                let mut details = ProcessDetails::new();
                details.exec_id.clone_from(exec);
                let mut any = Any::new();
                any.type_url = "containerd.runc.v1.ProcessDetails".to_owned();
                any.value = encode(&details)?;
                process.info = Some(any).into();
            }
            message.processes.push(process);
        }
        Ok(Reply::Pids(message))
    }

    fn stats(&self) -> Result<Reply, Fault> {
        let cgroup = self.container.as_ref().and_then(|container| container.cgroup.as_ref());
        let none = || Fault::new(Code::NOT_FOUND, "the container has no cgroup of its own to be measured");
        let mut message = StatsResponse::new();
        message.stats = Some(stats::measure(cgroup.ok_or_else(none)?)?).into();
        Ok(Reply::Stats(message))
    }

    /// Looks for kills by the kernel; told before the end that they explain.
    fn look_at_memory(&mut self, news: &mut Vec<Input>) {
        let watch = self.container.as_mut().and_then(|container| container.memory.as_mut());
        if watch.is_some_and(Watch::look) {
            news.push(Input::OutOfMemory);
        }
    }
}

impl Host for Linux {
    fn begin(&mut self, job: Job) -> Option<Result<Option<u32>, String>> {
        let begun = match job {
            Job::Create(request) => self.create(&request),
            Job::Start => match self.in_process(runtime::start) {
                Some(result) => return Some(result),
                None => self.run_plain(Step::Other, "start", &[]),
            },
            Job::Exec(request) => self.exec(&request),
            Job::Delete => {
                self.kill_rest();
                match self.in_process(|root, id| runtime::delete(root, id, true)) {
                    Some(result) => {
                        if result.is_ok() {
                            self.forget_container();
                        }
                        return Some(result);
                    }
                    None => self.run_plain(Step::Delete, "delete", &["--force"]),
                }
            }
            Job::Pause => self.run_plain(Step::Other, "pause", &[]),
            Job::Resume => self.run_plain(Step::Other, "resume", &[]),
            Job::Update(resources) => self.update(&resources),
        };
        begun.err().map(Err)
    }

    fn perform(&mut self, deed: Deed) -> Result<Reply, Fault> {
        match deed {
            Deed::Signal { pid, signal, all } => self.signal(pid, signal, all).map(|()| Reply::Empty),
            Deed::Pids(known) => self.pids(known),
            Deed::Stats => self.stats(),
            Deed::Resize { exec, width, height } => match self.streams.get(&exec) {
                Some(Stream::Terminal(terminal)) => terminal
                    .resize(width, height)
                    .map(|()| Reply::Empty)
                    .map_err(|error| Fault::failed(format!("cannot resize the terminal: {error}"))),
                _ => Err(Fault::new(Code::FAILED_PRECONDITION, "the process has no terminal")),
            },
        }
    }

    fn kill(&mut self, pid: u32) {
        match kill(pid, SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => say(&format!("cannot kill process {pid}: {errno}")),
        }
    }

    fn kill_rest(&mut self) {
        let Some(container) = &self.container else { return };
        let Some(cgroup) = container.cgroup.as_ref().filter(|_| !container.config.own_pid_namespace) else {
            return;
        };
        match cgroup.kill_all(KILL_LIMIT) {
            Ok(true) => {}
            Ok(false) => say("processes of the container do not end after SIGKILL"),
            Err(error) => say(&format!("cannot tell whether processes of the container are left: {error}")),
        }
    }

    fn close_input(&mut self, exec: &str) {
        match self.streams.get_mut(exec) {
            Some(Stream::Terminal(terminal)) => terminal.close_input(),
            Some(Stream::Input { .. }) => drop(self.streams.remove(exec)),
            None => {}
        }
    }

    fn release(&mut self, exec: &str) {
        if let Some(Stream::Terminal(mut terminal)) = self.streams.remove(exec) {
            terminal.copy();
            if !terminal.is_done() {
                self.lingering.push((Instant::now() + LINGER, terminal));
            }
        }
    }

    fn news(&mut self) -> Vec<Input> {
        let mut news = Vec::new();
        let mut died = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            if info.ssi_signo == Signal::SIGCHLD as u32 {
                died = true;
            } else {
                news.push(Input::Terminate);
            }
        }
        self.look_at_memory(&mut news);
        if died {
            self.reap(&mut news);
        }
        if let Some(running) = &mut self.running
            && !running.late
            && Instant::now() >= running.deadline
        {
            running.late = true;
            // It leads a session of its own, with what it started. Its end will be told.
            if let Err(errno) = nix::sys::signal::killpg(running.pid, Signal::SIGKILL) {
                say(&format!("cannot kill a runtime that does not end: {errno}"));
            }
        }
        for stream in self.streams.values_mut() {
            if let Stream::Terminal(terminal) = stream {
                terminal.copy();
            }
        }
        let now = Instant::now();
        self.lingering.retain_mut(|(until, terminal)| {
            terminal.copy();
            !terminal.is_done() && now < *until
        });
        news
    }

    fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut interests = vec![(self.signals.as_fd(), PollFlags::POLLIN)];
        let watch = self.container.as_ref().and_then(|container| container.memory.as_ref());
        interests.extend(watch.and_then(Watch::fd).map(|fd| (fd, PollFlags::POLLIN)));
        for stream in self.streams.values() {
            if let Stream::Terminal(terminal) = stream {
                terminal.interests(&mut interests);
            }
        }
        for (_, terminal) in &self.lingering {
            terminal.interests(&mut interests);
        }
        interests
    }

    fn deadline(&self) -> Option<Instant> {
        let running = self.running.as_ref().filter(|running| !running.late).map(|running| running.deadline);
        self.lingering.iter().map(|(until, _)| *until).chain(running).min()
    }
}
