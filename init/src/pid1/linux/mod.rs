//! The kernel itself, behind [`System`].

mod drivers;
mod events;
mod kernel_log;
mod stage;
mod terminal;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use kmod::cmdline::Cmdline;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, umount2};
use nix::poll::PollTimeout;
use nix::sys::reboot::{reboot, set_cad_enabled};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mknod, umask};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use nix::unistd::{Pid, chroot, pipe2, sethostname};

use self::events::Sources;
use super::system::{
    Coldplug, Dog, Ended, Event, Mapping, Mount, Node, Reaped, Result, Room, System, Then, Unmount,
};
use crate::device::block::{BlockDevice, Sysfs};
use crate::heartbeat;
use crate::power::Action;
use crate::sys::netlink::loopback_up;
use crate::sys::watchdog::Watchdog;
use crate::sys::{fatal, prepare_process, release_memory, spawn, swap_off, wait_for_any};

/// Most of a small file, in bytes.
const READ_LIMIT: u64 = 1024 * 1024;
/// `RAMFS_MAGIC` (linux/magic.h).
const RAMFS_MAGIC: i64 = 0x8584_58f6;
/// Files that every process may have open, as LinuxKit sets it; the kernel's own ceiling (`fs.nr_open`).
const OPEN_FILES: u64 = 1_048_576;
/// Where the supervisor makes a file for each process whose end it must know of, named by its number.
const EXITS: &str = "/run/lkb/exits";
/// What programs of ours and theirs are looked up in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The kernel that started this process.
#[derive(Debug)]
pub struct Linux {
    /// When this process began, since the kernel did.
    begun: Duration,
    /// Whether signals wait to be read.
    blocked: Result<()>,
    /// For messages; opened by [`terminal::open_console`].
    console: Option<File>,
    sources: Option<Sources>,
    watchdog: Option<Watchdog>,
}

impl Linux {
    /// Blocks all signals but those of faults: what comes before [`System::open_events`] waits.
    #[must_use]
    pub fn new() -> Self {
        umask(Mode::from_bits_truncate(0o022));
        let blocked = signals().thread_block();
        // The clock cannot fail on any kernel since 2.6.39.
        let begun = time(ClockId::CLOCK_BOOTTIME).unwrap_or_default();
        Self { begun, blocked, console: None, sources: None, watchdog: None }
    }
}

/// The signals that are read from a descriptor: all that can be blocked, but for those of faults.
fn signals() -> SigSet {
    let mut signals = SigSet::all();
    fatal::SIGNALS.into_iter().for_each(|signal| signals.remove(signal));
    signals
}

/// This binary under another name, as a command.
fn command(arguments: &[&str]) -> Result<Command> {
    let (name, rest) = arguments.split_first().ok_or(Errno::EINVAL)?;
    let mut command = Command::new("/proc/self/exe");
    let terminal = std::env::var_os("TERM").unwrap_or_else(|| "linux".into());
    command.arg0(name).args(rest).current_dir("/");
    command.env_clear().env("PATH", PATH).env("HOME", "/root").env("TERM", terminal);
    Ok(command)
}

impl Default for Linux {
    fn default() -> Self {
        Self::new()
    }
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// For what may be there already.
fn unless_exists(result: Result<()>) -> Result<()> {
    if result == Err(Errno::EEXIST) { Ok(()) } else { result }
}

fn set_mode(path: &str, mode: u32) -> Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    fchmodat(nix::fcntl::AT_FDCWD, path, mode, FchmodatFlags::FollowSymlink)
}

