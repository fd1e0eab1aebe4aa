//! A connection that never blocks.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::poll::PollFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::frame::{Decoder, Frame, FrameError};

/// How much is read at once (bytes).
const PIECE: usize = 16 << 10;
/// How many pieces are read before others have their turn.
const PIECES: usize = 16;
/// How much may wait for a peer that does not read (bytes): two of the longest messages.
const UNSENT_LIMIT: usize = 8 << 20;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The peer closed it.
    #[error("closed by the other side")]
    Closed,
    /// It failed.
    #[error(transparent)]
    Io(std::io::Error),
    /// What came is not ttrpc.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer sends, but does not read.
    #[error("{0} bytes wait for a peer that does not read")]
    Unread(usize),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    unsent: Vec<u8>,
}

impl Connection {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(socket: UnixStream) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, decoder: Decoder::default(), unsent: Vec::new() })
    }

    /// Connects to the socket at `path`, without waiting for a listener that is busy.
    ///
    /// # Errors
    /// What socket(2) or connect(2) says.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Self::new(UnixStream::from(socket))
    }

    /// What to wait for.
    #[must_use]
    pub fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, !self.unsent.is_empty());
        (self.socket.as_fd(), flags)
    }

    /// Reads what is there, up to a limit; whole frames go to `frames`, those before an error too.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn receive(&mut self, frames: &mut Vec<Frame>) -> Result<(), Broken> {
        let mut piece = [0; PIECE];
        for _ in 0..PIECES {
            let count = match self.socket.read(&mut piece) {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.decoder.push(piece.get(..count).unwrap_or_default());
            while let Some(frame) = self.decoder.take()? {
                frames.push(frame);
            }
        }
        Ok(())
    }

    /// Sends a frame, or as much of it as goes; the rest goes with [`Connection::flush`].
    ///
    /// # Errors
    /// [`Broken`].
    pub fn send(&mut self, frame: &Frame) -> Result<(), Broken> {
        frame.write(&mut self.unsent)?;
        self.flush()?;
        if self.unsent.len() > UNSENT_LIMIT {
            return Err(Broken::Unread(self.unsent.len()));
        }
        Ok(())
    }

    /// Sends what waits, as much as goes.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn flush(&mut self) -> Result<(), Broken> {
        let mut sent = 0;
        while let Some(rest) = self.unsent.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => break,
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if sent == self.unsent.len() {
            self.unsent = Vec::new();
        } else {
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    /// Whether everything was sent.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Kind;
    use super::*;

    fn frame(length: usize) -> Frame {
        Frame { stream: 1, kind: Kind::Response, flags: 0, payload: vec![7; length] }
    }

    #[test]
    fn a_message_larger_than_the_sockets_buffer_arrives_whole() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut here, mut there) = (Connection::new(here).unwrap(), Connection::new(there).unwrap());
        let big = frame(1 << 20);
        here.send(&big).unwrap();
        assert!(!here.is_flushed());
        let mut frames = Vec::new();
        while frames.is_empty() {
            there.receive(&mut frames).unwrap();
            here.flush().unwrap();
        }
        assert_eq!(frames, [big]);
        assert!(here.is_flushed());
    }

    #[test]
    fn a_peer_that_never_reads_is_given_up() {
        let (here, _there) = UnixStream::pair().unwrap();
        let mut here = Connection::new(here).unwrap();
        let outcome = (0..4).try_for_each(|_| here.send(&frame(4 << 20)));
        assert!(matches!(outcome, Err(Broken::Unread(_))), "{outcome:?}");
    }

    #[test]
    fn frames_before_the_end_are_not_lost() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut here, mut there) = (Connection::new(here).unwrap(), Connection::new(there).unwrap());
        here.send(&frame(3)).unwrap();
        drop(here);
        let mut frames = Vec::new();
        assert!(matches!(there.receive(&mut frames), Err(Broken::Closed)));
        assert_eq!(frames, [frame(3)]);
    }
}
