//! The process and its connection.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::config::{self, Config, Output};
use super::pause::{self, Pause};
use super::{BINARY, NAME};
use crate::engine::{self, Connection, EngineError};
use crate::runtime::read_bounded;
use crate::supervisor::backoff::Backoff;
use crate::supervisor::inotify::Inotify;
use crate::supervisor::logs::{Logs, Stream};
use crate::supervisor::process::{Handle, ProcessId};
use crate::supervisor::reports::Reports;
use crate::supervisor::timeline::Token;
use crate::supervisor::{console, state_file};
use crate::sys::set_group_niceness;
use crate::timeline::{Kind, Outcome};

const RUNTIME_CONFIG: &str = "/etc/containerd/runtime-config.toml";
const OWN_CONFIG: &str = "/etc/containerd/config.toml";
const STATE_DIR: &str = "/run/containerd";
/// The kernel gives PID 1 no PATH; containerd finds its shims and runc along it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What Go's own allocator is told: to leave huge pages alone. To clear one takes longer than to make a container's
/// namespaces, and for as long nothing else runs on a processor; containerd's heap of a few megabytes has no use for them.
const GO_DEBUG: (&str, &str) = ("GODEBUG", "disablethp=1");
const CONFIG_LIMIT: u64 = 1 << 20;

/// How long it may take to serve.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Pause between connections while its socket is there but not yet served.
const RETRY: Duration = Duration::from_millis(5);
/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The niceness of who gets only what others leave.
const LOWEST: i32 = 19;

/// What is wanted of containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// To run; a new number means a new process.
    Run(u32),
    Stop,
}

/// What a successor must know; the content of `/run/lkb/containerd.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    process: ProcessId,
    state: DirectoryId,
}

/// Which directory a path leads to; another one after something was mounted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DirectoryId {
    device: u64,
    inode: u64,
}

impl DirectoryId {
    /// `None` when there is no such directory.
    fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self { device: meta.dev(), inode: meta.ino() })
    }
}

/// Where containerd keeps its state.
fn root() -> PathBuf {
    let text = read_bounded(Path::new(OWN_CONFIG), CONFIG_LIMIT).unwrap_or_default();
    config::root(&String::from_utf8_lossy(&text))
}

/// containerd, kept running.
#[derive(Debug)]
pub struct Daemon {
    connection: watch::Sender<Connection>,
    orders: watch::Sender<Order>,
    stopped: watch::Sender<bool>,
    /// The state directory that the present process uses.
    state: Cell<Option<DirectoryId>>,
    /// The present process.
    process: Cell<Option<ProcessId>>,
    /// Whether others wait for it already.
    is_waited_for: Cell<bool>,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            connection: watch::Sender::new(None),
            orders: watch::Sender::new(Order::Run(0)),
            stopped: watch::Sender::new(false),
            state: Cell::new(None),
            process: Cell::new(None),
            is_waited_for: Cell::new(false),
        }
    }
}