/// Rounded up: a wait that ends early would be a loop that spins.
fn milliseconds(time: Duration) -> PollTimeout {
    let millis = i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// An empty string where mount(2) takes a null pointer.
fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn time(clock: ClockId) -> Result<Duration> {
    clock_gettime(clock).map(Duration::from)
}

impl System for Linux {
    fn read(&self, path: &str) -> Result<String> {
        let mut bytes = Vec::new();
        File::open(path).map_err(errno)?.take(READ_LIMIT).read_to_end(&mut bytes).map_err(errno)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn read_start(&self, path: &str, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(path).map_err(errno)?.read_exact(&mut bytes).map_err(errno)?;
        Ok(bytes)
    }

    fn write(&mut self, path: &str, text: &str) -> Result<()> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(errno)?;
        file.write_all(text.as_bytes()).map_err(errno)
    }

    fn create(&mut self, path: &str, mode: u32) -> Result<()> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => file.set_permissions(fs::Permissions::from_mode(mode)).map_err(errno),
            Err(error) => unless_exists(Err(errno(error))),
        }
    }

    fn mkdir(&mut self, path: &str, mode: u32) -> Result<()> {
        match nix::unistd::mkdir(path, Mode::from_bits_truncate(mode)) {
            Ok(()) => set_mode(path, mode),
            // A read-only root says EROFS even for a directory that is there.
            Err(Errno::EROFS) if fs::metadata(path).is_ok_and(|found| found.is_dir()) => Ok(()),
            Err(errno) => unless_exists(Err(errno)),
        }
    }

    fn symlink(&mut self, target: &str, path: &str) -> Result<()> {
        unless_exists(std::os::unix::fs::symlink(target, path).map_err(errno))
    }

    fn mknod(&mut self, node: Node<'_>) -> Result<()> {
        let kind = if node.block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
        let mode = Mode::from_bits_truncate(node.mode);
        match mknod(node.path, kind, mode, makedev(node.major, node.minor)) {
            Ok(()) => set_mode(node.path, node.mode),
            Err(errno) => unless_exists(Err(errno)),
        }
    }

    fn read_link(&self, path: &str) -> Result<String> {
        let target = fs::read_link(path).map_err(errno)?;
        target.into_os_string().into_string().map_err(|_| Errno::EILSEQ)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let entries = fs::read_dir(path).map_err(errno)?;
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    fn is_char_device(&self, path: &str) -> bool {
        fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device())
    }

    fn device(&self, path: &str) -> Result<u64> {
        fs::metadata(path).map(|found| found.dev()).map_err(errno)
    }

    fn modified(&self, path: &str) -> Result<i64> {
        fs::metadata(path).map(|found| found.mtime()).map_err(errno)
    }

    fn record_exit(&mut self, pid: i32, how: Ended) -> Result<()> {
        let mut file = OpenOptions::new().write(true).open(format!("{EXITS}/{pid}")).map_err(errno)?;
        let line = match how {
            Ended::Exited(code) => format!("code {code}\n"),
            Ended::Killed(signal) => format!("signal {signal}\n"),
        };
        file.write_all(line.as_bytes()).map_err(errno)
    }

    fn root_room(&self) -> Result<Room> {
        let found = statfs("/")?;
        let unit = u64::try_from(found.block_size()).unwrap_or_default();
        Ok(Room { total: found.blocks() * unit, used: (found.blocks() - found.blocks_free()) * unit })
    }

    fn root_is_memory(&self) -> Result<bool> {
        let kind = statfs("/")?.filesystem_type();
        Ok(kind == TMPFS_MAGIC || kind.0 == RAMFS_MAGIC)
    }

    fn mount(&mut self, mount: Mount<'_>) -> Result<()> {
        let Mount { source, target, kind, flags, data } = mount;
        nix::mount::mount(optional(source), target, optional(kind), flags, optional(data))
    }

    fn unmount(&mut self, target: &str, how: Unmount) -> Result<()> {
        let flags = match how {
            Unmount::Now => MntFlags::UMOUNT_NOFOLLOW,
            Unmount::Detach => MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH,
        };
        umount2(target, flags)
    }

    fn chdir(&mut self, path: &str) -> Result<()> {
        nix::unistd::chdir(path)
    }

    fn chroot(&mut self, path: &str) -> Result<()> {
        chroot(path)
    }

    fn swap_off(&mut self, path: &str) -> Result<()> {
        swap_off(path)
    }

    fn is_in_use(&self, device: &str) -> Result<bool> {
        // open(2): with O_EXCL, and without O_CREAT, a block device that is in use by the system is busy.
        match open(
            device,
            OFlag::O_RDONLY | OFlag::O_EXCL | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            Ok(_) => Ok(false),
            Err(Errno::EBUSY) => Ok(true),
            Err(errno) => Err(errno),
        }
    }

    fn leave_initramfs(&mut self, new_root: &str) -> Result<()> {
        stage::leave_initramfs(self, new_root)
    }

    fn open_console(&mut self) -> Result<()> {
        match terminal::open_console() {
            Ok(console) => {
                self.console = Some(console);
                Ok(())
            }
            Err(errno) => {
                // Where `dmesg` and a later look at the machine find it; nowhere, if there is not even that.
                self.console = terminal::open("/dev/kmsg").ok();
                Err(errno)
            }
        }
    }

    fn keep_console(&mut self) {
        prepare_process();
    }

    fn kernel_log(&self) -> Result<Vec<String>> {
        kernel_log::read()
    }

    fn log(&mut self, line: &str) {
        let line = format!("{line}\n");
        // There is nobody to tell: this is where errors are told.
        match &self.console {
            Some(console) => drop(terminal::write(console, &line)),
            None => drop(io::stderr().write_all(line.as_bytes())),
        }
    }

    fn print(&mut self, terminal: &str, text: &str) -> Result<()> {
        terminal::write(&terminal::open(terminal)?, text)
    }

    fn set_hostname(&mut self, name: &str) -> Result<()> {
        sethostname(name)
    }

    fn raise_limits(&mut self) -> Result<()> {
        setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES)?;
        setrlimit(Resource::RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY)
    }

    fn loopback_up(&mut self) -> Result<()> {
        loopback_up()
    }

    fn clock(&self) -> Result<i64> {
        clock_gettime(ClockId::CLOCK_REALTIME).map(|time| time.tv_sec())
    }

    fn set_clock(&mut self, seconds: i64) -> Result<()> {
        clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(seconds, 0))
    }

    fn catch_ctrl_alt_del(&mut self) -> Result<()> {
        set_cad_enabled(false)
    }

    fn on_fault(&mut self, then: Then) {
        fatal::then(then);
    }

    fn open_events(&mut self, contained: bool) -> Result<Vec<String>> {
        self.blocked?;
        let (sources, missing) = Sources::open(contained)?;
        self.sources = Some(sources);
        Ok(missing)
    }

    fn coldplug(&mut self, cmdline: &Cmdline, kinds: &[&str]) -> Coldplug {
        match drivers::load(cmdline, kinds, self.sources.as_ref().and_then(Sources::devices)) {
            Ok(mut coldplug) => {
                coldplug.problems.extend(drivers::make_nodes(self));
                coldplug
            }
            Err(error) => {
                let problem = format!("cannot read the files of depmod, and load no modules: {error}");
                Coldplug { problems: vec![problem], ..Coldplug::default() }
            }
        }
    }

    fn open_watchdog(&mut self, timeout: Duration) -> Result<Dog> {
        let watchdog = Watchdog::open()?;
        let seconds = watchdog.set_timeout(seconds(timeout))?;
        let dog = Dog { name: watchdog.identity(), timeout: Duration::from_secs(seconds.into()) };
        self.watchdog = Some(watchdog);
        Ok(dog)
    }

    fn feed_watchdog(&mut self) -> Result<()> {
        self.watchdog.as_mut().ok_or(Errno::EBADF)?.feed().map_err(errno)
    }

    fn set_watchdog(&mut self, timeout: Duration) -> Result<Duration> {
        let watchdog = self.watchdog.as_mut().ok_or(Errno::EBADF)?;
        watchdog.feed().map_err(errno)?;
        watchdog.set_timeout(seconds(timeout)).map(|seconds| Duration::from_secs(seconds.into()))
    }

    fn stop_watchdog(&mut self) -> Result<bool> {
        self.watchdog.take().ok_or(Errno::EBADF)?.stop().map_err(errno)
    }

    fn release_memory(&mut self) {
        release_memory();
    }

    fn load_modules(&mut self, cmdline: &Cmdline, names: &[String]) -> Vec<String> {
        drivers::load_named(cmdline, names)
            .unwrap_or_else(|error| vec![format!("cannot read the files of depmod: {error}")])
    }

    fn block_devices(&self) -> Vec<BlockDevice> {
        Sysfs::default().devices()
    }

    fn map_device(&mut self, mapping: &Mapping) -> Result<u32> {
        device_mapper::create(mapping)
    }

    fn sync(&mut self) {
        nix::unistd::sync();
    }

    fn reboot(&mut self, action: Action) -> Errno {
        match reboot(action.mode()) {
            Ok(never) => match never {},
            Err(errno) => errno,
        }
    }

    fn exec(&mut self, program: &str) -> Errno {
        stage::exec(program, self.begun)
    }

    fn spawn(&mut self, arguments: &[&str]) -> Result<i32> {
        spawn(&mut command(arguments)?, None).map(Pid::as_raw)
    }

    fn spawn_supervisor(&mut self) -> Result<i32> {
        // Neither side ever waits for the other.
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let mut command = command(&["supervisor"])?;
        command.env(heartbeat::VARIABLE, theirs.as_raw_fd().to_string());
        let pid = spawn(&mut command, Some(theirs.as_fd()))?;
        if let Some(sources) = &mut self.sources {
            sources.hear_beats(File::from(ours));
        }
        Ok(pid.as_raw())
    }

    fn kill(&mut self, pid: i32, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(pid), signal)
    }

    fn kill_all(&mut self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(-1), signal)
    }

    fn reap(&mut self) -> Reaped {
        wait_for_any()
    }

    fn now(&self) -> Duration {
        // The clock cannot fail on any kernel since 2.6.39.
        time(ClockId::CLOCK_BOOTTIME).unwrap_or_default()
    }

    fn wait(&mut self, limit: Option<Duration>) -> Result<Event> {
        let end = limit.map(|limit| self.now() + limit);
        loop {
            let limit = match end {
                Some(end) => milliseconds(end.saturating_sub(self.now())),
                None => PollTimeout::NONE,
            };
            let sources = self.sources.as_mut().ok_or(Errno::EBADF)?;
            if let Some(event) = sources.next(limit)? {
                return Ok(event);
            }
        }
    }

    fn sleep(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}
