//! All that PID 1 asks of the kernel.

use std::time::Duration;

use kmod::cmdline::Cmdline;
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::signal::Signal;

use crate::device::block::BlockDevice;
use crate::power::Action;
pub use crate::sys::fatal::Then;
pub use crate::sys::{Ended, Reaped};
pub use device_mapper::Mapping;

/// What the kernel answers: a value, or why not.
pub type Result<T> = std::result::Result<T, Errno>;

/// One call of mount(2).
#[derive(Debug, Clone, Copy)]
pub struct Mount<'a> {
    /// A device, a directory, or a name for people to read.
    pub source: &'a str,
    /// Where.
    pub target: &'a str,
    /// File system type; empty for bind mounts, moves, remounts and changes of propagation.
    pub kind: &'a str,
    /// `MS_*`.
    pub flags: MsFlags,
    /// Options of the file system.
    pub data: &'a str,
}

/// A device node.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// Absolute path.
    pub path: &'a str,
    /// A block device rather than a character device.
    pub block: bool,
    /// Permissions.
    pub mode: u32,
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
}

/// How to take a mount away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmount {
    /// Now, or not at all.
    Now,
    /// From the tree now, in earnest when nobody uses it.
    Detach,
}

/// What ends a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Children may have died.
    Children,
    /// Somebody wants the machine down; why, for the console.
    Request(Action, &'static str),
    /// Devices appeared, with these aliases.
    Devices(Vec<String>),
    /// Disks or partitions came, went or changed.
    Disks,
    /// Something was mounted or unmounted.
    Mounts,
    /// The supervisor's event loop goes round.
    Beat,
    /// Nothing for as long as was asked.
    Timeout,
}

/// A watchdog that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dog {
    /// What its driver calls it.
    pub name: String,
    /// How long it waits for food.
    pub timeout: Duration,
}

/// A file system's room, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of it; zero for a ramfs, which has no limit.
    pub total: u64,
    /// What is taken.
    pub used: u64,
}

/// What loading the modules of the machine's devices came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Coldplug {
    /// How many modules were loaded.
    pub loaded: usize,
    /// What went wrong, one line each.
    pub problems: Vec<String>,
    /// Aliases that are left for `modprobe`.
    pub rest: Vec<String>,
    /// Aliases that nobody waits for.
    pub background: Vec<String>,
}

/// The kernel, as far as PID 1 needs it. Paths are absolute. Errors are the kernel's own.
#[allow(missing_docs, clippy::missing_errors_doc)]
pub trait System {
    // Files

