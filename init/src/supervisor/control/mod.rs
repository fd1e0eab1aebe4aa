//! The control socket: one request a connection, answered by one line, or by many while something is followed.

mod tell;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::console;
use super::registry::Registry;
use super::reports::Reports;
use crate::service::nearest::no_such_service;
use crate::service::protocol::{Answer, Event, LogQuery, REQUEST_LIMIT, Request, SOCKET};
use tell::Teller;

/// Connections that are answered at the same time.
const AT_ONCE: usize = 16;
/// Clients that follow at the same time.
const FOLLOWERS: usize = 16;
/// How long a client may take to send its request and to read its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after the system refused a connection, for want of file descriptors or memory.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// What questions are about.
#[derive(Debug)]
struct Desk {
    registry: Rc<Registry>,
    reports: Rc<Reports>,
    followers: Arc<Semaphore>,
}

/// Serves for as long as the supervisor runs.
pub async fn serve(registry: Rc<Registry>, reports: Rc<Reports>) {
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => {
            console::say(&format!("supervisor: cannot listen on {SOCKET}: {error}; `service` will not work"));
            return;
        }
    };
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let desk = Rc::new(Desk { registry, reports, followers: Arc::new(Semaphore::new(FOLLOWERS)) });
    loop {
        // Never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Rc::clone(&desk);
                // A client that goes away has no use for its answer.
                tokio::task::spawn_local(async move { drop(converse(stream, &desk, slot).await) });
            }
            Err(_) => tokio::time::sleep(REFUSED_PAUSE).await,
        }
    }
}

fn listen() -> std::io::Result<UnixListener> {
    let path = Path::new(SOCKET);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
        // Before there is a socket, so that nobody else can ever connect.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(stream: UnixStream, desk: &Desk, slot: OwnedSemaphorePermit) -> std::io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader);
    let request = async { (&mut reader).take(REQUEST_LIMIT).read_until(b'\n', &mut line).await };
    tokio::time::timeout(PATIENCE, request).await??;
    let mut teller = Teller::new(writer, PATIENCE);
    let answer = match serde_json::from_slice::<Request>(&line) {
        Ok(Request::Logs(query)) => return desk.logs(&query, slot, &mut reader, &mut teller).await,
        Ok(Request::Events { follow }) => return desk.events(follow, slot, &mut reader, &mut teller).await,
        Ok(Request::Boot) => Answer::Boot { timeline: desk.reports.timeline.timeline() },
        Ok(request) => desk.registry.answer(request).await,
        Err(error) => Answer::Error { message: format!("the request was not understood: {error}") },
    };
    teller.add(&answer).await?;
    teller.send().await
}

impl Desk {
    async fn logs<R, W>(
        &self,
        query: &LogQuery,
        slot: OwnedSemaphorePermit,
        client: &mut R,
        teller: &mut Teller<W>,
    ) -> std::io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let logs = &self.reports.logs;
        let name = query.name.as_deref();
        // Both at once, so that no line is missing between them, and none there twice.
        let (lines, follower) = (logs.lines(name), logs.follow_one_or_all(name));
        if let Some(name) = name.filter(|_| lines.is_empty())
            && let Some(unknown) = self.unknown(name)
        {
            teller.add(&unknown).await?;
            return teller.send().await;
        }
        for line in tell::selected(&lines, query) {
            teller.add(&tell::line(line)).await?;
        }
        drop(lines);
        let Some(_follower_slot) = self.follow(query.follow, slot, teller).await? else { return Ok(()) };
        let mut follower = follower;
        tell::follow_lines(&mut follower, query.since, client, teller).await
    }

    async fn events<R, W>(
        &self,
        follow: bool,
        slot: OwnedSemaphorePermit,
        client: &mut R,
        teller: &mut Teller<W>,
    ) -> std::io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (kept, mut receiver) = self.reports.events.listen();
        for event in kept {
            teller.add(&Answer::Event(Event::clone(&event))).await?;
        }
        let Some(_follower_slot) = self.follow(follow, slot, teller).await? else { return Ok(()) };
        tell::follow_events(&mut receiver, client, teller).await
    }

    /// Ends an answer, or makes a follower of the client: others may ask in its place then.
    async fn follow<W: AsyncWrite + Unpin>(
        &self,
        wanted: bool,
        slot: OwnedSemaphorePermit,
        teller: &mut Teller<W>,
    ) -> std::io::Result<Option<OwnedSemaphorePermit>> {
        // An error is that there are enough of them, which the client is told.
        let follower = if wanted { Arc::clone(&self.followers).try_acquire_owned().ok() } else { None };
        match (&follower, wanted) {
            (Some(_), _) => drop(slot),
            (None, false) => teller.add(&Answer::End).await?,
            (None, true) => {
                let message = format!("{FOLLOWERS} clients follow already; end one of them");
                teller.add(&Answer::Error { message }).await?;
            }
        }
        teller.send().await?;
        Ok(follower)
    }

    /// The answer about a name that neither a service nor a log has.
    fn unknown(&self, name: &str) -> Option<Answer> {
        let sources = self.reports.logs.sources();
        let mut known: Vec<&str> = self.registry.names().chain(sources.iter().map(|name| &**name)).collect();
        known.sort_unstable();
        known.dedup();
        (!known.contains(&name)).then(|| no_such_service(name, &known))
    }
}
