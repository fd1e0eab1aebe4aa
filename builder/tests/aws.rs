//! `lkb push aws` and `lkb run aws` against a cloud that answers as its API references say, and one that does not.

mod loopback;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loopback::{Answer, Request, Server};
use ring::hmac;
use sha2::{Digest, Sha256};

const SECRET: &str = "a-secret-key";
const IMPORT: &str = "ImportSnapshot";
const LOOK: &str = "DescribeImportSnapshotTasks";
const REGISTER: &str = "RegisterImage";
const INSTANCE: &str = "DescribeInstances";

/// What a request is for: EC2's action, or S3's method.
fn what(request: &Request) -> String {
    match request.path.as_str() {
        "/" => field(request, "Action"),
        _ => request.method.clone(),
    }
}

/// A field of a form, which is all plain text in these tests.
fn field(request: &Request, name: &str) -> String {
    let text = String::from_utf8_lossy(&request.body);
    let value = text.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    value.unwrap_or_default().replace("%2F", "/").replace("%3D", "=")
}

/// Who says that he is somebody must sign for it.
fn is_signed(request: &Request, body: &str) -> bool {
    let authorization = request.header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap_or_default();
        rest.split(", ").next().unwrap_or_default().to_owned()
    };
    let (signed, credential) = (part("SignedHeaders"), part("Credential"));
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let canonical = format!("{}\n{}\n\n{headers}\n{signed}\n{body}", request.method, request.path);
    let (id, scope) = credential.split_once('/').unwrap_or_default();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hash = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", request.header("x-amz-date"));
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, part| sign(&key, part));
    id == "AKIDEXAMPLE" && signed.contains("host;") && part("Signature") == hex(&sign(&key, &text))
}

fn ok(body: &str) -> Option<Answer> {
    Some((200, format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://x/\">{body}</R>")))
}

fn refusal(status: u16, code: &str, message: &str) -> Option<Answer> {
    let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Some((status, format!("<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>")))
}

fn task(detail: &str) -> Option<Answer> {
    ok(&format!(
        "<importSnapshotTaskSet><item><importTaskId>import-snap-1</importTaskId><snapshotTaskDetail>{detail}\
         </snapshotTaskDetail></item></importSnapshotTaskSet>"
    ))
}

fn instance(state: &str, more: &str) -> Option<Answer> {
    ok(&format!(
        "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>{state}</name>\
         </instanceState><ipAddress>203.0.113.7</ipAddress>{more}</item></instancesSet></item></reservationSet>"
    ))
}

/// What AWS says that has nothing against us.
fn usual(request: &Request) -> Option<Answer> {
    let hash: String = Sha256::digest(&request.body).iter().map(|byte| format!("{byte:02x}")).collect();
    let early = request.header("expect") == "100-continue" && request.body.is_empty();
    let body = if early { request.header("x-amz-content-sha256").to_owned() } else { hash };
    if !is_signed(request, &body) {
        return refusal(403, "SignatureDoesNotMatch", "The signature does not match.");
    }
    match what(request).as_str() {
        "PUT" => Some((200, String::new())),
        "DELETE" => Some((204, String::new())),
        IMPORT => ok("<importTaskId>import-snap-1</importTaskId>"),
        LOOK => task("<status>completed</status><snapshotId>snap-1</snapshotId>"),
        REGISTER => ok("<imageId>ami-1</imageId>"),
        "DeleteSnapshot" | "CancelImportTask" | "TerminateInstances" => ok("<return>true</return>"),
        "DescribeImages" if field(request, "Filter.1.Value.1") == "web" => {
            ok("<imagesSet><item><imageId>ami-1</imageId></item></imagesSet>")
        }
        "DescribeImages" => ok("<imagesSet/>"),
        "RunInstances" => ok("<instancesSet><item><instanceId>i-1</instanceId></item></instancesSet>"),
        INSTANCE => instance("running", ""),
        "GetConsoleOutput" => ok(&format!("<output>{}</output>", STANDARD.encode("Welcome\n"))),
        _ => refusal(400, "InvalidAction", "The action is not valid."),
    }
}

/// A cloud that answers one kind of question in its own way.
fn but(kind: &'static str, answer: Option<Answer>) -> Server {
    Server::new(move |request| if what(request) == kind { answer.clone() } else { usual(request) })
}

fn lkb(server: &Server, args: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().unwrap();
    let variables = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("AWS_"));
    let output = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .env_clear()
        .envs(variables)
        .env("HOME", home.path())
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", "a-session")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ENDPOINT_URL", &server.url)
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!stderr.contains(SECRET) && !stderr.contains("a-session"), "{stderr}");
    (output.status.code(), stdout, stderr)
}

