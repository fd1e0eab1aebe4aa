//! The server: one loop around one machine, its callers, and the host.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::host::Host;
use super::publisher::Publisher;
use super::reply::Reply;
use super::task::{Action, Deed, Input, Machine, Ticket};
use super::wire::{Broken, Call, Connection, Fault, Frame, answer};
use super::{request, say};

/// Callers at a time: containerd has one connection, and a second while it restarts.
const CONNECTION_LIMIT: usize = 32;
/// How long the last answers and events may take to be sent.
const QUIT_LIMIT: Duration = Duration::from_secs(3);
/// How long a server without a container waits for a caller: a containerd that died in between never comes back to it.
const LONELY_LIMIT: Duration = Duration::from_secs(120);

/// Serves one container.
#[derive(Debug)]
pub struct Server<H> {
    machine: Machine,
    host: H,
    publisher: Publisher,
    listener: UnixListener,
    connections: BTreeMap<u64, Connection>,
    /// The number of the next connection: never used twice, so that no answer goes astray.
    next: u64,
    quit: Option<Instant>,
    /// Since when there has been neither a container nor a caller.
    lonely: Option<Instant>,
}

impl<H: Host> Server<H> {
    /// Serves on `listener`.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(
        machine: Machine,
        host: H,
        publisher: Publisher,
        listener: UnixListener,
    ) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            machine,
            host,
            publisher,
            listener,
            connections: BTreeMap::new(),
            next: 1,
            quit: None,
            lonely: None,
        })
    }

    /// Serves until containerd says that it is enough.
    ///
    /// # Errors
    /// What poll(2) says; nothing else ends it.
    pub fn run(mut self) -> Result<(), Errno> {
        while !self.is_finished() {
            self.turn(PollTimeout::NONE)?;
        }
        Ok(())
    }

    /// Whether it may end.
    fn is_finished(&self) -> bool {
        self.quit.is_some_and(|limit| {
            let sent = self.connections.values().all(Connection::is_flushed) && self.publisher.is_done();
            sent || Instant::now() >= limit
        })
    }

    /// Waits for something to happen, at most for `longest`, and deals with it.
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn turn(&mut self, longest: PollTimeout) -> Result<(), Errno> {
        self.look_for_company();
        let lonely = self.lonely.map(|since| since + LONELY_LIMIT);
        let deadlines = [self.host.deadline(), self.publisher.deadline(), self.quit, lonely];
        let timeout = match deadlines.into_iter().flatten().min() {
            // Rounded up: a poll that ends too early would only be repeated.
            Some(at) => {
                let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let timeout = if longest.is_none() { timeout } else { longest };
        let (numbers, ready) = self.wait(timeout)?;
        for input in self.host.news() {
            self.feed(input);
        }
        let mut ready = ready.into_iter();
        if ready.next().unwrap_or_default() {
            self.accept();
        }
        for number in numbers.into_iter().zip(ready).filter_map(|(number, ready)| ready.then_some(number)) {
            self.serve(number);
        }
        self.publisher.go_on();
        Ok(())
    }

    /// Ends a server that nobody wants.
    fn look_for_company(&mut self) {
        if !self.connections.is_empty() || !self.machine.is_empty() {
            self.lonely = None;
        } else if self.lonely.get_or_insert_with(Instant::now).elapsed() >= LONELY_LIMIT {
            self.do_all(vec![Action::Quit]);
        }
    }

    /// The connections, and whether the listener and each of them is ready.
    fn wait(&self, timeout: PollTimeout) -> Result<(Vec<u64>, Vec<bool>), Errno> {
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        let listening = if self.quit.is_none() && self.connections.len() < CONNECTION_LIMIT {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut interests: Vec<(BorrowedFd<'_>, PollFlags)> = vec![(self.listener.as_fd(), listening)];
        interests.extend(self.connections.values().map(Connection::interest));
        let count = interests.len();
        interests.extend(self.host.interests());
        interests.extend(self.publisher.interest());
        let mut fds: Vec<PollFd<'_>> =
            interests.into_iter().map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let is_ready = |fd: &PollFd<'_>| fd.revents().is_none_or(|flags| !flags.is_empty());
        Ok((numbers, fds.iter().take(count).map(is_ready).collect()))
    }

    fn accept(&mut self) {
        while self.connections.len() < CONNECTION_LIMIT {
            let connection = match self.listener.accept() {
                Ok((socket, _)) => Connection::new(socket),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) => Err(error),
            };
            match connection {
                Ok(connection) => {
                    self.connections.insert(self.next, connection);
                    self.next += 1;
                }
                Err(error) => return say(&format!("a caller cannot be heard: {error}")),
            }
        }
    }

    /// Hears one caller.
    fn serve(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let mut frames = Vec::new();
        let outcome = connection.flush().and_then(|()| connection.receive(&mut frames));
        for frame in frames {
            self.call(number, &frame);
        }
        if let Err(broken) = outcome {
            self.hang_up(number, &broken);
        }
    }

    fn hang_up(&mut self, number: u64, broken: &Broken) {
        if self.connections.remove(&number).is_some() {
            if !matches!(broken, Broken::Closed) {
                say(&format!("a caller is not heard any more: {broken}"));
            }
            self.feed(Input::Gone(number));
        }
    }

    fn call(&mut self, connection: u64, frame: &Frame) {
        let ticket = Ticket { connection, stream: frame.stream };
        match Call::read(frame).and_then(|call| request::read(&call)) {
            Ok(incoming) => self.feed(Input::Call(ticket, incoming)),
            Err(fault) => self.answer(ticket, Err(fault)),
        }
    }

    /// Tells the machine, and does what it says.
    fn feed(&mut self, input: Input) {
        let actions = self.machine.on(input);
        self.do_all(actions);
    }

    fn do_all(&mut self, actions: Vec<Action>) {
        let mut todo = VecDeque::from(actions);
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Answer(ticket, answer) => self.answer(ticket, answer),
                Action::Perform(ticket, deed) => {
                    let answer = self.host.perform(deed);
                    self.answer(ticket, answer);
                }
                Action::Begin(job) => {
                    if let Some(result) = self.host.begin(job) {
                        todo.extend(self.machine.on(Input::Done(result)));
                    }
                }
                Action::Kill(pid) => self.host.kill(pid),
                Action::KillRest => self.host.kill_rest(),
                Action::Resize(exec, width, height) => {
                    // Who asked has its answer, and a terminal of the wrong size is one still.
                    drop(self.host.perform(Deed::Resize { exec, width, height }));
                }
                Action::CloseInput(exec) => self.host.close_input(&exec),
                Action::Tell(event) => self.publisher.tell(event),
                Action::Release(exec) => self.host.release(&exec),
                Action::Quit => drop(self.quit.get_or_insert_with(|| Instant::now() + QUIT_LIMIT)),
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, result: Result<Reply, Fault>) {
        let Some(connection) = self.connections.get_mut(&ticket.connection) else { return };
        let bytes = result.and_then(|reply| reply.encode());
        let sent = match answer(ticket.stream, bytes) {
            Ok(frame) => connection.send(&frame),
            Err(fault) => return say(&format!("an answer cannot be given: {fault}")),
        };
        if let Err(broken) = sent {
            self.hang_up(ticket.connection, &broken);
        }
    }
}
