//! A small Google Cloud that answers as its references say, or as a test wants it.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::endpoint::{Answer, Cloud, Request, Server, lkb, said};

pub const TOKEN: &str = "POST /token";
pub const BEGIN: &str = "POST /upload/storage/v1/b/bucket/o";
pub const PART: &str = "PUT /session";
pub const DELETE_OBJECT: &str = "DELETE /storage/v1/b/bucket/o/web.img.tar.gz";
pub const MAKE: &str = "POST /compute/v1/projects/p-1/global/images";
pub const LOOK: &str = "GET /compute/v1/projects/p-1/global/images/web";
pub const DELETE: &str = "DELETE /compute/v1/projects/p-1/global/images/web";
pub const OPERATION: &str = "GET /compute/v1/projects/p-1/global/operations/op";
pub const INSTANCES: &str = "POST /compute/v1/projects/p-1/zones/europe-west1-d/instances";
pub const DELETE_INSTANCE: &str = "DELETE /compute/v1/projects/p-1/zones/europe-west1-d/instances/web";
pub const LOOK_INSTANCE: &str = "GET /compute/v1/projects/p-1/zones/europe-west1-d/instances/web";
pub const SERIAL: &str = "GET /compute/v1/projects/p-1/zones/europe-west1-d/instances/web/serialPort";
pub const ZONE_OPERATION: &str = "GET /compute/v1/projects/p-1/zones/europe-west1-d/operations/op";

type Special = dyn Fn(&Request, usize) -> Option<Answer> + Send + Sync;

/// A Google Cloud. What `special` does not answer is answered as usual; it is told how often it was asked that before.
pub struct Google {
    special: Box<Special>,
    cut: Option<u64>,
    asked: Mutex<Vec<String>>,
    stored: Mutex<Vec<u8>>,
}

impl Google {
    pub fn new(special: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self { special: Box::new(special), cut: None, asked: Mutex::default(), stored: Mutex::default() }
    }

    /// It breaks off the first part after so many bytes.
    pub fn cutting(self, after: u64) -> Self {
        Self { cut: Some(after), ..self }
    }

    pub fn usual() -> Server {
        Server::new(Self::new(|_, _| None))
    }

    /// One that answers one question in its own way.
    pub fn but(what: &'static str, answer: Answer) -> Server {
        Server::new(Self::new(move |request, _| (request.what == what).then(|| answer.clone())))
    }
}

impl Cloud for Google {
    fn answer(&self, request: &Request, port: u16) -> Answer {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.what.clone());
            asked.iter().filter(|what| **what == request.what).count() - 1
        };
        if let Some(answer) = (self.special)(request, before) {
            return answer;
        }
        if request.what == TOKEN {
            return Answer::json(
                200,
                json!({ "access_token": "a-token", "expires_in": 3599, "token_type": "Bearer" }),
            );
        }
        if request.header("authorization") != "Bearer a-token" {
            return refusal(401, "authError", "Invalid Credentials");
        }
        let operation = |status: &str| json!({ "kind": "compute#operation", "name": "op", "status": status });
        match request.what.as_str() {
            BEGIN => {
                Answer::empty(200).with("Location", format!("http://127.0.0.1:{port}/session?upload_id=1"))
            }
            PART => self.store(request),
            DELETE_OBJECT => Answer::empty(204),
            MAKE | INSTANCES => Answer::json(200, operation("PENDING")),
            OPERATION | ZONE_OPERATION => Answer::json(200, operation("DONE")),
            LOOK => Answer::json(200, json!({ "name": "web", "status": "READY" })),
            LOOK_INSTANCE => Answer::json(200, json!({ "status": "TERMINATED" })),
            SERIAL => Answer::json(200, json!({ "contents": "", "next": "12" })),
            DELETE_INSTANCE if self.asked.lock().unwrap().iter().any(|what| what == INSTANCES) => {
                Answer::json(200, operation("PENDING"))
            }
            _ => refusal(404, "notFound", &format!("{} was not found", request.what)),
        }
    }

    fn cut(&self, request: &Request) -> Option<u64> {
        let first = !self.asked.lock().unwrap().iter().any(|what| what == PART);
        self.cut.filter(|_| first && request.what == PART)
    }
}

