//! The running kernel.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use containerd_shim_protos::api::{
    CreateTaskRequest, ExecProcessRequest, PidsResponse, ProcessInfo, StatsResponse,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::{Options, ProcessDetails};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::cgroup::{Cgroup, SIGKILL, signal_process};
use super::memory::Watch;
use super::program::{self, Program};
use super::record::{Config, Record, start_time};
use super::terminal::{ConsoleSocket, Terminal};
use super::{Host, rootfs, stats, stdio};
use crate::runtime::{self, RuntimeError, chain, read_bounded};
use crate::shim::args::Identity;
use crate::shim::reply::Reply;
use crate::shim::task::{Deed, Input, Job};
use crate::shim::wire::{Code, Fault, encode};
use crate::shim::{protection, say};
use crate::sys::{Ended, Reaped, release_freed_memory, spawn, wait_for_any};

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

    fn create(&mut self, request: &CreateTaskRequest) -> Result<(), String> {
        if !request.checkpoint.is_empty() {
            return Err("checkpoints are not restored here".to_owned());
        }
        let bundle = PathBuf::from(&request.bundle);
        let options = options(request)?;
        let program = Program::choose(&options, &self.identity.namespace);
        let config = Config::read(&bundle)?;
        std::fs::create_dir_all(&program.root)
            .map_err(|error| format!("cannot make {}: {error}", program.root.display()))?;
        rootfs::mount(&bundle, &request.rootfs)?;
        let started = self
            .streams(request.terminal, &request.stdin, &request.stdout, &request.stderr)
            .and_then(|(streams, stdio)| {
                let mut command = program.command(&bundle, "create", ["--bundle"]);
                command.arg(&bundle).arg("--pid-file").arg(pid_file(&bundle));
                console(&mut command, &stdio);
                command.arg(&self.identity.id);
                self.run(command, streams, &bundle, Step::Create { stdio })
            });
        if started.is_err() {
            // The first failure is what is told.
            rootfs::unmount(&bundle).ok();
        }
        started?;
        self.container = Some(Container { bundle, program, config, pid: 0, cgroup: None, memory: None });
        Ok(())
    }

    fn exec(&mut self, request: &ExecProcessRequest) -> Result<(), String> {
        let container = self.container.as_ref().ok_or("there is no container")?;
        let bundle = container.bundle.clone();
        let exec = request.exec_id.clone();
        // Its environment may hold secrets, and so goes to a file of root's, not to a command line.
        let files = [bundle.join(format!("exec-{exec}.json")), bundle.join(format!("exec-{exec}.pid"))];
        let [process, pid] = &files;
        let spec = process_spec(request)?;
        write_private(process, &spec)
            .map_err(|error| format!("cannot write {}: {error}", process.display()))?;
        let program = container.program.clone();
        let begun = self
            .streams(request.terminal, &request.stdin, &request.stdout, &request.stderr)
            .and_then(|(streams, stdio)| {
                let mut command = program.command(&bundle, "exec", ["--process"]);
                command.arg(process).args(["--detach", "--pid-file"]).arg(pid);
                console(&mut command, &stdio);
                command.arg(&self.identity.id);
                self.run(command, streams, &bundle, Step::Exec { exec, stdio, files: files.clone() })
            });
        if begun.is_err() {
            remove_files(&files);
        }
        begun
    }

    /// The runtime's standard streams, which are the container's, and what is to be kept of them.
    fn streams(
        &self,
        terminal: bool,
        stdin: &str,
        stdout: &str,
        stderr: &str,
    ) -> Result<([Stdio; 3], Copied), String> {
        if !terminal {
            let streams = stdio::open(stdin, stdout, stderr)?;
            return Ok(([streams.stdin, streams.stdout, streams.stderr], Copied::Direct(streams.input)));
        }
        let (input, output) = stdio::open_for_copying(stdin, stdout)?;
        let path = self.socket.with_extension("console");
        let console = ConsoleSocket::listen(path.clone())
            .map_err(|error| format!("cannot listen on {}: {error}", path.display()))?;
        let null = || Stdio::null();
        Ok(([null(), null(), null()], Copied::Terminal { console, input, output }))
    }

    /// Runs a subcommand without a container's streams.
    fn run_plain(&mut self, step: Step, name: &str, args: &[&str]) -> Result<(), String> {
        let container = self.container.as_ref().ok_or("there is no container")?;
        let bundle = container.bundle.clone();
        let mut command = container.program.command(&bundle, name, args);
        command.arg(&self.identity.id);
        self.run(command, [Stdio::null(), Stdio::null(), Stdio::null()], &bundle, step)
    }

    /// Has our own runtime do what needs no new process; `None` when another must.
    ///
    /// Hooks are processes, and would get the signal mask and the protection that are meant for this one.
    fn in_process(
        &self,
        act: impl FnOnce(&Path, &str) -> Result<(), RuntimeError>,
    ) -> Option<Result<Option<u32>, String>> {
        let container = self.container.as_ref()?;
        if !container.program.is_own() || container.config.has_hooks {
            return None;
        }
        let result = act(&container.program.root, &self.identity.id);
        release_freed_memory();
        Some(result.map(|()| None).map_err(|error| chain(&error)))
    }

    fn run(
        &mut self,
        mut command: Command,
        streams: [Stdio; 3],
        bundle: &Path,
        step: Step,
    ) -> Result<(), String> {
        // What a former command said is not why this one fails.
        std::fs::remove_file(program::log(bundle)).ok();
        let [stdin, stdout, stderr] = streams;
        command.stdin(stdin).stdout(stdout).stderr(stderr).current_dir("/");
        let shown = command.get_program().to_string_lossy().into_owned();
        let pid = protection::lifted(|| spawn(&mut command, None))
            .map_err(|errno| format!("cannot execute the runtime {shown}: {errno}"))?;
        self.running = Some(Running { pid, step, deadline: Instant::now() + JOB_LIMIT, late: false });
        Ok(())
    }

    /// The runtime has ended.
    fn finish(&mut self, running: Running, ended: Ended) -> Option<Result<Option<u32>, String>> {
        let Some(container) = &mut self.container else {
            return Some(Err("there is no container".to_owned()));
        };
        let outcome = match ended {
            Ended::Exited(0) => Ok(()),
            _ if running.late => Err(format!("the runtime did not end within {} s", JOB_LIMIT.as_secs())),
            ended => Err(program::reason(&container.bundle, &ended.to_string())),
        };
        match running.step {
            Step::Create { stdio } => {
                let made = outcome.and_then(|()| {
                    let pid = read_pid(&pid_file(&container.bundle))?;
                    container.adopt(pid);
                    let stream = stdio.connect()?;
                    self.streams.extend(stream.map(|stream| (INIT.to_owned(), stream)));
                    Ok(pid)
                });
                match made {
                    Ok(pid) => Some(Ok(Some(pid))),
                    Err(reason) => self.undo(reason),
                }
            }
            Step::Undo(reason) => {
                if let Err(also) = outcome {
                    say(&format!("what was created in part cannot be removed: {also}"));
                }
                self.forget_container();
                Some(Err(reason))
            }
            Step::Exec { exec, stdio, files } => {
                let [_, pid] = &files;
                let made = outcome.and_then(|()| {
                    let pid = read_pid(pid)?;
                    let stream = stdio.connect()?;
                    self.streams.extend(stream.map(|stream| (exec, stream)));
                    Ok(Some(pid))
                });
                remove_files(&files);
                Some(made)
            }
            Step::Delete => {
                if outcome.is_ok() {
                    self.forget_container();
                }
                Some(outcome.map(|()| None))
            }
            Step::Other => Some(outcome.map(|()| None)),
        }
    }

    /// Removes what a creation that failed may have left.
    fn undo(&mut self, reason: String) -> Option<Result<Option<u32>, String>> {
        match self.run_plain(Step::Undo(reason.clone()), "delete", &["--force"]) {
            Ok(()) => None,
            Err(_) => {
                self.forget_container();
                Some(Err(reason))
            }
        }
    }

    fn forget_container(&mut self) {
        let Some(container) = self.container.take() else { return };
        if let Some(cgroup) = &container.cgroup {
            cgroup.remove();
        }
        if let Err(errno) = rootfs::unmount(&container.bundle) {
            say(&format!("cannot unmount the root filesystem in {}: {errno}", container.bundle.display()));
        }
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
            _ => signal_process(pid, number),
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

    fn reap(&mut self, news: &mut Vec<Input>) {
        while let Reaped::Child(pid, ended) = wait_for_any() {
            if let Some(running) = self.running.take_if(|running| running.pid.as_raw() == pid) {
                news.extend(self.finish(running, ended).map(Input::Done));
                continue;
            }
            let Ok(pid) = u32::try_from(pid) else { continue };
            if self.container.as_ref().is_some_and(|container| container.pid == pid) {
                self.look_at_memory(news);
            }
            let status = match ended {
                Ended::Exited(code) => u32::try_from(code).unwrap_or_default(),
                Ended::Killed(signal) => 128 + u32::try_from(signal).unwrap_or_default(),
            };
            news.push(Input::Exited { pid, status, at: SystemTime::now() });
        }
    }
}

