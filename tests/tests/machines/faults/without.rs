//! Machines that lack something.

use lk_tests::guest::{Engine, Guest, Setup};
use lk_tests::image::out_dir;

/// Boots, looks that services serve and come back when they are killed, and powers off.
fn serves(setup: &Setup) -> String {
    case_serves("plain", setup)
}

fn case_serves(case: &str, setup: &Setup) -> String {
    let guest = Guest::boot(Engine::Embedded, case, setup);
    let guest = guest.watched();
    let agent = guest.agent();
    agent.await_start("victim", 1);
    agent.kill(&["service:victim"]);
    assert_eq!(agent.await_start("victim", 2), 2);
    assert_eq!(agent.await_start("steady", 1), 1);
    assert!(agent.service(&["list"]).contains("victim"));
    assert_eq!(agent.status("victim")["state"], "running");
    guest.power_off();
    guest.console().text()
}

#[test]
fn a_machine_without_console_serves_and_powers_off() {
    let console = serves(&Setup { console: false, ..Setup::default() });
    assert_eq!(console, "");
}

#[test]
fn a_machine_whose_clock_was_never_set_serves_and_says_so() {
    let console = serves(&Setup { date: Some("1980-01-01"), ..Setup::default() });
    assert!(console.contains("the hardware does not know the time"), "the console does not say so");
}

#[test]
fn a_machine_whose_clock_is_past_2038_serves() {
    serves(&Setup { date: Some("2039-07-01"), ..Setup::default() });
}

#[test]
fn a_machine_without_cgroup_v2_serves() {
    let setup = Setup { append: "linuxkit.unified_cgroup_hierarchy=0".into(), ..Setup::default() };
    let guest = Guest::boot(Engine::Embedded, "plain", &setup);
    let guest = guest.watched();
    let agent = guest.agent();
    agent.await_start("victim", 1);
    let mounts = agent.call(&["read", "/proc/1/mounts"]);
    let mounts = mounts.as_str().expect("a text");
    assert!(!mounts.contains(" /sys/fs/cgroup cgroup2 "), "cgroup v2 is mounted: {mounts}");
    agent.kill(&["service:victim"]);
    assert_eq!(agent.await_start("victim", 2), 2);
    agent.service(&["stop", "victim"]);
    agent.call(&["await-gone", "service:victim"]);
    assert_eq!(agent.await_start("steady", 1), 1);
    guest.power_off();
}

#[test]
fn a_machine_without_cgroup_controllers_serves() {
    let disabled = ["memory", "pids", "cpu", "cpuset", "io"].map(|name| format!("cgroup_disable={name}"));
    serves(&Setup { append: disabled.join(" "), ..Setup::default() });
}

#[test]
fn a_machine_with_too_little_memory_says_how_much_it_needs_and_with_that_it_serves() {
    // Too much for the small machine. One that is smaller still never comes to init: its kernel panics while it unpacks.
    const FILLER: u64 = 96 << 20;
    let filler = std::fs::File::create(out_dir().join("filler")).expect("a large file");
    filler.set_len(FILLER).expect("giving it its size");
    let small = Setup { memory: 296, append: "panic=-1".into(), ..Setup::default() };
    let needed = {
        let guest = Guest::boot(Engine::Embedded, "cut-off", &small);
        let guest = guest.watched();
        let line = guest.wait("the initramfs was cut off (");
        guest.console().wait_end(lk_tests::PATIENCE);
        let words = line.rsplit_once("(qemu: -m ").and_then(|(_, rest)| rest.split_once(')'));
        let needed = words.and_then(|(number, _)| number.parse().ok());
        needed.unwrap_or_else(|| panic!("no amount of memory in {line:?}"))
    };
    println!("it asks for {needed} MiB");
    assert!(needed > small.memory && needed < 512, "{needed} MiB");
    case_serves("cut-off", &Setup { memory: needed, ..Setup::default() });
}
