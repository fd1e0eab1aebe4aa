//! The examples, each booted and looked at from outside. Those of `examples.rs`, `together.rs`, `ldap.rs` and
//! others are there.

use std::fs::File;
use std::path::{Path, PathBuf};

use lk_tests::disk::Disk;
use lk_tests::image::{self, build_initrd, build_initrd_with, run_lkb};
use lk_tests::metadata::Instance;
use lk_tests::registry::Registry;
use lk_tests::root;
use lk_tests::screen;
use lk_tests::vm::{Setup, Vm, ssh_key};
use tempfile::TempDir;

/// The port beside the machine that leads to what the example serves.
const PORT: u16 = 8080;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn yaml(name: &str) -> PathBuf {
    root().join(format!("examples/{name}.yml"))
}

/// A machine whose port `guest` can be asked for at [`PORT`].
fn serving(guest: u16) -> Setup {
    Setup { publish: vec![(PORT, guest)], ..Setup::default() }
}

/// Boots an example as it is.
fn boot(name: &str, dir: &Path, setup: &Setup) -> Vm {
    Vm::boot(&build_initrd(&format!("example-{name}"), &yaml(name)), dir, setup)
}

/// Boots an example that takes the user's ssh key, with another; returns the private one.
fn boot_with_key(name: &str, dir: &Path, setup: &Setup) -> (Vm, PathBuf) {
    let (key, _) = ssh_key(dir);
    let own = dir.join(format!("{name}.yml"));
    let text = std::fs::read_to_string(yaml(name)).expect("the example");
    let public = key.with_extension("pub").display().to_string();
    let text = text.replace("~/.ssh/id_ed25519.pub", &public);
    std::fs::write(&own, text.replace("@pkg:..", &format!("@pkg:{}", root().display())))
        .expect("writing the example");
    (Vm::boot(&build_initrd(&format!("example-{name}"), &own), dir, setup), key)
}

fn off(mut vm: Vm) {
    vm.press_power_button();
    vm.wait_off();
}

/// Sends lines to [`PORT`], and returns what came back.
fn talk(vm: &Vm, lines: &str) -> String {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{PORT} && printf '{lines}' >&3 && timeout 20 head -n 1 <&3 | grep ."
    );
    vm.ask("bash", &["-c", &script])
}

#[test]
fn nginx_serves_the_page_of_the_image() {
    let dir = directory();
    let vm = boot("nginx", dir.path(), &serving(80));
    let answer = vm.fetch(PORT, "/");
    assert!(answer.contains("Served by a machine that is nothing else"), "{answer}");
    assert!(answer.contains("Content-Type: text/html"), "{answer}");
    off(vm);
}

#[test]
fn redis_keeps_on_its_disk_what_it_was_given_before_the_machine_went_off() {
    let dir = directory();
    let disk = Disk::blank(dir.path(), 64);
    let setup = Setup { disks: vec![disk.argument()], ..serving(6379) };
    let vm = boot("redis", dir.path(), &setup);
    assert_eq!(talk(&vm, "GET a\\r\\n"), "-NOAUTH Authentication required.\r\n");
    let set = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'AUTH change-me\\r\\nSET a kept\\r\\nQUIT\\r\\n' >&3; cat <&3";
    assert_eq!(vm.ask("bash", &["-c", set]).matches("+OK").count(), 3);
    off(vm);
    disk.assert_clean();
    // What it reads again at the next boot, which `together.rs` shows of an encrypted disk.
    let log = disk.file("appendonlydir/appendonly.aof.1.incr.aof");
    assert!(String::from_utf8_lossy(&log).contains("SET\r\n$1\r\na\r\n$4\r\nkept\r\n"), "{log:?}");
}

