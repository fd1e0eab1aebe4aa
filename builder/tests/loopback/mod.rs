//! A server on this machine that answers as a test says, and keeps what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A question.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Path and query, as they came.
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Status and body.
pub type Answer = (u16, String);

/// The server. It listens until the test is over.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` answers, or hangs up. What it is asked with `Expect: 100-continue` it is asked twice: before the body comes
    /// without one, where an error ends it.
    pub fn new(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream.unwrap(), &log, &*answer));
            }
        });
        Self { url, asked }
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Option<Answer> + Send + Sync),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(mut request) = head(&mut reader) {
        if request.header("expect") == "100-continue" {
            match answer(&request) {
                Some((status, body)) if status >= 400 => {
                    log.lock().unwrap().push(request);
                    // The client may be gone.
                    let _gone = say(&mut stream, status, &body);
                    return;
                }
                _ => stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap(),
            }
        }
        let len = request.header("content-length").parse().unwrap_or(0);
        (&mut reader).take(len).read_to_end(&mut request.body).unwrap();
        let answer = answer(&request);
        log.lock().unwrap().push(request);
        let Some((status, body)) = answer else { return };
        if say(&mut stream, status, &body).is_err() {
            return;
        }
    }
}

fn say(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    stream.write_all(format!("HTTP/1.1 {status} -\r\n{length}\r\n{body}").as_bytes())
}

fn head(from: &mut impl BufRead) -> Option<Request> {
    let mut first = String::new();
    from.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let mut request = Request { method: words.next()?, path: words.next()?, ..Request::default() };
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Some(request) };
        request.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
}
