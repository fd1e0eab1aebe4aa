//! `lkb push gcp` and `lkb run gcp` against a cloud that answers as it should, and one that does not.

mod endpoint;
mod google;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use endpoint::{Answer, Server, said};
use google::*;
use serde_json::{Value, json};

#[test]
fn an_image_is_uploaded_and_made() {
    let (desk, server) = (Desk::new(1000), Google::usual());
    let more = ["--family", "sites", "--public", "--nested-virt", "--uefi-compatible"];
    let (code, stdout, stderr) = desk.push(&server, &more);
    assert_eq!((code, stdout.as_str()), (Some(0), "web\n"), "{stderr}");
    assert_eq!(server.asked(), [TOKEN, BEGIN, PART, DELETE, MAKE, OPERATION, LOOK]);
    assert_eq!(server.request(PART).body, std::fs::read(&desk.image).unwrap());
    assert_eq!(
        server.request(BEGIN).query,
        "uploadType=resumable&name=web.img.tar.gz&predefinedAcl=publicRead"
    );
    assert_eq!(server.request(BEGIN).json()["crc32c"], crc32c(&server.request(PART).body));
    assert_eq!(
        server.request(MAKE).json(),
        json!({
            "name": "web", "rawDisk": { "source": "https://storage.googleapis.com/bucket/web.img.tar.gz" },
            "family": "sites", "licenses": ["projects/vm-options/global/licenses/enable-vmx"],
            "guestOsFeatures": [{ "type": "UEFI_COMPATIBLE" }],
        })
    );
    let form = String::from_utf8(server.request(TOKEN).body).unwrap();
    let assertion =
        form.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    let claims = assertion.unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], "robot@p-1.example");
}

#[test]
fn a_login_of_gcloud_is_used_and_the_project_named() {
    let (desk, server) = (Desk::new(10), Google::usual());
    let login = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "a-refresh",
        "token_uri": format!("http://127.0.0.1:{}/token", server.port),
    });
    let file = desk.dir.path().join("login.json");
    std::fs::write(&file, login.to_string()).unwrap();
    let image = desk.image.to_str().unwrap();
    let args = ["push", "gcp", "--bucket", "bucket", "--keys", file.to_str().unwrap(), image];
    let (code, _, stderr) = said(&desk.lkb_as(&server, "/nowhere", &args));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no project is named: name one with --project"), "{stderr}");
    assert_eq!(server.asked(), [""; 0]);
    let args = [&args[..], &["--project", "p-1"]].concat();
    let (code, stdout, stderr) = said(&desk.lkb_as(&server, "/nowhere", &args));
    assert_eq!((code, stdout.as_str()), (Some(0), "web\n"), "{stderr}");
    let form = String::from_utf8(server.request(TOKEN).body).unwrap();
    assert_eq!(form, "grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=a-refresh");
}

#[test]
fn a_token_goes_nowhere_but_by_https() {
    let (desk, server) = (Desk::new(10), Google::usual());
    let key = json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "a-refresh" });
    let file = desk.dir.path().join("login.json");
    std::fs::write(&file, key.to_string()).unwrap();
    let args = ["run", "gcp", "--project", "p-1", "--keys", file.to_str().unwrap(), "web"];
    let place = "http://compute.example/compute/v1";
    let (code, _, stderr) =
        said(&endpoint::lkb(&args, &[("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", place)]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("{place:?} is no https address")), "{stderr}");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn an_upload_that_breaks_off_goes_on_where_it_stopped() {
    const MIB: u64 = 1 << 20;
    let desk = Desk::new(20 << 20);
    let google = Google::new(|_, _| None).cutting(5 * MIB + 1);
    let server = Server::new(google);
    let (code, _, stderr) = desk.push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let ranges: Vec<String> = server
        .requests()
        .iter()
        .filter(|request| request.what == PART)
        .map(|request| request.header("content-range").to_owned())
        .collect();
    let all = 20 * MIB;
    assert_eq!(
        ranges,
        [
            format!("bytes 0-{}/{all}", 16 * MIB - 1),
            format!("bytes */{all}"),
            format!("bytes {}-{}/{all}", 5 * MIB, all - 1),
        ]
    );
}

#[test]
fn an_upload_that_is_forgotten_begins_anew() {
    let server = Server::new(Google::new(|request, before| {
        (request.what == PART && before == 0).then(|| Answer::empty(410))
    }));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(server.asked()[..5], [TOKEN, BEGIN, PART, BEGIN, PART]);
    let server = Google::but(PART, Answer::empty(404));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Cloud Storage has forgotten 3 uploads of it"), "{stderr}");
}

