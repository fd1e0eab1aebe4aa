//! What a package says to LinuxKit's memlogd.

use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::watch::PATIENCE;

/// Where logs are asked for.
const QUERY: &str = "/run/memlogdq.sock";
/// Where logs are announced.
const EXTERNAL: &str = "/run/linuxkit-external-logging.sock";
/// All that was said, and all that will be.
const BOTH: u8 = 2;

/// Reads the log until a line says `text`, and returns that line as it came.
///
/// # Errors
/// When nobody serves the log, or no such line comes.
pub fn await_line(text: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(QUERY)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[BOTH])?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let message: serde_json::Value = serde_json::from_str(&line)?;
        if message["msg"] == text {
            return Ok(line);
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the log ended without {text:?}")))
}

/// Writes a line into a log of this name, through a pipe of our own.
///
/// # Errors
/// When nobody takes the pipe.
pub fn log(name: &str, line: &str) -> io::Result<()> {
    let (reader, mut writer) = io::pipe()?;
    let socket = UnixDatagram::unbound()?;
    socket.connect(EXTERNAL)?;
    let descriptors = [reader.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(name.as_bytes())], &rights, MsgFlags::empty(), None)?;
    writeln!(writer, "{line}")
}
