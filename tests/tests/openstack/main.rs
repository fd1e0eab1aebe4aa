//! What a real OpenStack says of a server arrives in a machine, byte for byte: by the service on 169.254.169.254 and by
//! config drive.
//!
//! `make openstack` starts the cloud and runs these; by themselves they have nobody to ask.

mod expected;

use std::fs;
use std::sync::OnceLock;

use lk_tests::image;
use lk_tests::netns::Netns;
use lk_tests::openstack::{Machine, MetadataService, Nic, Server, Stack, StaticNetwork};
use lk_tests::vm::ssh_key;
use tempfile::TempDir;

use expected::Expected;

const LDAP: &str = r#"{"ldap_suffix": {"content": "dc=ol,dc=lab", "perm": "0644"},
    "ldap_rootpass": {"content": "totolitoto", "perm": "0600"},
    "ldap_organisation": {"content": "OL Lab", "perm": "0644"}}"#;
/// What 65,535 characters of base64 hold: the most that Nova's interface takes.
const MOST: usize = 49_149;
/// What 65,536 characters hold: as much as Nova's own column, for servers that were not made by its interface.
const MORE: usize = 49_151;

/// The cloud, and the image that its servers are started from.
struct Cloud {
    stack: Stack,
    image: String,
}

fn cloud() -> &'static Cloud {
    static CLOUD: OnceLock<Cloud> = OnceLock::new();
    CLOUD.get_or_init(|| {
        let stack = Stack::running();
        let image = stack.push(image::ldap(), "appliance");
        Cloud { stack, image }
    })
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Starts a server with this user-data, in the network that has DHCP unless the options name another.
fn server(name: &str, user_data: Option<&[u8]>, options: &[&str]) -> Server {
    let dir = directory();
    let file = dir.path().join("user-data");
    let mut all = vec!["--instancename", name, "--config-drive"];
    if !options.contains(&"--network") {
        all.extend(["--network", "net1"]);
    }
    if let Some(user_data) = user_data {
        fs::write(&file, user_data).expect("the user-data");
        all.extend(["--data-file", file.to_str().expect("a UTF-8 path")]);
    }
    all.extend(options);
    cloud().stack.run(&cloud().image, &all)
}

/// Boots a machine that asks the metadata service. It lives until it was looked at: its console is kept if it was told
/// something else.
fn assert_service_tells(service: &MetadataService, nic: &Nic<'_>, expected: &Expected<'_>) {
    let dir = directory();
    let machine = Machine::boot(service.netns(), Some(nic), None, dir.path());
    expected.assert(&machine.told());
}

/// Boots two machines as this server: one that asks the service, one that has only the drive.
fn assert_both_are_told(server: &Server, expected: &Expected<'_>) {
    let service = MetadataService::of(server);
    let nic = Nic { mac: &server.mac, address: Some(&server.address) };
    assert_service_tells(&service, &nic, expected);
    let dir = directory();
    let drive = cloud().stack.config_drive(server, dir.path().join("config.iso"));
    let machine = Machine::boot(&Netns::new(&[]), None, Some(&drive), dir.path());
    expected.assert(&machine.told());
}

#[test]
fn the_three_keys_of_the_ldap_appliance_and_the_ssh_key_arrive() {
    let dir = directory();
    let (_, public) = ssh_key(dir.path());
    cloud().stack.add_key("mine", &public);
    let server = server("ldap1", Some(LDAP.as_bytes()), &["--keyname", "mine"]);
    let expected = Expected {
        name: "ldap1",
        id: &server.id,
        mac: &server.mac,
        user_data: Some(LDAP.as_bytes()),
        files: &[
            ("ldap_suffix", 0o644, b"dc=ol,dc=lab"),
            ("ldap_rootpass", 0o600, b"totolitoto"),
            ("ldap_organisation", 0o644, b"OL Lab"),
        ],
        keys: &[&public],
        static_address: None,
    };
    assert_both_are_told(&server, &expected);
}

