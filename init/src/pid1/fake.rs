//! A kernel for tests: it records what it is asked, and answers as told.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use kmod::cmdline::Cmdline;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::machine::Machine;
use super::system::{
    Coldplug, Dog, Ended, Event, Mapping, Mount, Node, Reaped, Result, Room, System, Then, Unmount,
};
use crate::device::block::BlockDevice;
use crate::heartbeat::EVERY;
use crate::power::Action;

/// The fake. Time passes only in [`System::wait`] and [`System::sleep`].
#[derive(Debug, Default)]
pub struct Fake {
    /// What was asked, in order, one line each; reading is not recorded.
    pub calls: Vec<String>,
    /// What was said on the console.
    pub log: Vec<String>,
    pub files: HashMap<String, String>,
    /// What devices begin with.
    pub starts: HashMap<String, Vec<u8>>,
    pub links: HashMap<String, String>,
    pub char_devices: Vec<String>,
    /// Calls that fail: how their line starts, and with what.
    pub failing: Vec<(String, Errno)>,
    /// What happens after how long; when none is left a wait without limit fails.
    pub events: VecDeque<(Duration, Event)>,
    /// What each look for dead children finds; `NoneDead` when none is left.
    pub dead: VecDeque<Reaped>,
    pub coldplug: Coldplug,
    /// What there is at which time, the last that has come.
    pub disks: Vec<(Duration, Vec<BlockDevice>)>,
    /// Until when a device is in use.
    pub busy: Vec<(String, Duration)>,
    pub root_in_memory: bool,
    pub root_room: Room,
    pub kernel_log: Vec<String>,
    /// How long a hardware watchdog waits, if there is one; see [`Fake::starved`].
    pub watchdog: Option<Duration>,
    /// Whether the watchdog's driver can stop it.
    pub magic_close: bool,
    /// A supervisor that does not hang: it beats in every wait, as long as it runs.
    pub beating: bool,
    /// When the watchdog was last fed; `None` while it does not run.
    fed: Option<Duration>,
    /// The longest time without food.
    pub hunger: Duration,
    pub clock: i64,
    pub now: Duration,
    /// What follows a fault.
    pub fault: Option<Then>,
    pids: i32,
}

/// A machine on a fake kernel.
pub fn machine(prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
    let mut fake = Fake { clock: 1_800_000_000, pids: 100, ..Fake::default() };
    fake.file("/proc/cmdline", "console=ttyS0");
    fake.file("/proc/sys/kernel/hostname", "(none)\n");
    prepare(&mut fake);
    let mut machine = Machine::new(fake);
    machine.console_is_open();
    machine
}

impl Fake {
    pub fn file(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }

    pub fn fail(&mut self, call: &str, errno: Errno) {
        self.failing.push((call.to_owned(), errno));
    }

    pub fn after(&mut self, seconds: f64, event: Event) {
        self.events.push_back((Duration::from_secs_f64(seconds), event));
    }

    /// Whether a line was asked for.
    pub fn has_called(&self, call: &str) -> bool {
        self.calls.iter().any(|line| line == call)
    }

    /// The calls that start with a word.
    pub fn calls_of(&self, word: &str) -> Vec<&str> {
        self.calls.iter().map(String::as_str).filter(|line| line.split(' ').next() == Some(word)).collect()
    }

    pub fn has_said(&self, text: &str) -> bool {
        self.log.iter().any(|line| line.contains(text))
    }

    /// Whether the watchdog would have reset the machine.
    pub fn starved(&self) -> bool {
        self.watchdog.is_some_and(|timeout| self.hunger > timeout)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if let Some(fed) = self.fed {
            self.hunger = self.hunger.max(self.now.saturating_sub(fed));
        }
    }

    fn call(&mut self, line: String) -> Result<()> {
        let answer = self.failing.iter().find(|(start, _)| line.starts_with(start)).map(|(_, errno)| *errno);
        self.calls.push(line);
        answer.map_or(Ok(()), Err)
    }
}

impl System for Fake {
    fn read(&self, path: &str) -> Result<String> {
        self.files.get(path).cloned().ok_or(Errno::ENOENT)
    }

    fn read_start(&self, path: &str, length: usize) -> Result<Vec<u8>> {
        self.starts.get(path).and_then(|bytes| bytes.get(..length)).map(<[u8]>::to_vec).ok_or(Errno::EIO)
    }

    fn write(&mut self, path: &str, text: &str) -> Result<()> {
        self.call(format!("write {path} {text}"))
    }

