//! One machine with all that serves the machine itself, on a network without DHCP.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use lk_tests::PATIENCE;
use lk_tests::ntp::TimeServer;
use lk_tests::vm::{Setup, Vm};
use serde_json::json;

use super::{Machine, YEAR_2035};

/// An aarch64 program that ends with status 42: `mov x8, #93; mov x0, #42; svc #0` behind an ELF header and one segment.
fn aarch64_program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const CODE: [u32; 3] = [0xd280_0ba8, 0xd280_0540, 0xd400_0001];
    let entry = BASE + 64 + 56;
    let length = 64 + 56 + 12_u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_AARCH64, version 1.
    elf.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    elf.extend([entry, 64, 0].map(u64::to_le_bytes).concat());
    // No flags; sizes of this header and of one program header; no sections.
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable, the whole file.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    elf.extend([0, BASE, BASE, length, length, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(CODE.map(u32::to_le_bytes).concat());
    elf
}

/// A line for a shell that writes `bytes` to `file`.
fn writing(bytes: &[u8], file: &str) -> String {
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{octal}' >{file}")
}

#[test]
fn consoles_clock_emulators_firmware_guest_agent_and_acpi_of_the_readmes_do_what_these_say() {
    let machine = Machine::new();
    let packages = ["firmware", "ip", "binfmt", "chrony", "getty", "acpid", "qemu-ga", "sshd"];
    let image = machine.build("debian-duties", &packages, "");
    let setup =
        Setup { devices: vec!["virtio-serial-pci,id=ports".into()], typing: true, ..Setup::default() };
    let mut vm = Vm::boot(&image, machine.dir(), &setup);
    let _time = TimeServer::start(vm.netns(), YEAR_2035);

    // The port is plugged in while the machine runs: the agent waits for it.
    let socket = machine.dir().join("guest-agent");
    let mut qmp = vm.qmp();
    let address = json!({"type": "unix", "data": {"path": socket}});
    let backend = json!({"type": "socket", "data": {"addr": address, "server": true, "wait": false}});
    qmp.run("chardev-add", &json!({"id": "agent", "backend": backend}));
    qmp.run(
        "device_add",
        &json!({"driver": "virtserialport", "bus": "ports.0", "chardev": "agent", "name": "org.qemu.guest_agent.0"}),
    );
    // qemu listens to one at a time.
    drop(qmp);

    // This answers by the addresses that `ip` has given.
    let routes = vm.guest(&machine.key, "ip route show");
    assert!(routes.contains("default via 10.0.2.2 dev eth0"), "{routes}");

    let run =
        format!("{}; chmod 0700 /root/arm; /root/arm; echo $?", writing(&aarch64_program(), "/root/arm"));
    assert_eq!(vm.guest(&machine.key, &run), "42\n", "binfmt");

    let files = vm.guest(&machine.key, "ls /proc/1/root/lib/firmware");
    assert!(files.contains("rtl_nic") && files.contains("tigon"), "{files}");

    vm.until("set the clock to what the time server said", || {
        vm.guest(&machine.key, "date +%Y").trim() == "2035"
    });

    let mut agent = UnixStream::connect(&socket).expect("connecting to the guest agent's port");
    agent.set_read_timeout(Some(PATIENCE)).expect("a limit for the guest agent");
    writeln!(agent, r#"{{"execute":"guest-network-get-interfaces"}}"#).expect("asking the guest agent");
    let mut interfaces = String::new();
    BufReader::new(agent).read_line(&mut interfaces).expect("the guest agent's answer");
    assert!(interfaces.contains("10.0.2.15"), "{interfaces}");

    // The password is that of the README.
    vm.type_line("");
    vm.wait_prompt("login: ");
    vm.type_line("root");
    vm.wait_prompt("Password: ");
    vm.type_line("abcdefgh");
    vm.wait_prompt("(ns: getty)");
    vm.type_line("echo $((6 * 7)) is it");
    vm.wait("42 is it");

    assert!(vm.guest(&machine.key, "cat /var/log/acpid*.log").contains("rule"), "acpid has no rule");
    vm.press_power_button();
    vm.wait_off();
}