#[test]
fn binary_user_data_arrives() {
    let every_byte: Vec<u8> = (0..=255).rev().cycle().take(1000).collect();
    let server = server("binary", Some(&every_byte), &[]);
    assert_both_are_told(&server, &Expected::of(&server, "binary", Some(&every_byte)));
}

#[test]
fn as_much_user_data_as_nova_takes_arrives() {
    let most = lines(MOST);
    let server = server("most", Some(&most), &[]);
    assert_both_are_told(&server, &Expected::of(&server, "most", Some(&most)));
}

#[test]
fn more_user_data_than_the_interface_takes_arrives_where_nova_has_it() {
    let dir = directory();
    let more = lines(MORE);
    let file = dir.path().join("user-data");
    fs::write(&file, &more).expect("the user-data");
    let file = file.to_str().expect("a UTF-8 path");
    assert_described_is_told(
        &Expected { user_data: Some(&more), ..described("more") },
        &["--user-data", file],
    );
}

/// User-data that is neither JSON nor anything else.
fn lines(len: usize) -> Vec<u8> {
    (0..len).map(|at| b"0123456789abcdef\n"[at % 17]).collect()
}

/// A server that the interfaces do not know.
fn described(name: &str) -> Expected<'_> {
    Expected {
        name,
        id: "b5d9d0cc-b331-4952-8df6-04eac550a9ab",
        mac: "52:54:00:12:34:56",
        user_data: None,
        files: &[],
        keys: &[],
        static_address: None,
    }
}

/// Boots a machine that Nova's own code tells of this server, which these options describe.
fn assert_described_is_told(expected: &Expected<'_>, options: &[&str]) {
    let basis = ["--hostname", expected.name, "--uuid", expected.id, "--mac", expected.mac];
    let service = MetadataService::described(&[&basis[..], options].concat());
    assert_service_tells(&service, &Nic { mac: expected.mac, address: Some("10.0.2.15") }, expected);
}

#[test]
fn a_server_without_user_data_has_no_such_file() {
    let server = server("none", None, &[]);
    assert_both_are_told(&server, &Expected::of(&server, "none", None));
}

#[test]
fn a_static_network_arrives_by_config_drive_and_becomes_the_machine_s() {
    cloud().stack.add_static_network(&StaticNetwork {
        name: "static",
        cidr: "10.88.0.0/24",
        mtu: 1400,
        name_server: "10.88.0.2",
        route: ("192.0.2.0/24", "10.88.0.9"),
    });
    let server = server("static1", None, &["--network", "static"]);
    let dir = directory();
    let drive = cloud().stack.config_drive(&server, dir.path().join("config.iso"));
    let expected =
        Expected { static_address: Some(&server.address), ..Expected::of(&server, "static1", None) };
    let nic = Nic { mac: &server.mac, address: None };
    let machine = Machine::boot(&Netns::new(&[]), Some(&nic), Some(&drive), dir.path());
    expected.assert(&machine.told());
    let network = machine.network();
    for sign in [
        "eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 ",
        &format!("inet {}/24 ", server.address),
        "default via 10.88.0.1 dev eth0",
        "192.0.2.0/24 via 10.88.0.9 dev eth0",
        "nameserver 10.88.0.2",
    ] {
        assert_eq!(network.matches(sign).count(), 1, "{sign:?} in\n{network}");
    }
    assert_eq!(network.matches("inet 10.").count(), 1, "one address:\n{network}");
}

#[test]
fn two_ssh_keys_arrive() {
    // A server has one key pair, which may have several lines.
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7ZPG4b3djPBnuIcWbEGN8ddnKz/HNeEEapHjVX4axS";
    let [one, two] = ["one", "two"].map(|name| format!("{key} {name}@test"));
    cloud().stack.add_key("both", &format!("{one}\n{two}\n"));
    let server = server("keys", None, &["--keyname", "both"]);
    assert_both_are_told(&server, &Expected { keys: &[&one, &two], ..Expected::of(&server, "keys", None) });
}
