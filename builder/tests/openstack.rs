//! `lkb push openstack` and `lkb run openstack` against a cloud that answers as it should, and one that does not.

mod clouds;

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use clouds::{Answer, CONTENT, Cloud, Request, SHA512};
use serde_json::{Value, json};

const LOGIN: &str = "POST /identity/v3/auth/tokens";
const MAKE: &str = "POST /image/v2/images";
const FILL: &str = "PUT /image/v2/images/image-1/file";
const LOOK: &str = "GET /image/v2/images/image-1";
const DELETE: &str = "DELETE /image/v2/images/image-1";

fn image(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    std::fs::write(&file, CONTENT).unwrap();
    (dir, file)
}

fn push(cloud: &Cloud, name: &str) -> Output {
    let (_dir, file) = image(name);
    cloud.lkb(&["push", "openstack", file.to_str().unwrap()])
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A cloud that answers one question in its own way.
fn but(what: &'static str, answer: Answer) -> Cloud {
    Cloud::new(move |request: &Request| (request.what == what).then(|| answer.clone()))
}

fn error(message: &str) -> Value {
    json!({ "badRequest": { "message": message } })
}

#[test]
fn an_image_is_made_filled_and_looked_at() {
    let cloud = Cloud::new(|_| None);
    let (code, stdout, stderr) = said(&push(&cloud, "web-efi.img"));
    assert_eq!((code, stdout.as_str()), (Some(0), "image-1\n"), "{stderr}");
    assert_eq!(cloud.asked(), [LOGIN, MAKE, FILL, LOOK]);
    assert_eq!(cloud.request(FILL).body, CONTENT);
    assert_eq!(
        cloud.request(MAKE).json(),
        json!({
            "name": "web-efi", "disk_format": "raw", "container_format": "bare", "os_type": "linux",
            "hw_firmware_type": "uefi", "hw_machine_type": "q35",
        })
    );
    let auth = cloud.request(LOGIN).json()["auth"]["identity"]["password"]["user"].clone();
    assert_eq!(auth["password"], "a-password");
    assert!(!stderr.contains("a-password") && !stderr.contains("a-token"), "{stderr}");
}

#[test]
fn an_image_that_takes_its_time_is_waited_for() {
    let looks = AtomicUsize::new(0);
    let cloud = Cloud::new(move |request| {
        (request.what == LOOK && looks.fetch_add(1, Ordering::SeqCst) == 0)
            .then(|| Some((200, json!({ "id": "image-1", "status": "saving", "size": null }))))
    });
    assert_eq!(said(&push(&cloud, "web.raw")).0, Some(0));
    assert_eq!(cloud.asked(), [LOGIN, MAKE, FILL, LOOK, LOOK]);
}

#[test]
fn a_cloud_that_does_not_know_us_is_told_nothing_more() {
    let cloud = but(LOGIN, Some((401, json!({ "error": { "message": "Who are you?" } }))));
    let (code, _, stderr) = said(&push(&cloud, "web.raw"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("/identity/v3: the cloud answers 401: Who are you?"), "{stderr}");
    assert_eq!(cloud.asked(), [LOGIN]);
}

#[test]
fn half_an_image_is_deleted() {
    let look = |status: &str, size: usize, hash: &str| json!({ "id": "image-1", "status": status, "size": size, "os_hash_algo": "sha512", "os_hash_value": hash });
    for (what, answer, says) in [
        (FILL, Some((409, error("Image is already active."))), "409: Image is already active."),
        (FILL, Some((415, error("Image failed safety checks."))), "415: Image failed safety checks."),
        (FILL, Some((503, Value::Null)), "cannot upload image image-1: the cloud answers 503"),
        (FILL, None, "cannot upload image image-1: no answer"),
        (LOOK, Some((500, error("Oops."))), "cannot look at image image-1: the cloud answers 500: Oops."),
        (LOOK, Some((200, look("killed", 3, SHA512))), "image image-1 is killed, and not active"),
        (LOOK, Some((200, look("active", 2, SHA512))), "it has 2 bytes, and 3 bytes were sent"),
        (LOOK, Some((200, look("active", 3, "ab"))), "the SHA-512 there is ab"),
    ] {
        let cloud = but(what, answer);
        let (code, stdout, stderr) = said(&push(&cloud, "web.raw"));
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{says}");
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        assert_eq!(cloud.asked().last().unwrap(), DELETE, "{says}");
    }
}

#[test]
fn an_image_that_cannot_be_deleted_is_named() {
    let cloud = Cloud::new(|request| match request.what.as_str() {
        FILL => Some(Some((500, Value::Null))),
        DELETE => Some(Some((403, error("It is protected.")))),
        _ => None,
    });
    let (_, _, stderr) = said(&push(&cloud, "web.raw"));
    assert!(stderr.contains("image image-1 could not be deleted either"), "{stderr}");
    assert!(stderr.contains("It is protected."), "{stderr}");
}

#[test]
fn what_is_no_image_never_leaves() {
    let cloud = Cloud::new(|_| None);
    for (name, says) in
        [("web.txt", "its name does not end in one of"), ("web.qcow2", "by its name it is qcow2")]
    {
        let (code, _, stderr) = said(&push(&cloud, name));
        assert_eq!(code, Some(1));
        assert!(stderr.contains(says), "{stderr}");
    }
    assert_eq!(cloud.asked(), [""; 0]);
}

#[test]
fn a_server_is_started_with_what_it_was_promised() {
    let cloud = Cloud::new(|_| None);
    let output = cloud.lkb(&[
        "run",
        "openstack",
        "--flavor",
        "m1.small",
        "--instancename",
        "s",
        "--network",
        "net1",
        "--sec-groups",
        "a,b",
        "--keyname",
        "k",
        "--user-data",
        "#cloud",
        "web",
    ]);
    let (code, stdout, stderr) = said(&output);
    assert_eq!((code, stdout.as_str()), (Some(0), "server-1\n"), "{stderr}");
    assert!(stderr.contains("address: 10.77.0.5"), "{stderr}");
    assert_eq!(
        cloud.request("POST /compute/v2.1/servers").json(),
        json!({ "server": {
            "name": "s", "imageRef": "image-1", "flavorRef": "2", "networks": [{ "uuid": "net-1" }], "key_name": "k",
            "security_groups": [{ "name": "a" }, { "name": "b" }], "user_data": "I2Nsb3Vk",
        } })
    );
}

#[test]
fn a_server_that_fails_says_why() {
    let fault =
        json!({ "server": { "status": "ERROR", "fault": { "message": "No valid host was found." } } });
    let cloud = but("GET /compute/v2.1/servers/server-1", Some((200, fault)));
    let (code, _, stderr) = said(&cloud.lkb(&["run", "openstack", "web"]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("server server-1 is in status ERROR: No valid host was found."), "{stderr}");
    let (_, _, stderr) = said(&cloud.lkb(&["run", "openstack", "--flavor", "huge", "web"]));
    assert!(stderr.contains("the cloud has no flavour huge; it has m1.tiny, m1.small"), "{stderr}");
}

#[test]
fn too_much_user_data_is_said_before_any_call() {
    let cloud = Cloud::new(|_| None);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    std::fs::write(&file, vec![b'x'; 50_000]).unwrap();
    let (code, _, stderr) =
        said(&cloud.lkb(&["run", "openstack", "--data-file", file.to_str().unwrap(), "web"]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("has more than 49149 bytes, and Nova takes no more user data"), "{stderr}");
    assert_eq!(cloud.asked(), [""; 0]);
}
