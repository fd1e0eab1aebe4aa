//! LinuxKit's log daemon, for packages that speak to it: `logread`, `logwrite`, and those that log by themselves.
//!
//! | socket | kind | what is said |
//! |---|---|---|
//! | [`QUERY`] | stream | one byte: 0 what there is, 1 what will come, 2 both; answered by a JSON object a line with `time`, `source`, `msg` |
//! | [`EXTERNAL`] | datagram | the name of a log, with a descriptor (SCM_RIGHTS) that its lines are read from |
//!
//! They are served when a container binds one of them, and outlive the supervisor ([`keeper`]). Differences to LinuxKit's:
//! readers that are too slow lose lines, as there, but are told so on nobody's account; what is logged from outside is kept
//! in memory only; nobody can log in the name of a service.

pub mod keeper;

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixDatagram, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::pump::Pump;
use super::{Follower, Line, Logs, Stream, console};
use crate::rfc3339;
use crate::runtime::valid_id;

/// Where logs are asked for.
pub const QUERY: &str = "/run/memlogdq.sock";
/// Where logs from outside are announced.
pub const EXTERNAL: &str = "/run/linuxkit-external-logging.sock";
/// `/var/run` is `/run`; LinuxKit's packages write the former.
const OTHER_NAME: &str = "/var";

/// Readers at the same time.
const READERS: usize = 16;
/// Logs from outside at the same time.
const OUTSIDERS: usize = 64;
/// How long a reader may take to ask, and to read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest name of a log (bytes).
const NAME_LIMIT: usize = 128;
/// Descriptors in one datagram; the first counts.
const DESCRIPTORS: usize = 4;
/// Pause after the system refused a connection, for want of file descriptors or memory.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// Whether a container with this `config.json` binds one of the sockets.
#[must_use]
pub fn is_wanted(config: &Value) -> bool {
    let mounts = config.get("mounts").and_then(Value::as_array).into_iter().flatten();
    let mut sources = mounts.filter_map(|mount| mount.get("source")?.as_str());
    sources.any(|source| [QUERY, EXTERNAL].contains(&source.strip_prefix(OTHER_NAME).unwrap_or(source)))
}

/// Serves both sockets from now on; when it returns they are there to be bound. Needs a `LocalSet`.
pub fn serve(logs: &Rc<Logs>) {
    let (query, external) = match keeper::take() {
        Some((query, external)) => (
            told(QUERY, UnixListener::from_std(query.into())),
            told(EXTERNAL, UnixDatagram::from_std(external.into())),
        ),
        None => {
            let (query, external) = make(Path::new(QUERY), Path::new(EXTERNAL));
            if let (Some(query), Some(external)) = (&query, &external)
                && let Err(error) = keeper::start(query.as_fd(), external.as_fd())
            {
                console::say(&format!("logs: {QUERY} and {EXTERNAL} end with the supervisor: {error}"));
            }
            (query, external)
        }
    };
    begin(logs, query, external);
}

fn begin(logs: &Rc<Logs>, query: Option<UnixListener>, external: Option<UnixDatagram>) {
    if let Some(listener) = query {
        tokio::task::spawn_local(serve_readers(Rc::clone(logs), listener));
    }
    if let Some(socket) = external {
        tokio::task::spawn_local(serve_outsiders(Rc::clone(logs), socket));
    }
}

fn make(query: &Path, external: &Path) -> (Option<UnixListener>, Option<UnixDatagram>) {
    (
        told(query, fresh(query, |path| UnixListener::bind(path))),
        told(external, fresh(external, |path| UnixDatagram::bind(path))),
    )
}

/// A socket, or nothing after it was told why not.
fn told<T>(path: impl AsRef<Path>, socket: io::Result<T>) -> Option<T> {
    let tell = |error: &io::Error| {
        console::say(&format!("logs: cannot serve {}: {error}", path.as_ref().display()));
    };
    socket.inspect_err(tell).ok()
}

/// A socket for root alone, in the place of a former supervisor's.
fn fresh<T>(path: &Path, bind: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(socket)
}

