//! A metadata service on a loopback port, which answers as the test says.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metadata_agent::fetch::{FetchError, Fetcher, Times};
use metadata_agent::http::Timing;
use metadata_agent::local::Local;
use metadata_agent::provider::{Provider, Reading, by_name};
use metadata_agent::retry::Policy;
use metadata_agent::service::Service;

/// What a path answers.
#[derive(Clone)]
pub enum Answer {
    /// 200 with this body.
    Ok(Vec<u8>),
    /// 200 with this body, of this type.
    Typed(&'static str, Vec<u8>),
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

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Lines of the head after the first, as they are.
    pub head: String,
    /// The port that it came from.
    pub port: u16,
}

impl Asked {
    /// Whether the head has this line.
    pub fn has(&self, line: &str) -> bool {
        self.head.lines().any(|given| given == line)
    }
}

/// What the service insists on: an answer of its own to a request that does not fit.
pub type Guard = fn(&Asked) -> Option<Answer>;

/// A service that runs until the process ends.
pub struct FakeCloud {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeCloud {
    /// Answers these paths, and 404 to all others.
    pub fn serving<const N: usize>(answers: [(&str, Answer); N]) -> Self {
        Self::guarded(answers.map(|(path, answer)| (path.to_owned(), answer)).into(), |_| None)
    }

    /// Answers these paths, and 404 to all others, unless the guard has another answer.
    pub fn guarded(answers: HashMap<String, Answer>, guard: Guard) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answers, guard)
    }

    /// The same where the test says.
    pub fn on(listener: TcpListener, answers: HashMap<String, Answer>, guard: Guard) -> Self {
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                std::thread::spawn(move || {
                    // The client may hang up whenever it has had enough: that is what many of these tests are about.
                    let _hung_up = serve(stream.unwrap(), &answers, guard, &log);
                });
            }
        });
        Self { address, asked }
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|asked| asked.path).collect()
    }

    /// The requests, in order.
    pub fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &Mutex<HashMap<String, Answer>>,
    guard: Guard,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let port = stream.peer_addr()?.port();
    let parse = || {
        let (line, head) = request.split_once("\r\n")?;
        let (method, path) = line.strip_suffix(" HTTP/1.1")?.split_once(' ')?;
        let [method, path, head] = [method, path, head].map(str::to_owned);
        head.starts_with("Host: ").then_some(Asked { method, path, head, port })
    };
    let asked = parse().unwrap_or_else(|| panic!("not a proper request: {request:?}"));
    log.lock().unwrap().push(asked.clone());
    let answer = guard(&asked).unwrap_or_else(|| {
        let mut answers = answers.lock().unwrap();
        match answers.get_mut(&asked.path) {
            None => Answer::Status(404),
            Some(Answer::After(first, then)) => match first.is_empty() {
                true => (**then).clone(),
                false => Answer::Status(first.remove(0)),
            },
            Some(answer) => answer.clone(),
        }
    });
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
        Answer::Typed(kind, body) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            stream.write_all(body)
        }
        Answer::Silence => Ok(()),
        Answer::After(..) => unreachable!("an answer within an answer"),
    }
}

/// A provider whose service is at another address, and whose machine has nothing else to say.
#[derive(Debug)]
pub struct At(pub Arc<dyn Provider>, pub SocketAddr);

impl Provider for At {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn title(&self) -> &'static str {
        self.0.title()
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::At(self.1))
    }

    fn read(&self, local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        self.0.read(local, http)
    }
}

/// The provider of that name, its service at `address`.
pub fn at(name: &str, address: SocketAddr) -> Arc<dyn Provider> {
    Arc::new(At(by_name(name).unwrap(), address))
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
        grace: Duration::from_millis(100),
    }
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
