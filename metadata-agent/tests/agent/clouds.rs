//! Every provider with a service, each through the same table of faults. What each service serves is in `tests/fixtures`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metadata_agent::fetch::Times;
use metadata_agent::run::Settings;
use tempfile::TempDir;

use crate::fake_cloud::{Answer, Asked, FakeCloud, Guard, at, nobody, quick, text};
use crate::machine::Try;

/// A provider as the table needs it.
struct Cloud {
    name: &'static str,
    /// The document without which there is no metadata.
    first: &'static str,
    /// One that need not be there, and what is written of it.
    optional: (&'static str, &'static str),
    user_data: &'static str,
    /// What it insists on.
    guard: Guard,
}

const CLOUDS: &[Cloud] = &[
    Cloud {
        name: "aws",
        first: "/latest/meta-data/instance-id",
        optional: ("/latest/meta-data/public-ipv4", "public_ipv4"),
        user_data: "/latest/user-data",
        guard: imdsv2,
    },
    Cloud {
        name: "gcp",
        first: "/computeMetadata/v1/instance/hostname",
        optional: ("/computeMetadata/v1/instance/zone", "availability_zone"),
        user_data: "/computeMetadata/v1/instance/attributes/user-data",
        guard: google,
    },
    Cloud {
        name: "hetzner",
        first: "/hetzner/v1/metadata/instance-id",
        optional: ("/hetzner/v1/metadata/private-networks", "private_ipv4"),
        user_data: "/hetzner/v1/userdata",
        guard: anything,
    },
    Cloud {
        name: "openstack",
        first: "/openstack/latest/meta_data.json",
        optional: ("/openstack/latest/network_data.json", "network_data.json"),
        user_data: "/openstack/latest/user_data",
        guard: anything,
    },
    Cloud {
        name: "scaleway",
        first: "/conf?format=json",
        optional: ("/user_data/cloud-init", "userdata"),
        user_data: "/user_data/cloud-init",
        guard: privileged_user_data,
    },
    Cloud {
        name: "vultr",
        first: "/v1/instanceid",
        optional: ("/v1/interfaces/1/ipv4/address", "private_ipv4"),
        user_data: "/latest/user-data",
        guard: anything,
    },
    Cloud {
        name: "digitalocean",
        first: "/metadata/v1/id",
        optional: ("/metadata/v1/region", "region"),
        user_data: "/metadata/v1/user-data",
        guard: anything,
    },
    Cloud {
        name: "equinixmetal",
        first: "/metadata",
        optional: ("/userdata", "userdata"),
        user_data: "/userdata",
        guard: anything,
    },
    Cloud {
        name: "metaldata",
        first: "/get/meta/hostname",
        optional: ("/get/meta/failure-domain", "failure_domain"),
        user_data: "/get/user",
        guard: anything,
    },
    Cloud {
        name: "azure",
        first: "/metadata/instance?api-version=2021-02-01",
        optional: ("/metadata/instance/compute/userData?api-version=2021-02-01&format=text", "userdata"),
        user_data: "/metadata/instance/compute/userData?api-version=2021-02-01&format=text",
        guard: with_metadata_header,
    },
    Cloud {
        name: "nocloud",
        first: "/s/meta-data",
        optional: ("/s/network-config", "network-config"),
        user_data: "/s/user-data",
        guard: anything,
    },
];

/// A machine whose kernel was told where NoCloud's documents are. The others do not look there.
fn machine() -> TempDir {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/cmdline"), "quiet ds=nocloud;s=http://169.254.3.4/s/\n").unwrap();
    root
}

/// In user-data, and nowhere else.
const SECRET: &str = "T0PSECRET";
/// In the token's document.
const TOKEN: &str = "AQAEAExampleTok3n==";

fn anything(_: &Asked) -> Option<Answer> {
    None
}

fn imdsv2(asked: &Asked) -> Option<Answer> {
    let token = asked.path == "/latest/api/token";
    match (asked.method.as_str(), token) {
        ("PUT", true) => {
            let ttl =
                asked.head.lines().find_map(|l| l.strip_prefix("X-aws-ec2-metadata-token-ttl-seconds: "));
            let ttl = ttl.and_then(|ttl| ttl.parse().ok()).is_some_and(|ttl| (1..=21600).contains(&ttl));
            (!ttl).then_some(Answer::Status(400))
        }
        ("GET", false) if asked.has(&format!("X-aws-ec2-metadata-token: {TOKEN}")) => None,
        ("GET", false) => Some(Answer::Status(401)),
        _ => Some(Answer::Status(405)),
    }
}

fn google(asked: &Asked) -> Option<Answer> {
    let proper = asked.has("Metadata-Flavor: Google") && asked.has("Host: metadata.google.internal");
    (!proper).then_some(Answer::Status(403))
}

