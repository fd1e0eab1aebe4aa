//! Containers that get no more than they ask for: `lkb build --profile hardened`.

use lk_tests::image::build_initrd_with;
use lk_tests::root;
use lk_tests::vm::{Setup, Vm};

const SUFFIX: &str = "dc=example,dc=org";
const PASSWORD: &str = "password";

/// What a container tells of itself on the console. Making a user namespace needs no capability, and so fails for the
/// filter's sake alone.
const PROBE: &str = r#"
        say() { echo "<2>$NAME: $*" >/dev/kmsg; }
        status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
        ask() { "$@" 2>/tmp/error && say "$1 works" || say "$1: $(cat /tmp/error)"; }
        say "NoNewPrivs $(status NoNewPrivs) Seccomp $(status Seccomp) CapInh $(status CapInh)"
        ask unshare -U /bin/true
        say "keys $(ls -l /proc/keys | cut -c1-4) firmware $(ls /sys/firmware | wc -l)"
        ask /bin/sh -c 'echo 0 >/proc/sys/vm/drop_caches'
        group=$(sed -n s/^0:://p /proc/self/cgroup)
        say "cgroup $group"
        say "pids $(cat /sys/fs/cgroup$group/pids.max) memory $(cat /sys/fs/cgroup$group/memory.max)"
        say done
        exec sleep 1000000"#;

fn service(name: &str, lines: &str) -> String {
    format!(
        "  - name: {name}\n    image: \"@pkg:{pkg}/busybox\"\n    env: [PATH=/bin, NAME={name}]\n    tmpfs: [/tmp]\n\
         \x20   devices: [{{path: /dev/kmsg, type: c, major: 1, minor: 11, mode: \"0600\"}}]\n{lines}\
         \x20   command:\n      - /bin/sh\n      - -c\n      - |{PROBE}\n",
        pkg = root().join("pkg").display()
    )
}

#[test]
fn the_ldap_appliance_boots_hardened_and_its_containers_get_what_they_ask_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let asks = "    seccomp: unconfined\n    noNewPrivileges: false\n    cgroupns: host\n    maskedPaths: []\n\
                \x20   readonlyPaths: []\n    capabilities: [CAP_SYS_RESOURCE]\n\
                \x20   resources: {pids: {limit: 100}, memory: {limit: -1}}\n";
    let yaml = dir.path().join("probes.yml");
    let text = format!("services:\n{}{}", service("given", ""), service("asked", asks));
    std::fs::write(&yaml, text).expect("writing the YAML");
    let ldap = root().join("examples/ldap.yml");
    let image = build_initrd_with("hardened", &["--profile", "hardened"], &[&ldap, &yaml]);
    let mut vm = Vm::boot(&image, dir.path(), &Setup::default());
    vm.wait("given: done");
    vm.wait("asked: done");
    let console = vm.console().text();
    for (name, said) in [
        ("given", "NoNewPrivs 1 Seccomp 2 CapInh 0000000000000000"),
        ("given", "unshare: unshare: unshare(0x10000000): Operation not permitted"),
        ("given", "keys crw- firmware 0"),
        ("given", "/bin/sh: /bin/sh: can't create /proc/sys/vm/drop_caches: Read-only file system"),
        ("given", "cgroup /"),
        ("given", "pids 512 memory 536870912"),
        ("asked", "NoNewPrivs 0 Seccomp 0 CapInh 0000000000000000"),
        ("asked", "unshare works"),
        ("asked", "keys -r-- firmware "),
        ("asked", "cgroup /asked"),
        ("asked", "pids 100 memory max"),
    ] {
        assert!(console.contains(&format!("{name}: {said}")), "{name}: {said:?} is missing");
    }
    assert!(vm.search(SUFFIX, PASSWORD).contains("o: Example"));
    vm.press_power_button();
    vm.wait_off();
    assert!(
        vm.console().text().contains("slapd: stopped (exited with code 0)"),
        "slapd did not stop by itself"
    );
}
