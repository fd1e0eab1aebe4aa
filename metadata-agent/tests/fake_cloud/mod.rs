//! A metadata service on a loopback port, which answers as the test says.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metadata_agent::fetch::{FetchError, Fetcher, Times};
use metadata_agent::http::Timing;
use metadata_agent::provider::{OpenStack, Provider, Reading};
use metadata_agent::retry::Policy;

/// What a path answers.
#[derive(Clone)]
pub enum Answer {
    /// 200 with this body.
    Ok(Vec<u8>),
    /// This status.
    Status(u16),
    /// These statuses first, one a request, then the answer.
    After(Vec<u16>, Box<Answer>),
    /// Exactly these bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes again and again for as long as the client listens.
    Endless { head: Vec<u8>, again: Vec<u8>, pause: Duration },
    /// Nothing, and the connection is closed.
    Silence,
}

pub fn text(body: &str) -> Answer {
    Answer::Ok(body.as_bytes().to_vec())
}

/// A service that runs until the process ends.
pub struct FakeCloud {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeCloud {
    /// Answers these paths, and 404 to all others.
    pub fn serving<const N: usize>(answers: [(&str, Answer); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: HashMap<String, Answer> = answers.map(|(path, answer)| (path.to_owned(), answer)).into();
        let answers = Arc::new(Mutex::new(answers));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                std::thread::spawn(move || {
                    // The client may hang up whenever it has had enough: that is what many of these tests are about.
                    let _hung_up = serve(stream.unwrap(), &answers, &log);
                });
            }
        });
        Self { address, asked }
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &Mutex<HashMap<String, Answer>>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.strip_prefix("GET ").and_then(|r| r.split_once(" HTTP/1.1\r\nHost: 127.0.0.1\r\n"));
    let path = path.unwrap_or_else(|| panic!("not a proper request: {request:?}")).0.to_owned();
    log.lock().unwrap().push(path.clone());
    let answer = {
        let mut answers = answers.lock().unwrap();
        match answers.get_mut(&path) {
            None => Answer::Status(404),
            Some(Answer::After(first, then)) => match first.is_empty() {
                true => (**then).clone(),
                false => Answer::Status(first.remove(0)),
            },
            Some(answer) => answer.clone(),
        }
    };
    reply(&mut stream, &answer)
}

fn reply(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    match answer {
        Answer::Ok(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
            stream.write_all(body)
        }
        Answer::Status(status) => {
            write!(stream, "HTTP/1.1 {status} Whatever\r\nContent-Length: 4\r\n\r\npage")
        }
        Answer::Raw(bytes) => stream.write_all(bytes),
        Answer::Endless { head, again, pause } => {
            stream.write_all(head)?;
            loop {
                stream.write_all(again)?;
                std::thread::sleep(*pause);
            }
        }
        Answer::Silence => Ok(()),
        Answer::After(..) => unreachable!("an answer within an answer"),
    }
}

/// OpenStack at another address.
#[derive(Debug)]
pub struct OpenStackAt(pub SocketAddr);

impl Provider for OpenStackAt {
    fn name(&self) -> &'static str {
        OpenStack.name()
    }

    fn address(&self) -> SocketAddr {
        self.0
    }

    fn read(&self, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        OpenStack.read(http)
    }
}

/// The production times, a hundred times shorter, with room for a busy machine where success is expected.
pub fn quick() -> Times {
    Times {
        deadline: Duration::from_secs(5),
        timing: Timing { connect: Duration::from_millis(500), answer: Duration::from_secs(2) },
        policy: Policy {
            first_pause: Duration::from_millis(2),
            longest_pause: Duration::from_millis(20),
            patience: Duration::from_millis(100),
            network_tick: Duration::from_millis(10),
        },
    }
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