fn with_metadata_header(asked: &Asked) -> Option<Answer> {
    (!asked.has("Metadata: true")).then_some(Answer::Status(400))
}

fn privileged_user_data(asked: &Asked) -> Option<Answer> {
    (asked.path.starts_with("/user_data") && asked.port >= 1024).then_some(Answer::Status(403))
}

impl Cloud {
    fn directory(&self) -> PathBuf {
        fixtures().join(self.name)
    }

    /// All documents of the fixture.
    fn documents(&self) -> HashMap<String, Answer> {
        let mut answers = HashMap::new();
        walk(&self.directory(), "", &mut answers);
        if self.name == "gcp" {
            answers.values_mut().for_each(google_flavour);
        }
        answers
    }

    /// A run against the fixture, changed by `change`.
    fn try_with(&self, change: impl FnOnce(&mut HashMap<String, Answer>)) -> (Try, FakeCloud) {
        let mut documents = self.documents();
        change(&mut documents);
        let cloud = FakeCloud::guarded(documents, self.guard);
        (self.ask(&cloud, quick()), cloud)
    }

    fn ask(&self, cloud: &FakeCloud, times: Times) -> Try {
        let settings = Settings { times, ..Settings::default() };
        let it = Try::on(machine(), &[at(self.name, cloud.address)], settings);
        for secret in [SECRET, TOKEN, "AAAAB3NzaC1yc2E", "AAAAC3NzaC1lZDI1NTE5"] {
            assert!(!it.log.contains(secret), "{}: {secret} is in the log:\n{}", self.name, it.log);
        }
        it
    }

    fn asked_for_first(&self, cloud: &FakeCloud) -> usize {
        cloud.asked().iter().filter(|path| *path == self.first).count()
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn walk(directory: &Path, path: &str, answers: &mut HashMap<String, Answer>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            walk(&entry.path(), &format!("{path}/{name}"), answers);
        } else {
            let name = if name == ".index" { "" } else { &name };
            answers.insert(format!("{path}/{name}"), Answer::Ok(fs::read(entry.path()).unwrap()));
        }
    }
}

/// Google's answers say whose they are.
fn google_flavour(answer: &mut Answer) {
    if let Answer::Ok(body) = answer {
        let head =
            format!("HTTP/1.1 200 OK\r\nmetadata-flavor: Google\r\nContent-Length: {}\r\n\r\n", body.len());
        *answer = Answer::Raw([head.into_bytes(), body.clone()].concat());
    }
}

const DEFAULTS: [&str; 2] = ["ssh", "ssh/authorized_keys"];

/// Whether this test may use a port below 1024.
fn is_superuser() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What of a service's documents the test's own lack of rights leaves.
fn can_read_user_data(cloud: &Cloud) -> bool {
    cloud.name != "scaleway" || is_superuser()
}

