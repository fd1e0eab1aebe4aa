//! Runs QEMU and stays with it: draws its boot, waits for what its console shows, keeps what shares directories with it.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::chart::Port;
use super::expect::{Ending, Expectation, Reader};
use super::launch::Ready;
use super::plan::Share;
use super::virtiofsd::{Lost, Servers};
use super::{QemuError, command_line};

/// Signals that are meant for QEMU when they reach us.
const PASSED_ON: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
/// How long QEMU may take to end when it is told to, and what shares directories after it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a machine that somebody stayed with.
#[derive(Debug)]
pub struct Attended {
    /// How QEMU ended; `None` when it was ended because its console had shown all that was waited for.
    pub status: Option<ExitStatus>,
    /// Whether its boot was drawn; it is not when the machine never said anything about it.
    pub drawn: bool,
}

/// What is told while a machine runs.
#[derive(Debug)]
pub enum Told {
    /// The machine has lost a directory.
    Lost(Lost),
}

/// What happens.
enum Event {
    /// The console showed something.
    Console(Vec<u8>),
    /// The console has ended.
    ConsoleEnd,
    /// What serves a share has ended.
    ShareEnd(Share),
    /// QEMU has ended.
    Off,
}

/// How following a machine ends.
enum Followed {
    /// It is off.
    Off,
    /// Its console has shown everything.
    Shown,
    /// The time is up.
    Late,
}

impl Ready {
    /// Runs QEMU to its end, or until its console has shown what is expected. The machine's boot is kept as a drawing in
    /// the file `chart`; what a console shows that something is expected of is copied to `echo`.
    ///
    /// # Errors
    /// When QEMU cannot be started, the console does not show what is expected, or the chart cannot be written.
    pub fn attend(
        self,
        chart: Option<&Path>,
        echo: &mut dyn Write,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Attended, QemuError> {
        let start = |source| QemuError::Start { program: self.program.clone(), source };
        let mut servers = Servers::start(self.virtiofsd.as_deref(), &self.plan.shares)?;
        let port = chart.map(|chart| Port::new().map(|port| (port, chart))).transpose().map_err(start)?;
        let mut command = Command::new(&self.program);
        command.args(command_line(&self.plan));
        command.args(port.iter().flat_map(|(port, _)| port.arguments()));
        if self.expect.is_some() {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
        }
        let mut child = command.spawn().map_err(start)?;
        pass_on(&child);
        let mut machine = Following::of(&mut child, &servers);
        let mut reader = Reader::new(self.expect.as_ref().map_or(&[], |it| it.texts.as_slice()));
        let (status, drawn, followed) = thread::scope(|scope| {
            let drawing = port.map(|(port, chart)| scope.spawn(move || port.draw_all(chart)));
            let followed = machine.follow(self.expect.as_ref(), &mut reader, echo, &mut |share| {
                let lost = servers.lost(&share);
                // It ends so when the machine lets go of it.
                if !lost.status.is_some_and(|status| status.success()) {
                    tell(Told::Lost(lost));
                }
            });
            machine.end(&mut child);
            let drawn = drawing.map(|thread| thread.join());
            let drawn = drawn.map(|drawn| drawn.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            (child.wait(), drawn.transpose(), followed)
        });
        let (status, drawn) = (status.map_err(start)?, drawn?.unwrap_or(false));
        match (followed, self.expect) {
            (Followed::Shown, _) => Ok(Attended { status: None, drawn }),
            (Followed::Late, Some(Expectation { patience, .. })) => {
                Err(reader.give_up(Ending::Patience(patience)).into())
            }
            (Followed::Off, Some(_)) => Err(reader.give_up(Ending::Off(status)).into()),
            (Followed::Off | Followed::Late, None) => Ok(Attended { status: Some(status), drawn }),
        }
    }
}

/// A machine that runs.
struct Following {
    events: Receiver<Event>,
    console_is_open: bool,
    is_off: bool,
    shares: usize,
}

impl Following {
    fn of(child: &mut Child, servers: &Servers) -> Self {
        let (sender, events) = channel();
        let console = child.stdout.take();
        let machine =
            Self { events, console_is_open: console.is_some(), is_off: false, shares: servers.count() };
        if let Some(console) = console {
            let sender = sender.clone();
            thread::spawn(move || read_console(console, &sender));
        }
        let of_share = sender.clone();
        // Who does not listen any more needs no news; that is true of all that is sent here.
        servers.watch(move |share| drop(of_share.send(Event::ShareEnd(share))));
        let id = i32::try_from(child.id()).map(|pid| Id::Pid(Pid::from_raw(pid)));
        thread::spawn(move || {
            // Its number stays its own until `child` is waited for.
            if id.is_ok_and(|id| waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).is_ok()) {
                sender.send(Event::Off).ok();
            }
        });
        machine
    }

    /// Follows what happens until the machine is off, or `expectation` is met or not.
    fn follow(
        &mut self,
        expectation: Option<&Expectation>,
        reader: &mut Reader,
        echo: &mut dyn Write,
        lost: &mut dyn FnMut(Share),
    ) -> Followed {
        let deadline = expectation.map(|it| Instant::now() + it.patience);
        while !self.is_off || self.console_is_open {
            let Some(event) = self.next(deadline) else { return Followed::Late };
            match event {
                Event::Console(bytes) => {
                    // That nobody reads it is no reason to stop looking.
                    echo.write_all(&bytes).and_then(|()| echo.flush()).ok();
                    if reader.read(&bytes) {
                        return Followed::Shown;
                    }
                }
                Event::ShareEnd(share) if !self.is_off => lost(share),
                Event::ConsoleEnd | Event::ShareEnd(_) | Event::Off => {}
            }
        }
        Followed::Off
    }

    /// Ends QEMU if it runs, and gives what shares directories with it the time to end, too.
    fn end(&mut self, child: &mut Child) {
        if !self.is_off
            && let Ok(pid) = i32::try_from(child.id())
        {
            // It may have ended since.
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
        let deadline = Some(Instant::now() + PATIENCE);
        while !self.is_off && self.next(deadline).is_some() {}
        if !self.is_off {
            // As before; it is waited for next.
            child.kill().ok();
        }
        while self.shares > 0 && self.next(deadline).is_some() {}
    }

    /// What happens next; `None` after the deadline.
    fn next(&mut self, deadline: Option<Instant>) -> Option<Event> {
        let event = match deadline {
            Some(deadline) => {
                self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
            }
            None => self.events.recv().ok(),
        };
        match event {
            Some(Event::ConsoleEnd) => self.console_is_open = false,
            Some(Event::ShareEnd(_)) => self.shares = self.shares.saturating_sub(1),
            Some(Event::Off) => self.is_off = true,
            // Without a sender, nothing runs.
            None if deadline.is_none() => (self.is_off, self.console_is_open) = (true, false),
            Some(Event::Console(_)) | None => {}
        }
        event
    }
}

fn read_console(mut console: impl Read, to: &Sender<Event>) {
    let mut buffer = [0; 16 << 10];
    loop {
        match console.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) if to.send(Event::Console(buffer[..count].to_vec())).is_err() => return,
            Ok(_) => {}
        }
    }
    // As above.
    to.send(Event::ConsoleEnd).ok();
}

