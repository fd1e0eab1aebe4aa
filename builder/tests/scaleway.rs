//! `lkb push scaleway` and `lkb run scaleway` against a cloud that answers as its API reference says, and one that does
//! not; the server that writes is an `ssh` that does what it is told in a directory.

mod loopback;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use loopback::{Answer, Request, Server};
use serde_json::{Value, json};

const ZONE: &str = "/instance/v1/zones/fr-par-1";
const SECRET: &str = "a-secret-key";
const MAKE: &str = "POST /servers";
const ACT: &str = "POST /servers/s1/action";
const SNAPSHOT: &str = "POST /snapshots";
const IMAGE: &str = "POST /images";
const FIND: &str = "GET /images?name=web&per_page=100&project=p";

fn what(request: &Request) -> String {
    format!("{} {}", request.method, request.path.strip_prefix(ZONE).unwrap_or(&request.path))
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn answer(status: u16, body: Value) -> Option<Answer> {
    Some((status, if body.is_null() { String::new() } else { body.to_string() }))
}

/// A cloud with one server, whose state its actions change, and an older image of the name `web`.
fn cloud(special: impl Fn(&Request) -> Option<Option<Answer>> + Send + Sync + 'static) -> Server {
    let state = Mutex::new("stopped");
    Server::new(move |request| {
        if let Some(answer) = special(request) {
            return answer;
        }
        if request.header("x-auth-token") != SECRET {
            return answer(
                401,
                json!({ "type": "denied_authentication", "method": "api_key", "reason": "not_found" }),
            );
        }
        match what(request).as_str() {
            MAKE => answer(201, json!({ "server": { "id": "s1", "state": "stopped" } })),
            ACT => {
                let action = json(request)["action"].clone();
                *state.lock().unwrap() = if action == "poweron" { "running" } else { "stopped" };
                answer(202, json!({ "task": { "id": "t1" } }))
            }
            "GET /servers/s1" => answer(
                200,
                json!({ "server": {
                    "id": "s1", "state": *state.lock().unwrap(), "public_ips": [{ "address": "192.0.2.7" }],
                    "volumes": { "0": { "id": "v0" }, "1": { "id": "v1" } },
                } }),
            ),
            SNAPSHOT => answer(201, json!({ "snapshot": { "id": "n1" } })),
            "GET /snapshots/n1" => answer(200, json!({ "snapshot": { "id": "n1", "state": "available" } })),
            IMAGE => answer(201, json!({ "image": { "id": "i1" } })),
            "GET /images/i1" => answer(200, json!({ "image": { "id": "i1", "state": "available" } })),
            FIND => answer(
                200,
                json!({ "images": [
                    { "id": "i1", "name": "web", "root_volume": { "id": "n1" } },
                    { "id": "i0", "name": "web", "root_volume": { "id": "n0" } },
                    { "id": "i9", "name": "web-2", "root_volume": { "id": "n9" } },
                ] }),
            ),
            what if what.starts_with("DELETE ") => answer(204, Value::Null),
            _ => answer(404, json!({ "type": "unknown_resource", "message": "not found" })),
        }
    })
}

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    /// What ssh was told.
    told: Vec<String>,
}

/// Runs `lkb` with an `ssh` whose first call finds nobody, and that does `dd` as `dd` says.
fn lkb(server: &Server, args: &[&str], dd: &str) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.iso"), "the image").unwrap();
    let ssh = dir.path().join("ssh");
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\necho \"$last\" >>told\n\
         case \"$last\" in true) [ -e met ] || {{ touch met; echo refused >&2; exit 255; }};; dd*) {dd};; head*) sha256sum <disk;; esac\n"
    );
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let variables = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("SCW_"));
    let output = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .env_clear()
        .envs(variables)
        .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
        .env("HOME", dir.path())
        .env("SCW_API_URL", &server.url)
        .env("SCW_SECRET_KEY", SECRET)
        .env("SCW_DEFAULT_PROJECT_ID", "p")
        .current_dir(dir.path())
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let told = fs::read_to_string(dir.path().join("told")).unwrap_or_default();
    let outcome = Outcome {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        told: told.lines().map(str::to_owned).collect(),
    };
    assert!(!outcome.stderr.contains(SECRET), "{}", outcome.stderr);
    outcome
}

