//! Interfaces with other names, links that are not there, what comes over the network, host keys that stay.

use lk_tests::PATIENCE;
use lk_tests::disk::Disk;
use lk_tests::ntp::TimeServer;
use lk_tests::vm::{SSH_PORT, Setup, Vm};
use serde_json::json;

use super::{Machine, YEAR_2029};

#[test]
fn an_interface_called_enp0s3_gets_an_address_openntpd_the_time_and_host_keys_on_a_disk_outlive_a_reboot() {
    let machine = Machine::new();
    let before = "onboot:\n\
         \x20 - {name: rename, image: \"@pkg:../pkg/ip\", command: [ip, link, set, eth0, name, enp0s3]}\n\
         \x20 - {name: format, image: \"@pkg:../pkg/format\"}\n\
         \x20 - {name: disk, image: \"@pkg:../pkg/mount\", command: [/usr/bin/mountie, /var/lib]}\n";
    let image = machine.build("debian-network", &["dhcpcd", "openntpd", "sshd"], before);
    let disk = Disk::blank(machine.dir(), 64);
    let setup = Setup { disks: vec![disk.argument()], ..Setup::default() };
    let mut vm = Vm::boot(&image, machine.dir(), &setup);
    let _time = TimeServer::start(vm.netns(), YEAR_2029);
    let address = vm.guest(&machine.key, "ip -o -4 address show dev enp0s3");
    assert!(address.contains("10.0.2.15/24"), "{address}");
    // What reads packets of the network is another user, without rights, who may make few system calls.
    let parts = "cat $(grep -l '^Name:.dhcpcd$' /proc/[0-9]*/status) | grep '^\\(Uid\\|CapEff\\|Seccomp\\):' | paste - - - | sort -u";
    let parts = vm.guest(&machine.key, parts);
    assert!(parts.contains("Uid:\t100\t100\t100\t100\tCapEff:\t0000000000000000\tSeccomp:\t2\n"), "{parts}");

    vm.until("set the clock to what the time server said", || {
        vm.guest(&machine.key, "date +%Y").trim() == "2029"
    });
    let control =
        "chroot /proc/$(pidof ntpd | tr ' ' '\\n' | sort -n | head -n 1)/root /usr/sbin/ntpctl -s peers";
    let peers = vm.guest(&machine.key, control);
    assert!(peers.contains("10.0.2.2"), "{peers}");
    // CAP_SYS_TIME, CAP_SYS_NICE, CAP_SYS_CHROOT, CAP_SETUID and CAP_SETGID; what reads packets has none of them.
    let rights = "cat $(grep -l '^Name:.ntpd$' /proc/[0-9]*/status) | grep '^Cap\\(Eff\\|Bnd\\)' | sort -u";
    assert_eq!(
        vm.guest(&machine.key, rights),
        "CapBnd:\t00000000028400c0\nCapEff:\t0000000000000000\nCapEff:\t00000000028400c0\n"
    );

    let host_key = |vm: &Vm| {
        let port = SSH_PORT.to_string();
        vm.ask(
            "bash",
            &["-c", &format!("ssh-keyscan -T 20 -t ed25519 -p {port} 127.0.0.1 2>/dev/null | grep .")],
        )
    };
    let first = host_key(&vm);
    let mark = vm.console().mark();
    // The connection may be cut before the command's exit status comes.
    let _ = vm.ssh(&machine.key, "reboot");
    vm.console().wait_after(mark, "Welcome to LinuxKit", PATIENCE);
    assert_eq!(host_key(&vm), first, "the host key is another one after a reboot");
    vm.press_power_button();
    vm.wait_off();
}

#[test]
fn a_machine_without_a_link_boots_and_says_that_it_has_no_address() {
    let machine = Machine::new();
    // A second configuration for dhcpcd, with less patience than ours.
    let hasty = "files:\n  - {path: etc/hasty.conf, contents: \"timeout 2\\nwaitip 4\\nnoipv4ll\\n\"}\n\
         onboot:\n  - name: once\n    image: \"@pkg:../pkg/dhcpcd\"\n    binds.add: [\"/etc/hasty.conf:/dhcpcd.conf:ro\"]\n\
         \x20   command: [/sbin/dhcpcd, --nobackground, -f, /dhcpcd.conf, \"-1\"]\n\
         services:\n  - name: after\n    image: \"@pkg:../pkg/busybox\"\n\
         \x20   devices: [{path: /dev/kmsg, type: c, major: 1, minor: 11, mode: \"0600\"}]\n\
         \x20   command: [/bin/sh, -c, \"echo '<2>services run' >/dev/kmsg; exec sleep 1000000\"]\n";
    let image = machine.build("debian-no-link", &[], hasty);
    let mut vm = Vm::boot(&image, machine.dir(), &Setup::default());
    vm.qmp().run("set_link", &json!({"name": "net0", "up": false}));
    vm.wait("services run");
    let said = vm.console().text();
    assert!(said.contains("no address within 2 seconds"), "{said}");
    vm.press_power_button();
    vm.wait_off();
}
