//! A server on this machine that answers as a test wants it, in the place of a cloud.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// A question.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path, without the query: `GET /compute/v1/projects`.
    pub what: String,
    /// What is behind the question mark.
    pub query: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// Whether it broke off: the body is not all of it, and nobody gets an answer.
    pub cut: bool,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Status, headers, body.
    Says(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection is closed.
    HangUp,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Self::Says(status, Vec::new(), body.to_string().into_bytes())
    }

    pub fn empty(status: u16) -> Self {
        Self::Says(status, Vec::new(), Vec::new())
    }

    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Says(status, mut headers, body) => {
                headers.push((name, value.into()));
                Self::Says(status, headers, body)
            }
            Self::HangUp => Self::HangUp,
        }
    }
}

/// What a cloud does.
pub trait Cloud: Send + Sync + 'static {
    /// The answer of a cloud that is at `http://127.0.0.1:port`.
    fn answer(&self, request: &Request, port: u16) -> Answer;

    /// After how many bytes of its body a question breaks off.
    fn cut(&self, _request: &Request) -> Option<u64> {
        None
    }
}

/// The server. It listens until the test is over.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn new(cloud: impl Cloud) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, cloud) = (Arc::clone(&asked), Arc::new(cloud));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, cloud) = (Arc::clone(&log), Arc::clone(&cloud));
                thread::spawn(move || serve(stream.unwrap(), port, &log, &*cloud));
            }
        });
        Self { port, asked }
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.what).collect()
    }

    /// All questions.
    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The first question of this kind.
    pub fn request(&self, what: &str) -> Request {
        let found = self.requests().into_iter().find(|request| request.what == what);
        found.unwrap_or_else(|| panic!("{what} was not asked, but {:#?}", self.asked()))
    }
}

fn serve(mut stream: TcpStream, port: u16, log: &Mutex<Vec<Request>>, cloud: &dyn Cloud) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader, cloud) {
        log.lock().unwrap().push(request.clone());
        let answer = cloud.answer(&request, port);
        let Answer::Says(status, headers, body) = answer else { return };
        if request.cut {
            return;
        }
        let mut head = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = if request.what.starts_with("HEAD ") { Vec::new() } else { body };
        let bytes = [head.as_bytes(), b"\r\n", &body].concat();
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn read(from: &mut impl BufRead, cloud: &dyn Cloud) -> Option<Request> {
    let (mut first, mut headers) = (String::new(), BTreeMap::new());
    from.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let whole = first.rsplit_once(' ')?.0;
    let (what, query) = whole.split_once('?').unwrap_or((whole, ""));
    assert!(!headers.contains_key("transfer-encoding"), "the length is known");
    let len: u64 = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let (what, query) = (what.to_owned(), query.to_owned());
    let mut request = Request { what, query, headers, body: Vec::new(), cut: false };
    let cut = cloud.cut(&request).filter(|cut| *cut < len);
    request.cut = cut.is_some();
    from.take(cut.unwrap_or(len)).read_to_end(&mut request.body).ok()?;
    Some(request)
}

/// Runs `lkb` with these variables, and none of a cloud that the test was started with.
pub fn lkb(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
    for (name, _) in std::env::vars() {
        if ["GOOGLE_", "CLOUDSDK_", "AZURE_", "VC"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied()).args(args).output().unwrap()
}

/// Exit status, standard output and standard error.
pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