impl Google {
    /// Keeps whole multiples of 256 KiB of a part, as Cloud Storage does, or all of the last one.
    fn store(&self, request: &Request) -> Answer {
        let mut stored = self.stored.lock().unwrap();
        let (range, total) =
            request.header("content-range").strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        let total: usize = total.parse().unwrap();
        if range != "*" {
            let start: usize = range.split_once('-').unwrap().0.parse().unwrap();
            assert_eq!(start, stored.len(), "a part begins where the last one ended");
            stored.extend(&request.body);
            if stored.len() < total {
                let whole = stored.len() / (256 << 10) * (256 << 10);
                stored.truncate(whole);
            }
        }
        match stored.len() {
            0 => Answer::empty(308),
            len if len < total => Answer::empty(308).with("Range", format!("bytes=0-{}", len - 1)),
            len => Answer::json(200, json!({ "size": len.to_string(), "crc32c": crc32c(&stored) })),
        }
    }
}

/// Bit by bit, so as not to be that of the program.
pub fn crc32c(bytes: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    STANDARD.encode((!crc).to_be_bytes())
}

pub fn refusal(status: u16, reason: &str, message: &str) -> Answer {
    let error =
        json!({ "code": status, "message": message, "errors": [{ "reason": reason, "message": message }] });
    Answer::json(status, json!({ "error": error }))
}

pub fn failed(code: &str, message: &str) -> Answer {
    let errors = json!({ "errors": [{ "code": code, "message": message }] });
    Answer::json(200, json!({ "name": "op", "status": "DONE", "error": errors }))
}

/// A directory with an archive `web.img.tar.gz` of this length, and a key.
pub struct Desk {
    pub dir: tempfile::TempDir,
    pub image: PathBuf,
}

impl Desk {
    pub fn new(len: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("web.img.tar.gz");
        let mut content: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
        content[..2].copy_from_slice(&[0x1F, 0x8B]);
        std::fs::write(&image, content).unwrap();
        Self { dir, image }
    }

    pub fn lkb(&self, server: &Server, args: &[&str]) -> Output {
        let place = format!("http://127.0.0.1:{}", server.port);
        let key = json!({
            "type": "service_account", "client_email": "robot@p-1.example", "private_key_id": "k1",
            "private_key": include_str!("../data/nobody.pem"), "project_id": "p-1", "token_uri": format!("{place}/token"),
        });
        let file = self.dir.path().join("key.json");
        std::fs::write(&file, key.to_string()).unwrap();
        self.lkb_as(server, file.to_str().unwrap(), args)
    }

    pub fn lkb_as(&self, server: &Server, key: &str, args: &[&str]) -> Output {
        let place = format!("http://127.0.0.1:{}", server.port);
        let output = lkb(
            args,
            &[
                ("GOOGLE_APPLICATION_CREDENTIALS", key),
                ("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", &format!("{place}/compute/v1/")),
                ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", &format!("{place}/storage/v1/")),
            ],
        );
        let (_, stdout, stderr) = said(&output);
        for secret in ["a-token", "PRIVATE KEY", "a-refresh", "assertion", "upload_id"] {
            assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}{stderr}");
        }
        output
    }

    pub fn push(&self, server: &Server, more: &[&str]) -> (Option<i32>, String, String) {
        let image = self.image.to_str().unwrap();
        said(&self.lkb(server, &[&["push", "gcp", "--bucket", "bucket"], more, &[image]].concat()))
    }

    pub fn run(&self, server: &Server, more: &[&str]) -> (Option<i32>, String, String) {
        said(&self.lkb(server, &[&["run", "gcp"], more, &["web"]].concat()))
    }
}
