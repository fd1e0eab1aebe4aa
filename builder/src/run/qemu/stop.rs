//! Ends a machine as its power button would, by QEMU's control socket (QMP: JSON, one message a line).

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

use super::boot;

/// The control socket's name in a machine's state directory.
pub(super) const SOCKET: &str = "qmp";

/// The longest message that is read from QEMU, in bytes: its greeting and answers have a few hundred.
const MAX_MESSAGE: u64 = 1 << 20;

/// Why a machine was not ended.
#[derive(Debug, Error)]
pub enum StopError {
    /// No machine has this state.
    #[error("no machine runs with the state {}: start it with `lkb run`, or name its state with --state", .0.display())]
    NotRunning(PathBuf),
    /// QEMU does not answer.
    #[error("cannot talk to the machine's qemu at {}", socket.display())]
    Talk {
        /// The control socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine does not react to its power button.
    #[error("the machine did not power off within {} s: look at its console, or end it with --force", .0.as_secs())]
    StaysOn(Duration),
}

/// How a machine is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is asked, and has this long.
    PowerButton(Duration),
    /// It is not asked.
    PullThePlug,
}

/// Ends the machine that was started from `path`, or that keeps `state`, and returns when it is off.
///
/// # Errors
/// When there is none, QEMU does not answer, or the machine stays on.
pub fn stop(path: &Path, state: Option<&Path>, how: How) -> Result<(), StopError> {
    let state = state.map_or_else(|| boot::default_state(path), Path::to_path_buf);
    let socket = state.join(SOCKET);
    let talk = |source| StopError::Talk { socket: socket.clone(), source };
    let stream = match UnixStream::connect(&socket) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(StopError::NotRunning(state));
        }
        result => result.map_err(talk)?,
    };
    let (command, patience) = match how {
        How::PowerButton(patience) => ("system_powerdown", patience),
        How::PullThePlug => ("quit", Duration::from_secs(10)),
    };
    let deadline = Instant::now() + patience;
    let mut monitor = Monitor { reader: BufReader::new(stream.try_clone().map_err(talk)?), stream };
    match monitor.end(command, deadline) {
        // QEMU closes the socket when the machine is off, whether that is our doing or not.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            Ok(())
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(StopError::StaysOn(patience))
        }
        result => result.map_err(talk),
    }
}

struct Monitor {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Monitor {
    /// Gives `command`, and reads until QEMU has ended.
    fn end(&mut self, command: &str, deadline: Instant) -> io::Result<()> {
        self.limit(deadline)?;
        self.message()?;
        self.send("qmp_capabilities")?;
        self.send(command)?;
        loop {
            self.limit(deadline)?;
            if self.message()?.is_none() {
                return Ok(());
            }
        }
    }

    /// From here on no message is waited for longer than until `deadline`.
    fn limit(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))
    }

    /// In one piece, for QEMU obeys at the closing brace, and may be gone before a line feed that comes after it.
    fn send(&mut self, command: &str) -> io::Result<()> {
        self.stream.write_all(format!("{}\n", json!({ "execute": command })).as_bytes())
    }

    /// The next message; `None` when QEMU has ended.
    fn message(&mut self) -> io::Result<Option<Value>> {
        let mut line = String::new();
        if io::Read::take(&mut self.reader, MAX_MESSAGE).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A QEMU that answers, and ends when it is told `last`.
    fn qemu(listener: UnixListener, last: &'static str) -> std::thread::JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            writeln!(stream, r#"{{"QMP": {{}}}}"#).unwrap();
            let mut said = Vec::new();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
                said.push(request["execute"].as_str().unwrap().to_string());
                writeln!(stream, r#"{{"return": {{}}}}"#).unwrap();
                if said.last().is_some_and(|command| command == last) {
                    break;
                }
            }
            said
        })
    }

    #[test]
    fn the_power_button_is_pressed_and_the_end_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let machine = qemu(listener, "system_powerdown");
        stop(Path::new("x"), Some(dir.path()), How::PowerButton(Duration::from_secs(30))).unwrap();
        assert_eq!(machine.join().unwrap(), ["qmp_capabilities", "system_powerdown"]);
    }

    #[test]
    fn a_machine_that_stays_on_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let machine = qemu(listener, "never");
        let result = stop(Path::new("x"), Some(dir.path()), How::PowerButton(Duration::from_millis(200)));
        assert!(matches!(result, Err(StopError::StaysOn(_))), "{result:?}");
        machine.join().unwrap();
    }

    #[test]
    fn a_machine_that_goes_off_by_itself_meanwhile_is_off() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let machine = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // As the kernel has it of a process that has ended, but for its greeting: nothing can be sent to it.
            stream.shutdown(Shutdown::Read).unwrap();
            writeln!(stream, r#"{{"QMP": {{}}}}"#).unwrap();
        });
        stop(Path::new("x"), Some(dir.path()), How::PullThePlug).unwrap();
        machine.join().unwrap();
    }

    #[test]
    fn a_machine_that_does_not_run_is_named_by_its_state() {
        let error = stop(Path::new("/nowhere/x.qcow2"), None, How::PullThePlug).unwrap_err().to_string();
        assert!(error.contains("/nowhere/x-state"), "{error}");
    }
}