async fn serve_readers(logs: Rc<Logs>, listener: UnixListener) {
    let slots = Arc::new(Semaphore::new(READERS));
    loop {
        // Never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let logs = Rc::clone(&logs);
                tokio::task::spawn_local(async move {
                    // A reader that goes away wants no more.
                    drop(answer(&logs, stream).await);
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(REFUSED_PAUSE).await,
        }
    }
}

/// One object that is told to readers.
#[derive(Serialize)]
struct Message<'a> {
    time: String,
    source: String,
    msg: &'a str,
}

async fn answer(logs: &Logs, mut stream: UnixStream) -> io::Result<()> {
    let mode = tokio::time::timeout(PATIENCE, stream.read_u8()).await??;
    let (past, future) = match mode {
        0 => (true, false),
        1 => (false, true),
        2 => (true, true),
        _ => return Ok(()),
    };
    // Both at once, so that no line is missing between them.
    let (lines, mut follower) = (logs.lines(None), logs.follow_one_or_all(None));
    if past {
        for line in &lines {
            send(&mut stream, line).await?;
        }
    }
    drop(lines);
    if future { follow(&mut follower, stream).await } else { Ok(()) }
}

/// Sends lines as they come, until the reader goes.
async fn follow(follower: &mut Follower, mut stream: UnixStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    loop {
        let mut nothing = [0; 16];
        tokio::select! {
            line = follower.next() => match line {
                Some(line) => send(&mut writer, &line).await?,
                None => return Ok(()),
            },
            gone = reader.read(&mut nothing) => if gone? == 0 { return Ok(()) },
        }
    }
}

async fn send<W: tokio::io::AsyncWrite + Unpin>(stream: &mut W, line: &Line) -> io::Result<()> {
    let message = Message { time: rfc3339::format(line.time), source: line.label(), msg: &line.text };
    let mut json = serde_json::to_vec(&message)?;
    json.push(b'\n');
    tokio::time::timeout(PATIENCE, stream.write_all(&json)).await?
}