impl Daemon {
    /// The connection, for engines.
    #[must_use]
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.subscribe()
    }

    /// Stops it, and waits for that.
    pub async fn stop(&self) {
        self.orders.send_replace(Order::Stop);
        let mut stopped = self.stopped.subscribe();
        // `self` holds the sender, so this can only end by containerd having stopped.
        drop(stopped.wait_for(|stopped| *stopped).await);
    }

    /// Has it share the processor from now on: while `onboot` ran it only had what that left.
    pub fn hurry(&self) {
        self.is_waited_for.set(true);
        self.set_pace();
    }

    /// Tells the kernel how much of a contended processor the present process gets.
    fn set_pace(&self) {
        let Some(process) = self.process.get() else { return };
        // It leads a group of its own.
        let niceness = if self.is_waited_for.get() { 0 } else { LOWEST };
        match set_group_niceness(process.pid, niceness) {
            // Its end is noticed elsewhere.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => console::say(&format!("{NAME}: cannot set its priority: {errno}")),
        }
    }

    /// Holds it still while a container of `onboot` is made; nobody waits for it as long as they run.
    #[must_use]
    pub fn pause(&self) -> Option<Pause> {
        self.process.get().filter(|_| !self.is_waited_for.get()).and_then(Pause::of)
    }

    /// Starts it anew when a file system has been mounted over its state since it was started.
    pub async fn renew_if_hidden(&self) {
        let Some(used) = self.state.get() else { return };
        if DirectoryId::of(&root()) == Some(used) {
            return;
        }
        console::say("containerd: a file system was mounted over its directory; starting it again there");
        let mut connection = self.connection.subscribe();
        connection.mark_unchanged();
        self.orders.send_modify(|order| {
            if let Order::Run(number) = order {
                *number += 1;
            }
        });
        // The old connection must be gone before anyone starts a service over it. An error is that nobody connects any more.
        drop(connection.changed().await);
    }

    /// Keeps it running until it is told to stop.
    pub async fn keep(&self, reports: &Reports) {
        let Reports { logs, timeline, .. } = reports;
        // Of one that a former supervisor started as well: it writes into the same pipe.
        if let Err(error) = logs.fifo(NAME, Stream::Err) {
            console::say(&format!("{NAME}: cannot make the pipe for its output: {error}"));
        }
        let mut orders = self.orders.subscribe();
        let mut backoff = Backoff::default();
        loop {
            let order = *orders.borrow_and_update();
            let Order::Run(_) = order else { break };
            let begun = Instant::now();
            let step = timeline.begin(Kind::Engine, NAME);
            let end = match Process::adopt_or_start(logs) {
                Ok(process) => {
                    self.state.set(Some(process.state));
                    self.process.set(Some(process.id));
                    // One that was there before may be starting services.
                    if process.is_ours() {
                        self.set_pace();
                    }
                    self.attend(process, &mut orders, step).await
                }
                Err(error) => End::Died(format!("cannot be started: {error}")),
            };
            self.connection.send_replace(None);
            if let End::Died(how) = end {
                let wait = backoff.next(begun.elapsed());
                console::say(&format!("containerd: {how}; starting again in {:.1} s", wait.as_secs_f64()));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    changed = orders.changed() => drop(changed),
                }
            }
        }
        self.stopped.send_replace(true);
    }

    /// Serves one process: connects to it, and waits for its end or for an order.
    async fn attend(&self, mut process: Process, orders: &mut watch::Receiver<Order>, step: Token) -> End {
        let begun = Instant::now();
        let ready = tokio::select! {
            ready = tokio::time::timeout(READY_LIMIT, connect_when_ready()) => ready,
            how = process.ended() => return End::Died(how),
            changed = orders.changed() => {
                drop(changed);
                process.stop().await;
                return End::Ordered;
            }
        };
        let link = match ready {
            Ok(Ok(link)) => {
                let seconds = begun.elapsed().as_secs_f64();
                let verb = if process.is_ours() { "ready after" } else { "still running; connected in" };
                console::say(&format!("containerd: {verb} {seconds:.2} s"));
                self.connection.send_replace(Some(link.clone()));
                step.end(Outcome::Ok, "");
                link
            }
            Ok(Err(error)) => {
                process.stop().await;
                return End::Died(format!("cannot be waited for: {error}"));
            }
            Err(_) => {
                process.stop().await;
                return End::Died(format!("did not serve within {} s, see its log", READY_LIMIT.as_secs()));
            }
        };
        tokio::select! {
            how = process.ended() => End::Died(how),
            () = silence(&link) => {
                self.connection.send_replace(None);
                process.stop().await;
                End::Died("did not answer any more, and was stopped".to_owned())
            }
            changed = orders.changed() => {
                drop(changed);
                self.connection.send_replace(None);
                process.stop().await;
                End::Ordered
            }
        }
    }
}

/// Waits until containerd hangs: a call got no answer, which may be a shim's fault, and neither does a question about itself.
async fn silence(link: &engine::Link) {
    loop {
        link.unanswered().await;
        if !link.is_alive().await {
            return;
        }
    }
}

enum End {
    Died(String),
    Ordered,
}

