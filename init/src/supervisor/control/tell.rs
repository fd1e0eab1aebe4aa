//! Answers that have many lines: logs and events, up to now or from now on.

use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::rfc3339;
use crate::service::protocol::{Answer, Event, LogLine, LogQuery};
use crate::supervisor::logs::{Follower, Line};

/// How much is put together before it is sent (bytes).
const BATCH: usize = 32 * 1024;

/// Sends answers, one a line; a client that does not read them in time is given up.
#[derive(Debug)]
pub struct Teller<W> {
    writer: W,
    patience: Duration,
    batch: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Teller<W> {
    /// Sends to `writer`, which may take `patience` for each batch.
    pub fn new(writer: W, patience: Duration) -> Self {
        Self { writer, patience, batch: Vec::new() }
    }

    /// Puts one answer with the others, and sends them if they are many.
    pub async fn add(&mut self, answer: &Answer) -> io::Result<()> {
        serde_json::to_writer(&mut self.batch, answer)?;
        self.batch.push(b'\n');
        if self.batch.len() >= BATCH { self.send().await } else { Ok(()) }
    }

    /// Sends what was put together.
    pub async fn send(&mut self) -> io::Result<()> {
        let sent = tokio::time::timeout(self.patience, self.writer.write_all(&self.batch)).await;
        self.batch.clear();
        sent?
    }
}

/// The lines that a query asks for, of all that there are from before.
#[must_use]
pub fn selected<'a>(lines: &'a [Rc<Line>], query: &LogQuery) -> Vec<&'a Rc<Line>> {
    let since = query.since.map(|micros| UNIX_EPOCH + Duration::from_micros(micros));
    let wanted = |line: &&Rc<Line>| since.is_none_or(|since| line.time >= since);
    let mut selected: Vec<_> = lines.iter().filter(wanted).collect();
    if let Some(most) = query.lines {
        selected.drain(..selected.len().saturating_sub(most));
    }
    selected
}

/// A line as it is sent.
#[must_use]
pub fn line(line: &Line) -> Answer {
    Answer::Line(LogLine {
        time: rfc3339::format(line.time),
        source: line.source.to_string(),
        stream: line.stream,
        text: line.text.to_string(),
    })
}

/// Sends lines as they come, until the client goes.
pub async fn follow_lines<R, W>(
    follower: &mut Follower,
    since: Option<u64>,
    client: &mut R,
    teller: &mut Teller<W>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let since: Option<SystemTime> = since.map(|micros| UNIX_EPOCH + Duration::from_micros(micros));
    loop {
        let next = tokio::select! {
            next = follower.next() => next,
            gone = gone(client) => return gone,
        };
        let Some(next) = next else { return Ok(()) };
        let lost = follower.take_lost();
        if lost > 0 {
            teller.add(&Answer::Lost { count: lost }).await?;
        }
        if since.is_none_or(|since| next.time >= since) {
            teller.add(&line(&next)).await?;
        }
        teller.send().await?;
    }
}

/// Sends events as they come, until the client goes.
pub async fn follow_events<R, W>(
    events: &mut Receiver<Rc<Event>>,
    client: &mut R,
    teller: &mut Teller<W>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        let next = tokio::select! {
            next = events.recv() => next,
            gone = gone(client) => return gone,
        };
        let answer = match next {
            Ok(event) => Answer::Event(Event::clone(&event)),
            Err(RecvError::Lagged(count)) => Answer::Lost { count },
            Err(RecvError::Closed) => return Ok(()),
        };
        teller.add(&answer).await?;
        teller.send().await?;
    }
}

/// Waits until the client has gone; what it says meanwhile means nothing.
async fn gone<R: AsyncRead + Unpin>(client: &mut R) -> io::Result<()> {
    let mut nothing = [0; 64];
    while client.read(&mut nothing).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::logs::{Logs, Stream};

    fn lines() -> Vec<Rc<Line>> {
        let line = |number: u64| Line {
            number,
            time: UNIX_EPOCH + Duration::from_secs(number),
            source: "a".into(),
            stream: Stream::Err,
            text: number.to_string().into(),
        };
        (1..=5).map(|number| Rc::new(line(number))).collect()
    }

    #[test]
    fn a_query_selects_by_time_and_then_the_newest() {
        let lines = lines();
        let numbers = |query: LogQuery| -> Vec<u64> {
            selected(&lines, &query).iter().map(|line| line.number).collect()
        };
        let all = LogQuery::default();
        assert_eq!(numbers(all.clone()), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(LogQuery { since: Some(3_000_000), ..all.clone() }), [3, 4, 5]);
        assert_eq!(numbers(LogQuery { since: Some(2_000_001), lines: Some(2), ..all.clone() }), [4, 5]);
        assert_eq!(numbers(LogQuery { lines: Some(0), ..all.clone() }), [0; 0]);
        assert_eq!(numbers(LogQuery { lines: Some(9), ..all }), [1, 2, 3, 4, 5]);
    }

    fn local<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio::task::LocalSet::new().block_on(&runtime.unwrap(), work)
    }

    #[test]
    fn a_follower_hears_until_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        local(async {
            let logs = Logs::for_test(dir.path());
            let (mut ours, theirs) = tokio::net::UnixStream::pair().unwrap();
            let mut follower = logs.follow("a");
            logs.say("a", "hello");
            let (mut reader, writer) = ours.split();
            let mut teller = Teller::new(writer, Duration::from_secs(5));
            let client = async {
                let mut theirs = tokio::io::BufReader::new(theirs);
                let mut text = String::new();
                tokio::io::AsyncBufReadExt::read_line(&mut theirs, &mut text).await.unwrap();
                text
            };
            let (followed, heard) =
                tokio::join!(follow_lines(&mut follower, None, &mut reader, &mut teller), client);
            followed.unwrap();
            assert!(heard.contains(r#""source":"a","stream":"err","text":"hello""#), "{heard}");
        });
    }

    #[test]
    fn a_client_that_does_not_read_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        local(async {
            let logs = Logs::for_test(dir.path());
            let (mut ours, _theirs) = tokio::net::UnixStream::pair().unwrap();
            let mut follower = logs.follow("a");
            let (mut reader, writer) = ours.split();
            let mut teller = Teller::new(writer, Duration::from_millis(50));
            let flood = async {
                loop {
                    logs.say("a", &"x".repeat(8000));
                    tokio::task::yield_now().await;
                }
            };
            let error = tokio::select! {
                followed = follow_lines(&mut follower, None, &mut reader, &mut teller) => followed.unwrap_err(),
                () = flood => unreachable!(),
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
