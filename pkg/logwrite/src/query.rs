//! The socket that logs are asked for at.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::message::Message;

/// Where it is, unless said otherwise.
pub const SOCKET: &str = "/run/memlogdq.sock";
/// Longest line that is read; the supervisor's have 8 KiB, and JSON may make six of one byte.
const LONGEST: usize = 128 * 1024;
/// Most bytes that are read at the end: the supervisor keeps 1 MiB of text and may tell it all, and JSON may make six of one byte.
const MOST_AT_END: u64 = 8 << 20;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What there is.
    Dump,
    /// What will come.
    Follow,
    /// Both.
    DumpAndFollow,
}

/// Nobody answers.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot ask for logs: {source}; is the socket bound to this container?")]
pub struct QueryError {
    path: PathBuf,
    source: io::Error,
}

/// Asks for logs.
///
/// # Errors
/// When nobody answers.
pub fn ask(path: &Path, mode: Mode) -> Result<UnixStream, QueryError> {
    let byte = match mode {
        Mode::Dump => 0,
        Mode::Follow => 1,
        Mode::DumpAndFollow => 2,
    };
    let asked = UnixStream::connect(path).and_then(|mut stream| {
        stream.write_all(&[byte])?;
        Ok(stream)
    });
    asked.map_err(|source| QueryError { path: path.to_owned(), source })
}

/// Messages from pieces of text, however they are cut.
#[derive(Debug, Default)]
pub struct Messages {
    rest: Vec<u8>,
}

impl Messages {
    /// Reads what there is, and gives each message of it to `take`; false at the end.
    ///
    /// # Errors
    /// When the socket cannot be read.
    pub fn read(&mut self, from: &mut impl Read, mut take: impl FnMut(Message)) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let length = match from.read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        self.rest.extend_from_slice(piece.get(..length).unwrap_or_default());
        let whole = self.rest.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        lines.split(|b| *b == b'\n').filter_map(Message::parse).for_each(&mut take);
        if self.rest.len() > LONGEST {
            // No line of ours; its end will be no message either.
            self.rest.clear();
        }
        Ok(true)
    }

    /// Reads what is there already, from something that does not wait for more. Whoever tells the logs may go on
    /// meanwhile: it ends after 8 MiB, or when it is `until`.
    pub fn drain(&mut self, from: &mut impl Read, until: Instant, mut take: impl FnMut(Message)) {
        let mut from = from.take(MOST_AT_END);
        // An error is mostly that there is no more yet; of any other, what was read is no worse.
        while Instant::now() < until && self.read(&mut from, &mut take).is_ok_and(|more| more) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(n: usize) -> String {
        format!("{{\"time\":\"2026-11-22T00:00:00Z\",\"source\":\"s\",\"msg\":\"{n}\"}}\n")
    }

    proptest! {
        #[test]
        fn messages_are_whole_however_they_are_cut(sizes in proptest::collection::vec(1usize..80, 1..40)) {
            let text: String = (0..10).map(json).collect();
            let (mut messages, mut seen, mut rest) = (Messages::default(), Vec::new(), text.as_bytes());
            for size in sizes.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (mut piece, after) = rest.split_at(size.min(rest.len()));
                rest = after;
                prop_assert!(messages.read(&mut piece, |message| seen.push(message.msg)).unwrap());
            }
            prop_assert_eq!(seen, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory_and_what_follows_is_read() {
        let mut messages = Messages::default();
        let endless = vec![b'x'; 1 << 20];
        let mut from = endless.as_slice();
        while messages.read(&mut from, |_| panic!("no message")).unwrap() {
            assert!(messages.rest.len() <= LONGEST);
        }
        let mut seen = 0;
        messages.read(&mut format!("\n{}", json(1)).as_bytes(), |_| seen += 1).unwrap();
        assert_eq!(seen, 1);
    }

    /// Tells the same line for ever.
    struct Endless(std::io::Cursor<Vec<u8>>);

    impl Read for Endless {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            match self.0.read(piece)? {
                0 => {
                    self.0.set_position(0);
                    self.0.read(piece)
                }
                length => Ok(length),
            }
        }
    }

    #[test]
    fn one_that_never_stops_telling_does_not_keep_the_end_waiting() {
        let mut endless = Endless(io::Cursor::new(json(1).into_bytes()));
        let later = Instant::now() + std::time::Duration::from_secs(3600);
        let (mut messages, mut seen) = (Messages::default(), 0);
        messages.drain(&mut endless, later, |_| seen += 1);
        assert_eq!(seen, MOST_AT_END / json(1).len() as u64);
        messages.drain(&mut endless, Instant::now(), |_| panic!("its time is over"));
    }
}
