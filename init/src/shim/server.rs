//! The server: one loop around one machine, its callers, and the host.

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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::SystemTime;

    use containerd_shim_protos::api::{
        ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse, DeleteRequest,
        DeleteResponse, KillRequest, PidsRequest, PidsResponse, ProcessInfo, ShutdownRequest, StartRequest,
        StateRequest, StateResponse, Status, WaitRequest, WaitResponse,
    };
    use containerd_shim_protos::protobuf::Message;

    use super::super::event::Subject;
    use super::super::task::Job;
    use super::super::wire::{Code, Kind, read_answer};
    use super::*;

    /// A runtime that does everything at once, and remembers.
    #[derive(Debug, Default)]
    struct Fake {
        done: Vec<&'static str>,
        news: Vec<Input>,
        refuse: Option<String>,
    }

    impl Host for Fake {
        fn begin(&mut self, job: Job) -> Option<Result<Option<u32>, String>> {
            let (name, pid) = match job {
                Job::Create(_) => ("create", Some(42)),
                Job::Start => ("start", None),
                Job::Exec(_) => ("exec", Some(43)),
                Job::Delete => ("delete", None),
                Job::Pause => ("pause", None),
                Job::Resume => ("resume", None),
                Job::Update(_) => ("update", None),
            };
            self.done.push(name);
            match self.refuse.take() {
                Some(reason) => Some(Err(reason)),
                // Half of them take their time.
                None if matches!(name, "create" | "delete") => {
                    self.news.push(Input::Done(Ok(pid)));
                    None
                }
                None => Some(Ok(pid)),
            }
        }
        fn perform(&mut self, deed: Deed) -> Result<Reply, Fault> {
            match deed {
                Deed::Signal { pid, signal, .. } => {
                    self.news.push(Input::Exited { pid, status: 128 + signal, at: SystemTime::UNIX_EPOCH });
                    Ok(Reply::Empty)
                }
                Deed::Pids(known) => {
                    let mut message = PidsResponse::new();
                    message.processes =
                        known.into_keys().map(|pid| ProcessInfo { pid, ..ProcessInfo::default() }).collect();
                    Ok(Reply::Pids(message))
                }
                _ => Err(Fault::new(Code::FAILED_PRECONDITION, "not here")),
            }
        }
        fn kill(&mut self, _: u32) {}
        fn kill_rest(&mut self) {
            self.done.push("kill rest");
        }
        fn close_input(&mut self, _: &str) {}
        fn release(&mut self, _: &str) {}
        fn news(&mut self) -> Vec<Input> {
            std::mem::take(&mut self.news)
        }
        fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
            Vec::new()
        }
        fn deadline(&self) -> Option<Instant> {
            None
        }
    }

    struct Client {
        connection: Connection,
        stream: u32,
        arrived: BTreeMap<u32, Result<Vec<u8>, Fault>>,
    }

    impl Client {
        fn ask(&mut self, method: &str, message: &impl Message) -> u32 {
            self.stream += 2;
            let call = Call {
                service: "containerd.task.v2.Task".into(),
                method: method.into(),
                payload: message.write_to_bytes().unwrap(),
            };
            self.connection.send(&call.frame(self.stream).unwrap()).unwrap();
            self.stream
        }

        fn answer(&mut self, stream: u32) -> Option<Result<Vec<u8>, Fault>> {
            let mut frames = Vec::new();
            self.connection.receive(&mut frames).ok();
            self.arrived.extend(frames.iter().map(|frame| (frame.stream, read_answer(frame))));
            self.arrived.remove(&stream)
        }
    }

    fn server() -> (Server<Fake>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let machine = Machine::new("c".into(), 5);
        let publisher = Publisher::new(Subject { namespace: "n".into(), id: "c".into() }, None);
        (Server::new(machine, Fake::default(), publisher, listener).unwrap(), dir)
    }

    fn client(server: &mut Server<Fake>) -> Client {
        let (here, there) = UnixStream::pair().unwrap();
        server.connections.insert(server.next, Connection::new(there).unwrap());
        server.next += 1;
        Client { connection: Connection::new(here).unwrap(), stream: 1, arrived: BTreeMap::new() }
    }

    /// As many turns as anything here can need.
    fn settle(server: &mut Server<Fake>) {
        for _ in 0..8 {
            server.turn(PollTimeout::ZERO).unwrap();
        }
    }

    fn now<A: Message>(
        server: &mut Server<Fake>,
        client: &mut Client,
        method: &str,
        message: &impl Message,
    ) -> Result<A, Fault> {
        let stream = client.ask(method, message);
        settle(server);
        client.answer(stream).unwrap().map(|bytes| A::parse_from_bytes(&bytes).unwrap())
    }

    macro_rules! message {
        ($kind:ident { $($field:ident: $value:expr),* $(,)? }) => {
            $kind { id: "c".into(), $($field: $value,)* ..$kind::default() }
        };
    }

    #[test]
    fn a_container_lives_and_dies_over_the_wire() {
        let (mut server, _dir) = server();
        let mut client = client(&mut server);
        let s = &mut server;
        let created: CreateTaskResponse =
            now(s, &mut client, "Create", &message!(CreateTaskRequest { bundle: "/b".into() })).unwrap();
        assert_eq!(created.pid, 42);
        let waiting = client.ask("Wait", &message!(WaitRequest {}));
        settle(s);
        assert!(client.answer(waiting).is_none());
        now::<CreateTaskResponse>(s, &mut client, "Start", &message!(StartRequest {})).unwrap();
        let connected: ConnectResponse =
            now(s, &mut client, "Connect", &message!(ConnectRequest {})).unwrap();
        assert_eq!((connected.shim_pid, connected.task_pid), (5, 42));
        now::<PidsResponse>(s, &mut client, "Kill", &message!(KillRequest { signal: 9 })).unwrap();
        let ended = WaitResponse::parse_from_bytes(&client.answer(waiting).unwrap().unwrap()).unwrap();
        assert_eq!(ended.exit_status, 137);
        let pids: PidsResponse = now(s, &mut client, "Pids", &message!(PidsRequest {})).unwrap();
        assert_eq!(pids.processes.len(), 1);
        let deleted: DeleteResponse = now(s, &mut client, "Delete", &message!(DeleteRequest {})).unwrap();
        assert_eq!((deleted.pid, deleted.exit_status), (42, 137));
        assert!(!s.is_finished());
        now::<PidsResponse>(s, &mut client, "Shutdown", &message!(ShutdownRequest {})).unwrap();
        assert!(s.is_finished());
        assert_eq!(s.host.done, ["create", "start", "kill rest", "delete"]);
    }

    #[test]
    fn a_caller_that_comes_back_finds_how_it_ended() {
        let (mut server, dir) = server();
        let mut first = client(&mut server);
        let s = &mut server;
        now::<CreateTaskResponse>(s, &mut first, "Create", &message!(CreateTaskRequest {})).unwrap();
        now::<CreateTaskResponse>(s, &mut first, "Start", &message!(StartRequest {})).unwrap();
        first.ask("Wait", &message!(WaitRequest {}));
        settle(s);
        drop(first);
        s.host.news.push(Input::Exited { pid: 42, status: 3, at: SystemTime::UNIX_EPOCH });
        settle(s);
        assert!(s.connections.is_empty());
        let mut second = Client {
            connection: Connection::open(&dir.path().join("s")).unwrap(),
            stream: 1,
            arrived: BTreeMap::new(),
        };
        let state: StateResponse = now(s, &mut second, "State", &message!(StateRequest {})).unwrap();
        assert_eq!((state.status.enum_value().unwrap(), state.exit_status), (Status::STOPPED, 3));
        let pids: PidsResponse = now(s, &mut second, "Pids", &message!(PidsRequest {})).unwrap();
        assert_eq!(pids.processes[0].pid, 42);
    }

    #[test]
    fn the_runtimes_words_reach_the_caller() {
        let (mut server, _dir) = server();
        let mut client = client(&mut server);
        server.host.refuse = Some("no such program".into());
        let fault =
            now::<CreateTaskResponse>(&mut server, &mut client, "Create", &message!(CreateTaskRequest {}));
        assert_eq!(fault, Err(Fault::failed("no such program")));
    }

    #[test]
    fn a_caller_that_talks_nonsense_is_hung_up_on_and_the_others_are_served() {
        let (mut server, _dir) = server();
        let mut good = client(&mut server);
        let (mut bad, there) = UnixStream::pair().unwrap();
        server.connections.insert(99, Connection::new(there).unwrap());
        std::io::Write::write_all(&mut bad, &[0xff; 64]).unwrap();
        let mut stream = client(&mut server);
        let frame = Frame { stream: 1, kind: Kind::Other(3), flags: 0, payload: vec![1, 2, 3] };
        stream.connection.send(&frame).unwrap();
        settle(&mut server);
        assert!(!server.connections.contains_key(&99));
        assert_eq!(stream.answer(1).unwrap().unwrap_err().code, Code::UNIMPLEMENTED);
        let state = now::<StateResponse>(&mut server, &mut good, "State", &message!(StateRequest {}));
        assert_eq!(state.unwrap_err().code, Code::NOT_FOUND);
    }

    #[test]
    fn a_server_that_nobody_wants_ends() {
        let (mut server, _dir) = server();
        settle(&mut server);
        assert!(!server.is_finished());
        server.lonely = Instant::now().checked_sub(LONELY_LIMIT);
        settle(&mut server);
        assert!(server.is_finished());
    }

    #[test]
    fn a_server_with_a_container_waits_for_ever() {
        let (mut server, _dir) = server();
        let mut client = client(&mut server);
        now::<CreateTaskResponse>(&mut server, &mut client, "Create", &message!(CreateTaskRequest {}))
            .unwrap();
        drop(client);
        settle(&mut server);
        assert!(server.connections.is_empty() && server.lonely.is_none());
    }

    #[test]
    fn callers_are_bounded() {
        let (mut server, dir) = server();
        let callers: Vec<_> =
            (0..100).filter_map(|_| UnixStream::connect(dir.path().join("s")).ok()).collect();
        settle(&mut server);
        assert_eq!(callers.len(), 100);
        assert_eq!(server.connections.len(), CONNECTION_LIMIT);
        drop(callers);
        settle(&mut server);
        settle(&mut server);
        assert!(server.connections.is_empty());
    }
}
