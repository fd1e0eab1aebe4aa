//! User-data that is not what it should be, in a machine that writes down what it was told.

use lk_tests::metadata::{ADDRESS, Instance, Service};
use lk_tests::netns::Netns;
use lk_tests::openstack::{Machine, Nic, Told};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7ZPG4b3djPBnuIcWbEGN8ddnKz/HNeEEapHjVX4axS one@test";
const NIC: Nic<'_> = Nic { mac: "52:54:00:12:34:56", address: Some("10.0.2.15") };

/// What a machine with this user-data and one key is told, and what its console says.
fn told(name: &str, user_data: Vec<u8>) -> (Told, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let netns = Netns::new(&[&format!("{ADDRESS}/32")]);
    let keys = vec![("mine".to_owned(), KEY.to_owned())];
    let instance = Instance { name: name.into(), user_data: Some(user_data), keys };
    let _service = Service::start(&netns, &instance);
    let machine = Machine::boot(&netns, Some(&NIC), None, dir.path());
    let told = machine.told();
    assert_eq!(told["ssh/authorized_keys"].content, format!("{KEY}\n").into_bytes());
    (told, machine.console().text())
}

#[test]
fn what_is_not_json_is_kept_as_it_is_and_the_key_still_arrives() {
    let user_data = b"{\"ldap_suffix\": \xff\0}\n".to_vec();
    let (told, console) = told("raw", user_data.clone());
    assert_eq!((told["userdata"].mode & 0o7777, &told["userdata"].content), (0o600, &user_data));
    assert!(!told.contains_key("ldap_suffix"), "{:?}", told.keys());
    assert!(console.contains("not JSON"), "nothing is said of it");
}

#[test]
fn ten_megabytes_are_refused_by_size_and_the_key_still_arrives() {
    let (told, console) = told("big", vec![b'x'; 10 << 20]);
    assert!(!told.contains_key("userdata"), "{:?}", told.keys());
    let line = console.lines().find(|line| line.contains("user-data")).unwrap_or_default();
    assert!(line.contains("65536"), "the limit is not named: {console}");
}

#[test]
fn a_name_that_would_leave_the_directory_is_refused_by_name_and_the_others_apply() {
    let user_data =
        r#"{"../../etc/passwd": {"content": "root::0:0"}, "ldap_suffix": {"content": "dc=still,dc=good"}}"#;
    let (told, console) = told("up", user_data.into());
    assert_eq!(told["ldap_suffix"].content, b"dc=still,dc=good");
    assert!(!told.keys().any(|path| path.contains("passwd")), "{:?}", told.keys());
    assert!(console.contains("../../etc/passwd"), "the refused name is not told");
}
