//! Three examples in one machine: configurations that are given together are one. Each has a disk of its own, and is looked at
//! from outside, at the first boot and at the second.

use std::fs;
use std::path::Path;

use lk_tests::disk::Disk;
use lk_tests::image::build_initrd_with;
use lk_tests::root;
use lk_tests::vm::{Setup, Vm};

// The ports beside the machine that lead to what the examples serve.
const MEMORY: u16 = 7007;
const REDIS: u16 = 6379;
const SINCE_BOOT: u16 = 5140;
const KEPT: u16 = 8080;

/// What the database is given.
const TREASURE: &str = "nobody-reads-this-on-the-disk";

fn disk(dir: &Path, name: &str, mib: u64) -> Disk {
    let place = dir.join(name);
    fs::create_dir(&place).expect("a directory for the disk");
    Disk::blank(&place, mib)
}

/// Says something to a port until the answer has lines with `wanted`; returns these.
fn tells(vm: &Vm, port: u16, say: &str, wanted: &str) -> String {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf '{say}' >&3 && timeout 20 cat <&3 | grep -e '{wanted}'"
    );
    vm.ask("bash", &["-c", &script])
}

fn redis(vm: &Vm, command: &str, wanted: &str) {
    tells(vm, REDIS, &format!("AUTH change-me\\r\\n{command}\\r\\nQUIT\\r\\n"), wanted);
}

/// Of 64 MiB the kernel leaves out the page that says what they are, and pages that are not in one piece on the disk.
fn assert_swaps(vm: &Vm) {
    let line = tells(vm, MEMORY, "", "SwapTotal:");
    let kibibytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u32>().ok());
    assert!(kibibytes.is_some_and(|size| (60 << 10..64 << 10).contains(&size)), "{line}");
}

/// Powers the machine off, and looks at the two disks that anybody can read.
fn off(mut vm: Vm, [swap, logs]: [&Disk; 2]) {
    vm.press_power_button();
    vm.wait_off();
    swap.assert_clean();
    logs.assert_clean();
}

#[test]
fn an_encrypted_database_swap_and_logs_have_disks_that_are_clean_and_are_used_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // In the order in which the examples take them.
    let secret = disk(dir.path(), "dm-crypt", 64);
    let swap = disk(dir.path(), "swap", 96);
    let logs = disk(dir.path(), "logging", 64);
    let setup = Setup {
        disks: [&secret, &swap, &logs].map(Disk::argument).to_vec(),
        publish: vec![(MEMORY, 7), (REDIS, 6379), (SINCE_BOOT, 514), (KEPT, 80)],
        ..Setup::default()
    };
    let yaml = ["dm-crypt", "swap", "logging"].map(|name| root().join(format!("examples/{name}.yml")));
    let image = build_initrd_with("examples-together", &[], &yaml.each_ref().map(|path| path.as_path()));

    let vm = Vm::boot(&image, dir.path(), &setup);
    redis(&vm, &format!("SET a {TREASURE}"), "+OK");
    assert_swaps(&vm);
    tells(&vm, SINCE_BOOT, "", ";greeter.out;hello");
    tells(&vm, SINCE_BOOT, "", ";kmsg.out;.*Linux version");
    // `TIME;SOURCE;TEXT` is `TIME SOURCE TEXT` in a file.
    let kernel: Vec<String> =
        tells(&vm, SINCE_BOOT, "", ";kmsg.out;").lines().map(|line| line.replacen(';', " ", 2)).collect();
    let newest = kernel.last().expect("a line of the kernel's");
    vm.until("write what the kernel said, and put full files aside", || {
        ["/kmsg.out.log.0", "/kmsg.out.log"].iter().any(|file| vm.fetch(KEPT, file).contains(newest.as_str()))
    });
    assert!(vm.fetch(KEPT, "/greeter.out.log").ends_with(" greeter.out hello\n"));
    off(vm, [&swap, &logs]);
    let files = [".7", ".6", ".5", ".4", ".3", ".2", ".1", ".0", ""]
        .map(|end| logs.file(&format!("kmsg.out.log{end}")));
    let kept = String::from_utf8_lossy(&files.concat()).into_owned();
    assert!(kept.lines().next().is_some_and(|line| line.contains("Linux version")), "{kept}");
    let lost: Vec<&String> = kernel.iter().filter(|line| !kept.contains(line.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?} of\n{kept}");
    let greetings = String::from_utf8(logs.file("greeter.out.log")).expect("the log");
    assert!(greetings.ends_with(" greeter.out hello\n"), "{greetings:?}");
    assert!(logs.holds(" greeter.out hello"), "what is on a disk is not found");
    assert!(secret.is_luks(), "no LUKS header");
    assert!(!secret.holds(TREASURE), "the plain text is on the disk");

    let vm = Vm::boot(&image, dir.path(), &setup);
    redis(&vm, "GET a", TREASURE);
    assert_swaps(&vm);
    vm.until("go on with the log", || {
        let log = vm.fetch(KEPT, "/greeter.out.log");
        log.contains(&greetings) && !log.ends_with(&greetings)
    });
    off(vm, [&swap, &logs]);
    assert!(!secret.holds(TREASURE), "the plain text is on the disk");
}