fn push(server: &Server) -> Outcome {
    lkb(server, &["push", "scaleway", "web.iso"], "cat >disk")
}

fn asked(server: &Server) -> Vec<String> {
    server.asked().iter().map(what).collect()
}

#[test]
fn an_image_is_written_read_back_and_made() {
    let looks = AtomicUsize::new(0);
    let server = cloud(move |request| {
        let slow = what(request) == "GET /snapshots/n1" && looks.fetch_add(1, Ordering::SeqCst) == 0;
        slow.then(|| answer(200, json!({ "snapshot": { "id": "n1", "state": "snapshotting" } })))
    });
    let Outcome { code, stdout, stderr, told } = push(&server);
    assert_eq!((code, stdout.as_str()), (Some(0), "i1\n"), "{stderr}");
    let dd = "dd of=/dev/vdb bs=1M conv=fsync status=none";
    assert_eq!(told, ["true", "true", dd, "head -c 9 /dev/vdb | sha256sum"]);
    let look = "GET /servers/s1";
    let snapshot = "GET /snapshots/n1";
    let made = [MAKE, ACT, look, ACT, look, SNAPSHOT, snapshot, snapshot, IMAGE, "GET /images/i1"];
    let gone = [look, "DELETE /servers/s1", "DELETE /volumes/v0", "DELETE /volumes/v1"];
    let replaced = [FIND, "DELETE /images/i0", "DELETE /snapshots/n0"];
    assert_eq!(asked(&server), [&made[..], &gone, &replaced].concat());
    let all = server.asked();
    let made = json(&all[0]);
    assert_eq!((&made["project"], &made["commercial_type"]), (&json!("p"), &json!("DEV1-S")));
    assert_eq!(made["volumes"]["1"]["size"], 1_000_000_000);
    assert_eq!(json(&all[5]), json!({ "name": "web", "volume_id": "v1", "project": "p" }));
    assert_eq!(
        json(&all[8]),
        json!({ "name": "web", "root_volume": "n1", "arch": "x86_64", "project": "p" })
    );
}

#[test]
fn a_stranger_is_told_what_to_check() {
    let server =
        cloud(|_| Some(answer(401, json!({ "type": "denied_authentication", "reason": "expired" }))));
    let Outcome { code, stderr, .. } = push(&server);
    assert_eq!(code, Some(1));
    let says = "cannot make server linuxkit-builder: the cloud answers 401: denied_authentication; check SCW_SECRET_KEY";
    assert!(stderr.contains(says), "{stderr}");
    assert_eq!(asked(&server), [MAKE]);
}

#[test]
fn nothing_is_left_of_an_image_that_fails() {
    let quota =
        json!({ "type": "quotas_exceeded", "details": [{ "resource": "instance_snapshot", "quota": 1 }] });
    let state = |kind: &str, id: &str| json!({ kind: { "id": id, "state": "error" } });
    let server = ["DELETE /servers/s1", "DELETE /volumes/v0", "DELETE /volumes/v1"];
    for (kind, reply, says, undone) in [
        (
            SNAPSHOT,
            answer(403, quota),
            "quotas_exceeded: quota 1, resource instance_snapshot; end what",
            &[][..],
        ),
        (
            "GET /snapshots/n1",
            answer(200, state("snapshot", "n1")),
            "snapshot n1 is error",
            &["DELETE /snapshots/n1"],
        ),
        (IMAGE, None, "cannot make image web: no answer", &["DELETE /snapshots/n1"]),
        (
            "GET /images/i1",
            answer(200, state("image", "i1")),
            "image i1 is error",
            &["DELETE /images/i1", "DELETE /snapshots/n1"],
        ),
    ] {
        let cloud = cloud(move |request| (what(request) == kind).then(|| reply.clone()));
        let Outcome { code, stdout, stderr, .. } = push(&cloud);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{says}");
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        let deleted: Vec<String> =
            asked(&cloud).into_iter().filter(|what| what.starts_with("DELETE")).collect();
        assert_eq!(deleted, [undone, &server].concat(), "{says}");
    }
}