    fn create(&mut self, path: &str, mode: u32) -> Result<()> {
        self.call(format!("create {path} {mode:o}"))
    }

    fn mkdir(&mut self, path: &str, mode: u32) -> Result<()> {
        self.call(format!("mkdir {path} {mode:o}"))
    }

    fn symlink(&mut self, target: &str, path: &str) -> Result<()> {
        self.call(format!("symlink {target} {path}"))
    }

    fn mknod(&mut self, node: Node<'_>) -> Result<()> {
        let kind = if node.block { 'b' } else { 'c' };
        self.call(format!("mknod {} {:o} {kind}{}:{}", node.path, node.mode, node.major, node.minor))
    }

    fn read_link(&self, path: &str) -> Result<String> {
        self.links.get(path).cloned().ok_or(Errno::ENOENT)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let below = self.files.keys().filter_map(|file| file.strip_prefix(path)?.strip_prefix('/'));
        let mut names: Vec<String> =
            below.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        // Directories are there for what is in them.
        if names.is_empty() { Err(Errno::ENOENT) } else { Ok(names) }
    }

    fn is_char_device(&self, path: &str) -> bool {
        self.char_devices.iter().any(|device| device == path)
    }

    fn device(&self, path: &str) -> Result<u64> {
        self.read(&format!("{path}#device"))?.parse().map_err(|_| Errno::EINVAL)
    }

    fn modified(&self, path: &str) -> Result<i64> {
        self.read(&format!("{path}#modified"))?.parse().map_err(|_| Errno::EINVAL)
    }

    fn record_exit(&mut self, pid: i32, how: Ended) -> Result<()> {
        self.read(&format!("/run/lkb/exits/{pid}"))?;
        self.call(format!("record_exit {pid} {how}"))
    }

    fn root_is_memory(&self) -> Result<bool> {
        Ok(self.root_in_memory)
    }

    fn root_room(&self) -> Result<Room> {
        Ok(self.root_room)
    }

    fn mount(&mut self, mount: Mount<'_>) -> Result<()> {
        let Mount { source, target, kind, flags, data } = mount;
        let mut names: Vec<_> =
            flags.iter_names().map(|(name, _)| name.trim_start_matches("MS_").to_lowercase()).collect();
        names.sort();
        let flags = names.join(",");
        let words = [target, source, kind, &flags, data];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        self.call(format!("mount {}", words.join(" ")))
    }

    fn unmount(&mut self, target: &str, how: Unmount) -> Result<()> {
        match how {
            Unmount::Now => self.call(format!("unmount {target}")),
            Unmount::Detach => self.call(format!("detach {target}")),
        }
    }

    fn chdir(&mut self, path: &str) -> Result<()> {
        self.call(format!("chdir {path}"))
    }

    fn chroot(&mut self, path: &str) -> Result<()> {
        self.call(format!("chroot {path}"))
    }

    fn swap_off(&mut self, path: &str) -> Result<()> {
        self.call(format!("swap_off {path}"))
    }

    fn is_in_use(&self, device: &str) -> Result<bool> {
        let until = self.busy.iter().find(|(busy, _)| busy == device).map(|(_, until)| *until);
        until.map(|until| self.now < until).ok_or(Errno::ENOENT)
    }

    fn leave_initramfs(&mut self, new_root: &str) -> Result<()> {
        self.call(format!("leave_initramfs {new_root}"))
    }

    fn open_console(&mut self) -> Result<()> {
        self.call("open_console".into())
    }

    fn keep_console(&mut self) {}

    fn kernel_log(&self) -> Result<Vec<String>> {
        Ok(self.kernel_log.clone())
    }

    fn log(&mut self, line: &str) {
        self.log.push(line.to_owned());
    }

    fn print(&mut self, terminal: &str, text: &str) -> Result<()> {
        self.call(format!("print {terminal} {}", text.trim()))
    }

    fn set_hostname(&mut self, name: &str) -> Result<()> {
        self.call(format!("set_hostname {name}"))
    }

    fn raise_limits(&mut self) -> Result<()> {
        self.call("raise_limits".into())
    }

    fn loopback_up(&mut self) -> Result<()> {
        self.call("loopback_up".into())
    }

    fn clock(&self) -> Result<i64> {
        Ok(self.clock)
    }

    fn set_clock(&mut self, seconds: i64) -> Result<()> {
        self.call(format!("set_clock {seconds}"))
    }

    fn catch_ctrl_alt_del(&mut self) -> Result<()> {
        self.call("catch_ctrl_alt_del".into())
    }

