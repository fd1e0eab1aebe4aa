//! `lkb push vcenter` and `lkb run vcenter` against a vCenter that answers as it should, and one that does not.

mod endpoint;

use std::path::PathBuf;

use endpoint::{Answer, Cloud, Request, Server, lkb, said};
use serde_json::{Value, json};

const LOG_IN: &str = "POST /api/session";
const LOG_OUT: &str = "DELETE /api/session";
const DATACENTERS: &str = "GET /api/vcenter/datacenter";
const DATASTORES: &str = "GET /api/vcenter/datastore";
const HOSTS: &str = "GET /api/vcenter/host";
const UPLOAD: &str = "PUT /folder/web/web.iso";
const LOOK: &str = "HEAD /folder/web/web.iso";
const DELETE_FILE: &str = "DELETE /folder/web/web.iso";
const MAKE: &str = "POST /api/vcenter/vm";
const POWER: &str = "POST /api/vcenter/vm/vm-9/power";
const IDENTITY: &str = "GET /api/vcenter/vm/vm-9/guest/identity";
const DELETE: &str = "DELETE /api/vcenter/vm/vm-9";

/// The image's bytes.
const IMAGE: &[u8] = b"a CD";

type Special = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// A vCenter; what `special` does not answer is answered as usual.
struct VCenter(Box<Special>);

fn usual() -> Server {
    Server::new(VCenter(Box::new(|_| None)))
}

fn but(what: &'static str, answer: Answer) -> Server {
    Server::new(VCenter(Box::new(move |request| (request.what == what).then(|| answer.clone()))))
}

impl Cloud for VCenter {
    fn answer(&self, request: &Request, _port: u16) -> Answer {
        if let Some(answer) = (self.0)(request) {
            return answer;
        }
        let basic = request.header("authorization") == "Basic cm9ib3Q6YS1wQHNz";
        let session = request.header("vmware-api-session-id") == "a-token";
        let wants_basic = request.what == LOG_IN || request.what.contains(" /folder/");
        if !(if wants_basic { basic } else { session }) {
            return refusal(401, "UNAUTHENTICATED", "Authentication required.");
        }
        let one = |kind: &str, id: &str, name: &str| json!([{ (kind): id, "name": name }]);
        let list = |body: Value| Answer::json(200, body);
        match request.what.as_str() {
            LOG_IN => Answer::json(201, json!("a-token")),
            DATACENTERS => list(one("datacenter", "datacenter-2", "My DC")),
            DATASTORES => list(one("datastore", "datastore-3", "ds1")),
            HOSTS => list(json!([
                { "host": "host-4", "name": "esx1", "connection_state": "DISCONNECTED" },
                { "host": "host-5", "name": "esx2", "connection_state": "CONNECTED" },
            ])),
            "GET /api/vcenter/folder" => list(one("folder", "group-v6", "vm")),
            "GET /api/vcenter/network" => list(json!([
                { "network": "network-7", "name": "VM Network", "type": "STANDARD_PORTGROUP" },
                { "network": "dvportgroup-8", "name": "prod", "type": "DISTRIBUTED_PORTGROUP" },
            ])),
            UPLOAD => Answer::empty(201),
            LOOK => {
                Answer::Says(200, Vec::new(), IMAGE.to_vec()).with("Content-Type", "application/octet-stream")
            }
            DELETE_FILE | LOG_OUT | POWER | DELETE => Answer::empty(200),
            MAKE => Answer::json(201, json!("vm-9")),
            IDENTITY => Answer::json(200, json!({ "ip_address": "10.0.0.9" })),
            what => refusal(404, "NOT_FOUND", what),
        }
    }
}

fn refusal(status: u16, kind: &str, message: &str) -> Answer {
    Answer::json(
        status,
        json!({ "error_type": kind, "messages": [{ "default_message": message, "args": [] }] }),
    )
}

fn run(server: &Server, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("web.iso");
    std::fs::write(&file, IMAGE).unwrap();
    let url = format!("http://robot:a-p%40ss@127.0.0.1:{}/sdk", server.port);
    let args = [&[command, "vcenter"], more, &[file.to_str().unwrap()]].concat();
    let (code, stdout, stderr) = said(&lkb(&args, &[("VCURL", &url)]));
    for secret in ["a-p@ss", "a-p%40ss", "a-token", "Basic"] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}{stderr}");
    }
    (code, stdout, stderr)
}