#[test]
fn sshd_lets_in_the_key_of_the_image_and_no_other() {
    let dir = directory();
    let (vm, key) = boot_with_key("sshd", dir.path(), &Setup::default());
    assert_eq!(vm.guest(&key, "id -u"), "0\n");
    let others = directory();
    let (other, _) = ssh_key(others.path());
    let refused = vm.ssh(&other, "id -u");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"), "{refused:?}");
    off(vm);
}

#[test]
fn getty_gives_root_a_shell_at_the_console_after_each_session_again() {
    let dir = directory();
    let mut vm = boot("getty", dir.path(), &Setup { typing: true, ..Setup::default() });
    vm.wait_prompt("(ns: getty)");
    vm.type_line("echo first $((6 * 7)); exit");
    vm.wait("first 42");
    // What is typed before there is a prompt again is lost.
    let shown = vm.console().mark();
    vm.until("prompt again", || vm.console().text()[shown..].contains("(ns: getty)"));
    vm.type_line("echo second $((6 * 7))");
    vm.wait("second 42");
    off(vm);
}

#[test]
fn static_ip_serves_without_dhcp() {
    let dir = directory();
    let vm = boot("static-ip", dir.path(), &serving(80));
    assert!(vm.fetch(PORT, "/").contains("nginx runs"));
    off(vm);
}

#[test]
fn volumes_share_what_one_service_writes_and_what_an_image_holds() {
    let dir = directory();
    let vm = boot("volumes", dir.path(), &serving(80));
    let clock = vm.fetch(PORT, "/blank/clock");
    assert!(clock.contains("UTC"), "{clock}");
    let bundle = vm.fetch(PORT, "/tools/etc/ssl/certs/ca-certificates.crt");
    assert!(bundle.contains("BEGIN CERTIFICATE"));
    off(vm);
}

#[test]
fn node_exporter_tells_what_the_machine_has() {
    let dir = directory();
    let vm = boot("node_exporter", dir.path(), &serving(9100));
    let metrics = vm.fetch(PORT, "/metrics");
    for wanted in ["node_memory_MemTotal_bytes", "node_filesystem_size_bytes", "node_cpu_seconds_total"] {
        assert!(metrics.contains(wanted), "{wanted} is missing");
    }
    off(vm);
}

#[test]
fn docker_like_runs_what_an_operator_brings_until_the_machine_goes_off() {
    const BROUGHT: &str = "docker.io/library/brought:by-hand";
    let dir = directory();
    let disk = Disk::blank(dir.path(), 64);
    let setup = Setup { disks: vec![disk.argument()], ..serving(80) };
    let (vm, key) = boot_with_key("docker-like", dir.path(), &setup);
    let services = vm.guest(&key, "ctr -n services.linuxkit containers ls -q");
    assert_eq!(services, "rngd\nsshd\n");

    let archive = dir.path().join("brought.tar");
    let tag = lkb(&["pkg", "show-tag", "pkg/busybox"]);
    let file = archive.to_str().expect("a UTF-8 path");
    lkb(&["cache", "export", "--name", BROUGHT, "--outfile", file, tag.trim()]);
    let by_hand = format!(
        "ctr images import - && ctr run --rm {BROUGHT} first /bin/echo from a container && ctr run -d --net-host \
         --mount type=bind,src=/var/log,dst=/www,options=rbind:ro {BROUGHT} web /bin/httpd -f -p 80 -h /www"
    );
    let out = vm.ssh_with(&key, &by_hand, File::open(&archive).expect("the archive").into());
    assert!(out.status.success(), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stdout).ends_with("from a container\n"), "{out:?}");
    assert!(vm.fetch(PORT, "/sshd.out.log").contains("host key: "));

    let _registry = Registry::start(vm.netns());
    let there = format!("{}/brought:pulled", Registry::BESIDE);
    let mut push = vm.netns().command(image::lkb());
    let pushed = push.args(["cache", "push", "--remote-name", &there, tag.trim()]).output();
    let pushed = pushed.expect("running lkb");
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let pulled = format!("{}/brought:pulled", Registry::FROM_A_MACHINE);
    let pull = format!(
        "ctr images pull --plain-http {pulled} >&2 && ctr run --rm {pulled} second /bin/echo from a registry"
    );
    assert_eq!(vm.guest(&key, &pull), "from a registry\n");
    off(vm);
    disk.assert_clean();
}

