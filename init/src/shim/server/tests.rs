//! The server over real sockets, with a runtime that does everything at once.

use std::os::unix::net::UnixStream;
use std::time::SystemTime;

use containerd_shim_protos::api::{
    ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse, DeleteRequest, DeleteResponse,
    KillRequest, PidsRequest, PidsResponse, ProcessInfo, ShutdownRequest, StartRequest, StateRequest,
    StateResponse, Status, WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::Message;

use super::*;
use crate::shim::event::Subject;
use crate::shim::task::Job;
use crate::shim::wire::{Code, Kind, read_answer};

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
    let connected: ConnectResponse = now(s, &mut client, "Connect", &message!(ConnectRequest {})).unwrap();
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
    now::<CreateTaskResponse>(&mut server, &mut client, "Create", &message!(CreateTaskRequest {})).unwrap();
    drop(client);
    settle(&mut server);
    assert!(server.connections.is_empty() && server.lonely.is_none());
}

#[test]
fn callers_are_bounded() {
    let (mut server, dir) = server();
    let callers: Vec<_> = (0..100).filter_map(|_| UnixStream::connect(dir.path().join("s")).ok()).collect();
    settle(&mut server);
    assert_eq!(callers.len(), 100);
    assert_eq!(server.connections.len(), CONNECTION_LIMIT);
    drop(callers);
    settle(&mut server);
    settle(&mut server);
    assert!(server.connections.is_empty());
}
