//! A kernel for tests: it records what it is asked, and answers as told.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::machine::Machine;
use super::system::{Coldplug, Event, Mount, Node, Reaped, Result, System, Unmount};
use crate::cmdline::Cmdline;
use crate::device::block::BlockDevice;
use crate::power::Action;

/// The fake. Time passes only in [`System::wait`] and [`System::sleep`].
#[derive(Debug, Default)]
pub struct Fake {
    /// What was asked, in order, one line each; reading is not recorded.
    pub calls: Vec<String>,
    /// What was said on the console.
    pub log: Vec<String>,
    pub files: HashMap<String, String>,
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
    pub root_in_memory: bool,
    pub clock: i64,
    pub now: Duration,
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

    fn root_is_memory(&self) -> Result<bool> {
        Ok(self.root_in_memory)
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

    fn leave_initramfs(&mut self, new_root: &str) -> Result<()> {
        self.call(format!("leave_initramfs {new_root}"))
    }

    fn open_console(&mut self) -> Result<()> {
        self.call("open_console".into())
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

    fn open_events(&mut self) -> Result<Vec<String>> {
        self.call("open_events".into()).map(|()| Vec::new())
    }

    fn coldplug(&mut self, _cmdline: &Cmdline) -> Coldplug {
        self.calls.push("coldplug".into());
        self.coldplug.clone()
    }

    fn load_modules(&mut self, _cmdline: &Cmdline, names: &[String]) -> Vec<String> {
        self.calls.push(format!("load_modules {}", names.join(" ")));
        Vec::new()
    }

    fn block_devices(&self) -> Vec<BlockDevice> {
        let now = self.disks.iter().rfind(|(since, _)| *since <= self.now);
        now.map(|(_, devices)| devices.clone()).unwrap_or_default()
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
        match (self.events.front(), limit) {
            (Some((after, _)), Some(limit)) if *after > limit => {}
            (Some(_), _) => {
                let Some((after, event)) = self.events.pop_front() else { return Err(Errno::ENODATA) };
                self.now += after;
                return Ok(event);
            }
            (None, None) => return Err(Errno::ENODATA),
            (None, Some(_)) => {}
        }
        let limit = limit.unwrap_or_default();
        self.now += limit;
        if let Some((after, _)) = self.events.front_mut() {
            *after -= limit;
        }
        Ok(Event::Timeout)
    }

    fn sleep(&mut self, time: Duration) {
        self.now += time;
    }
}
