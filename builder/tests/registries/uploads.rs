//! A registry that takes uploads and breaks them off.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::fake::greets_in_tls;
use super::images::digest;

/// What it does to uploads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Hangs up after so many bytes of a body, this often.
    pub cuts: usize,
    /// How many bytes it takes before it hangs up.
    pub after: usize,
    /// Answers 413 to more bytes at once.
    pub most: Option<usize>,
    /// Forgets an upload that broke off.
    pub forgets: bool,
    /// Answers 503 to so many requests first.
    pub busy: usize,
    /// Forgets so many uploads before their first byte.
    pub expires: usize,
    /// Says of so many manifests that their digest is another.
    pub doubts: usize,
}

#[derive(Default)]
struct State {
    faults: Faults,
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
    uploads: HashMap<String, Vec<u8>>,
    asked: Vec<String>,
    begun: usize,
}

/// A server on a port of its own. Its threads end with the test.
pub struct Uploads {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Uploads {
    pub fn new(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { faults, ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { port, state }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A blob or a manifest that it has.
    pub fn has(&self, bytes: &[u8]) -> bool {
        let state = self.state.lock().unwrap();
        let name = digest(bytes);
        state.blobs.get(&name).or(state.manifests.get(&name)).is_some_and(|kept| kept == bytes)
    }

    /// Whether a tag is there.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.state.lock().unwrap().manifests.contains_key(tag)
    }

    /// Method and path of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    // Whoever leaves is not answered.
    if greets_in_tls(&mut reader) || reader.read_line(&mut first).is_err() || first.is_empty() {
        return;
    }
    let mut length = 0;
    let mut begins = None;
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let line = line.to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some(value) = line.strip_prefix("content-range:") {
            begins = value.trim().split('-').next().unwrap().parse::<usize>().ok();
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut cut = None;
    {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{method} {path}"));
        if state.faults.most.is_some_and(|most| length > most) {
            drop(state);
            // Nothing of it is read.
            answer(&mut stream, 413, "", b"");
            return;
        }
        if path.contains("/uploads/")
            && method != "POST"
            && length > state.faults.after
            && state.faults.cuts > 0
        {
            state.faults.cuts -= 1;
            cut = Some(state.faults.after);
        }
    }
    let mut body = vec![0; cut.unwrap_or(length)];
    reader.read_exact(&mut body).unwrap();
    let mut state = state.lock().unwrap();
    if state.faults.busy > 0 && path.contains("uploads") {
        state.faults.busy -= 1;
        return answer(&mut stream, 503, "", b"");
    }
    let (whole, query) = path.split_once('?').unwrap_or((&path, ""));
    let name = whole.rsplit('/').next().unwrap().to_owned();
    let upload_at = |id: &str, len: usize| {
        format!("Location: /v2/x/blobs/uploads/{id}?state=1\r\nRange: 0-{}\r\n", len.max(1) - 1)
    };
    let (status, headers, content) = match method.as_str() {
        _ if whole == "/v2/" => (200, String::new(), Vec::new()),
        "POST" => {
            state.begun += 1;
            let id = format!("u{}", state.begun);
            if state.faults.expires > 0 {
                state.faults.expires -= 1;
            } else {
                state.uploads.insert(id.clone(), Vec::new());
            }
            (202, upload_at(&id, 0), Vec::new())
        }
        "GET" | "PATCH" | "PUT" if whole.contains("/uploads/") => {
            let forgets = state.faults.forgets;
            let Some(mut kept) = state.uploads.remove(&name) else {
                return answer(&mut stream, 404, "", b"");
            };
            if begins.is_some_and(|begins| begins != kept.len()) {
                return answer(&mut stream, 416, "", b"");
            }
            kept.extend(body);
            if cut.is_some() {
                if !forgets {
                    state.uploads.insert(name, kept);
                }
                return;
            }
            match query.split("digest=").nth(1) {
                Some(wanted) if digest(&kept) == wanted => {
                    state.blobs.insert(wanted.to_owned(), kept);
                    (201, String::new(), Vec::new())
                }
                Some(_) => (400, String::new(), Vec::new()),
                None => {
                    let headers = upload_at(&name, kept.len());
                    state.uploads.insert(name, kept);
                    (if method == "GET" { 204 } else { 202 }, headers, Vec::new())
                }
            }
        }
        "PUT" if state.faults.doubts > 0 => {
            state.faults.doubts -= 1;
            let message = "provided digest did not match uploaded content";
            let said = format!("{{\"errors\":[{{\"code\":\"DIGEST_INVALID\",\"message\":\"{message}\"}}]}}");
            (400, String::new(), said.into_bytes())
        }
        "PUT" => {
            state.manifests.insert(digest(&body), body.clone());
            state.manifests.insert(name, body);
            (201, String::new(), Vec::new())
        }
        _ => match state.blobs.get(&name).or(state.manifests.get(&name)) {
            Some(bytes) => (200, String::new(), bytes.clone()),
            None => (404, String::new(), Vec::new()),
        },
    };
    drop(state);
    let content = if method == "HEAD" { Vec::new() } else { content };
    answer(&mut stream, status, &headers, &content);
}

fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) {
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    // Whoever has asked may have left.
    let _gone = stream
        .write_all(format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{length}{headers}\r\n").as_bytes());
    let _gone = stream.write_all(body);
}
