//! A network of its own, in which the agent asks at the addresses that it has itself.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use metadata_agent::fetch::Times;
use metadata_agent::provider::by_name;
use metadata_agent::run::Settings;
use tempfile::TempDir;

use crate::fake_cloud::{FakeCloud, quick, text};
use crate::machine::Try;

/// Runs a test of this program in a new network namespace, as its superuser.
fn alone(test: &str) {
    alone_with(test, &[]);
}

/// The same with more variables in its environment.
fn alone_with(test: &str, variables: &[(&str, &str)]) {
    let this = std::env::current_exe().unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--net"]).arg(this).args(["--exact", test, "--ignored", "--nocapture"]);
    unshare.envs(variables.iter().copied());
    let out = unshare.output().expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip, of iproute2");
    assert!(status.success(), "ip {arguments}");
}

/// OpenStack at this machine's own port 80, on every address.
fn openstack() -> FakeCloud {
    let answers =
        [("/openstack/latest/meta_data.json".to_owned(), text(r#"{"uuid": "u-6", "hostname": "web-6"}"#))];
    FakeCloud::on(TcpListener::bind("[::]:80").unwrap(), answers.into(), |_| None)
}

fn ask(name: &str) -> Try {
    let times = Times { deadline: Duration::from_secs(20), ..quick() };
    Try::on(TempDir::new().unwrap(), &[by_name(name).unwrap()], Settings { times, ..Settings::default() })
}

#[test]
fn openstack_answers_over_ipv6_where_there_is_no_ipv4() {
    alone("link::inside_with_ipv6");
}

#[test]
#[ignore = "configures the network: the test above runs it in one of its own"]
fn inside_with_ipv6() {
    ip("link set lo up");
    ip("address add fe80::a9fe:a9fe/64 dev lo nodad");
    let cloud = openstack();
    let it = ask("openstack");
    assert_eq!(it.hostname.as_deref(), Some("web-6"), "{}", it.log);
    assert!(cloud.requests().iter().all(|asked| asked.has("Host: [fe80::a9fe:a9fe]")));
}

#[test]
fn a_proxy_in_the_environment_has_no_say() {
    let nobody = "http://127.0.0.1:9/";
    alone_with(
        "link::inside_with_ipv6",
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, nobody)),
    );
}

/// Whether there is a netlink socket with a subscription: lines `POINTER PROTOCOL PID GROUPS …`.
fn somebody_waits_for_events() -> bool {
    let sockets = std::fs::read_to_string("/proc/self/net/netlink").unwrap();
    let groups = |line: &str| u32::from_str_radix(line.split_whitespace().nth(3)?, 16).ok();
    sockets.lines().filter_map(groups).any(|groups| groups != 0)
}

#[test]
fn a_link_that_comes_late_is_waited_for() {
    alone("link::inside_with_a_late_link");
}

#[test]
#[ignore = "configures the network: the test above runs it in one of its own"]
fn inside_with_a_late_link() {
    let cloud = openstack();
    let late = std::thread::spawn(|| {
        while !somebody_waits_for_events() {
            std::thread::sleep(Duration::from_millis(1));
        }
        ip("link set lo up");
        ip("address add 169.254.169.254/32 dev lo");
    });
    let it = ask("openstack");
    late.join().unwrap();
    assert_eq!(it.hostname.as_deref(), Some("web-6"), "{}", it.log);
    it.says("waiting for a route to 169.254.169.254");
    assert!(cloud.requests().iter().all(|asked| asked.has("Host: 169.254.169.254")));
}
