//! A process's terminal: its other end comes over a socket, and is copied from and to the client's pipes.

use std::fs::File;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::poll::PollFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::termios::Winsize;

/// How much is on its way in each direction (bytes).
const PIECE: usize = 4 << 10;

/// A socket that the runtime sends the terminal's other end to (runc, docs/terminals.md, "Detached New Terminal").
#[derive(Debug)]
pub struct ConsoleSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ConsoleSocket {
    /// Listens at `path`.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(path: PathBuf) -> std::io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes what a runtime that has ended has sent.
    ///
    /// # Errors
    /// `WouldBlock` when it sent nothing.
    pub fn receive(&self) -> std::io::Result<OwnedFd> {
        let (socket, _) = self.listener.accept()?;
        socket.set_nonblocking(true)?;
        let mut name = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut name)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let rights = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        rights.ok_or_else(|| std::io::Error::other("the runtime sent a message without a terminal"))
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        // A name that is left is replaced by the next one.
        std::fs::remove_file(&self.path).ok();
    }
}

/// A terminal between a container and a client.
#[derive(Debug)]
pub struct Terminal {
    master: Option<File>,
    input: Option<File>,
    /// What is in the client's pipe now is the last of its input.
    input_ends: bool,
    output: Option<File>,
    to_master: Pending,
    to_output: Pending,
}

/// Bytes that were read and not yet written.
#[derive(Debug, Default)]
struct Pending(Vec<u8>);

impl Pending {
    /// Reads when nothing is pending; false at the end.
    fn fill(&mut self, from: &mut impl Read) -> bool {
        let mut piece = [0; PIECE];
        match from.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.0.extend_from_slice(piece.get(..count).unwrap_or_default());
                true
            }
            // EIO: nobody has the terminal open any more.
            Err(error) => is_temporary(&error),
        }
    }

    /// Writes what goes; false when it will never go.
    fn empty(&mut self, to: &mut impl Write) -> bool {
        match to.write(&self.0) {
            Ok(count) => {
                self.0.drain(..count.min(self.0.len()));
                true
            }
            Err(error) => is_temporary(&error),
        }
    }
}

