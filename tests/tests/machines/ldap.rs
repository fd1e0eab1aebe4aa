//! The LDAP appliance of `examples/ldap.yml`, booted and looked at from outside.

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use lk_tests::PATIENCE;
use lk_tests::disk::Disk;
use lk_tests::image::ldap;
use lk_tests::metadata::Instance;
use lk_tests::vm::{Setup, Vm, ssh_key};

const SUFFIX: &str = "dc=example,dc=org";
const PASSWORD: &str = "password";
const USER_DATA: &str = r#"{"ldap_suffix": {"content": "dc=ol,dc=lab", "perm": "0644"},
    "ldap_rootpass": {"content": "totolitoto", "perm": "0644"},
    "ldap_organisation": {"content": "OL Lab", "perm": "0644"}}"#;
/// ldapsearch's exit code for wrong credentials (RFC 4511, resultCode invalidCredentials).
const INVALID_CREDENTIALS: i32 = 49;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn add(vm: &Vm, suffix: &str, password: &str, ldif: &str) {
    let mut child =
        vm.ldap("ldapadd", suffix, password).stdin(Stdio::piped()).spawn().expect("running ldapadd");
    child.stdin.take().expect("its input").write_all(ldif.as_bytes()).expect("writing LDIF");
    let status = child.wait().expect("waiting for ldapadd");
    assert!(status.success(), "ldapadd ended with {status}");
}

#[test]
fn a_blank_disk_is_formatted_and_mounted_and_ldap_serves_the_defaults_from_it() {
    let dir = directory();
    let disk = Disk::blank(dir.path(), 1024);
    let setup = Setup { disks: vec![disk.argument()], ..Setup::default() };
    let mut vm = Vm::boot(ldap(), dir.path(), &setup);
    let found = vm.search(SUFFIX, PASSWORD);
    assert!(found.contains("o: Example"), "{found}");
    assert!(vm.console().text().contains("Welcome to LinuxKit"), "the banner is missing");
    add(
        &vm,
        SUFFIX,
        PASSWORD,
        &format!("dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n"),
    );
    vm.press_power_button();
    vm.wait_off();
    disk.assert_clean();

    let mut again = Vm::boot(ldap(), dir.path(), &setup);
    assert!(
        again.search(SUFFIX, PASSWORD).contains("ou: people"),
        "the entry is gone after a boot with the same disk"
    );
    again.press_power_button();
    again.wait_off();
    disk.assert_clean();
}

#[test]
fn without_disk_and_without_cloud_ldap_serves_the_defaults_from_memory_and_the_console_says_so() {
    let dir = directory();
    let mut vm = Vm::boot(ldap(), dir.path(), &Setup::default());
    let found = vm.search(SUFFIX, PASSWORD);
    assert!(found.contains("dn: dc=example,dc=org") && found.contains("o: Example"), "{found}");
    let console = vm.console().text();
    assert!(
        console.contains("/var/lib/openldap stays in memory"),
        "nothing is said of the missing data disk"
    );
    assert!(console.contains("metadata: openstack: "), "nothing is said of the missing metadata");
    vm.press_power_button();
    vm.wait_off();
}

#[test]
fn the_cloud_sets_suffix_password_and_organisation_and_lets_its_key_in() {
    let dir = directory();
    let (key, public) = ssh_key(dir.path());
    let disk = Disk::blank(dir.path(), 1024);
    let cloud = Instance {
        name: "vm9".into(),
        user_data: Some(USER_DATA.into()),
        keys: vec![("mine".into(), public.clone())],
    };
    let setup = Setup { disks: vec![disk.argument()], cloud: Some(cloud), ..Setup::default() };
    let mut vm = Vm::boot(ldap(), dir.path(), &setup);

    let found = vm.search("dc=ol,dc=lab", "totolitoto");
    assert!(found.contains("o: OL Lab"), "{found}");
    let refused = vm.ldap("ldapsearch", "dc=ol,dc=lab", PASSWORD).args(["-b", "dc=ol,dc=lab"]).output();
    assert_eq!(refused.expect("running ldapsearch").status.code(), Some(INVALID_CREDENTIALS));

    assert_eq!(vm.guest(&key, "hostname"), "vm9.novalocal\n");
    let modes = vm.guest(
        &key,
        "cd /var/config && stat -L -c '%a %n' ldap_suffix ssh/authorized_keys userdata hostname",
    );
    assert_eq!(modes, "644 ldap_suffix\n600 ssh/authorized_keys\n600 userdata\n644 hostname\n");
    assert_eq!(vm.guest(&key, "cat /run/config/ldap_suffix"), "dc=ol,dc=lab");
    assert_eq!(vm.guest(&key, "cat /run/config/ssh/authorized_keys").trim(), public);

    let containers = vm.guest(&key, "ctr -n services.linuxkit c ls -q");
    assert_eq!(containers.split_whitespace().collect::<Vec<_>>(), ["rngd", "slapd", "sshd"]);
    let tasks = vm.guest(&key, "ctr -n services.linuxkit t ls");
    for service in ["rngd", "sshd", "slapd"] {
        let line =
            tasks.lines().find(|l| l.starts_with(service)).unwrap_or_else(|| panic!("no {service}: {tasks}"));
        assert!(line.ends_with("RUNNING"), "{line}");
    }

    add(
        &vm,
        "dc=ol,dc=lab",
        "totolitoto",
        "dn: ou=groups,dc=ol,dc=lab\nobjectClass: organizationalUnit\nou: groups\n",
    );
    let mark = vm.console().mark();
    std::thread::scope(|scope| {
        // `ctr` itself takes seconds to start in an emulated machine: the clock runs from the kill.
        scope.spawn(|| vm.guest(&key, "ctr -n services.linuxkit t kill -s SIGKILL slapd"));
        vm.console().wait_after(mark, "slapd: killed by signal 9", PATIENCE);
        let killed = Instant::now();
        assert!(vm.search("dc=ol,dc=lab", "totolitoto").contains("ou: groups"));
        println!("slapd answered {:.1} s after SIGKILL", killed.elapsed().as_secs_f64());
    });

    // The connection may be cut before the command's exit status comes.
    let mark = vm.console().mark();
    let _ = vm.ssh(&key, "reboot");
    vm.console().wait_after(mark, "Welcome to LinuxKit", PATIENCE);
    assert!(
        vm.search("dc=ol,dc=lab", "totolitoto").contains("ou: groups"),
        "the entry is gone after a reboot"
    );

    let _ = vm.ssh(&key, "poweroff");
    vm.wait_off();
    disk.assert_clean();
    let console = vm.console().text();
    let took = clock(&console, "reboot: Power down") - clock(&console, "powering off (");
    println!("poweroff took {took:.1} s of the machine's clock");
}

/// The machine's clock, in seconds, on the last line of its console with `text`: `… [ 12.345678] text`.
fn clock(console: &str, text: &str) -> f64 {
    let line = console.lines().rev().find(|l| l.contains(text)).unwrap_or_else(|| panic!("no {text:?}"));
    let stamp = line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).expect("a time stamp");
    stamp.0.trim().parse().expect("seconds")
}
