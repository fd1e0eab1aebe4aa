//! The agent against services that behave, and services that do not.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use crate::fake_cloud::{Answer, FakeCloud, at, nobody, quick, text};
use crate::machine::Try;
use metadata_agent::fetch::Times;
use metadata_agent::run::Settings;
use tempfile::TempDir;

const META_DATA: &str = "/openstack/latest/meta_data.json";
const USER_DATA: &str = "/openstack/latest/user_data";
const SIMPLE: &str = r#"{"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "hostname": "web-1.novalocal"}"#;

fn with(cloud: &FakeCloud) -> Try {
    on(TempDir::new().unwrap(), cloud.address, quick())
}

fn on(root: TempDir, address: SocketAddr, times: Times) -> Try {
    Try::on(root, &[at("openstack", address)], Settings { times, again: true, imdsv1: false })
}

#[test]
fn everything_that_nova_says_becomes_a_file_with_linuxkits_name() {
    let meta_data = r#"{
        "uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "hostname": "web-1.novalocal", "availability_zone": "nova",
        "public_keys": {"mine": "ssh-ed25519 AAAA me@home\n# at work\nssh-ed25519 CCCC me@work\n", "his": "ssh-rsa BBBB", "cert": "-----BEGIN\nX509"},
        "keys": [{"name": "mine", "type": "ssh", "data": "…"}, {"name": "cert", "type": "x509", "data": "…"}],
        "random_seed": "c2VlZA==", "meta": {"password": "S3CRET"}
    }"#;
    let cloud = FakeCloud::serving([
        (META_DATA, text(meta_data)),
        (
            USER_DATA,
            text(
                r#"{"app.conf": {"perm": "0600", "content": "T0PSECRET"}, "certs": {"entries": {"ca.pem": {"content": "ca"}}}}"#,
            ),
        ),
        ("/openstack/latest/network_data.json", text(r#"{"links": []}"#)),
        ("/openstack/latest/vendor_data.json", text("{}")),
        ("/latest/meta-data/hostname", text("never-asked-for")),
        ("/latest/meta-data/local-hostname", text("web-1.novalocal")),
        ("/latest/meta-data/public-ipv4", text("")),
        ("/latest/meta-data/local-ipv4", text("10.77.0.5")),
        ("/latest/meta-data/instance-type", text("m1.tiny")),
        ("/latest/meta-data/instance-id", text("i-00000001")),
    ]);
    let it = with(&cloud);
    assert!(it.clean, "{}", it.log);
    for (name, wanted, mode) in [
        ("provider", "openstack", 0o644),
        ("hostname", "web-1.novalocal", 0o644),
        ("local_hostname", "web-1.novalocal", 0o644),
        ("local_ipv4", "10.77.0.5", 0o644),
        ("availability_zone", "nova", 0o644),
        ("instance_type", "m1.tiny", 0o644),
        ("instance_id", "i-00000001", 0o644),
        ("ssh/authorized_keys", "ssh-rsa BBBB\nssh-ed25519 AAAA me@home\nssh-ed25519 CCCC me@work\n", 0o600),
        ("app.conf", "T0PSECRET", 0o600),
        ("certs/ca.pem", "ca", 0o644),
        ("meta_data.json", meta_data, 0o600),
        ("network_data.json", r#"{"links": []}"#, 0o644),
    ] {
        assert_eq!(it.read(name).as_deref(), Some(wanted), "{name}");
        assert_eq!(it.mode(name), mode, "{name}");
    }
    assert_eq!((it.mode("ssh"), it.mode("userdata"), it.mode("certs")), (0o700, 0o600, 0o755));
    assert!(it.read("userdata").unwrap().contains("T0PSECRET"));
    for absent in ["public_ipv4", "vendor_data.json"] {
        assert_eq!(it.read(absent), None, "{absent}");
    }
    assert_eq!(it.hostname.as_deref(), Some("web-1.novalocal"));
    it.says("openstack: web-1.novalocal, instance i-00000001, 3 keys, user-data of");
    for secret in ["S3CRET", "T0PSECRET", "c2VlZA", "AAAA"] {
        assert!(!it.log.contains(secret), "{secret} is in the log:\n{}", it.log);
    }
    assert!(!cloud.asked().contains(&"/latest/meta-data/hostname".to_owned()));
}

#[test]
fn what_nova_does_not_have_is_absent_and_no_error() {
    let it = with(&FakeCloud::serving([(META_DATA, text(SIMPLE))]));
    assert!(it.clean, "{}", it.log);
    assert_eq!(
        it.names(),
        ["hostname", "instance_id", "meta_data.json", "provider", "ssh", "ssh/authorized_keys"]
    );
    assert_eq!(it.read("ssh/authorized_keys").as_deref(), Some(""));
    assert_eq!(it.mode("ssh/authorized_keys"), 0o600);
    assert_eq!(it.read("instance_id").as_deref(), Some("83679162-1378-4288-a2d4-70e13ec132aa"));
}

#[test]
fn a_service_with_the_ec2_view_alone_is_enough() {
    let it = with(&FakeCloud::serving([
        ("/latest/meta-data/hostname", text("old-1\n")),
        ("/latest/meta-data/instance-id", text("i-2")),
        ("/latest/meta-data/public-keys/", text("0=mine\n3=his")),
        ("/latest/meta-data/public-keys/0/openssh-key", text("ssh-ed25519 AAAA\n")),
        ("/latest/meta-data/public-keys/3/openssh-key", text("ssh-rsa BBBB")),
        ("/latest/user-data", text("#cloud-config\n")),
    ]));
    assert!(it.clean, "{}", it.log);
    assert_eq!(it.read("ssh/authorized_keys").as_deref(), Some("ssh-ed25519 AAAA\nssh-rsa BBBB\n"));
    assert_eq!(it.read("hostname").as_deref(), Some("old-1"));
    assert_eq!(it.read("userdata").as_deref(), Some("#cloud-config\n"));
}

#[test]
fn user_data_that_is_wrong_costs_itself_and_an_exit_status() {
    let bad = r#"{"../../etc/passwd": {"content": "root::0:0"}, "hostname": {"content": "evil"}, "good": {"content": "g"}}"#;
    // user-data, clean, raw kept, said
    let cases: [(Answer, bool, bool, &str); 9] = [
        (text(""), true, true, "no-complaint"),
        (Answer::Status(404), true, false, "no-complaint"),
        (Answer::Ok(vec![0, 0xff]), true, true, "user-data: neither JSON, #cloud-config, a script"),
        (text("{\n\"a\": x}"), false, true, "user-data: not JSON at line 2 column 6; kept raw"),
        (text(bad), false, true, r#"user-data: "../../etc/passwd": a name must not contain "/""#),
        (text(bad), false, true, r#"user-data: "hostname": the name is reserved for metadata; refused"#),
        (
            Answer::Ok(vec![b'x'; 10 * 1024 * 1024]),
            false,
            false,
            "user-data refused: GET /openstack/latest/user_data: 10485760 bytes are too many, the limit is 65536 bytes",
        ),
        (
            Answer::Raw([b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 70_000]].concat()),
            false,
            false,
            "user-data refused: GET /openstack/latest/user_data: more than 65536 bytes",
        ),
        (
            Answer::Status(403),
            false,
            false,
            "user-data refused: GET /openstack/latest/user_data: the service answers 403",
        ),
    ];
    for (answer, clean, raw, said) in cases {
        let it = with(&FakeCloud::serving([(META_DATA, text(SIMPLE)), (USER_DATA, answer)]));
        assert_eq!(it.clean, clean, "{said}\n{}", it.log);
        assert_eq!(it.read("userdata").is_some(), raw, "{said}\n{}", it.log);
        assert_eq!(it.read("hostname").as_deref(), Some("web-1.novalocal"), "other metadata must apply");
        assert_eq!(it.read("provider").as_deref(), Some("openstack"));
        match said {
            "no-complaint" => {
                assert!(!it.log.contains("user-data:") && !it.log.contains("refused"), "{}", it.log)
            }
            said => it.says(said),
        }
        if it.log.contains("passwd") {
            assert_eq!(it.read("good").as_deref(), Some("g"), "the other keys must apply");
        }
    }
}

#[test]
fn a_cloud_config_names_the_machine_lets_people_in_and_makes_files() {
    let config = "#cloud-config\nhostname: mine\nssh_authorized_keys: [ssh-ed25519 USER]\n\
                  write_files:\n- {path: /etc/app.conf, content: x, permissions: '0600'}\nruncmd: [reboot]\n";
    let said = SIMPLE.replace('}', r#", "public_keys": {"k": "ssh-ed25519 CLOUD"}}"#);
    let it = with(&FakeCloud::serving([(META_DATA, text(&said)), (USER_DATA, text(config))]));
    assert!(it.clean, "{}", it.log);
    assert_eq!((it.read("hostname").as_deref(), it.hostname.as_deref()), (Some("mine"), Some("mine")));
    let keys = "ssh-ed25519 CLOUD\nssh-ed25519 USER\n";
    assert_eq!(it.read("ssh/authorized_keys").as_deref(), Some(keys));
    assert_eq!((it.read("files/etc/app.conf").as_deref(), it.mode("files/etc/app.conf")), (Some("x"), 0o600));
    assert_eq!(it.read("userdata").as_deref(), Some(config));
    let source = it.read(".source.json").unwrap();
    assert!(source.contains(r#""provider":"openstack""#) && source.contains("83679162-1378"), "{source}");
    assert_eq!(it.mode(".source.json"), 0o600);
    it.says(r#"user-data: "runcmd": a key that is not acted on here"#);

    let bad = "#cloud-config\nhostname: 'a;reboot'\nssh_authorized_keys: [\"a\\nb\"]\n";
    let it = with(&FakeCloud::serving([(META_DATA, text(SIMPLE)), (USER_DATA, text(bad))]));
    assert!(!it.clean);
    assert_eq!(it.hostname.as_deref(), Some("web-1.novalocal"));
    it.says("user-data: hostname is not a host name by RFC 1123; left out");
    it.says("is not a single line; left out");
}

#[test]
fn user_data_of_exactly_the_limit_is_taken() {
    let it =
        with(&FakeCloud::serving([(META_DATA, text(SIMPLE)), (USER_DATA, Answer::Ok(vec![b'#'; 65_536]))]));
    assert!(it.clean, "{}", it.log);
    assert_eq!(it.read("userdata").unwrap().len(), 65_536);
}

#[test]
fn a_value_that_cannot_be_true_is_left_out_and_complained_about() {
    let meta_data = r#"{"hostname": "evil;reboot", "availability_zone": 7, "public_keys": {"k": "ssh-rsa A\nB", "m": "ssh-rsa C"}}"#;
    let it = with(&FakeCloud::serving([
        (META_DATA, text(meta_data)),
        ("/latest/meta-data/local-ipv4", text("<html>")),
    ]));
    assert!(!it.clean);
    assert_eq!((it.read("hostname"), it.read("local_ipv4"), it.hostname.clone()), (None, None, None));
    assert_eq!(it.read("ssh/authorized_keys").as_deref(), Some("ssh-rsa A\nssh-rsa C\n"));
    it.says("openstack: hostname is not a host name by RFC 1123; left out");
    it.says("openstack: local_ipv4 is not an IPv4 address; left out");
    it.says("openstack: public key \"k\" is no public key; left out");
}

#[test]
fn a_document_that_is_not_json_leaves_the_ec2_view() {
    let it = with(&FakeCloud::serving([
        (META_DATA, text("{\"hostname\": ")),
        ("/latest/meta-data/hostname", text("web-1")),
    ]));
    assert!(!it.clean);
    it.says("openstack: /openstack/latest/meta_data.json: not JSON at line 1 column 13; left out");
    assert_eq!(it.hostname.as_deref(), Some("web-1"));
    assert_eq!(it.read("meta_data.json"), None);
}

#[test]
fn a_service_that_says_later_is_asked_again() {
    for statuses in [vec![503, 503, 503], vec![500, 429, 408, 504]] {
        let tries = statuses.len() + 1;
        let cloud = FakeCloud::serving([(META_DATA, Answer::After(statuses, Box::new(text(SIMPLE))))]);
        let it = with(&cloud);
        assert!(it.clean, "{}", it.log);
        assert_eq!(it.hostname.as_deref(), Some("web-1.novalocal"));
        assert_eq!(cloud.asked().iter().filter(|path| *path == META_DATA).count(), tries);
    }
}

#[test]
fn a_status_that_does_not_change_is_asked_for_once() {
    for status in [301, 302, 400, 401, 403] {
        let cloud =
            FakeCloud::serving([(META_DATA, Answer::Status(status)), (USER_DATA, Answer::Status(status))]);
        let it = with(&cloud);
        assert!(!it.clean);
        it.says(&format!("the service answers {status}"));
        assert_eq!(cloud.asked().iter().filter(|path| *path == META_DATA).count(), 1, "{status}");
    }
}

#[test]
fn a_service_that_refuses_this_machine_is_asked_once_and_told_in_one_line() {
    let cloud = FakeCloud::serving([(META_DATA, Answer::Status(403))]);
    let it = with(&cloud);
    assert!(!it.clean);
    it.says(
        "openstack: GET /openstack/latest/meta_data.json: the service answers 403; going on with defaults",
    );
    assert_eq!(cloud.asked(), [META_DATA]);
    assert_eq!(it.names(), ["ssh", "ssh/authorized_keys"]);
}

#[test]
fn where_nobody_answers_the_boot_goes_on_with_an_empty_authorized_keys() {
    let it = on(TempDir::new().unwrap(), nobody(), quick());
    assert!(it.clean, "{}", it.log);
    assert_eq!(it.names(), ["ssh", "ssh/authorized_keys"]);
    assert_eq!((it.mode("ssh"), it.mode("ssh/authorized_keys")), (0o700, 0o600));
    assert_eq!(it.hostname, None);
    it.says("metadata: waiting for an answer from 127.0.0.1\n");
    it.says("metadata: openstack: 127.0.0.1: connection refused after 0 s; going on with defaults\n");
    assert!(it.took < Duration::from_secs(3), "{:?}", it.took);
}

#[test]
fn a_service_of_another_kind_is_no_metadata_and_no_error() {
    let it = with(&FakeCloud::serving([("/", text("an intranet"))]));
    assert!(it.clean, "{}", it.log);
    it.says("openstack: 127.0.0.1 answers, but has neither of /openstack/latest/meta_data.json, /latest/meta-data/hostname; going on with defaults");
    assert_eq!(it.names(), ["ssh", "ssh/authorized_keys"]);
}

#[test]
fn a_hostile_service_ends_in_an_error_that_says_what_it_did() {
    let again = |head: &str, again: &str, pause| Answer::Endless {
        head: head.as_bytes().to_vec(),
        again: again.as_bytes().to_vec(),
        pause: Duration::from_millis(pause),
    };
    let raw = |bytes: &str| Answer::Raw(bytes.as_bytes().to_vec());
    let cases = [
        ("endless fields", again("HTTP/1.1 200 OK\r\n", "A: b\r\n", 0), "more than 100 header fields"),
        (
            "an endless field",
            again("HTTP/1.1 200 OK\r\nA: ", "bbbbbbbbbbbbbbbb", 0),
            "over the limit of 16384 bytes",
        ),
        (
            "an endless body",
            again("HTTP/1.1 200 OK\r\n\r\n", &"x".repeat(4096), 0),
            "more than 1048576 bytes",
        ),
        ("a slow drip", again("HTTP/1.1 200 OK\r\n", "A", 20), "no complete answer within 1 s"),
        (
            "a length too long",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"),
            "ends too early, after 2 bytes",
        ),
        (
            "an absurd length",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"),
            "9999999999 bytes are too many",
        ),
        ("another protocol", raw("SSH-2.0-OpenSSH\r\n"), "the answer is not HTTP/1.1"),
    ];
    for (name, answer, said) in cases {
        let mut times = quick();
        times.deadline = Duration::from_secs(1);
        times.timing.answer = Duration::from_millis(300);
        let cloud = FakeCloud::serving([(META_DATA, answer)]);
        let it = on(TempDir::new().unwrap(), cloud.address, times);
        assert!(!it.clean, "{name}: {}", it.log);
        it.says(said);
        assert!(it.took < Duration::from_secs(10), "{name}: {:?}", it.took);
        assert_eq!(it.read("ssh/authorized_keys").as_deref(), Some(""), "{name}");
    }
}

#[test]
fn a_connection_that_is_closed_without_an_answer_is_nobody() {
    let it = with(&FakeCloud::serving([(META_DATA, Answer::Silence)]));
    assert!(it.clean, "{}", it.log);
    it.says("the connection was closed without an answer after 0 s; going on with defaults");
}

#[test]
fn a_second_run_brings_the_news_and_one_without_service_loses_nothing() {
    let first = FakeCloud::serving([
        (META_DATA, text(SIMPLE)),
        (USER_DATA, text(r#"{"a": {"content": "1"}, "b": {"content": "1"}}"#)),
    ]);
    let it = with(&first);
    fs::write(it.path("from-image"), "i").unwrap();
    let second =
        FakeCloud::serving([(META_DATA, text(SIMPLE)), (USER_DATA, text(r#"{"a": {"content": "2"}}"#))]);
    let it = on(it.root, second.address, quick());
    assert_eq!(
        (it.read("a").as_deref(), it.read("b"), it.read("from-image").as_deref()),
        (Some("2"), None, Some("i"))
    );
    let it = on(it.root, nobody(), quick());
    assert_eq!((it.read("a").as_deref(), it.read("provider").as_deref()), (Some("2"), Some("openstack")));
}

#[test]
fn an_instance_that_is_set_up_already_is_left_alone_but_for_its_name() {
    let user_data = |text_: &str| (USER_DATA, text(&format!(r#"{{"a": {{"content": "{text_}"}}}}"#)));
    let it = with(&FakeCloud::serving([(META_DATA, text(SIMPLE)), user_data("1")]));
    let later = |root, simple: &str, again| {
        let cloud = FakeCloud::serving([(META_DATA, text(simple)), user_data("2")]);
        let settings = Settings { times: quick(), again, imdsv1: false };
        Try::on(root, &[at("openstack", cloud.address)], settings)
    };
    let it = later(it.root, SIMPLE, false);
    assert!(it.clean, "{}", it.log);
    assert_eq!((it.read("a").as_deref(), it.hostname.as_deref()), (Some("1"), Some("web-1.novalocal")));
    it.says("openstack: instance 83679162-1378-4288-a2d4-70e13ec132aa is set up already; nothing is written");
    let it = later(it.root, SIMPLE, true);
    assert_eq!(it.read("a").as_deref(), Some("2"));
    fs::write(it.path("a"), "edited").unwrap();
    let it = later(it.root, &SIMPLE.replace("8367", "9999"), false);
    assert_eq!(it.read("a").as_deref(), Some("2"), "a new instance must be set up anew");
}

#[test]
fn run_config_is_written_too_when_it_is_not_the_same_directory() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("config")).unwrap();
    let cloud = FakeCloud::serving([(META_DATA, text(SIMPLE))]);
    let it = on(root, cloud.address, quick());
    for directory in ["config", "run"] {
        let path = it.root.path().join(directory).join("hostname");
        assert_eq!(fs::read_to_string(path).unwrap(), "web-1.novalocal", "{directory}");
    }
}

#[test]
fn thousands_of_refusals_do_not_flood_the_console() {
    let keys: Vec<_> = (0..5000).map(|n| format!(r#""/{n}":0"#)).collect();
    let it = with(&FakeCloud::serving([
        (META_DATA, text(SIMPLE)),
        (USER_DATA, text(&format!("{{{}}}", keys.join(",")))),
    ]));
    assert!(!it.clean);
    assert!(it.log.lines().count() < 60, "{} lines", it.log.lines().count());
    it.says("… and 4980 more of these");
}