#[test]
fn every_cloud_s_documents_become_files_with_linuxkit_s_names() {
    for cloud in CLOUDS.iter().filter(|cloud| can_read_user_data(cloud)) {
        let (it, _) = cloud.try_with(|_| {});
        assert!(it.clean, "{}: {}", cloud.name, it.log);
        let file = |name: &String| {
            let content = it.read(name)?;
            Some(format!("{name} {:04o} {content:?}\n", it.mode(name)))
        };
        let actual: String = it.names().iter().filter_map(file).collect();
        let golden = fixtures().join(format!("{}.golden", cloud.name));
        if std::env::var_os("LKB_RENEW_GOLDEN").is_some() {
            fs::write(&golden, &actual).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(actual, expected, "{}; tests/fixtures/README.md says how to renew it", cloud.name);
        assert_eq!(it.hostname, it.read("hostname"), "{}", cloud.name);
    }
}

#[test]
fn what_a_service_does_not_have_is_absent_and_no_error() {
    for cloud in CLOUDS.iter().filter(|cloud| can_read_user_data(cloud)) {
        let (path, file) = cloud.optional;
        let (it, served) = cloud.try_with(|documents| {
            documents.remove(path).unwrap_or_else(|| panic!("{path} is not in the fixture"));
            documents.remove(cloud.user_data);
        });
        assert!(it.clean, "{}: {}", cloud.name, it.log);
        assert!(served.asked().iter().any(|asked| asked == path), "{}: {path} is not asked for", cloud.name);
        assert_eq!((it.read(file), it.read("userdata")), (None, None), "{}", cloud.name);
        assert!(it.read("provider").is_some(), "{}", cloud.name);
    }
}

#[test]
fn a_service_with_none_of_the_documents_is_no_metadata() {
    for cloud in CLOUDS {
        let (it, _) = cloud.try_with(HashMap::clear);
        assert!(it.clean, "{}: {}", cloud.name, it.log);
        assert_eq!(it.names(), DEFAULTS, "{}", cloud.name);
        it.says("going on with defaults");
    }
}

#[test]
fn an_address_where_nobody_answers_is_no_metadata() {
    for cloud in CLOUDS {
        let settings = Settings { times: quick(), ..Settings::default() };
        let it = Try::on(machine(), &[at(cloud.name, nobody())], settings);
        assert!(it.clean, "{}: {}", cloud.name, it.log);
        assert_eq!(it.names(), DEFAULTS, "{}", cloud.name);
    }
}

#[test]
fn a_service_that_says_later_is_asked_again() {
    for cloud in CLOUDS {
        let (it, served) = cloud.try_with(|documents| {
            let answer = documents.remove(cloud.first).unwrap();
            documents.insert(cloud.first.into(), Answer::After(vec![500, 503, 429], Box::new(answer)));
        });
        assert!(it.read("provider").is_some(), "{}: {}", cloud.name, it.log);
        assert_eq!(cloud.asked_for_first(&served), 4, "{}", cloud.name);
    }
}

#[test]
fn a_service_that_redirects_is_not_followed() {
    for cloud in CLOUDS {
        let elsewhere = FakeCloud::guarded(cloud.documents(), anything);
        let (it, served) = cloud.try_with(|documents| {
            let there = format!("http://{}{}", elsewhere.address, cloud.first);
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n");
            documents.insert(cloud.first.into(), Answer::Raw(head.into_bytes()));
        });
        assert!(!it.clean, "{}: {}", cloud.name, it.log);
        it.says("the service answers 302");
        assert_eq!(cloud.asked_for_first(&served), 1, "{}", cloud.name);
        assert_eq!(elsewhere.asked(), Vec::<String>::new(), "{}", cloud.name);
    }
}

#[test]
fn a_service_that_misbehaves_at_the_first_document_ends_in_an_error_in_time() {
    let raw = |bytes: &str| Answer::Raw(bytes.as_bytes().to_vec());
    let slow = Answer::Endless {
        head: b"HTTP/1.1 200 OK\r\n".to_vec(),
        again: b"A".to_vec(),
        pause: Duration::from_millis(20),
    };
    let cases = [
        ("slow", slow, "no complete answer within 1 s"),
        ("cut off", raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), "ends too early, after 1 bytes"),
        ("huge", Answer::Ok(vec![b'x'; 2 << 20]), "2097152 bytes are too many"),
        ("a lying length", raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), "are too many"),
        (
            "two lengths",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
            "how long",
        ),
    ];
    // Each of the slow ones takes the whole deadline.
    std::thread::scope(|scope| {
        for cloud in CLOUDS {
            scope.spawn(|| misbehave(cloud, &cases));
        }
    });
}

fn misbehave(cloud: &Cloud, cases: &[(&str, Answer, &str)]) {
    for (case, answer, said) in cases {
        let mut documents = cloud.documents();
        documents.insert(cloud.first.into(), answer.clone());
        let mut times = quick();
        times.timing.answer = Duration::from_millis(300);
        times.deadline = Duration::from_secs(2);
        let it = cloud.ask(&FakeCloud::guarded(documents, cloud.guard), times);
        assert!(!it.clean, "{} {case}: {}", cloud.name, it.log);
        it.says(said);
        assert!(it.took < Duration::from_secs(10), "{} {case}: {:?}", cloud.name, it.took);
        assert!(it.read("ssh/authorized_keys").is_some(), "{} {case}", cloud.name);
    }
}

#[test]
fn user_data_that_is_too_large_costs_itself_alone() {
    let huge = vec![b'x'; 10 << 20];
    let endless = |name| {
        let flavour = if name == "gcp" { "metadata-flavor: Google\r\n" } else { "" };
        [format!("HTTP/1.1 200 OK\r\n{flavour}\r\n").into_bytes(), vec![b'x'; 200_000]].concat()
    };
    for cloud in CLOUDS.iter().filter(|cloud| can_read_user_data(cloud)) {
        let mut announced = Answer::Ok(huge.clone());
        if cloud.name == "gcp" {
            google_flavour(&mut announced);
        }
        for answer in [announced, Answer::Raw(endless(cloud.name))] {
            let (it, _) = cloud.try_with(|documents| {
                documents.insert(cloud.user_data.into(), answer);
            });
            assert!(!it.clean, "{}: {}", cloud.name, it.log);
            it.says("bytes are too many");
            assert_eq!(it.read("userdata"), None, "{}", cloud.name);
            assert!(it.read("provider").is_some(), "{}: {}", cloud.name, it.log);
        }
    }
}

