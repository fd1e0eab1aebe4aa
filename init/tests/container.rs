//! init as the first process of a container: `docker run`, or `unshare --pid` as here. It mounts nothing, keeps the name
//! and the devices of the host, supervises, buries orphans, and ends on SIGTERM with everything stopped.
//!
//! Needs root, as making a PID namespace does.

use std::ffi::c_void;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::ptr::null_mut;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::{
    PTRACE_DETACH, PTRACE_GETREGS, PTRACE_INTERRUPT, PTRACE_SEIZE, PTRACE_SETREGS, ptrace, user_regs_struct,
};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getuid};

/// What a test waits at most for one event.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running container.
struct Container {
    unshare: Child,
    init: Pid,
    said: Arc<(Mutex<Said>, Condvar)>,
    ended: bool,
    _root: tempfile::TempDir,
}

#[derive(Default)]
struct Said {
    text: String,
    over: bool,
}

impl Container {
    /// Starts init in a root that holds it, a shell, and `scripts` under `/etc`.
    fn start(scripts: &[(&str, &str)]) -> Self {
        assert!(getuid().is_root(), "this test makes a PID namespace, and must run as root");
        let root = tempfile::tempdir().unwrap();
        for directory in ["bin", "dev", "etc/init.d", "etc/shutdown.d", "proc", "run", "tmp", "var"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let null = root.path().join("dev/null");
        mknod(&null, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
        install(Path::new(env!("CARGO_BIN_EXE_init")), "init", root.path());
        install(Path::new("/bin/sh"), "bin/sh", root.path());
        // As LinuxKit's packages have it.
        symlink("/init", root.path().join("etc/init.d/020-containerd")).unwrap();
        for (path, text) in scripts {
            let path = root.path().join("etc").join(path);
            fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new("unshare");
        command.args(["--fork", "--pid", "--mount", "--mount-proc", "--root"]).arg(root.path()).arg("/init");
        let mut unshare = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new((Mutex::default(), Condvar::new()));
        listen(unshare.stderr.take().unwrap(), Arc::clone(&said));
        let init =
            until("unshare starts nothing", || children(unshare.id()).first().copied().map(Pid::from_raw));
        let container = Self { unshare, init, said, ended: false, _root: root };
        container.wait_for("supervisor started");
        container
    }

    /// Waits until init or the supervisor has said something.
    fn wait_for(&self, words: &str) {
        self.wait_until(words, |said| said.text.contains(words));
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Said) -> bool) {
        let (said, changed) = &*self.said;
        let guard = said.lock().unwrap();
        let (guard, timeout) =
            changed.wait_timeout_while(guard, PATIENCE, |said| !condition(said) && !said.over).unwrap();
        assert!(!timeout.timed_out() && condition(&guard), "no {what:?} in: {}", guard.text);
    }

    fn text(&self) -> String {
        self.said.0.lock().unwrap().text.clone()
    }

    fn signal(&self, signal: Signal) {
        kill(self.init, signal).unwrap();
    }

    /// Waits for the end; what `unshare`, and so init, exited with.
    fn end(mut self) -> (ExitStatus, String) {
        self.wait_until("the end", |said| said.over);
        let status = self.unshare.wait().unwrap();
        self.ended = true;
        (status, self.text())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.ended {
            // PID 1 takes its namespace along. It may end by itself at this moment.
            kill(self.init, Signal::SIGKILL).ok();
            self.unshare.wait().ok();
        }
    }
}

fn listen(mut from: ChildStderr, said: Arc<(Mutex<Said>, Condvar)>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            let mut state = said.0.lock().unwrap();
            state.text.push_str(&String::from_utf8_lossy(&buffer[..length]));
            state.over = length == 0;
            said.1.notify_all();
            if length == 0 {
                return;
            }
        }
    });
}

