//! A network namespace of its own, configured for real. Needs root, as the agent does.

use std::process::Command;

use metadata_agent::console::Console;
use metadata_agent::network_data::{Netlink, apply, configure, plan};
use nix::sched::{CloneFlags, unshare};

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

const DOCUMENT: &str = r#"{
    "links": [
        {"id": "tap1", "type": "ovs", "mtu": 1450, "ethernet_mac_address": "52:54:00:00:00:01"},
        {"id": "tap2", "type": "ovs", "ethernet_mac_address": "52:54:00:00:00:02"},
        {"id": "gone", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:99"}
    ],
    "networks": [
        {"id": "n0", "type": "ipv4", "link": "tap1", "ip_address": "10.7.0.66", "netmask": "255.255.252.0",
         "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.7.0.1"},
                    {"network": "192.0.2.9", "netmask": "255.255.255.0", "gateway": "10.7.0.2"}]},
        {"id": "n1", "type": "ipv4", "link": "tap2", "ip_address": "198.51.100.7", "netmask": "255.255.255.255",
         "routes": [{"network": "203.0.113.0", "netmask": "24", "gateway": "169.254.1.1"}]},
        {"id": "n2", "type": "ipv6", "link": "tap2", "ip_address": "2001:db8::66/64",
         "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]}
    ]
}"#;

#[test]
fn a_document_becomes_links_addresses_and_routes_of_a_machine() {
    assert!(nix::unistd::geteuid().is_root(), "this test makes a network namespace, and must run as root");
    // This thread's alone, and of the programs that it starts.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    ip("link add wan address 52:54:00:00:00:01 type veth peer name far1");
    ip("link add lan address 52:54:00:00:00:02 type veth peer name far2");
    ip("link set far1 up");
    ip("link set far2 up");

    let (plan, problems) = plan(DOCUMENT.as_bytes());
    assert_eq!(problems, []);
    let mut netlink = Netlink::open().unwrap();
    // Twice: another run finds all of it there.
    for _ in 0..2 {
        let errors: Vec<_> = apply(&plan, &mut netlink).iter().map(ToString::to_string).collect();
        let gone = "network link gone: this machine has no interface with the address 52:54:00:00:00:99";
        assert_eq!(errors, [gone]);

        let wan = ip("address show dev wan");
        assert!(wan.contains("mtu 1450") && wan.contains("state UP"), "{wan}");
        assert!(wan.contains("inet 10.7.0.66/22 ") && wan.matches("inet ").count() == 1, "{wan}");
        let lan = ip("address show dev lan");
        assert!(lan.contains("inet 198.51.100.7/32 "), "{lan}");
        assert!(lan.contains("inet6 2001:db8::66/64 scope global"), "{lan}");
        let routes = [ip("route show"), ip("-6 route show")].concat();
        for route in [
            "default via 10.7.0.1 dev wan proto static",
            "192.0.2.0/24 via 10.7.0.2 dev wan proto static",
            "default via 2001:db8::1 dev lan proto static",
            "203.0.113.0/24 via 169.254.1.1 dev lan proto static onlink",
        ] {
            assert_eq!(routes.matches(route).count(), 1, "{route:?} in\n{routes}");
        }
    }
}

