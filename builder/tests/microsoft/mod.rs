//! A small Azure that answers as its references say, or as a test wants it.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use crate::endpoint::{Answer, Cloud, Request, Server, lkb, said};

pub const TOKEN: &str = "POST /tenant-1/oauth2/v2.0/token";
pub const GROUP: &str = "GET /subscriptions/sub-1/resourceGroups/group";
pub const ACCOUNT: &str =
    "GET /subscriptions/sub-1/resourceGroups/group/providers/Microsoft.Storage/storageAccounts/acc";
pub const KEYS: &str =
    "POST /subscriptions/sub-1/resourceGroups/group/providers/Microsoft.Storage/storageAccounts/acc/listKeys";
pub const CONTAINER: &str = "PUT /blobs/linuxkitcontainer";
pub const BLOB: &str = "PUT /blobs/linuxkitcontainer/linuxkitimage.vhd";
pub const DELETE_BLOB: &str = "DELETE /blobs/linuxkitcontainer/linuxkitimage.vhd";
pub const MAKE: &str = "PUT /subscriptions/sub-1/resourceGroups/group/providers/Microsoft.Compute/images/web";
pub const LOOK: &str = "GET /subscriptions/sub-1/resourceGroups/group/providers/Microsoft.Compute/images/web";
pub const DELETE: &str =
    "DELETE /subscriptions/sub-1/resourceGroups/group/providers/Microsoft.Compute/images/web";
pub const OPERATION: &str = "GET /operations/1";

/// The account's key.
const KEY: &[u8] = b"a-storage-key";

type Special = dyn Fn(&Request, usize) -> Option<Answer> + Send + Sync;

/// An Azure. What `special` does not answer is answered as usual; it is told how often it was asked that before.
pub struct Microsoft {
    special: Box<Special>,
    cut: Option<u64>,
    asked: Mutex<Vec<String>>,
}

impl Microsoft {
    pub fn new(special: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self { special: Box::new(special), cut: None, asked: Mutex::default() }
    }

    /// It breaks off the first page after so many bytes.
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

impl Cloud for Microsoft {
    fn answer(&self, request: &Request, port: u16) -> Answer {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.what.clone());
            asked.iter().filter(|what| **what == request.what).count() - 1
        };
        if request.cut {
            return Answer::HangUp;
        }
        if let Some(answer) = (self.special)(request, before) {
            return answer;
        }
        if request.what == TOKEN {
            return Answer::json(200, json!({ "access_token": "a-token", "expires_in": 3599 }));
        }
        if request.what.contains(" /blobs/") {
            return blobs(request);
        }
        if request.header("authorization") != "Bearer a-token" {
            return refusal(401, "AuthenticationFailed", "Authentication failed.");
        }
        let place = format!("http://127.0.0.1:{port}");
        match request.what.as_str() {
            GROUP => Answer::json(200, json!({ "location": "northeurope" })),
            ACCOUNT => Answer::json(
                200,
                json!({
                    "location": "northeurope",
                    "properties": { "provisioningState": "Succeeded", "primaryEndpoints": { "blob": format!("{place}/blobs/") } },
                }),
            ),
            KEYS => {
                Answer::json(200, json!({ "keys": [{ "keyName": "key1", "value": STANDARD.encode(KEY) }] }))
            }
            DELETE => Answer::empty(204),
            OPERATION => Answer::json(200, json!({ "status": "Succeeded" })),
            what if what.starts_with("PUT ") => made("Creating")
                .with("Azure-AsyncOperation", format!("{place}/operations/1"))
                .with("Retry-After", "0"),
            what if what.contains("publicIPAddresses") => Answer::json(
                200,
                json!({ "properties": { "provisioningState": "Succeeded", "dnsSettings": { "fqdn": "vm.example" } } }),
            ),
            what if what.contains("virtualMachines") && what.starts_with("GET ") => Answer::json(
                200,
                json!({ "properties": {
                    "provisioningState": "Creating", "instanceView": { "statuses": [{ "code": "PowerState/running" }] },
                } }),
            ),
            what if what.starts_with("GET ") => made("Succeeded"),
            what if what.starts_with("DELETE ") => Answer::empty(200),
            what => refusal(404, "ResourceNotFound", &format!("{what} was not found")),
        }
    }

    fn cut(&self, request: &Request) -> Option<u64> {
        let first = self.asked.lock().unwrap().iter().filter(|what| *what == BLOB).count() == 1;
        self.cut.filter(|_| first && request.what == BLOB)
    }
}

fn made(state: &str) -> Answer {
    Answer::json(201, json!({ "properties": { "provisioningState": state } }))
}

