//! qemu's control socket (QMP: JSON, one message a line).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::PATIENCE;

/// An open control connection.
#[derive(Debug)]
pub struct Qmp {
    write: UnixStream,
    read: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to qemu's socket and leaves capability negotiation.
    ///
    /// # Panics
    /// When qemu does not answer.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        let write = UnixStream::connect(socket)
            .unwrap_or_else(|e| panic!("connecting to qemu's {}: {e}", socket.display()));
        write.set_read_timeout(Some(PATIENCE)).expect("a limit for reading from qemu");
        let read = BufReader::new(write.try_clone().expect("a second handle on the socket"));
        let mut qmp = Self { write, read };
        qmp.message();
        qmp.run("qmp_capabilities", &json!({}));
        qmp
    }

    /// Runs one command and returns what it returned.
    ///
    /// # Panics
    /// When qemu says that it failed.
    pub fn run(&mut self, command: &str, arguments: &Value) -> Value {
        let request = json!({"execute": command, "arguments": arguments});
        // In one piece, for qemu obeys at the closing brace, and may be gone before a line feed that comes after it.
        self.write.write_all(format!("{request}\n").as_bytes()).expect("writing to qemu");
        loop {
            let answer = self.message();
            assert!(answer.get("error").is_none(), "qemu: {command}: {answer}");
            if let Some(value) = answer.get("return") {
                return value.clone();
            }
        }
    }

    /// Waits for an event, and returns what it tells.
    ///
    /// # Panics
    /// When qemu ends before.
    pub fn await_event(&mut self, name: &str) -> Value {
        loop {
            let message = self.message();
            if message["event"] == name {
                return message["data"].clone();
            }
        }
    }

    fn message(&mut self) -> Value {
        let mut line = String::new();
        self.read.read_line(&mut line).expect("reading from qemu");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("qemu said {line:?}: {e}"))
    }
}