/// What `lkb` prints.
fn lkb(args: &[&str]) -> String {
    let out = run_lkb(args);
    assert!(out.status.success(), "lkb {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn hardened_nginx_serves() {
    let dir = directory();
    let image = build_initrd_with("example-hardened", &["--profile", "hardened"], &[&yaml("hardened")]);
    let vm = Vm::boot(&image, dir.path(), &serving(80));
    assert!(vm.fetch(PORT, "/").contains("nginx runs"));
    off(vm);
}

#[test]
fn embedded_sends_back_what_it_is_sent() {
    let dir = directory();
    let vm = boot("embedded", dir.path(), &serving(7));
    assert_eq!(talk(&vm, "there and back\\n"), "there and back\n");
    off(vm);
}

#[test]
fn openstack_lets_in_the_key_that_its_cloud_has_said() {
    let dir = directory();
    let (key, public) = ssh_key(dir.path());
    let cloud = Instance { name: "example".into(), user_data: None, keys: vec![("mine".into(), public)] };
    let vm = boot("openstack", dir.path(), &Setup { cloud: Some(cloud), ..serving(80) });
    assert_eq!(vm.guest(&key, "hostname"), "example.novalocal\n");
    assert!(vm.fetch(PORT, "/").contains("nginx runs"));
    off(vm);
}

#[test]
fn wireguard_leads_a_visitor_to_nginx_at_the_other_end() {
    let dir = directory();
    let vm = boot("wireguard", dir.path(), &serving(80));
    vm.wait("visitor: <p>nginx runs");
    // The machine's own network has no nginx.
    let outside =
        vm.netns().command("curl").args(["--silent", "--max-time", "20", "http://127.0.0.1:8080/"]).output();
    assert!(outside.expect("running curl").stdout.is_empty(), "nginx answers outside the tunnel");
    off(vm);
}

/// Between these an example of a cloud has the step that asks it.
const ASKING: (&str, &str) = ("  - name: metadata\n", "services:\n");

/// An example without its comments.
fn without_comments(name: &str) -> String {
    let text = std::fs::read_to_string(yaml(name)).expect("the example");
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

#[test]
fn aws_gcp_azure_and_vmware_serve_and_say_that_their_cloud_is_not_there() {
    // One machine speaks for all: only who is asked is different, and that VMware's has a screen for its console.
    let dir = directory();
    let vmware = without_comments("vmware");
    let mut steps = String::from("onboot:\n");
    for cloud in ["aws", "gcp", "azure"] {
        let example = without_comments(cloud);
        assert_eq!(example.replace(cloud, "vmware"), vmware.replace(" console=tty0", ""), "{cloud}");
        let (_, from) = example.split_once(ASKING.0).expect("the step");
        let (step, _) = from.split_once(ASKING.1).expect("what follows it");
        steps += &format!("  - name: {cloud}\n{step}");
    }
    let others = dir.path().join("others.yml");
    std::fs::write(&others, steps.replace("@pkg:..", &format!("@pkg:{}", root().display())))
        .expect("writing the other steps");
    let image = build_initrd_with("example-clouds", &[], &[&yaml("vmware"), &others]);
    let vm = Vm::boot(&image, dir.path(), &Setup { devices: vec!["VGA".into()], ..serving(80) });
    assert!(vm.fetch(PORT, "/").contains("nginx runs"));
    for said in ["vmware: this machine has no VMware hypervisor", "aws: ", "gcp: ", "azure: "] {
        let said = format!("metadata: {said}");
        vm.until(&said, || screen::text(&mut vm.qmp(), dir.path()).contains(&said));
    }
    off(vm);
}