fn is_temporary(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Terminal {
    /// Takes the terminal and the client's pipes.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(master: OwnedFd, input: Option<File>, output: Option<File>) -> std::io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | rustix::fs::OFlags::NONBLOCK)?;
        let (to_master, to_output) = (Pending::default(), Pending::default());
        let master = Some(File::from(master));
        Ok(Self { master, input, input_ends: false, output, to_master, to_output })
    }

    /// Sets its size, in characters.
    ///
    /// # Errors
    /// What ioctl(2) says; a terminal that nobody has open any more is none.
    pub fn resize(&self, width: u16, height: u16) -> std::io::Result<()> {
        let size = Winsize { ws_col: width, ws_row: height, ws_xpixel: 0, ws_ypixel: 0 };
        match &self.master {
            Some(master) => Ok(rustix::termios::tcsetwinsize(master, size)?),
            None => Ok(()),
        }
    }

    /// Lets go of the client's input, once what it has sent is copied.
    pub fn close_input(&mut self) {
        self.input_ends = true;
        self.copy();
    }

    /// Whether nothing will be copied any more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.master.is_none() && self.to_output.0.is_empty()
    }

    /// What to wait for. Whoever is not wanted is not named: a closed pipe would wake us for ever.
    pub fn interests<'a>(&'a self, interests: &mut Vec<(BorrowedFd<'a>, PollFlags)>) {
        if let Some(master) = &self.master {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, self.to_output.0.is_empty());
            flags.set(PollFlags::POLLOUT, !self.to_master.0.is_empty());
            if !flags.is_empty() {
                interests.push((master.as_fd(), flags));
            }
            if let Some(input) = &self.input
                && self.to_master.0.is_empty()
            {
                interests.push((input.as_fd(), PollFlags::POLLIN));
            }
        }
        if let Some(output) = &self.output
            && !self.to_output.0.is_empty()
        {
            interests.push((output.as_fd(), PollFlags::POLLOUT));
        }
    }

    /// Copies what can be copied without waiting, a bounded amount.
    pub fn copy(&mut self) {
        for _ in 0..16 {
            let before = (self.to_master.0.len(), self.to_output.0.len(), self.master.is_some());
            self.copy_once();
            if before == (self.to_master.0.len(), self.to_output.0.len(), self.master.is_some()) {
                break;
            }
        }
        if self.is_done() {
            // The client's read ends now.
            self.output = None;
            self.input = None;
        }
    }

    fn copy_once(&mut self) {
        if let Some(master) = &mut self.master {
            if self.to_master.0.is_empty()
                && let Some(input) = &mut self.input
                && (!self.to_master.fill(input) || (self.input_ends && self.to_master.0.is_empty()))
            {
                self.input = None;
            }
            if !self.to_master.0.is_empty() && !self.to_master.empty(master) {
                self.to_master.0.clear();
                self.input = None;
            }
            if self.to_output.0.is_empty() && !self.to_output.fill(master) {
                self.master = None;
                self.to_master.0.clear();
            }
        }
        match &mut self.output {
            Some(output) if !self.to_output.0.is_empty() => {
                if !self.to_output.empty(output) {
                    self.output = None;
                    self.to_output.0.clear();
                }
            }
            Some(_) => {}
            None => self.to_output.0.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn fifo(dir: &Path, name: &str) -> (File, File) {
        let path = dir.join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = || {
            let nonblocking = nix::libc::O_NONBLOCK;
            OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(&path).unwrap()
        };
        (open(), open())
    }

    #[test]
    fn a_terminal_copies_both_ways_resizes_and_ends_with_its_last_user() {
        let dir = tempfile::tempdir().unwrap();
        let (input, mut client_input) = fifo(dir.path(), "in");
        let (output, mut client_output) = fifo(dir.path(), "out");
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut slave = File::from(pty.slave);
        let mut terminal = Terminal::new(pty.master, Some(input), Some(output)).unwrap();

        slave.write_all(b"hello\n").unwrap();
        terminal.copy();
        let mut buffer = [0; 64];
        let count = client_output.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"hello\r\n");

        client_input.write_all(b"word\n").unwrap();
        terminal.copy();
        let count = slave.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"word\n");

        terminal.resize(132, 50).unwrap();
        let size = rustix::termios::tcgetwinsize(&slave).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (132, 50));

        client_input.write_all(b"last\n").unwrap();
        terminal.close_input();
        let count = slave.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"last\n");
        terminal.copy();
        assert!(terminal.input.is_none());

        drop(slave);
        while !terminal.is_done() {
            terminal.copy();
        }
        let mut interests = Vec::new();
        terminal.interests(&mut interests);
        assert!(interests.is_empty());
    }

    #[test]
    fn output_that_nobody_reads_takes_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let (output, _client) = fifo(dir.path(), "out");
        let pty = nix::pty::openpty(None, None).unwrap();
        let slave = File::from(pty.slave);
        rustix::fs::fcntl_setfl(&slave, rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut terminal = Terminal::new(pty.master, None, Some(output)).unwrap();
        for _ in 0..200 {
            // Refused once the pty is full, which is what this is about.
            drop((&slave).write_all(&[b'x'; 4096]));
            terminal.copy();
        }
        assert!(terminal.to_output.0.len() <= PIECE);
        let mut interests = Vec::new();
        terminal.interests(&mut interests);
        // The pipe is full: only room in it wakes us.
        assert_eq!(interests.len(), 1);
    }

    #[test]
    fn the_terminal_comes_over_the_socket() {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
        let dir = tempfile::tempdir().unwrap();
        let console = ConsoleSocket::listen(dir.path().join("s")).unwrap();
        assert_eq!(console.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
        let pty = nix::pty::openpty(None, None).unwrap();
        let runtime = std::os::unix::net::UnixStream::connect(console.path()).unwrap();
        let fds = [pty.master.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&runtime, &[std::io::IoSlice::new(b"/dev/ptmx")], &mut control, SendFlags::empty()).unwrap();
        drop(runtime);
        let master = console.receive().unwrap();
        assert!(rustix::termios::isatty(&master));
        let path = console.path().to_owned();
        drop(console);
        assert!(!path.exists());
    }
}