fn push(server: &Server) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.raw");
    std::fs::write(&file, vec![b'x'; 3 << 20]).unwrap();
    lkb(server, &["push", "aws", "--bucket", "mine", "--ena", "--uefi", path(&file)])
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn asked(server: &Server) -> Vec<String> {
    server.asked().iter().map(what).collect()
}

#[test]
fn an_image_is_uploaded_imported_and_registered() {
    let looks = AtomicUsize::new(0);
    let server = Server::new(move |request| {
        let slow = what(request) == LOOK && looks.fetch_add(1, Ordering::SeqCst) == 0;
        if slow { task("<status>active</status><progress>40</progress>") } else { usual(request) }
    });
    let (code, stdout, stderr) = push(&server);
    assert_eq!((code, stdout.as_str()), (Some(0), "ami-1\n"), "{stderr}");
    assert_eq!(asked(&server), ["PUT", IMPORT, LOOK, LOOK, REGISTER, "DELETE"]);
    let all = server.asked();
    assert_eq!(all[0].body.len(), 3 << 20);
    assert_eq!(all[0].path, all[5].path);
    assert!(all[0].path.starts_with("/mine/web-") && all[0].path.ends_with(".raw"), "{}", all[0].path);
    assert_eq!(format!("/mine/{}", field(&all[1], "DiskContainer.UserBucket.S3Key")), all[0].path);
    for (name, value) in [
        ("Name", "web"),
        ("EnaSupport", "true"),
        ("BootMode", "uefi"),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", "snap-1"),
        ("RootDeviceName", "/dev/sda1"),
    ] {
        assert_eq!(field(&all[4], name), value, "{name}");
    }
}

#[test]
fn a_stranger_is_told_so_before_the_bytes_go() {
    let server = but("PUT", refusal(403, "InvalidAccessKeyId", "The key does not exist."));
    let (code, _, stderr) = push(&server);
    assert_eq!(code, Some(1));
    let says =
        "AWS answers InvalidAccessKeyId: The key does not exist; check the access key and its secret key";
    assert!(stderr.contains(says), "{stderr}");
    assert_eq!(asked(&server), ["PUT"]);
    assert!(server.asked()[0].body.is_empty());
}

#[test]
fn nothing_is_left_of_an_image_that_fails() {
    let quota = refusal(400, "SnapshotLimitExceeded", "Too many snapshots.");
    let duplicate = refusal(400, "InvalidAMIName.Duplicate", "It is in use.");
    let failed = task("<status>deleted</status><statusMessage>ClientError: no disk</statusMessage>");
    for (kind, answer, says, then) in [
        (IMPORT, quota, "SnapshotLimitExceeded: Too many snapshots; that is a quota", &["DELETE"][..]),
        (LOOK, failed, "task import-snap-1 is deleted: ClientError: no disk", &["DELETE"]),
        (REGISTER, duplicate, "choose another with --img-name", &["DeleteSnapshot", "DELETE"]),
        (REGISTER, None, "cannot register image web: no answer", &["DeleteSnapshot", "DELETE"]),
    ] {
        let server = but(kind, answer);
        let (code, stdout, stderr) = push(&server);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{says}");
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        let asked = asked(&server);
        assert_eq!(asked.iter().filter(|what| *what == kind).count(), 1, "{asked:?}");
        assert!(
            asked.ends_with(&then.iter().map(|what| (*what).to_owned()).collect::<Vec<_>>()),
            "{asked:?}"
        );
    }
}

#[test]
fn an_upload_that_breaks_off_is_sent_again() {
    let cut = AtomicUsize::new(0);
    let server = Server::new(move |request| {
        let first =
            !request.body.is_empty() && what(request) == "PUT" && cut.fetch_add(1, Ordering::SeqCst) == 0;
        if first { None } else { usual(request) }
    });
    let (code, stdout, stderr) = push(&server);
    assert_eq!((code, stdout.as_str()), (Some(0), "ami-1\n"), "{stderr}");
    assert_eq!(asked(&server), ["PUT", "PUT", IMPORT, LOOK, REGISTER, "DELETE"]);
}

