//! Tells containerd what happened, in order, until it has heard it, through any number of its restarts.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::PollFlags;

use super::event::{Event, Subject, Told};
use super::say;
use super::wire::{Connection, Fault, read_answer};

/// Events that are kept for a containerd that is not there.
const LIMIT: usize = 512;
/// First and longest pause before containerd is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The queue and the way out of it.
#[derive(Debug)]
pub struct Publisher {
    subject: Subject,
    /// containerd's ttrpc socket; without one nothing is told.
    address: Option<PathBuf>,
    queue: VecDeque<Told>,
    line: Line,
    pause: Duration,
    stream: u32,
}

/// The connection to containerd.
#[derive(Debug)]
enum Line {
    None,
    /// With the call that tells the first of the queue, once it was made.
    Open {
        connection: Connection,
        asked: Option<u32>,
    },
    Until(Instant),
}

impl Publisher {
    /// Tells about `subject` at `address`.
    #[must_use]
    pub fn new(subject: Subject, address: Option<PathBuf>) -> Self {
        Self { subject, address, queue: VecDeque::new(), line: Line::None, pause: PAUSES.0, stream: 1 }
    }

    /// Something happened now.
    pub fn tell(&mut self, event: Event) {
        if self.address.is_none() {
            return;
        }
        if self.queue.len() >= LIMIT {
            // What containerd can ask for is given up first; how a process ended it could only have been told.
            let at = self.queue.iter().position(|told| !is_end(&told.event)).unwrap_or_default();
            let first_is_asked = matches!(self.line, Line::Open { asked: Some(_), .. });
            self.queue.remove(if at == 0 && first_is_asked { 1 } else { at });
        }
        self.queue.push_back(Told { event, at: SystemTime::now() });
        self.go_on();
    }

    /// Whether everything was heard.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.queue.is_empty()
    }

    /// What to wait for.
    #[must_use]
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.line {
            Line::Open { connection, .. } => Some(connection.interest()),
            _ => None,
        }
    }

    /// When to call [`Publisher::go_on`] although nothing happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.line {
            Line::Until(at) if !self.queue.is_empty() => Some(at),
            _ => None,
        }
    }

    /// Does what can be done without waiting.
    pub fn go_on(&mut self) {
        if let Err(reason) = self.try_to_go_on() {
            self.line = Line::Until(Instant::now() + self.pause);
            if self.pause == PAUSES.0 && !self.queue.is_empty() {
                say(&format!("containerd does not hear events: {reason}; trying again"));
            }
            self.pause = (self.pause * 2).min(PAUSES.1);
        }
    }

    fn try_to_go_on(&mut self) -> Result<(), String> {
        if let Line::Open { connection, asked } = &mut self.line {
            let mut frames = Vec::new();
            let received = connection.receive(&mut frames);
            for frame in frames {
                if *asked != Some(frame.stream) {
                    continue;
                }
                *asked = None;
                self.pause = PAUSES.0;
                if let Err(fault) = read_answer(&frame) {
                    say(&format!("containerd refuses an event: {fault}"));
                }
                self.queue.pop_front();
            }
            match received {
                Ok(()) => {}
                // Nothing is lost: what was not answered is told again.
                Err(_) if self.queue.is_empty() => {
                    self.line = Line::None;
                    return Ok(());
                }
                Err(broken) => return Err(broken.to_string()),
            }
        }
        loop {
            let Some(first) = self.queue.front() else {
                return match &mut self.line {
                    Line::Open { connection, .. } => connection.flush().map_err(|broken| broken.to_string()),
                    _ => Ok(()),
                };
            };
            match &mut self.line {
                Line::Until(at) if *at > Instant::now() => return Ok(()),
                Line::None | Line::Until(_) => {
                    let Some(address) = &self.address else { return Ok(()) };
                    let connection = Connection::open(address).map_err(|error| error.to_string())?;
                    self.line = Line::Open { connection, asked: None };
                }
                Line::Open { connection, asked: Some(_) } => {
                    return connection.flush().map_err(|broken| broken.to_string());
                }
                Line::Open { connection, asked } => {
                    let stream = self.stream;
                    let made = first.call(&self.subject).and_then(|call| call.frame(stream));
                    match made {
                        Ok(frame) => {
                            // Callers' streams are odd.
                            self.stream = stream.wrapping_add(2) | 1;
                            *asked = Some(stream);
                            connection.send(&frame).map_err(|broken| broken.to_string())?;
                        }
                        Err(Fault { message, .. }) => {
                            say(&format!("an event cannot be told: {message}"));
                            self.queue.pop_front();
                        }
                    }
                }
            }
        }
    }
}

