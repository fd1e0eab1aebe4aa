//! All that PID 1 waits for, in one poll(2).

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::super::system::{Event, Result};
use crate::device::coldplug::news;
use crate::power::acpi::Events as AcpiEvents;
use crate::power::{Action, request_of};
use crate::sys::netlink::{Protocol, Socket};

/// The sources of events; those that this kernel does not have are missing.
#[derive(Debug)]
pub struct Sources {
    signals: SignalFd,
    devices: Option<Socket>,
    acpi: Option<AcpiEvents>,
    mounts: Option<File>,
    /// What the supervisor beats into.
    beats: Option<File>,
    /// Events that came with another.
    pending: VecDeque<Event>,
}

impl Sources {
    /// Opens all sources, in a container only that of signals; also says which there are not. Signals must be blocked.
    pub fn open(contained: bool) -> Result<(Self, Vec<String>)> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&super::signals(), flags)?;
        let mut sources =
            Self { signals, devices: None, acpi: None, mounts: None, beats: None, pending: VecDeque::new() };
        let missing = if contained { Vec::new() } else { sources.open_rest() };
        Ok((sources, missing))
    }

    fn open_rest(&mut self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut note = |problem: String| missing.push(problem);
        let devices = Socket::open(Protocol::Uevent);
        self.devices = devices.map_err(|errno| note(format!("cannot hear of new devices: {errno}"))).ok();
        let acpi = AcpiEvents::open();
        self.acpi = acpi
            .map_err(|errno| note(format!("no power button: the kernel has no ACPI events ({errno})")))
            .ok();
        let mounts = File::open("/proc/self/mountinfo");
        self.mounts = mounts.map_err(|error| note(format!("cannot hear of mounts: {error}"))).ok();
        missing
    }

    /// From now on also hears of beats; `pipe` must not block.
    pub fn hear_beats(&mut self, pipe: File) {
        self.beats = Some(pipe);
    }

    /// The socket that tells of devices.
    pub const fn devices(&self) -> Option<&Socket> {
        self.devices.as_ref()
    }

    /// The next event; `None` when a wait ended without one, but not by time.
    pub fn next(&mut self, limit: PollTimeout) -> Result<Option<Event>> {
        if self.pending.is_empty() {
            self.collect(limit)?;
        }
        Ok(self.pending.pop_front())
    }

    /// Turns every readable source into events.
    fn collect(&mut self, limit: PollTimeout) -> Result<()> {
        let [signals, devices, acpi, beats, mounts] = {
            let sources = [
                readable(Some(self.signals.as_fd())),
                readable(self.devices.as_ref().map(Socket::as_fd)),
                readable(self.acpi.as_ref().map(|events| events.socket().as_fd())),
                readable(self.beats.as_ref().map(File::as_fd)),
                // The kernel says once that the mount table changed: whoever polls has to act.
                self.mounts.as_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLPRI)),
            ];
            let there = sources.each_ref().map(Option::is_some);
            let mut polled: Vec<PollFd<'_>> = sources.into_iter().flatten().collect();
            match poll(&mut polled, limit) {
                Ok(0) => {
                    self.pending.push_back(Event::Timeout);
                    return Ok(());
                }
                Ok(_) => {}
                Err(Errno::EINTR) => return Ok(()),
                Err(errno) => return Err(errno),
            }
            let mut polled = polled.iter();
            there.map(|there| there && polled.next().is_some_and(is_ready))
        };
        if signals {
            while let Some(info) = self.signals.read_signal()? {
                self.pending.extend(i32::try_from(info.ssi_signo).ok().and_then(event));
            }
        }
        if beats && self.has_beaten() {
            self.pending.push_back(Event::Beat);
        }
        if acpi && self.acpi.as_ref().is_some_and(AcpiEvents::power_button_pressed) {
            self.pending.push_back(Event::Request(Action::PowerOff, "power button"));
        }
        if devices && let Some(socket) = &self.devices {
            let news = news(socket);
            if !news.aliases.is_empty() {
                self.pending.push_back(Event::Devices(news.aliases));
            }
            if news.disks {
                self.pending.push_back(Event::Disks);
            }
        }
        if mounts {
            self.pending.push_back(Event::Mounts);
        }
        Ok(())
    }

    /// Reads all beats that are there; whether there was one. A supervisor that has ended leaves a pipe that is readable
    /// for ever, and is not listened to any more.
    fn has_beaten(&mut self) -> bool {
        let mut beats = [0; 64];
        let Some(pipe) = &mut self.beats else { return false };
        match pipe.read(&mut beats) {
            Ok(0) => {
                self.beats = None;
                false
            }
            Ok(_) => true,
            // Nothing to read.
            Err(_) => false,
        }
    }
}

/// What is to be polled for something to read.
fn readable(source: Option<BorrowedFd<'_>>) -> Option<PollFd<'_>> {
    source.map(|fd| PollFd::new(fd, PollFlags::POLLIN))
}

/// Whether there is anything at all, an error too. `POLLERR` is always there with the mount table's `POLLPRI`.
fn is_ready(source: &PollFd<'_>) -> bool {
    // Flags that nix does not know are something.
    source.revents().is_none_or(|flags| !flags.is_empty())
}

/// What a signal means to PID 1; most mean nothing.
fn event(number: i32) -> Option<Event> {
    if number == Signal::SIGCHLD as i32 {
        return Some(Event::Children);
    }
    request_of(number).map(|(action, why)| Event::Request(action, why))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;

    use super::*;

    #[test]
    fn signals_become_events_and_those_without_a_meaning_none() {
        let cases = [
            (Signal::SIGCHLD, Some(Event::Children)),
            (Signal::SIGINT, Some(Event::Request(Action::Reboot, "ctrl-alt-del"))),
            (Signal::SIGUSR2, Some(Event::Request(Action::PowerOff, "SIGUSR2"))),
            (Signal::SIGHUP, None),
        ];
        for (signal, expected) in cases {
            assert_eq!(event(signal as i32), expected);
        }
    }

    #[test]
    fn beats_are_heard_until_the_supervisor_ends() {
        let (mut sources, missing) = Sources::open(true).unwrap();
        assert!(missing.is_empty(), "a container has nothing else to hear of");
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let (ours, theirs) = pipe2(flags).unwrap();
        sources.hear_beats(File::from(ours));
        let mut theirs = File::from(theirs);
        theirs.write_all(b"...").unwrap();
        assert_eq!(sources.next(PollTimeout::ZERO), Ok(Some(Event::Beat)));
        assert_eq!(sources.next(PollTimeout::ZERO), Ok(Some(Event::Timeout)), "three at once are one");
        drop(theirs);
        assert_eq!(sources.next(PollTimeout::ZERO), Ok(None));
        assert_eq!(sources.next(PollTimeout::ZERO), Ok(Some(Event::Timeout)), "the pipe must not spin");
    }
}