/// Copies a program and the libraries that it needs.
fn install(program: &Path, name: &str, root: &Path) {
    let copy = |from: &Path, to: PathBuf| {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    copy(program, root.join(name));
    let out = Command::new("ldd").arg(program).output().unwrap();
    for word in String::from_utf8(out.stdout).unwrap().split_whitespace().filter(|word| word.starts_with('/'))
    {
        copy(Path::new(word), root.join(word.trim_start_matches('/')));
    }
}

fn children(pid: impl std::fmt::Display) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Waits until something is so that nobody tells of.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process sleeps in poll(2) for more than a second: neither spinning nor polling.
fn is_idle(pid: Pid) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
    let fields: Vec<&str> = call.split(' ').collect();
    let number = |index: usize| {
        let text: &str = fields.get(index)?;
        i64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    let is_poll = fields[0] == nix::libc::SYS_poll.to_string();
    // An int: for ever is 0xffffffff.
    is_poll && number(3).is_some_and(|timeout| timeout > 1000)
}

#[test]
fn it_supervises_buries_orphans_leaves_the_host_alone_and_ends_on_sigterm() {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let container = Container::start(&[
        ("init.d/005-orphans", "i=0; while [ $i -lt 300 ]; do ( : & ); i=$((i+1)); done; exit 4\n"),
        ("init.d/030-late", "echo 030 ran >&2\n"),
        ("shutdown.d/005-drain", "echo 005 drains >&2\n"),
        ("shutdown.d/090-bye", "echo 090 says bye >&2\n"),
    ]);
    container.wait_for("Welcome to LinuxKit");
    container.wait_for("/etc/init.d/005-orphans: exited with code 4 after");
    container.wait_for("/etc/init.d/030-late: done in");
    assert!(!container.text().contains("020-containerd"), "a link to init itself was run");

    until("orphans were left unburied, or PID 1 does not rest", || {
        (children(container.init).len() == 1 && is_idle(container.init)).then_some(())
    });
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", container.init)).unwrap();
    let kinds: Vec<&str> =
        mounts.lines().filter_map(|line| line.split(" - ").nth(1)?.split(' ').next()).collect();
    assert_eq!(kinds, ["proc"], "init has mounted something: {mounts}");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), name);

    container.signal(Signal::SIGTERM);
    let (status, text) = container.end();
    assert!(status.success(), "{status}: {text}");
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words:?} in: {text}"));
    assert!(at("stopping (SIGTERM)") < at("005 drains"));
    assert!(at("005 drains") < at("090 says bye") && at("090 says bye") < at("everything stopped"));
}

#[test]
fn a_supervisor_that_dies_or_hangs_is_started_again() {
    let container = Container::start(&[]);
    // What a killed supervisor leaves behind becomes a child of PID 1 too.
    let is_supervisor =
        |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "supervisor\n");
    let supervisor = |not: i32| {
        until("no supervisor", || {
            children(container.init).into_iter().find(|pid| *pid != not && is_supervisor(*pid))
        })
    };
    let first = supervisor(0);
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    container.wait_for("supervisor was killed by SIGKILL; starting it again in 0.1 s");
    let second = supervisor(first);
    // It cannot beat any more.
    kill(Pid::from_raw(second), Signal::SIGSTOP).unwrap();
    container.wait_for("the supervisor hangs: silent for 20 s; killing it");
    supervisor(second);
    container.signal(Signal::SIGTERM);
    assert!(container.end().0.success());
}

#[test]
fn faults_sent_by_others_are_ignored_and_one_of_its_own_is_said() {
    let container = Container::start(&[]);
    for signal in [Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGFPE, Signal::SIGHUP] {
        container.signal(signal);
    }
    until("PID 1 does not rest", || is_idle(container.init).then_some(()));
    jump_to_nowhere(container.init);
    let (status, text) = container.end();
    assert!(text.contains("SIGSEGV at 0x") && text.contains("this is a bug in init"), "{text}");
    assert_eq!(status.code(), Some(128 + 11), "{text}");
}

/// Breaks a process as a wild pointer would.
#[allow(unsafe_code)]
fn jump_to_nowhere(pid: Pid) {
    let ask = |request, data: *mut user_regs_struct| {
        // SAFETY: the kernel reads or writes one `user_regs_struct` at `data`, or nothing where that is null.
        Errno::result(unsafe { ptrace(request, pid.as_raw(), null_mut::<c_void>(), data) }).unwrap()
    };
    // Unlike PTRACE_ATTACH these send no SIGSTOP, which would outlive the detaching if another signal came first.
    ask(PTRACE_SEIZE, null_mut());
    ask(PTRACE_INTERRUPT, null_mut());
    waitpid(pid, None).unwrap();
    // SAFETY: a structure of plain numbers.
    let mut registers: user_regs_struct = unsafe { std::mem::zeroed() };
    ask(PTRACE_GETREGS, &raw mut registers);
    registers.rip = 16;
    // The interrupted system call is not to be restarted: the instruction pointer would be moved back for that.
    registers.orig_rax = u64::MAX;
    ask(PTRACE_SETREGS, &raw mut registers);
    ask(PTRACE_DETACH, null_mut());
}