fn is_end(event: &Event) -> bool {
    matches!(event, Event::Exited { .. } | Event::Deleted(_))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use containerd_shim_protos::api::ForwardRequest;
    use containerd_shim_protos::protobuf::Message;

    use super::super::reply::Ended;
    use super::super::wire::{Call, Frame, answer};
    use super::*;

    /// A containerd that only listens.
    struct Listening {
        listener: UnixListener,
        connection: Option<Connection>,
    }

    impl Listening {
        fn at(path: &Path) -> Self {
            let listener = UnixListener::bind(path).unwrap();
            listener.set_nonblocking(true).unwrap();
            Self { listener, connection: None }
        }

        /// The next event's topic; answers it or not.
        fn hear(&mut self, answers: bool) -> Option<String> {
            if let Ok((socket, _)) = self.listener.accept() {
                self.connection = Some(Connection::new(socket).unwrap());
            }
            let connection = self.connection.as_mut()?;
            let mut frames: Vec<Frame> = Vec::new();
            connection.receive(&mut frames).ok();
            let frame = frames.pop()?;
            if answers {
                connection.send(&answer(frame.stream, Ok(Vec::new())).unwrap()).unwrap();
            }
            let call = Call::read(&frame).unwrap();
            assert_eq!(call.service, "containerd.services.events.ttrpc.v1.Events");
            Some(ForwardRequest::parse_from_bytes(&call.payload).unwrap().envelope.unwrap().topic)
        }
    }

    fn exit(pid: u32) -> Event {
        let ended = Ended { pid, status: 0, at: SystemTime::UNIX_EPOCH };
        Event::Exited { exec: String::new(), ended }
    }

    fn publisher(path: &Path) -> Publisher {
        Publisher::new(Subject { namespace: "n".into(), id: "c".into() }, Some(path.to_owned()))
    }

    /// As the loop does, when the deadline comes.
    fn go_on_after_pause(publisher: &mut Publisher) {
        if let Line::Until(at) = &mut publisher.line {
            *at = Instant::now();
        }
        publisher.go_on();
    }

    #[test]
    fn events_are_heard_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut containerd = Listening::at(&path);
        let mut publisher = publisher(&path);
        publisher.tell(Event::Started(7));
        publisher.tell(exit(7));
        assert_eq!(containerd.hear(true).as_deref(), Some("/tasks/start"));
        publisher.go_on();
        assert_eq!(containerd.hear(true).as_deref(), Some("/tasks/exit"));
        assert!(!publisher.is_done());
        publisher.go_on();
        assert!(publisher.is_done());
        assert_eq!(publisher.deadline(), None);
    }

    #[test]
    fn what_happened_while_containerd_was_down_is_told_when_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut publisher = publisher(&path);
        publisher.tell(exit(7));
        assert!(publisher.deadline().is_some());
        let mut containerd = Listening::at(&path);
        go_on_after_pause(&mut publisher);
        // It dies before it answers, and another comes.
        assert_eq!(containerd.hear(false).as_deref(), Some("/tasks/exit"));
        drop(containerd);
        std::fs::remove_file(&path).unwrap();
        publisher.go_on();
        assert!(!publisher.is_done());
        let mut containerd = Listening::at(&path);
        go_on_after_pause(&mut publisher);
        assert_eq!(containerd.hear(true).as_deref(), Some("/tasks/exit"));
        publisher.go_on();
        assert!(publisher.is_done());
    }

    #[test]
    fn an_event_that_containerd_refuses_does_not_keep_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut containerd = Listening::at(&path);
        let mut publisher = publisher(&path);
        publisher.tell(exit(7));
        containerd.hear(false);
        let refusal = answer(1, Err(Fault::failed("no"))).unwrap();
        containerd.connection.as_mut().unwrap().send(&refusal).unwrap();
        publisher.go_on();
        assert!(publisher.is_done());
    }

    #[test]
    fn the_queue_is_bounded_and_ends_are_kept_longest() {
        let mut publisher = publisher(Path::new("/nowhere/s"));
        publisher.tell(exit(1));
        for _ in 0..2 * LIMIT {
            publisher.tell(Event::OutOfMemory);
        }
        assert_eq!(publisher.queue.len(), LIMIT);
        assert_eq!(publisher.queue.front().map(|told| &told.event), Some(&exit(1)));
    }
}