/// Blob Storage, which looks at signatures and checksums.
fn blobs(request: &Request) -> Answer {
    if request.header("authorization") != signature(request) {
        return storage_refusal(403, "AuthenticationFailed", "Server failed to authenticate the request.");
    }
    if request.query == "comp=page" && request.header("x-ms-content-crc64") != crc64(&request.body) {
        return storage_refusal(400, "Crc64Mismatch", "The CRC64 value does not match.");
    }
    Answer::empty(if request.what.starts_with("DELETE") { 202 } else { 201 })
}

fn signature(request: &Request) -> String {
    let (method, path) = request.what.split_once(' ').unwrap();
    let len = if request.body.is_empty() { String::new() } else { request.body.len().to_string() };
    let own: String = request
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let query = request.query.split('&').filter(|field| !field.is_empty());
    let query: String = query.map(|field| format!("\n{}", field.replace('=', ":"))).collect();
    let kind = request.header("content-type");
    let text = format!("{method}\n\n\n{len}\n\n{kind}\n\n\n\n\n\n\n{own}/acc{path}{query}");
    let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), text.as_bytes());
    format!("SharedKey acc:{}", STANDARD.encode(signed))
}

/// Bit by bit, so as not to be that of the program.
fn crc64(bytes: &[u8]) -> String {
    let mut crc = u64::MAX;
    for byte in bytes {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x9A6C_9329_AC4B_C9B5 } else { crc >> 1 };
        }
    }
    STANDARD.encode((!crc).to_le_bytes())
}

/// Resource Manager says no.
pub fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "error": { "code": code, "message": message } }))
}

/// Blob Storage says no.
pub fn storage_refusal(status: u16, code: &str, message: &str) -> Answer {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer::Says(status, vec![("x-ms-error-code", code.to_owned())], body.into_bytes())
}

/// A directory with a disk `web.vhd`: zeros, but for some bytes at its beginning and some in the middle.
pub struct Desk {
    pub dir: tempfile::TempDir,
    pub disk: PathBuf,
}

impl Desk {
    /// A disk of this many mebibytes.
    pub fn new(mebibytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("web.vhd");
        let len = mebibytes << 20;
        let mut content = vec![0; len];
        content[..2000].fill(0xEB);
        content[len / 2 - 5..len / 2 + 5].fill(7);
        let mut footer = [0; 512];
        footer[..8].copy_from_slice(b"conectix");
        footer[48..56].copy_from_slice(&(len as u64).to_be_bytes());
        footer[63] = 2;
        let sum = footer.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
        content.extend(footer);
        std::fs::write(&disk, content).unwrap();
        Self { dir, disk }
    }

    pub fn lkb(&self, server: &Server, args: &[&str]) -> Output {
        let place = format!("http://127.0.0.1:{}", server.port);
        let output = lkb(
            args,
            &[
                ("AZURE_SUBSCRIPTION_ID", "sub-1"),
                ("AZURE_TENANT_ID", "tenant-1"),
                ("AZURE_CLIENT_ID", "robot"),
                ("AZURE_CLIENT_SECRET", "a-secret"),
                ("AZURE_AUTHORITY_HOST", &place),
                ("AZURE_RESOURCE_MANAGER_ENDPOINT", &place),
            ],
        );
        let (_, stdout, stderr) = said(&output);
        for secret in ["a-token", "a-secret", &STANDARD.encode(KEY), "SharedKey acc:"] {
            assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}{stderr}");
        }
        output
    }

    pub fn push(&self, server: &Server, more: &[&str]) -> (Option<i32>, String, String) {
        let args = ["push", "azure", "--resource-group", "group", "--storage-account", "acc"];
        said(&self.lkb(server, &[&args, more, &[self.disk.to_str().unwrap()]].concat()))
    }

    pub fn run(&self, server: &Server, more: &[&str]) -> (Option<i32>, String, String) {
        let args = ["run", "azure", "-resourceGroupName", "group", "-accountName", "acc"];
        said(&self.lkb(server, &[&args, more, &[self.disk.to_str().unwrap()]].concat()))
    }
}

/// What a new blob has after these questions, or nothing when none was made.
pub fn blob(server: &Server) -> Vec<u8> {
    let mut blob = Vec::new();
    for request in server.requests().into_iter().filter(|request| request.what == BLOB && !request.cut) {
        if request.query != "comp=page" {
            blob = vec![0; request.header("x-ms-blob-content-length").parse().unwrap()];
            continue;
        }
        let range = request.header("x-ms-range").strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (range.0.parse().unwrap(), range.1.parse().unwrap());
        assert!(first % 512 == 0 && (last + 1) % 512 == 0 && last - first < 4 << 20, "{first} to {last}");
        blob[first..=last].copy_from_slice(&request.body);
    }
    blob
}

/// The body of the first question about something of this kind that is to be made.
pub fn asked_for(server: &Server, kind: &str) -> Value {
    let is = |request: &Request| request.what.starts_with("PUT ") && request.what.contains(kind);
    server.requests().iter().find(|request| is(request)).map(Request::json).unwrap_or_default()
}