    /// A small file's text; what is beyond 1 MiB is cut off.
    fn read(&self, path: &str) -> Result<String>;
    /// The first bytes of a file or device, which has as many.
    fn read_start(&self, path: &str, length: usize) -> Result<Vec<u8>>;
    /// Writes to a file that exists, in one call, as sysfs and procfs want it.
    fn write(&mut self, path: &str, text: &str) -> Result<()>;
    /// Makes an empty file; one that exists is left as it is.
    fn create(&mut self, path: &str, mode: u32) -> Result<()>;
    /// Makes a directory; one that exists is left as it is.
    fn mkdir(&mut self, path: &str, mode: u32) -> Result<()>;
    /// Makes a symbolic link; a path that exists is left as it is.
    fn symlink(&mut self, target: &str, path: &str) -> Result<()>;
    /// Makes a device node; a path that exists is left as it is.
    fn mknod(&mut self, node: Node<'_>) -> Result<()>;
    fn read_link(&self, path: &str) -> Result<String>;
    /// The names in a directory, sorted.
    fn list(&self, path: &str) -> Result<Vec<String>>;
    fn is_char_device(&self, path: &str) -> bool;
    /// The number of the device that a path's file system is on.
    fn device(&self, path: &str) -> Result<u64>;
    /// When a file was last changed, in seconds since 1970.
    fn modified(&self, path: &str) -> Result<i64>;
    /// Notes how a process ended where somebody has asked for it: `ENOENT` where nobody has.
    fn record_exit(&mut self, pid: i32, how: Ended) -> Result<()>;

    // Mounts

    /// Whether `/` is the initramfs (ramfs or tmpfs).
    fn root_is_memory(&self) -> Result<bool>;
    fn root_room(&self) -> Result<Room>;
    fn mount(&mut self, mount: Mount<'_>) -> Result<()>;
    fn unmount(&mut self, target: &str, how: Unmount) -> Result<()>;
    fn chdir(&mut self, path: &str) -> Result<()>;
    fn chroot(&mut self, path: &str) -> Result<()>;
    fn swap_off(&mut self, path: &str) -> Result<()>;
    /// Whether a block device has a file system that is mounted, or is part of another device.
    fn is_in_use(&self, device: &str) -> Result<bool>;
    /// Makes a mount point the root, for good, and deletes what the initramfs holds.
    fn leave_initramfs(&mut self, new_root: &str) -> Result<()>;

    // Console

    /// Makes `/dev/console` the standard input, output and error, and the place for [`System::log`].
    ///
    /// Where there is none, lines go to the kernel's log.
    fn open_console(&mut self) -> Result<()>;
    /// Keeps standard input, output and error as they are, but none of them closed.
    fn keep_console(&mut self);
    /// Writes a line; never waits for long, and has nobody to tell if it fails.
    fn log(&mut self, line: &str);
    /// The kernel's messages, oldest first, as far as it still has them; what is beyond 1 MiB is cut off.
    fn kernel_log(&self) -> Result<Vec<String>>;
    /// Writes text to a terminal, without waiting for long.
    fn print(&mut self, terminal: &str, text: &str) -> Result<()>;

    // The machine

    fn set_hostname(&mut self, name: &str) -> Result<()>;
    fn raise_limits(&mut self) -> Result<()>;
    fn loopback_up(&mut self) -> Result<()>;
    /// Seconds since 1970.
    fn clock(&self) -> Result<i64>;
    fn set_clock(&mut self, seconds: i64) -> Result<()>;
    /// Makes ctrl-alt-del a signal to PID 1 instead of a reset.
    fn catch_ctrl_alt_del(&mut self) -> Result<()>;
    /// Decides what follows a fault of PID 1's own, from now on.
    fn on_fault(&mut self, then: Then);
    /// Starts to hear of signals and, unless that is the host's business, of devices, the power button and mounts; says
    /// what cannot be heard of.
    fn open_events(&mut self, contained: bool) -> Result<Vec<String>>;
    /// Loads the modules of all devices, and makes the nodes that load modules.
    fn coldplug(&mut self, cmdline: &Cmdline, kinds: &[&str]) -> Coldplug;
    /// Starts the hardware watchdog, to reset the machine after so long without food.
    fn open_watchdog(&mut self, timeout: Duration) -> Result<Dog>;
    fn feed_watchdog(&mut self) -> Result<()>;
    /// Feeds it, and changes how long it waits; returns what that is now.
    fn set_watchdog(&mut self, timeout: Duration) -> Result<Duration>;
    /// Stops it; whether its driver knows how to.
    fn stop_watchdog(&mut self) -> Result<bool>;
    /// Gives memory that is not used any more back to the kernel.
    fn release_memory(&mut self);
    /// Loads modules by name or alias; says what went wrong.
    fn load_modules(&mut self, cmdline: &Cmdline, names: &[String]) -> Vec<String>;
    /// The disks and partitions, and what they hold.
    fn block_devices(&self) -> Vec<BlockDevice>;
    /// Makes a block device of others; returns its minor number.
    fn map_device(&mut self, mapping: &Mapping) -> Result<u32>;
    fn sync(&mut self);
    /// Ends the machine; in a container, the container. Returns only why it cannot.
    fn reboot(&mut self, action: Action) -> Errno;

    // Processes

    /// Becomes another program, with this one's arguments; returns only why it cannot.
    fn exec(&mut self, program: &str) -> Errno;
    /// Starts this binary under another name.
    fn spawn(&mut self, arguments: &[&str]) -> Result<i32>;
    /// Starts the supervisor, and hears its [`Event::Beat`].
    fn spawn_supervisor(&mut self) -> Result<i32>;
    fn kill(&mut self, pid: i32, signal: Signal) -> Result<()>;
    /// Every process but PID 1.
    fn kill_all(&mut self, signal: Signal) -> Result<()>;
    fn reap(&mut self) -> Reaped;

    // Time

    /// Since the kernel started; never goes back.
    fn now(&self) -> Duration;
    /// Waits for the next event; for ever without a limit.
    fn wait(&mut self, limit: Option<Duration>) -> Result<Event>;
    /// Waits without hearing of anything: for the end, when [`System::wait`] fails.
    fn sleep(&mut self, time: Duration);
}