/// A containerd process: our child, or one that a former supervisor left.
struct Process {
    id: ProcessId,
    state: DirectoryId,
    child: Option<Child>,
    handle: Option<Handle>,
}

impl Process {
    fn adopt_or_start(logs: &Rc<Logs>) -> std::io::Result<Self> {
        let file = state_file::path("containerd.json");
        if let Some(Remembered { process: id, state }) = state_file::read(&file)
            && let Some(handle) = Handle::open(id)
        {
            pause::resume(&handle)?;
            return Ok(Self { id, state, child: None, handle: Some(handle) });
        }
        // Made before containerd makes it, so that it is known which one it uses.
        let root = root();
        std::fs::create_dir_all(&root)?;
        let missing = || std::io::Error::other(format!("{} is gone", root.display()));
        let state = DirectoryId::of(&root).ok_or_else(missing)?;
        let child = start(logs)?;
        let gone = || std::io::Error::other("it ended at once");
        let id = child.id().and_then(ProcessId::of).ok_or_else(gone)?;
        state_file::write(&file, &Remembered { process: id, state })?;
        Ok(Self { id, state, child: Some(child), handle: None })
    }

    fn is_ours(&self) -> bool {
        self.child.is_some()
    }

    /// Waits for its end, and says how it was.
    async fn ended(&mut self) -> String {
        match (&mut self.child, &self.handle) {
            (Some(child), _) => match child.wait().await {
                Ok(status) => format!("ended ({status})"),
                Err(error) => format!("cannot be waited for ({error})"),
            },
            (None, Some(handle)) => {
                handle.ended().await;
                "ended".to_owned()
            }
            (None, None) => "is gone".to_owned(),
        }
    }

    async fn stop(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let Some(handle) = Handle::open(self.id) else { return };
            if let Err(error) = handle.signal(signal) {
                console::say(&format!("containerd: cannot be signalled: {error}"));
            }
            if tokio::time::timeout(STOP_LIMIT, self.ended()).await.is_ok() {
                return;
            }
        }
        console::say("containerd: does not end");
    }
}

fn start(logs: &Rc<Logs>) -> std::io::Result<Child> {
    let text = match read_bounded(Path::new(RUNTIME_CONFIG), CONFIG_LIMIT) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    };
    let config = Config::parse(&text);
    match std::fs::remove_file(engine::SOCKET) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(STATE_DIR)?;
    let mut command = Command::new(BINARY);
    command.args(&config.args).stdin(Stdio::null()).process_group(0);
    command.stdout(stdio(&config.stdout, std::io::stdout(), logs)?).stderr(stdio(
        &config.stderr,
        std::io::stderr(),
        logs,
    )?);
    for (name, value) in [("PATH", PATH), GO_DEBUG] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    command.spawn()
}

fn stdio(output: &Output, ours: impl std::os::fd::AsFd, logs: &Rc<Logs>) -> std::io::Result<Stdio> {
    let path = match output {
        // Where the logs would write it: within their limits, then.
        Output::File(path) if path == Path::new(config::LOG) => {
            let pipe = logs.fifo(NAME, Stream::Err)?;
            return Ok(Stdio::from(OpenOptions::new().read(true).write(true).open(pipe)?));
        }
        Output::File(path) => path,
        // Both are the console.
        Output::Stdout | Output::Stderr => {
            return Ok(Stdio::from(File::from(ours.as_fd().try_clone_to_owned()?)));
        }
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    Ok(Stdio::from(OpenOptions::new().create(true).append(true).open(path)?))
}

/// Waits for the socket, by inotify, and then for an answer.
async fn connect_when_ready() -> Result<engine::Link, std::io::Error> {
    let watch = Inotify::new()?;
    watch.watch_entries(Path::new(STATE_DIR))?;
    loop {
        if Path::new(engine::SOCKET).exists() {
            match engine::connect().await {
                Ok(link) => return Ok(link),
                Err(EngineError::Refused { message, lost: false, .. }) => {
                    return Err(std::io::Error::other(message));
                }
                // Bound, but not yet served.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        } else {
            watch.changed().await?;
        }
    }
}