#[test]
fn a_cd_image_is_uploaded_and_looked_at() {
    let server = usual();
    let (code, stdout, stderr) = run(&server, "push", &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), "[ds1] web/web.iso\n"), "{stderr}");
    assert_eq!(server.asked(), [LOG_IN, DATACENTERS, DATASTORES, UPLOAD, LOOK, LOG_OUT]);
    assert_eq!(server.request(UPLOAD).body, IMAGE);
    assert_eq!(server.request(UPLOAD).query, "dcPath=My%20DC&dsName=ds1");
    assert_eq!(server.request(DATASTORES).query, "datacenters=datacenter-2");
}

#[test]
fn a_cd_image_that_does_not_arrive_is_deleted() {
    for (what, answer, says) in [
        (UPLOAD, refusal(507, "NO_SPACE", "The datastore is full."), "507: NO_SPACE: The datastore is full."),
        (UPLOAD, Answer::HangUp, "cannot upload [ds1] web/web.iso: no answer"),
        (
            LOOK,
            Answer::Says(200, Vec::new(), b"a".to_vec()),
            "[ds1] web/web.iso has 1 bytes, and 4 were sent",
        ),
    ] {
        let server = but(what, answer);
        let (code, stdout, stderr) = run(&server, "push", &[]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        let asked = server.asked();
        assert_eq!(asked[asked.len() - 2..], [DELETE_FILE, LOG_OUT], "{asked:#?}");
    }
}

#[test]
fn a_vcenter_that_does_not_know_us_is_told_nothing_more() {
    for (answer, says) in [
        (refusal(401, "UNAUTHENTICATED", "Who?"), "401: UNAUTHENTICATED: Who?; check user and password"),
        (Answer::empty(404), "govc datastore.upload"),
    ] {
        let server = but(LOG_IN, answer);
        let (code, _, stderr) = run(&server, "push", &[]);
        assert_eq!(code, Some(1));
        assert!(stderr.contains(says), "{stderr}");
        assert_eq!(server.asked(), [LOG_IN]);
    }
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let server = usual();
    let (_, _, stderr) = run(&server, "push", &["--datastore", "other"]);
    assert!(stderr.contains("vCenter has no datastore other: it has ds1"), "{stderr}");
    let (_, _, stderr) = run(&server, "push", &["--hostname", "other"]);
    assert!(stderr.contains("vCenter has no host other: it has esx1, esx2"), "{stderr}");
    assert!(!server.asked().contains(&UPLOAD.to_owned()));
}

#[test]
fn a_machine_is_made_turned_on_and_asked_for_its_address() {
    let server = usual();
    let more = ["-network", "prod", "-persistentSize", "100M", "-powerOn", "-waitForIP", "-cpus", "2"];
    let (code, stdout, stderr) = run(&server, "run", &more);
    assert_eq!((code, stdout.as_str()), (Some(0), "10.0.0.9\n"), "{stderr}");
    let machine = server.request(MAKE).json();
    assert_eq!(
        machine["placement"],
        json!({ "folder": "group-v6", "host": "host-5", "datastore": "datastore-3" })
    );
    assert_eq!(
        machine["nics"][0]["backing"],
        json!({ "type": "DISTRIBUTED_PORTGROUP", "network": "dvportgroup-8" })
    );
    assert_eq!(machine["cdroms"][0]["backing"]["iso_file"], "[ds1] web/web.iso");
    assert_eq!(server.request(POWER).query, "action=start");
}

#[test]
fn a_machine_that_says_no_address_is_not_waited_for_for_ever() {
    let server = but(IDENTITY, refusal(503, "SERVICE_UNAVAILABLE", "VMware Tools are not running."));
    let (code, _, stderr) = run(&server, "run", &["--powerOn", "--waitForIP", "--timeout", "0"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot learn the address of machine web") && stderr.contains("--timeout"),
        "{stderr}"
    );
    assert!(!server.asked().contains(&DELETE.to_owned()), "it runs");
}

#[test]
fn a_machine_that_cannot_be_turned_on_is_deleted() {
    let server = but(POWER, refusal(400, "ERROR", "Insufficient resources."));
    let (code, _, stderr) = run(&server, "run", &["--powerOn"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot turn on machine web: the cloud answers 400: ERROR: Insufficient resources."),
        "{stderr}"
    );
    assert!(server.asked().contains(&DELETE.to_owned()));
}

#[test]
fn a_machine_without_its_cd_image_is_not_made() {
    let server = but(LOOK, Answer::empty(404));
    let (code, _, stderr) = run(&server, "run", &[]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot find [ds1] web/web.iso, which `lkb push vcenter` puts there"),
        "{stderr}"
    );
    assert!(!server.asked().contains(&MAKE.to_owned()));
}