#[test]
fn a_cloud_that_does_not_know_us_is_told_nothing_more() {
    let refused = json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." });
    let server = Google::but(TOKEN, Answer::json(400, refused));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(1));
    for says in
        ["cannot log in as robot@p-1.example", "400: invalid_grant: Invalid JWT Signature.", "clock wrong?"]
    {
        assert!(stderr.contains(says), "{stderr}");
    }
    assert_eq!(server.asked(), [TOKEN]);
}

#[test]
fn a_bucket_that_is_refused_gets_no_image() {
    for (status, reason, message, says) in [
        (
            404,
            "notFound",
            "The specified bucket does not exist.",
            "404: The specified bucket does not exist.",
        ),
        (403, "forbidden", "robot does not have storage.objects.create access", "roles/storage.objectAdmin"),
    ] {
        let server = Google::but(BEGIN, refusal(status, reason, message));
        let (code, stdout, stderr) = Desk::new(10).push(&server, &[]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(
            stderr.contains("cannot upload gs://bucket/web.img.tar.gz") && stderr.contains(says),
            "{stderr}"
        );
        assert_eq!(server.asked(), [TOKEN, BEGIN]);
    }
}

#[test]
fn an_archive_that_arrives_otherwise_is_deleted() {
    for (object, says) in [
        (json!({ "size": "10", "crc32c": "AAAAAA==" }), "its CRC-32C is AAAAAA=="),
        (json!({ "size": "9", "crc32c": "AAAAAA==" }), "it has 9 bytes, and 10 were sent"),
    ] {
        let server = Google::but(PART, Answer::json(200, object));
        let (code, _, stderr) = Desk::new(10).push(&server, &[]);
        assert_eq!(code, Some(1));
        assert!(stderr.contains(says), "{stderr}");
        assert_eq!(server.asked(), [TOKEN, BEGIN, PART, DELETE_OBJECT]);
    }
}

#[test]
fn an_image_that_cannot_be_made_leaves_nothing() {
    let quota = "Quota 'IMAGES' exceeded. Limit: 100.0 globally.";
    for (what, answer, says, made) in [
        (MAKE, refusal(403, "quotaExceeded", quota), "ask for more", false),
        (
            MAKE,
            refusal(400, "invalid", "Invalid value for field 'family'."),
            "Invalid value for field",
            false,
        ),
        (OPERATION, failed("QUOTA_EXCEEDED", quota), "QUOTA_EXCEEDED: Quota 'IMAGES' exceeded", true),
        (
            OPERATION,
            failed("TAR_FORMAT", "The tar archive is not valid."),
            "The tar archive is not valid.",
            true,
        ),
        (LOOK, Answer::json(200, json!({ "status": "FAILED" })), "image web is FAILED, and not READY", true),
    ] {
        let server = Google::but(what, answer);
        let (code, stdout, stderr) = Desk::new(10).push(&server, &[]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{says}");
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        let asked = server.asked();
        assert_eq!(asked.last().unwrap(), DELETE_OBJECT, "{asked:#?}");
        assert_eq!(asked.iter().filter(|what| *what == DELETE).count(), 1 + usize::from(made), "{asked:#?}");
    }
}

#[test]
fn an_image_that_takes_its_time_is_waited_for_but_not_for_ever() {
    let running = || Answer::json(200, json!({ "name": "op", "status": "RUNNING" }));
    let server = Server::new(Google::new(move |request, before| {
        (request.what == OPERATION && before < 2).then(running)
    }));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(server.asked()[4..], [MAKE, OPERATION, OPERATION, OPERATION, LOOK]);
    let server = Google::but(OPERATION, running());
    let (code, _, stderr) = Desk::new(10).push(&server, &["--timeout", "1"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("operation op is still RUNNING after 1 s; allow more with --timeout"),
        "{stderr}"
    );
    assert_eq!(server.asked().last().unwrap(), DELETE_OBJECT);
}

#[test]
fn what_cannot_be_deleted_is_named() {
    let server = Server::new(Google::new(|request, _| match request.what.as_str() {
        MAKE => Some(refusal(403, "quotaExceeded", "Too many.")),
        DELETE_OBJECT => Some(refusal(403, "retentionPolicyNotMet", "It is kept until 2030.")),
        _ => None,
    }));
    let (_, _, stderr) = Desk::new(10).push(&server, &[]);
    for says in
        ["Too many.", "gs://bucket/web.img.tar.gz could not be deleted either", "It is kept until 2030."]
    {
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn a_question_that_is_cut_off_is_asked_again_under_the_same_name() {
    let server = Server::new(Google::new(|request, before| {
        (request.what == MAKE && before == 0).then_some(Answer::HangUp)
    }));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let names: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|request| request.what == MAKE)
        .map(|request| request.query)
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].starts_with("requestId=") && names[0] == names[1], "{names:?}");
}

#[test]
fn an_image_of_the_same_name_is_replaced_only_after_the_upload() {
    let server = Google::but(DELETE, Answer::json(200, json!({ "name": "op", "status": "RUNNING" })));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("there was an image web already"), "{stderr}");
    assert_eq!(server.asked(), [TOKEN, BEGIN, PART, DELETE, OPERATION, MAKE, OPERATION, LOOK]);
}

#[test]
fn an_instance_shows_its_serial_port_until_it_is_off_and_is_deleted() {
    let server = Server::new(Google::new(|request, before| match (request.what.as_str(), before) {
        (SERIAL, 0) => Some(refusal(400, "resourceNotReady", "The resource is not ready.")),
        (SERIAL, 1) => Some(Answer::json(200, json!({ "contents": "Welcome ", "next": "8" }))),
        (SERIAL, 2) => Some(Answer::json(200, json!({ "contents": "to\n", "next": "11" }))),
        (LOOK_INSTANCE, 0) => Some(Answer::json(200, json!({ "status": "RUNNING" }))),
        _ => None,
    }));
    let (code, stdout, stderr) = Desk::new(10).run(&server, &["--data", "#!/bin/sh"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "Welcome to\n"), "{stderr}");
    assert_eq!(
        server.asked(),
        [
            TOKEN,
            LOOK,
            DELETE_INSTANCE,
            INSTANCES,
            ZONE_OPERATION,
            SERIAL,
            LOOK_INSTANCE,
            SERIAL,
            LOOK_INSTANCE,
            SERIAL,
            DELETE_INSTANCE,
            ZONE_OPERATION,
        ]
    );
    assert_eq!(server.requests()[9].query, "start=8");
    let items = server.request(INSTANCES).json()["metadata"]["items"].clone();
    assert_eq!(items[1], json!({ "key": "user-data", "value": "#!/bin/sh" }));
}

#[test]
fn an_instance_stays_when_that_is_asked_for() {
    let server = Google::usual();
    let (code, _, stderr) = Desk::new(10).run(&server, &["--skip-cleanup"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(server.asked().iter().filter(|what| *what == DELETE_INSTANCE).count(), 1);
}

#[test]
fn an_instance_that_cannot_be_made_leaves_no_disks() {
    const DISKS: &str = "POST /compute/v1/projects/p-1/zones/europe-west1-d/disks";
    const DELETE_DISK: &str = "DELETE /compute/v1/projects/p-1/zones/europe-west1-d/disks/web-disk-0";
    let server = Server::new(Google::new(|request, before| match (request.what.as_str(), before) {
        (DISKS | DELETE_DISK, _) => Some(Answer::json(200, json!({ "name": "op", "status": "DONE" }))),
        (ZONE_OPERATION, _) => {
            Some(failed("ZONE_RESOURCE_POOL_EXHAUSTED", "The zone has no more resources."))
        }
        (LOOK_INSTANCE, _) => Some(refusal(404, "notFound", "no instance")),
        _ => None,
    }));
    let (code, _, stderr) = Desk::new(10).run(&server, &["--disk", "size=3G"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("The zone has no more resources.; choose another --zone"), "{stderr}");
    assert_eq!(server.request(DISKS).json(), json!({ "name": "web-disk-0", "sizeGb": "3" }));
    assert_eq!(server.asked().last().unwrap(), DELETE_DISK);
}

#[test]
fn an_image_without_what_is_asked_of_it_is_not_started() {
    let server = Google::usual();
    let (code, _, stderr) = Desk::new(10).run(&server, &["--vtpm"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("image web cannot have a TPM: push it with `lkb push gcp --uefi-compatible`"),
        "{stderr}"
    );
    assert_eq!(server.asked(), [TOKEN, LOOK]);
}

#[test]
fn too_much_user_data_is_said_before_any_call() {
    let (desk, server) = (Desk::new(10), Google::usual());
    let file = desk.dir.path().join("data");
    std::fs::write(&file, vec![b'x'; 262_145]).unwrap();
    let (code, _, stderr) = desk.run(&server, &["--data-file", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("has more than 262144 bytes, and Compute Engine takes no more user data"),
        "{stderr}"
    );
    assert_eq!(server.asked(), [""; 0]);
}
