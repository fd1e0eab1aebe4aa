//! Interfaces with other names, links that are not there, host keys that stay.

use lk_tests::PATIENCE;
use lk_tests::disk::Disk;
use lk_tests::vm::{SSH_PORT, Setup, Vm};
use serde_json::json;

use super::Machine;

#[test]
fn an_interface_called_enp0s3_gets_an_address_and_host_keys_on_a_disk_outlive_a_reboot() {
    let machine = Machine::new();
    let before = "onboot:\n\
         \x20 - {name: rename, image: \"@pkg:../pkg/ip\", command: [ip, link, set, eth0, name, enp0s3]}\n\
         \x20 - {name: format, image: \"@pkg:../pkg/format\"}\n\
         \x20 - {name: disk, image: \"@pkg:../pkg/mount\", command: [/usr/bin/mountie, /var/lib]}\n";
    let image = machine.build("debian-network", &["dhcpcd", "sshd"], before);
    let disk = Disk::blank(machine.dir(), 64);
    let setup = Setup { disks: vec![disk.argument()], ..Setup::default() };
    let mut vm = Vm::boot(&image, machine.dir(), &setup);
    let address = vm.guest(&machine.key, "ip -o -4 address show dev enp0s3");
    assert!(address.contains("10.0.2.15/24"), "{address}");

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
