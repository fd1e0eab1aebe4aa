//! Network namespaces: each machine has its own loopback, so tests run side by side and no port of the host is used.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace whose loopback is up; it lives as long as a clone of this does.
#[derive(Debug, Clone)]
pub struct Netns {
    handle: Arc<File>,
}

impl Netns {
    /// Makes one, with `addresses` on its loopback beside 127.0.0.1.
    ///
    /// # Panics
    /// When this is not allowed: the suite runs as root.
    #[must_use]
    pub fn new(addresses: &[&str]) -> Self {
        let handle = in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("making a network namespace (run the suite as root)");
            File::open("/proc/thread-self/ns/net").expect("opening the new network namespace")
        });
        let namespace = Self { handle: Arc::new(handle) };
        namespace.ip(&["link", "set", "lo", "up"]);
        for address in addresses {
            namespace.ip(&["address", "add", address, "dev", "lo"]);
        }
        namespace
    }

    /// A command that runs inside.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let handle = Arc::clone(&self.handle);
        enter_before_exec(&mut command, handle);
        command
    }

    /// Runs `work` in a thread that is inside; what it opens stays inside.
    ///
    /// # Panics
    /// When the namespace can't be entered, or `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        in_a_thread(|| {
            setns(self.handle.as_fd(), CloneFlags::CLONE_NEWNET).expect("entering a network namespace");
            work()
        })
    }

    /// A name by which other processes can enter it, as long as this process lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd()).into()
    }

    fn ip(&self, args: &[&str]) {
        let out = self.command("ip").args(args).output().expect("running ip (package iproute2)");
        assert!(out.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("the thread in the namespace panicked"))
}

#[allow(unsafe_code)]
fn enter_before_exec(command: &mut Command, handle: Arc<File>) {
    // SAFETY: between fork and exec the closure makes one system call, on a descriptor that is open, and
    // allocates nothing.
    unsafe {
        command.pre_exec(move || {
            let fd = std::os::fd::BorrowedFd::borrow_raw(handle.as_raw_fd());
            setns(fd, CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)
        });
    }
}