#[test]
fn a_file_configures_the_network_and_names_servers() {
    assert!(nix::unistd::geteuid().is_root(), "this test makes a network namespace, and must run as root");
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    ip("link add wan address 52:54:00:00:00:01 type veth peer name far1");
    let scratch = tempfile::TempDir::new().unwrap();
    let (document, resolv_conf) =
        (scratch.path().join("network_data.json"), scratch.path().join("resolv.conf"));
    let console = Console::new(std::io::sink(), false);
    let configured = || configure(&document, &resolv_conf, &console);
    assert!(configured(), "no document is no error");
    for (content, clean, servers) in [
        (DOCUMENT, false, None), // some of its hardware is not there
        ("{", false, None),
        (
            r#"{"links": [{"id": "a", "ethernet_mac_address": "52:54:00:00:00:01"}],
                "networks": [{"type": "ipv4", "link": "a", "ip_address": "10.9.0.1/24"}],
                "services": [{"type": "dns", "address": "10.9.0.53"}]}"#,
            true,
            Some("nameserver 10.9.0.53\n"),
        ),
    ] {
        std::fs::write(&document, content).unwrap();
        assert_eq!(configured(), clean, "{content}");
        assert_eq!(std::fs::read_to_string(&resolv_conf).ok().as_deref(), servers, "{content}");
    }
    assert!(ip("address show dev wan").contains("inet 10.9.0.1/24 "));
}

/// Runs the agent itself, with `line` as the kernel's command line, in a machine that nobody shares: what it may write is
/// made for it below `root`. Returns what it and `ip` say then.
fn agent(root: &std::path::Path, line: &str, arguments: &str) -> String {
    std::fs::write(root.join("cmdline"), format!("{line}\n")).unwrap();
    std::fs::write(root.join("network_data.json"), STATIC).unwrap();
    std::fs::write(root.join("user-data"), "#!/bin/sh\n").unwrap();
    let script = format!(
        "set -e
        mount --bind {root}/cmdline /proc/cmdline
        mkdir -p {root}/var/config {root}/run && touch {root}/resolv.conf
        cp {root}/network_data.json {root}/var/config
        mount --bind {root}/resolv.conf /etc/resolv.conf
        mount --bind {root}/run /run
        ip link add wan address 52:54:00:00:00:01 type veth peer name far1
        mount --bind {root}/var /var
        {binary} {arguments} file={user_data} 2>&1 || echo \"status $?\"
        ip address show dev wan; ip route show; cat /etc/resolv.conf; cat /var/config/userdata",
        root = root.display(),
        binary = env!("CARGO_BIN_EXE_metadata"),
        user_data = root.join("user-data").display(),
    );
    let mut unshare = Command::new("unshare");
    let output = unshare.args(["--mount", "--net", "--uts", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

const STATIC: &str = r#"{"links": [{"id": "a", "ethernet_mac_address": "52:54:00:00:00:01", "mtu": 1442}],
    "networks": [{"type": "ipv4", "link": "a", "ip_address": "10.9.0.1/24",
        "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.9.0.254"}]}],
    "services": [{"type": "dns", "address": "10.9.0.53"}]}"#;

#[test]
fn the_network_is_configured_when_the_arguments_or_the_kernel_s_command_line_ask_for_it() {
    assert!(nix::unistd::geteuid().is_root(), "this test makes a machine of its own, and must run as root");
    for (line, arguments, configured, complaint) in [
        ("quiet", "", false, None),
        ("quiet lkb.network=metadata", "", true, None),
        ("quiet", "--network", true, None),
        ("lkb.network=dhcp", "", false, Some("lkb.network=\"dhcp\" on the kernel's command line: only")),
        (
            "lkb.network=dhcp",
            "--network",
            true,
            Some("lkb.network=\"dhcp\" on the kernel's command line: only"),
        ),
    ] {
        let scratch = tempfile::TempDir::new().unwrap();
        let said = agent(scratch.path(), line, arguments);
        let case = format!("{line:?}, {arguments:?}:\n{said}");
        for sign in [
            "inet 10.9.0.1/24 ",
            "mtu 1442",
            "default via 10.9.0.254 dev wan proto static",
            "nameserver 10.9.0.53",
        ] {
            assert_eq!(said.contains(sign), configured, "{sign}: {case}");
        }
        assert_eq!(said.contains("status 1"), complaint.is_some(), "{case}");
        assert!(complaint.is_none_or(|complaint| said.contains(complaint)), "{case}");
        assert!(said.contains("#!/bin/sh"), "metadata is written in any case: {case}");
    }
}
