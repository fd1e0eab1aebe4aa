//! Reads one stream, in turns that leave the others theirs.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use tokio::io::unix::AsyncFd;

use super::bucket::{Bucket, LINE_COST};
use super::line::Stream;
use super::split::Splitter;
use super::{Logs, console};
use crate::watch::readiness::readable;

/// How much is read in one turn (bytes).
const TURN: usize = 16 * 1024;
/// How much is taken at once when it is known that the writer has ended (bytes): more than a pipe holds.
const DRAIN: usize = 1 << 20;
/// How long the beginning of a line waits for its end.
const LINE_PATIENCE: Duration = Duration::from_secs(1);

/// A stream that is being read.
#[derive(Debug)]
pub struct Pump {
    source: Rc<str>,
    stream: Stream,
    fd: AsyncFd<OwnedFd>,
    splitter: RefCell<Splitter>,
}

/// What a turn came to.
enum Turn {
    /// So much was read: bytes and lines.
    Read(usize, usize),
    /// There is nothing now.
    Empty,
    /// There will be nothing more.
    End,
}

impl Pump {
    /// For reading `fd`, which does not block.
    pub fn new(fd: OwnedFd, source: &str, stream: Stream) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self { source: source.into(), stream, fd: readable(fd)?, splitter: RefCell::default() }))
    }

    /// Reads for as long as there are `logs`, or until the stream ends, which a named pipe that we have open ourselves
    /// never does.
    pub async fn run(self: Rc<Self>, logs: Weak<Logs>) {
        let mut bucket = Bucket::new(Instant::now());
        loop {
            let amid_line = self.splitter.borrow().is_amid_line();
            let ready = if amid_line {
                tokio::time::timeout(LINE_PATIENCE, self.fd.readable()).await.ok()
            } else {
                Some(self.fd.readable().await)
            };
            let Some(logs) = logs.upgrade() else { return };
            let mut guard = match ready {
                None => {
                    self.flush(&logs);
                    continue;
                }
                Some(Ok(guard)) => guard,
                Some(Err(error)) => return self.fail(&error),
            };
            match self.turn(&logs) {
                Ok(Turn::Read(bytes, lines)) => {
                    drop((guard, logs));
                    match bucket.take(bytes + lines * LINE_COST, Instant::now()) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => tokio::task::yield_now().await,
                    }
                }
                Ok(Turn::Empty) => guard.clear_ready(),
                Ok(Turn::End) => return self.finish(&logs),
                Err(error) => return self.fail(&error),
            }
        }
    }

    /// Takes all that is there now, with a last line that has no end: its writer has ended.
    pub fn drain(&self, logs: &Logs) {
        let mut taken = 0;
        while taken < DRAIN {
            match self.turn(logs) {
                Ok(Turn::Read(bytes, _)) => taken += bytes,
                Ok(Turn::Empty | Turn::End) => break,
                Err(error) => return self.fail(&error),
            }
        }
        self.finish(logs);
    }

    fn turn(&self, logs: &Logs) -> io::Result<Turn> {
        let mut buffer = [0; TURN];
        let count = match retry_on_intr(|| rustix::io::read(&self.fd, &mut buffer)) {
            Ok(0) => return Ok(Turn::End),
            Ok(count) => count,
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Turn::Empty),
            Err(errno) => return Err(errno.into()),
        };
        let mut lines = Vec::new();
        let bytes = buffer.get(..count).unwrap_or_default();
        self.splitter.borrow_mut().push(bytes, &mut |line| lines.push(line));
        let turn = Turn::Read(count, lines.len());
        logs.take(&self.source, self.stream, &mut lines.into_iter());
        Ok(turn)
    }

    fn flush(&self, logs: &Logs) {
        let mut piece = None;
        self.splitter.borrow_mut().flush(&mut |line| piece = Some(line));
        logs.take(&self.source, self.stream, &mut piece.into_iter());
    }

    fn finish(&self, logs: &Logs) {
        let mut line = None;
        self.splitter.borrow_mut().finish(&mut |text| line = Some(text));
        logs.take(&self.source, self.stream, &mut line.into_iter());
    }

    fn fail(&self, error: &io::Error) {
        console::say(&format!("{}: its output cannot be read any more: {error}", self.source));
    }
}