#[test]
fn an_import_whose_answer_is_lost_is_not_begun_twice() {
    let cut = AtomicUsize::new(0);
    let server = Server::new(move |request| {
        let first = what(request) == IMPORT && cut.fetch_add(1, Ordering::SeqCst) == 0;
        if first { None } else { usual(request) }
    });
    let (code, _, stderr) = push(&server);
    assert_eq!(code, Some(0), "{stderr}");
    let tokens: Vec<String> = server.asked().iter().map(|request| field(request, "ClientToken")).collect();
    assert_eq!(asked(&server)[1..3], [IMPORT, IMPORT]);
    assert_eq!((tokens[1].len(), &tokens[1]), (64, &tokens[2]));
}

#[test]
fn an_object_that_cannot_be_deleted_is_named() {
    let denied = || refusal(403, "AccessDenied", "No.");
    let server = but("DELETE", denied());
    let (code, stdout, stderr) = push(&server);
    assert_eq!((code, stdout.as_str()), (Some(0), "ami-1\n"), "{stderr}");
    assert!(stderr.contains("s3://mine/web-") && stderr.contains("still there"), "{stderr}");
    let server = Server::new(move |request| match what(request).as_str() {
        "DELETE" | IMPORT => denied(),
        _ => usual(request),
    });
    let (code, _, stderr) = push(&server);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("as a snapshot: AWS answers AccessDenied") && stderr.contains("is still there"),
        "{stderr}"
    );
}

#[test]
fn what_would_be_refused_is_never_asked() {
    let server = Server::new(usual);
    let dir = tempfile::tempdir().unwrap();
    let (empty, large) = (dir.path().join("web.raw"), dir.path().join("data"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&large, vec![b'x'; 16385]).unwrap();
    for (args, says) in [
        (["push", "aws", "--bucket", "mine", path(&empty)], "it has 0 bytes"),
        (["push", "aws", "--bucket=mine", "--tpm", path(&empty)], "give --uefi with --tpm"),
        (["push", "aws", "--bucket=mine", "--img-name=*", path(&empty)], "choose one with --img-name"),
        (
            ["run", "aws", "--data-file", path(&large), "web"],
            "has more than 16384 bytes, and EC2 takes no more user data",
        ),
    ] {
        let (code, _, stderr) = lkb(&server, &args);
        assert_eq!(code, Some(1), "{says}");
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
    }
    assert_eq!(asked(&server), [""; 0]);
}

#[test]
fn an_instance_is_started_shown_and_terminated() {
    let looks = AtomicUsize::new(0);
    let server = Server::new(move |request| match what(request).as_str() {
        INSTANCE => match looks.fetch_add(1, Ordering::SeqCst) {
            0 => refusal(400, "InvalidInstanceID.NotFound", "Not yet."),
            1 => instance("running", ""),
            2 => instance("stopped", ""),
            _ => instance("terminated", ""),
        },
        _ => usual(request),
    });
    let (code, stdout, stderr) =
        lkb(&server, &["run", "aws", "--zone", "b", "--data", "hi", "--disk-size", "8", "web"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "Welcome\n"), "{stderr}");
    assert!(stderr.contains("address: 203.0.113.7"), "{stderr}");
    let look = INSTANCE;
    let order =
        ["DescribeImages", "RunInstances", look, look, look, "GetConsoleOutput", "TerminateInstances", look];
    assert_eq!(asked(&server), order);
    let all = server.asked();
    for (name, value) in [
        ("ImageId", "ami-1"),
        ("UserData", "aGk="),
        ("Placement.AvailabilityZone", "eu-west-1b"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
    ] {
        assert_eq!(field(&all[1], name), value, "{name}");
    }
    assert_eq!(field(&all[0], "Owner.1"), "self");
}

#[test]
fn an_instance_that_does_not_come_up_says_why() {
    let reason =
        "<stateReason><message>Client.VolumeLimitExceeded: Volume limit exceeded</message></stateReason>";
    let server = but(INSTANCE, instance("terminated", reason));
    let (code, _, stderr) = lkb(&server, &["run", "aws", "web"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("instance i-1 is terminated: Client.VolumeLimitExceeded"), "{stderr}");
    let (_, _, stderr) = lkb(&server, &["run", "aws", "none"]);
    assert!(stderr.contains("the account has no image none in region eu-west-1"), "{stderr}");
    let server = but("RunInstances", refusal(400, "VcpuLimitExceeded", "You have requested more vCPU."));
    let (_, _, stderr) = lkb(&server, &["run", "aws", "--detach", "web"]);
    assert!(stderr.contains("cannot start an instance of web: AWS answers VcpuLimitExceeded"), "{stderr}");
    assert!(stderr.contains("have it raised under Service Quotas"), "{stderr}");
}
