//! The serial console on the terminal.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use super::VboxError;

/// How long a machine that runs may take to open its console.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked for.
const PAUSE: Duration = Duration::from_millis(20);
/// What ends a run from outside.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Where a machine will find its console.
pub(super) struct Console {
    listener: UnixListener,
}

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The machine is off.
    Off,
    /// This signal came.
    Signal(i32),
}

impl Console {
    /// Listens; a socket that a killed run has left is replaced.
    pub(super) fn listen(socket: &Path) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Shows the console, and gives the machine what is typed, until one of them ends; nothing if nobody opens it. The end
    /// of the input is not the end of the machine.
    pub(super) fn attend(self) -> Result<Option<Ended>, VboxError> {
        let (told, end) = mpsc::channel();
        let signals: SigSet = ENDING.into_iter().collect();
        // They are blocked only now: what VirtualBox has started would inherit that. Where they cannot be, they end this
        // process, and the next run removes the machine.
        if signals.thread_block().is_ok() {
            let told = told.clone();
            thread::spawn(move || {
                if let Ok(signal) = signals.wait() {
                    // Nobody listens any more when the machine is off.
                    told.send(Ended::Signal(signal as i32)).ok();
                }
            });
        }
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match (self.listener.accept(), end.try_recv()) {
                (_, Ok(ended)) => return Ok(Some(ended)),
                (Ok((stream, _)), _) => break stream,
                (Err(_), _) if Instant::now() < deadline => thread::sleep(PAUSE),
                (Err(_), _) => return Ok(None),
            }
        };
        let failed = |source| VboxError::Path { path: "the console".into(), source };
        stream.set_nonblocking(false).map_err(failed)?;
        let typed = stream.try_clone().map_err(failed)?;
        thread::spawn(move || give(io::stdin(), typed));
        thread::spawn(move || {
            show(stream, io::stdout());
            told.send(Ended::Off).ok();
        });
        // Both threads have a sender until they have told something.
        Ok(Some(end.recv().unwrap_or(Ended::Off)))
    }
}

fn give(mut from: impl Read, mut to: UnixStream) {
    // Without input, and when the machine is off, there is nobody to tell.
    let _end = io::copy(&mut from, &mut to);
}

fn show(mut from: UnixStream, mut to: impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        // A terminal that is gone does not end the machine.
        let _shown = to.write_all(buffer.get(..count).unwrap_or_default()).and_then(|()| to.flush());
    }
}