/// Gives signals to QEMU, as if it had our place.
///
/// They are blocked only now: a child inherits what is blocked, and QEMU would never hear them.
fn pass_on(child: &Child) {
    let Ok(pid) = i32::try_from(child.id()).map(Pid::from_raw) else { return };
    let signals: SigSet = PASSED_ON.into_iter().collect();
    if signals.thread_block().is_err() {
        // Then they end us, and QEMU runs on until it is stopped.
        return;
    }
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            // It may have ended; then so will we.
            kill(pid, signal).ok();
        }
    });
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::run::qemu::{Arch, Boot, Console, Network, Plan};

    /// A machine whose QEMU is a shell with this script.
    fn machine(dir: &Path, script: &str, expect: Option<(&[&str], u64)>) -> Ready {
        let program = dir.join("qemu");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let plan = Plan {
            arch: Arch::X86_64,
            boot: Boot::Program("/m.efi".into()),
            firmware: None,
            memory: 64,
            cpus: 1,
            cpu_model: "max",
            accelerators: Vec::new(),
            disks: Vec::new(),
            metadata_cd: None,
            network: Network::None,
            usb: None,
            shares: Vec::new(),
            console: Console::Terminal { interactive: false, copy: None },
            qmp: Vec::new(),
            pid_file: PathBuf::from("/nowhere"),
            gui: false,
            detach: false,
        };
        let expect = expect.map(|(texts, seconds)| Expectation {
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            patience: Duration::from_secs(seconds),
        });
        Ready { program, plan, virtiofsd: None, expect }
    }

    fn attend(ready: Ready) -> (Result<Attended, String>, String) {
        let mut echo = Vec::new();
        let outcome = ready.attend(None, &mut echo, &mut |told| panic!("{told:?}"));
        (outcome.map_err(|error| error.to_string()), String::from_utf8(echo).unwrap())
    }

    #[test]
    fn a_console_that_shows_everything_ends_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let ended = dir.path().join("ended");
        let script = format!(
            "trap 'echo > {}; exit 0' TERM\necho one; echo two\nwhile :; do sleep 0.1; done",
            ended.display()
        );
        let (outcome, echo) = attend(machine(dir.path(), &script, Some((&["two", "one"], 600))));
        assert_eq!(outcome.unwrap().status, None);
        assert_eq!(echo, "one\ntwo\n");
        assert!(ended.exists(), "it was asked to end");
    }

    #[test]
    fn a_machine_that_ends_too_early_is_an_error_with_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo one; echo Kernel panic; exit 3";
        let (outcome, _) = attend(machine(dir.path(), script, Some((&["one", "two"], 600))));
        assert_eq!(
            outcome.unwrap_err(),
            "the console did not show \"two\" before QEMU ended (exit status: 3); its last lines:\n  one\n  Kernel panic"
        );
    }

    #[test]
    fn patience_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let (outcome, _) = attend(machine(dir.path(), "exec sleep 1000", Some((&["one"], 1))));
        assert_eq!(outcome.unwrap_err(), "the console did not show \"one\" within 1 s; it showed nothing");
    }

    #[test]
    fn without_an_expectation_a_machine_runs_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (outcome, echo) = attend(machine(dir.path(), "exit 7", None));
        assert_eq!(outcome.unwrap().status.and_then(|status| status.code()), Some(7));
        assert_eq!(echo, "");
    }
}