#[test]
fn a_volume_that_got_something_else_becomes_no_image() {
    for (dd, says) in [
        ("echo other >disk", "the volume did not get what was sent"),
        ("echo 'No space left on device' >&2; exit 1", "on 192.0.2.7 fails: No space left on device"),
    ] {
        let server = cloud(|_| None);
        let Outcome { code, stderr, .. } = lkb(&server, &["push", "scaleway", "web.iso"], dd);
        assert_eq!(code, Some(1));
        assert!(stderr.contains(says), "{stderr}");
        let asked = server.asked();
        assert_eq!(json(asked.last().unwrap())["action"], "terminate");
        assert!(!asked.iter().any(|request| what(request) == SNAPSHOT));
    }
}

#[test]
fn a_server_that_was_given_stays_when_something_fails() {
    let running =
        || json!({ "server": { "id": "s1", "state": "running", "volumes": { "0": { "id": "v0" } } } });
    let server = cloud(move |request| (what(request) == "GET /servers/s1").then(|| answer(200, running())));
    let args = ["push", "scaleway", "--instance-id", "s1", "web.iso"];
    let Outcome { code, stderr, .. } = lkb(&server, &args, "");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("server s1 has no second volume"), "{stderr}");
    assert_eq!(asked(&server), ["GET /servers/s1"]);
}

#[test]
fn what_would_be_refused_is_never_asked() {
    let server = cloud(|_| None);
    for (option, says, code) in [
        ("--device-name=/dev/vdb;reboot", "is no device", 1),
        ("--volume-size=11", "a DEV1-S has 1 to 10 GB for it", 1),
        ("--zone=fr/par", "is no zone", 1),
        ("--secret-key=x", "everybody who lists processes sees it; set SCW_SECRET_KEY instead", 2),
    ] {
        let outcome = lkb(&server, &["push", "scaleway", option, "web.iso"], "");
        assert_eq!(outcome.code, Some(code), "{option}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    }
    assert_eq!(asked(&server), [""; 0]);
}

fn found(names: &[&str]) -> Value {
    let image = |name: &&str| json!({ "id": format!("{name}-id"), "name": name });
    json!({ "images": names.iter().map(image).collect::<Vec<_>>() })
}

#[test]
fn a_server_is_started_and_deleted_when_it_is_off() {
    let looks = AtomicUsize::new(0);
    let server = cloud(move |request| match what(request).as_str() {
        FIND => Some(answer(200, found(&["web", "web-2"]))),
        "GET /servers/s1" => {
            let state = ["starting", "running", "running", "stopped in place"];
            let state = state.get(looks.fetch_add(1, Ordering::SeqCst)).unwrap_or(&"stopped in place");
            Some(answer(
                200,
                json!({ "server": { "id": "s1", "state": state, "public_ip": { "address": "192.0.2.7" } } }),
            ))
        }
        _ => None,
    });
    let outcome = lkb(&server, &["run", "scaleway", "--clean", "--no-attach", "web"], "");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "s1\n"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("address: 192.0.2.7"), "{}", outcome.stderr);
    let all = server.asked();
    let made = json(&all[1]);
    assert_eq!((&made["image"], &made["name"]), (&json!("web-id"), &json!("linuxkit")));
    assert_eq!(json(all.last().unwrap())["action"], "terminate");
}

#[test]
fn a_server_without_image_or_place_is_not_there() {
    let server = cloud(|request| (what(request) == FIND).then(|| answer(200, found(&["web-2"]))));
    let outcome = lkb(&server, &["run", "scaleway", "web"], "");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("the zone has 0 images of the name web"), "{}", outcome.stderr);
    assert_eq!(asked(&server), [FIND]);
    let stock = || json!({ "type": "out_of_stock", "resource": "DEV1-S" });
    let server = cloud(move |request| match what(request).as_str() {
        FIND => Some(answer(200, found(&["web"]))),
        ACT => Some(answer(412, stock())),
        _ => None,
    });
    let outcome = lkb(&server, &["run", "scaleway", "web"], "");
    assert!(
        outcome.stderr.contains("out_of_stock; try another zone or type of instance"),
        "{}",
        outcome.stderr
    );
    assert!(asked(&server).contains(&"DELETE /servers/s1".to_owned()));
}
