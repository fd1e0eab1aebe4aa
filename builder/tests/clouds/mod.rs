//! A small OpenStack that answers as its API references say, or as a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A question.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path: `GET /image/v2/images`.
    pub what: String,
    /// `X-Auth-Token`.
    pub token: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An answer; `None` hangs up without one.
pub type Answer = Option<(u16, Value)>;

type Handler = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// The cloud. It listens until the test is over.
pub struct Cloud {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Cloud {
    /// One that answers what `special` leaves to it as usual.
    pub fn new(special: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, special): (_, Arc<Handler>) = (Arc::clone(&asked), Arc::new(special));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, special) = (Arc::clone(&log), Arc::clone(&special));
                thread::spawn(move || answer(stream.unwrap(), port, &log, &*special));
            }
        });
        Self { port, asked }
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|request| request.what.clone()).collect()
    }

    /// The first question of this kind.
    pub fn request(&self, what: &str) -> Request {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .find(|request| request.what == what)
            .unwrap_or_else(|| panic!("{what} was not asked"))
            .clone()
    }

    /// Runs `lkb` as somebody who is known there.
    pub fn lkb(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
        let variables = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("OS_"));
        command.env_clear().envs(variables);
        for (name, value) in [
            ("OS_AUTH_URL", format!("http://127.0.0.1:{}/identity", self.port).as_str()),
            ("OS_USERNAME", "demo"),
            ("OS_PASSWORD", "a-password"),
            ("OS_PROJECT_NAME", "project"),
            ("OS_REGION_NAME", "RegionOne"),
        ] {
            command.env(name, value);
        }
        command.args(args).output().unwrap()
    }
}

fn answer(mut stream: TcpStream, port: u16, log: &Mutex<Vec<Request>>, special: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let usual = usual(&request, port);
        let answer = special(&request).unwrap_or(usual);
        log.lock().unwrap().push(request);
        let Some((status, body)) = answer else { return };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let token = if status == 201 { "X-Subject-Token: a-token\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} -\r\n{token}Content-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn read(from: &mut impl BufRead) -> Option<Request> {
    let (mut first, mut token, mut len) = (String::new(), None, 0);
    from.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "x-auth-token" => token = Some(value.to_owned()),
            "content-length" => len = value.parse().unwrap(),
            "transfer-encoding" => panic!("the length is known"),
            _ => {}
        }
    }
    let what = first.rsplit_once(' ')?.0.to_owned();
    let mut body = Vec::new();
    from.take(len).read_to_end(&mut body).ok()?;
    Some(Request { what, token, body })
}

/// What a cloud says that has nothing against us.
fn usual(request: &Request, port: u16) -> Answer {
    let endpoint = |kind: &str, path: &str| {
        json!({ "type": kind, "endpoints": [
            { "interface": "internal", "region_id": "RegionOne", "url": "http://127.0.0.1:1" },
            { "interface": "public", "region_id": "RegionOne", "url": format!("http://127.0.0.1:{port}{path}") },
        ] })
    };
    let image = |status: &str, size: Value, hash: Value| json!({ "id": "image-1", "status": status, "size": size, "os_hash_algo": "sha512", "os_hash_value": hash });
    let named = |id: &str, name: &str| json!({ "id": id, "name": name });
    Some(match request.what.as_str() {
        "POST /identity/v3/auth/tokens" => (
            201,
            json!({ "token": { "catalog": [
                endpoint("image", "/image"), endpoint("compute", "/compute/v2.1"), endpoint("network", "/network"),
            ] } }),
        ),
        _ if request.token.as_deref() != Some("a-token") => {
            (401, json!({ "error": { "message": "no token" } }))
        }
        "POST /image/v2/images" => (202, image("queued", Value::Null, Value::Null)),
        "PUT /image/v2/images/image-1/file" | "DELETE /image/v2/images/image-1" => (204, Value::Null),
        "GET /image/v2/images/image-1" => (200, image("active", CONTENT.len().into(), SHA512.into())),
        "GET /image/v2/images?name=web" => (200, json!({ "images": [named("image-1", "web")] })),
        "GET /compute/v2.1/flavors" => {
            (200, json!({ "flavors": [named("1", "m1.tiny"), named("2", "m1.small")] }))
        }
        "GET /network/v2.0/networks?name=net1" => (200, json!({ "networks": [named("net-1", "net1")] })),
        "POST /compute/v2.1/servers" => (202, json!({ "server": { "id": "server-1" } })),
        "GET /compute/v2.1/servers/server-1" => (
            200,
            json!({ "server": { "status": "ACTIVE", "addresses": { "net1": [{ "addr": "10.77.0.5" }] } } }),
        ),
        _ => (404, json!({ "itemNotFound": { "message": "The resource could not be found." } })),
    })
}

/// The bytes of the image that tests push.
pub const CONTENT: &[u8] = b"abc";
/// Its SHA-512 (FIPS 180-2, appendix C.1).
pub const SHA512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                          2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