async fn serve_outsiders(logs: Rc<Logs>, socket: UnixDatagram) {
    let slots = Arc::new(Semaphore::new(OUTSIDERS));
    loop {
        let received = socket.async_io(Interest::READABLE, || receive(&socket)).await;
        let (name, fd) = match received {
            Ok(received) => received,
            Err(error) => {
                console::say(&format!("logs: a log from outside was not understood: {error}"));
                // Whatever it is, it must not become a loop that spins.
                tokio::time::sleep(REFUSED_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            console::say(&format!(
                "logs: {name} is not read: there are {OUTSIDERS} logs from outside already"
            ));
            continue;
        };
        match outsider(&logs, &name, fd) {
            Ok(pump) => {
                let logs = Rc::downgrade(&logs);
                tokio::task::spawn_local(async move {
                    pump.run(logs).await;
                    drop(slot);
                });
            }
            Err(error) => console::say(&format!("logs: {name} is not read: {error}")),
        }
    }
}

/// One datagram: the name of a log, and where its lines are read from.
fn receive(socket: &UnixDatagram) -> io::Result<(String, OwnedFd)> {
    let mut name = [0; NAME_LIMIT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut ancillary, flags)?;
    let mut descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let fd = descriptors.next().and_then(|mut descriptors| descriptors.next());
    let name = String::from_utf8_lossy(name.get(..received.bytes).unwrap_or_default());
    let name = name.trim_end_matches(['\0', '\n']).to_owned();
    let fd = fd.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has no file descriptor"))?;
    Ok((name, fd))
}

fn outsider(logs: &Logs, name: &str, fd: OwnedFd) -> io::Result<Rc<Pump>> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
    let (source, stream) = match name.strip_suffix(Stream::Out.suffix()) {
        Some(source) => (source, Stream::Out),
        None => (name, Stream::Err),
    };
    if !valid_id(source) {
        return refused("that cannot be the name of a log");
    }
    if logs.has_file(source) {
        return refused("a service has this name");
    }
    rustix::io::ioctl_fionbio(&fd, true)?;
    Pump::new(fd, source, stream)
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    #[test]
    fn the_sockets_are_served_when_a_container_binds_one() {
        let binds = |source: &str| json!({"mounts": [{"source": "proc"}, {"source": source}]});
        for source in
            ["/var/run/memlogdq.sock", "/run/memlogdq.sock", "/var/run/linuxkit-external-logging.sock"]
        {
            assert!(is_wanted(&binds(source)), "{source}");
        }
        assert!(!is_wanted(&binds("/run")) && !is_wanted(&json!({})) && !is_wanted(&Value::Null));
    }

    fn local(work: impl AsyncFn(&Path, &Rc<Logs>)) {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let logs = Logs::for_test(dir.path());
            let (query, external) = make(&dir.path().join("query"), &dir.path().join("external"));
            begin(&logs, query, external);
            work(dir.path(), &logs).await;
        });
    }

    async fn ask(dir: &Path, mode: u8) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(dir.join("query")).await.unwrap();
        stream.write_u8(mode).await.unwrap();
        BufReader::new(stream)
    }

    async fn message(reader: &mut BufReader<UnixStream>) -> Option<(String, String)> {
        let mut line = String::new();
        if reader.read_line(&mut line).await.unwrap() == 0 {
            return None;
        }
        let message: Value = serde_json::from_str(&line).unwrap();
        assert!(rfc3339::parse(message["time"].as_str().unwrap()).is_some());
        let text = |key: &str| message[key].as_str().unwrap().to_owned();
        Some((text("source"), text("msg")))
    }

    fn said(source: &str, msg: &str) -> Option<(String, String)> {
        Some((source.to_owned(), msg.to_owned()))
    }

    #[test]
    fn readers_get_what_there_is_what_comes_or_both() {
        local(async |dir, logs| {
            logs.note("a", Stream::Out, "before");
            let mut dump = ask(dir, 0).await;
            assert_eq!(message(&mut dump).await, said("a.out", "before"));
            assert_eq!(message(&mut dump).await, None);
            let mut both = ask(dir, 2).await;
            assert_eq!(message(&mut both).await, said("a.out", "before"));
            logs.say("b", "after");
            assert_eq!(message(&mut both).await, said("b", "after"));
            let mut wrong = ask(dir, 9).await;
            assert_eq!(message(&mut wrong).await, None);
        });
    }

    fn announce(dir: &Path, name: &str, fd: Option<&OwnedFd>) {
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        socket.connect(dir.join("external")).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
        if !fds.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        }
        let flags = SendFlags::empty();
        rustix::net::sendmsg(&socket, &[IoSlice::new(name.as_bytes())], &mut ancillary, flags).unwrap();
    }

    #[test]
    fn what_is_logged_from_outside_is_kept_until_its_end() {
        local(async |dir, logs| {
            let mut follower = logs.follow_one_or_all(None);
            let (reader, mut writer) = io::pipe().unwrap();
            announce(dir, "mine.out", Some(&reader.into()));
            writer.write_all(b"one\ntwo").unwrap();
            drop(writer);
            let line = follower.next().await.unwrap();
            assert_eq!((line.label().as_str(), &*line.text), ("mine.out", "one"));
            assert_eq!(&*follower.next().await.unwrap().text, "two");
        });
    }

    #[test]
    fn what_cannot_be_a_log_is_refused_and_the_next_is_served() {
        local(async |dir, logs| {
            let mut follower = logs.follow_one_or_all(None);
            let (reader, _writer) = io::pipe().unwrap();
            let reader = OwnedFd::from(reader);
            announce(dir, "no-descriptor", None);
            announce(dir, "../../etc/passwd", Some(&reader));
            announce(dir, "supervisor", Some(&reader));
            let expected = [
                "logs: a log from outside was not understood: it has no file descriptor",
                "logs: ../../etc/passwd is not read: that cannot be the name of a log",
                "logs: supervisor is not read: a service has this name",
            ];
            for words in expected {
                assert_eq!(&*follower.next().await.unwrap().text, words);
            }
        });
    }
}
