//! The client against a server that misbehaves.

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ureq::http::Method;

use super::{Body, Client, Request, Secret, Trouble};

/// The first line of a question, and its body.
type Question = (String, Vec<u8>);

/// Answers the n-th question, from 0, with what a function says; hangs up without an answer where it says nothing.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Server {
    fn new(answer: impl Fn(usize) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let question = read(&stream);
                let mut log = log.lock().unwrap();
                log.push(question);
                if let Some(bytes) = answer(log.len() - 1) {
                    // A client that has had enough may hang up.
                    let _gone = stream.write_all(&bytes);
                }
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(first, _)| first.clone()).collect()
    }
}

fn read(stream: &TcpStream) -> Question {
    let mut reader = BufReader::new(stream);
    let (mut first, mut len) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            len = value.parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    (first.trim_end().to_owned(), body)
}

fn status(line: &str) -> Option<Vec<u8>> {
    Some(format!("HTTP/1.1 {line}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes())
}

fn client() -> Client {
    Client::new(&[], Duration::from_secs(5)).unwrap()
}

#[test]
fn what_may_be_repeated_is_repeated_and_what_may_not_is_not() {
    let hang_up = || None;
    let busy = || status("503 -");
    let broken = || status("500 -");
    type Misbehaviour = fn() -> Option<Vec<u8>>;
    let cases: [(Method, bool, Misbehaviour, usize); 7] = [
        (Method::GET, false, hang_up, 2),
        (Method::GET, false, broken, 2),
        (Method::POST, false, hang_up, 1),
        (Method::POST, false, broken, 1),
        (Method::POST, false, busy, 2),
        (Method::POST, true, hang_up, 2),
        (Method::PUT, false, hang_up, 2),
    ];
    for (method, repeatable, first, times) in cases {
        let server = Server::new(move |n| if n == 0 { first() } else { status("200 -") });
        let answer = client().send(&|| {
            let request = Request::new(method.clone(), server.url.as_str())
                .body("text/plain", Body::Bytes(b"abc".to_vec()));
            if repeatable { request.repeatable() } else { request }
        });
        let asked = server.asked().len();
        assert_eq!(asked, times, "{method} {repeatable}");
        assert_eq!(answer.is_ok_and(|answer| answer.status == 200), times == 2, "{method} {repeatable}");
    }
}

#[test]
fn nobody_is_sent_elsewhere() {
    let server = Server::new(|_| {
        Some(b"HTTP/1.1 307 -\r\nLocation: /else\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec())
    });
    let request = || Request::new(Method::GET, server.url.as_str()).secret("x-token", Secret::new("hidden"));
    let trouble = client().send(&request).and_then(|answer| answer.ok()).unwrap_err();
    assert_eq!(trouble, Trouble::Refused { status: 307, message: String::new() });
    assert_eq!(server.asked(), ["GET / HTTP/1.1"]);
}

#[test]
fn an_answer_without_end_is_not_kept() {
    let server = Server::new(|_| {
        let mut bytes = b"HTTP/1.1 200 -\r\nConnection: close\r\n\r\n".to_vec();
        bytes.resize(bytes.len() + (17 << 20), b'x');
        Some(bytes)
    });
    let trouble = client().once(Request::new(Method::GET, server.url.as_str())).unwrap_err();
    assert!(trouble.to_string().contains("more than 16777216 bytes"), "{trouble}");
}

#[test]
fn a_part_of_a_file_is_sent_again_from_its_beginning() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    file.rewind().unwrap();
    let server = Server::new(|n| if n == 0 { None } else { status("200 -") });
    let told = Mutex::new(Vec::new());
    let sent = |bytes| told.lock().unwrap().push(bytes);
    let request = || {
        let body = Body::Stretch { file: &file, offset: 3, len: 4, sent: &sent };
        Request::new(Method::PUT, server.url.as_str()).body("application/octet-stream", body)
    };
    client().send(&request).unwrap().ok().unwrap();
    let bodies: Vec<Vec<u8>> = server.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies, [b"3456", b"3456"]);
    assert_eq!(*told.lock().unwrap(), [4, 4]);
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"012").unwrap();
    let server = Server::new(|_| status("200 -"));
    let body = Body::Stretch { file: &file, offset: 0, len: 4, sent: &|_| {} };
    let request = Request::new(Method::PUT, server.url.as_str()).body("text/plain", body);
    let trouble = client().once(request).unwrap_err();
    assert!(trouble.to_string().contains("the file is shorter than it was"), "{trouble}");
}

#[test]
fn an_address_that_is_none_is_named() {
    for url in ["nothing", "/path", "http://a b/"] {
        let trouble = client().once(Request::new(Method::GET, url)).unwrap_err();
        assert!(trouble.to_string().starts_with(&format!("{url} cannot be asked: ")), "{trouble}");
    }
}

#[test]
fn a_request_ends_when_its_time_is_over() {
    // Takes connections, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let request = Request::new(Method::GET, url).within(Duration::from_millis(100));
    let trouble = client().once(request).unwrap_err();
    assert_eq!(trouble, Trouble::Unreachable("it took longer than it may".into()));
}