impl Container {
    /// Notes what must be known of the container even when this process is not there any more.
    fn adopt(&mut self, pid: u32) {
        self.pid = pid;
        self.cgroup = Cgroup::of(pid).ok().flatten();
        self.memory = self.cgroup.clone().map(Watch::new);
        let record = Record {
            pid,
            started: start_time(pid),
            cgroup: self.cgroup.clone(),
            own_pid_namespace: self.config.own_pid_namespace,
            root: self.program.root.clone(),
            runtime: (!self.program.is_own()).then(|| self.program.path().to_owned()),
        };
        if let Err(error) = record.write(&self.bundle) {
            say(&format!("cannot write the record for a clean-up in {}: {error}", self.bundle.display()));
        }
    }
}

impl Copied {
    fn connect(self) -> Result<Option<Stream>, String> {
        match self {
            Self::Direct(input) => Ok(input.map(|_held| Stream::Input { _held })),
            Self::Terminal { console, input, output } => {
                let terminal = console.receive().and_then(|master| Terminal::new(master, input, output));
                terminal
                    .map(|terminal| Some(Stream::Terminal(terminal)))
                    .map_err(|error| format!("the runtime did not hand over the terminal: {error}"))
            }
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
        match signal_process(pid, SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => say(&format!("cannot kill process {pid}: {errno}")),
        }
    }

    fn kill_rest(&mut self) {
        let Some(container) = &self.container else { return };
        if let Some(cgroup) = &container.cgroup
            && !container.config.own_pid_namespace
            && !cgroup.kill_all(KILL_LIMIT)
        {
            say("processes of the container do not end after SIGKILL");
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

impl Linux {
    fn update(&mut self, resources: &[u8]) -> Result<(), String> {
        let container = self.container.as_ref().ok_or("there is no container")?;
        let file = container.bundle.join("resources.json");
        write_private(&file, resources)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let file = file.to_string_lossy().into_owned();
        self.run_plain(Step::Other, "update", &["--resources", &file])
    }
}

fn console(command: &mut Command, stdio: &Copied) {
    if let Copied::Terminal { console, .. } = stdio {
        command.arg("--console-socket").arg(console.path());
    }
}

fn pid_file(bundle: &Path) -> PathBuf {
    bundle.join("init.pid")
}

fn read_pid(file: &Path) -> Result<u32, String> {
    let bytes = read_bounded(file, 64).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map_err(|_| format!("{} does not hold a process id: {text:?}", file.display()))
}

/// For root alone, and new: never a file that somebody else holds open.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?.write_all(bytes)
}

fn remove_files(files: &[PathBuf]) {
    for file in files {
        // They are in the bundle, which is removed as a whole in the end; missing is as good.
        std::fs::remove_file(file).ok();
    }
}

/// runc's options, if there are any.
fn options(request: &CreateTaskRequest) -> Result<Options, String> {
    match request.options.as_ref() {
        Some(any) if any.type_url.ends_with("containerd.runc.v1.Options") => {
            let options = Options::parse_from_bytes(&any.value)
                .map_err(|error| format!("the runtime options are not runc's: {error}"))?;
            if options.systemd_cgroup {
                return Err("there is no systemd here to make cgroups with".to_owned());
            }
            Ok(options)
        }
        Some(any) if !any.type_url.is_empty() => Err(format!("unknown runtime options {}", any.type_url)),
        _ => Ok(Options::new()),
    }
}

/// The process of an exec: JSON, and whether it has a terminal is as the request says.
fn process_spec(request: &ExecProcessRequest) -> Result<Vec<u8>, String> {
    let any = request.spec.as_ref().ok_or("the exec has no process")?;
    let mut spec: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&any.value)
        .map_err(|error| format!("the exec's process is not valid: {error}"))?;
    spec.insert("terminal".to_owned(), request.terminal.into());
    serde_json::to_vec(&spec).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_execs_process_has_a_terminal_when_the_request_says_so() {
        let mut request = ExecProcessRequest::new();
        request.terminal = true;
        let mut any = Any::new();
        any.value = br#"{"args":["sh"],"cwd":"/"}"#.to_vec();
        request.spec = Some(any).into();
        let spec: serde_json::Value = serde_json::from_slice(&process_spec(&request).unwrap()).unwrap();
        assert_eq!(spec, serde_json::json!({"args": ["sh"], "cwd": "/", "terminal": true}));
        request.spec = None.into();
        assert!(process_spec(&request).is_err());
    }

    #[test]
    fn options_of_others_are_refused() {
        let with = |kind: &str, options: &Options| {
            let mut request = CreateTaskRequest::new();
            let mut any = Any::new();
            any.type_url = kind.into();
            any.value = options.write_to_bytes().unwrap();
            request.options = Some(any).into();
            request
        };
        let mut own = Options::new();
        own.binary_name = "crun".into();
        assert_eq!(options(&with("containerd.runc.v1.Options", &own)).unwrap().binary_name, "crun");
        own.systemd_cgroup = true;
        assert!(options(&with("containerd.runc.v1.Options", &own)).is_err());
        assert!(options(&with("x.Options", &own)).is_err());
        assert_eq!(options(&CreateTaskRequest::new()).unwrap(), Options::new());
    }

    #[test]
    fn private_files_are_roots_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        std::fs::write(&file, "old").unwrap();
        write_private(&file, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_pid_file_holds_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        std::fs::write(&file, "42\n").unwrap();
        assert_eq!(read_pid(&file), Ok(42));
        std::fs::write(&file, "x").unwrap();
        assert!(read_pid(&file).is_err());
    }
}