    fn on_fault(&mut self, then: Then) {
        self.fault = Some(then);
    }

    fn open_events(&mut self, contained: bool) -> Result<Vec<String>> {
        self.call(if contained { "open_events signals" } else { "open_events" }.into()).map(|()| Vec::new())
    }

    fn coldplug(&mut self, _cmdline: &Cmdline, _kinds: &[&str]) -> Coldplug {
        self.calls.push("coldplug".into());
        self.coldplug.clone()
    }

    fn open_watchdog(&mut self, timeout: Duration) -> Result<Dog> {
        if self.watchdog.is_none() {
            return Err(Errno::ENOENT);
        }
        self.call(format!("open_watchdog {}", timeout.as_secs()))?;
        self.watchdog = Some(timeout);
        self.fed = Some(self.now);
        Ok(Dog { name: "fake".into(), timeout })
    }

    fn feed_watchdog(&mut self) -> Result<()> {
        self.call("feed_watchdog".into())?;
        self.fed = Some(self.now);
        Ok(())
    }

    fn set_watchdog(&mut self, timeout: Duration) -> Result<Duration> {
        self.call(format!("set_watchdog {}", timeout.as_secs()))?;
        self.watchdog = Some(timeout);
        self.fed = Some(self.now);
        Ok(timeout)
    }

    fn stop_watchdog(&mut self) -> Result<bool> {
        self.call("stop_watchdog".into())?;
        self.fed = None;
        Ok(self.magic_close)
    }

    fn release_memory(&mut self) {}

    fn load_modules(&mut self, _cmdline: &Cmdline, names: &[String]) -> Vec<String> {
        self.calls.push(format!("load_modules {}", names.join(" ")));
        Vec::new()
    }

    fn block_devices(&self) -> Vec<BlockDevice> {
        let now = self.disks.iter().rfind(|(since, _)| *since <= self.now);
        now.map(|(_, devices)| devices.clone()).unwrap_or_default()
    }

    fn map_device(&mut self, mapping: &Mapping) -> Result<u32> {
        self.call(format!("map_device {} {} {}", mapping.name, mapping.kind, mapping.parameters)).map(|()| 0)
    }

    fn sync(&mut self) {
        self.calls.push("sync".into());
    }

    fn reboot(&mut self, action: Action) -> Errno {
        self.calls.push(format!("reboot {}", action.name()));
        // A kernel that does as it is told never answers; a test must go on.
        Errno::EPERM
    }

    fn exec(&mut self, program: &str) -> Errno {
        let answer = self.call(format!("exec {program}"));
        // A kernel that does as it is told never answers; a test must go on.
        answer.err().unwrap_or(Errno::EPERM)
    }

    fn spawn(&mut self, arguments: &[&str]) -> Result<i32> {
        self.call(format!("spawn {}", arguments.join(" ")))?;
        self.pids += 1;
        Ok(self.pids)
    }

    fn spawn_supervisor(&mut self) -> Result<i32> {
        self.spawn(&["supervisor"])
    }

    fn kill(&mut self, pid: i32, signal: Signal) -> Result<()> {
        self.call(format!("kill {pid} {signal}"))
    }

    fn kill_all(&mut self, signal: Signal) -> Result<()> {
        self.call(format!("kill_all {signal}"))
    }

    fn reap(&mut self) -> Reaped {
        self.dead.pop_front().unwrap_or(Reaped::NoneDead)
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn wait(&mut self, limit: Option<Duration>) -> Result<Event> {
        if let Some((_, errno)) = self.failing.iter().find(|(call, _)| call == "wait") {
            return Err(*errno);
        }
        let next = self.events.front().map(|(after, _)| *after);
        if self.beating && next.is_none_or(|after| after > EVERY) && limit.is_none_or(|limit| limit > EVERY) {
            self.pass(EVERY);
            if let Some((after, _)) = self.events.front_mut() {
                *after -= EVERY;
            }
            return Ok(Event::Beat);
        }
        match (next, limit) {
            (Some(after), Some(limit)) if after > limit => {}
            (Some(after), _) => {
                self.pass(after);
                return self.events.pop_front().map(|(_, event)| event).ok_or(Errno::ENODATA);
            }
            (None, None) => return Err(Errno::ENODATA),
            (None, Some(_)) => {}
        }
        let limit = limit.unwrap_or_default();
        self.pass(limit);
        if let Some((after, _)) = self.events.front_mut() {
            *after -= limit;
        }
        Ok(Event::Timeout)
    }

    fn sleep(&mut self, time: Duration) {
        self.pass(time);
    }
}
