//! A registry that answers what a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::images::{Image, digest};

/// A question.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// A form.
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first byte of a `Range`.
    pub fn offset(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Sends only so many bytes of the body, and hangs up.
    pub cut: Option<usize>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: None }
    }

    pub fn ok(body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..Self::status(200) }
    }

    pub fn and_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server on a port of its own. Its threads end with the test.
pub struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                thread::spawn(move || serve(stream.unwrap(), &*answer, &log));
            }
        });
        Self { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What has been asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

/// What a well-behaved registry answers that has this image under every tag.
pub fn honest(image: &Image, request: &Request) -> Answer {
    if request.path.contains("/manifests/") {
        return Answer::ok(&image.manifest).with("Content-Type", image.kind);
    }
    let path = request.path.split('?').next().unwrap();
    match image.blobs().find(|blob| path.ends_with(&digest(blob))) {
        Some(blob) => Answer::ok(blob),
        None => Answer::status(404),
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Answer, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    if greets_in_tls(&mut reader) {
        return;
    }
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let mut request = Request { method, path, headers, body: String::new() };
    let len = request.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    reader.take(len).read_to_string(&mut request.body).unwrap();
    log.lock().unwrap().push(request.clone());
    let Answer { status, headers, body, cut } = answer(&request);
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    // Whoever has asked may have left.
    let _gone = stream.write_all(format!("{head}\r\n").as_bytes());
    let _gone = stream.write_all(&body[..cut.unwrap_or(body.len())]);
}

/// Whether the other side starts with a TLS record of a handshake (RFC 8446, section 5.1), which has no line to wait for.
pub fn greets_in_tls(reader: &mut impl BufRead) -> bool {
    reader.fill_buf().is_ok_and(|bytes| bytes.first() == Some(&22))
}