#[test]
fn a_wrong_content_type_changes_nothing_since_the_content_decides() {
    let (status, kind) = (b"HTTP/1.1 200 OK\r\n", "text/html; charset=UTF-8");
    for cloud in CLOUDS.iter().filter(|cloud| can_read_user_data(cloud)) {
        let (it, _) = cloud.try_with(|documents| {
            for answer in documents.values_mut() {
                match answer {
                    Answer::Ok(body) => *answer = Answer::Typed(kind, std::mem::take(body)),
                    // Google's, whose head says whose they are.
                    Answer::Raw(bytes) => {
                        let rest = bytes.strip_prefix(status).unwrap();
                        *bytes = [status, format!("Content-Type: {kind}\r\n").as_bytes(), rest].concat();
                    }
                    _ => unreachable!("a fixture is a document"),
                }
            }
        });
        assert!(it.clean, "{}: {}", cloud.name, it.log);
        assert!(it.read("userdata").unwrap().contains(SECRET), "{}", cloud.name);
    }
}

#[test]
fn somebody_who_answers_everything_with_one_page_is_no_cloud() {
    for page in ["<!DOCTYPE html><html><body>Please log in</body></html>", "<p>", ""] {
        // The kernel's command line says that NoCloud is there, and its documents may be anything.
        for cloud in CLOUDS.iter().filter(|cloud| cloud.name != "nocloud") {
            let (it, _) = cloud.try_with(|documents| {
                documents.values_mut().for_each(|answer| *answer = text(page));
            });
            assert_eq!(it.names(), DEFAULTS, "{} {page:?}: {}", cloud.name, it.log);
        }
    }
}

#[test]
fn no_provider_takes_another_s_documents_for_its_own() {
    for served in CLOUDS {
        let service = FakeCloud::guarded(served.documents(), served.guard);
        for asking in CLOUDS.iter().filter(|asking| asking.name != served.name) {
            let it = asking.ask(&service, quick());
            assert_eq!(it.names(), DEFAULTS, "{} on {}: {}", asking.name, served.name, it.log);
        }
    }
}

#[test]
fn aws_without_session_tokens_is_believed_only_when_allowed() {
    let aws = CLOUDS.iter().find(|cloud| cloud.name == "aws").unwrap();
    let ask = |imdsv1| {
        let mut documents = aws.documents();
        documents.remove("/latest/api/token");
        let cloud = FakeCloud::guarded(documents, anything);
        let settings = Settings { times: quick(), imdsv1, again: false };
        Try::on(TempDir::new().unwrap(), &[at("aws", cloud.address)], settings)
    };
    let it = ask(false);
    assert!(it.clean, "{}", it.log);
    it.says("aws: 127.0.0.1 answers, but has no session tokens (IMDSv2); going on with defaults");
    assert_eq!(ask(true).read("instance_id").as_deref(), Some("i-0598c7d356eba48d7"));
}

#[test]
fn aws_is_asked_with_its_token_and_its_refusal_is_an_error() {
    let aws = CLOUDS.iter().find(|cloud| cloud.name == "aws").unwrap();
    let (_, cloud) = aws.try_with(|_| {});
    let requests = cloud.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("PUT", "/latest/api/token"));
    assert!(requests[1..].iter().all(|asked| asked.has(&format!("X-aws-ec2-metadata-token: {TOKEN}"))));
    let (it, _) = aws.try_with(|documents| {
        documents.insert("/latest/api/token".into(), Answer::Status(403));
    });
    assert!(!it.clean);
    it.says("aws: PUT /latest/api/token: the service answers 403");
}

#[test]
fn a_token_that_would_break_a_request_is_none() {
    let aws = CLOUDS.iter().find(|cloud| cloud.name == "aws").unwrap();
    let (it, cloud) = aws.try_with(|documents| {
        documents.insert("/latest/api/token".into(), text("a\r\nX-Evil: b"));
    });
    it.says("has no session tokens");
    assert_eq!(cloud.asked(), ["/latest/api/token"]);
}

#[test]
fn google_s_keys_of_the_project_are_left_out_when_the_machine_says_so() {
    let gcp = CLOUDS.iter().find(|cloud| cloud.name == "gcp").unwrap();
    let (it, _) = gcp.try_with(|documents| {
        let mut yes = text("TRUE");
        google_flavour(&mut yes);
        documents.insert("/computeMetadata/v1/instance/attributes/block-project-ssh-keys".into(), yes);
    });
    let keys = it.read("ssh/authorized_keys").unwrap();
    assert!(keys.contains("one@example") && !keys.contains("two@example"), "{keys}");
}

#[test]
fn equinix_metal_s_boot_script_is_no_user_data() {
    let metal = CLOUDS.iter().find(|cloud| cloud.name == "equinixmetal").unwrap();
    let (it, _) = metal.try_with(|documents| {
        documents.insert("/userdata".into(), text("#!ipxe\nboot"));
    });
    assert!(it.clean && it.read("userdata").is_none(), "{}", it.log);
}
