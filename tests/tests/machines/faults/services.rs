//! Services that misbehave. They share one machine: whatever one does, the others must not notice.

use std::sync::OnceLock;

use lk_tests::guest::{Engine, Guest, Setup, Watched};

use super::scaled;

/// The machine, once `service` serves in it.
fn machine(service: &str) -> Watched<'static> {
    static MACHINE: OnceLock<Guest> = OnceLock::new();
    let setup = || Setup { processors: 2, memory: 2048, ..Setup::default() };
    let guest = MACHINE.get_or_init(|| Guest::boot(Engine::Embedded, "calm", &setup())).watched();
    guest.agent().await_start(service, 1);
    guest.agent().await_start("steady", 1);
    guest
}

fn steady_was_left_alone(guest: &Guest) {
    assert_eq!(guest.agent().await_start("steady", 1), 1, "a service that did nothing was started again");
    assert_eq!(guest.agent().status("steady")["state"], "running");
}

#[test]
fn a_service_that_crashes_at_once_for_ever_is_started_less_and_less_often() {
    let guest = machine("crasher");
    guest.agent().call(&["order", "crasher", "exit 7"]);
    guest.agent().kill(&["service:crasher"]);
    guest.agent().call(&["await-gone", "service:crasher"]);
    let mut mark = guest.console().mark();
    let mut waits = Vec::new();
    while waits.len() < 5 {
        let line = guest.console().wait_after(
            mark,
            "crasher: exited with code 7; starting again in",
            lk_tests::PATIENCE,
        );
        mark = guest.console().text().rfind(&line).expect("the line") + line.len();
        let wait = line.split_whitespace().rev().nth(1).and_then(|text| text.parse::<f64>().ok());
        waits.push(wait.unwrap_or_else(|| panic!("no wait in {line:?}")));
    }
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "the waits do not grow: {waits:?}");
    assert!(waits[4] >= 4.0 * waits[0], "the waits hardly grow: {waits:?}");
    steady_was_left_alone(&guest);
    // Repaired, it need not wait for the end of its back-off.
    let before = guest.agent().starts("crasher");
    guest.agent().call(&["order", "crasher", ""]);
    guest.agent().service(&["restart", "crasher"]);
    guest.agent().await_start("crasher", before + 1);
}

#[test]
fn a_service_that_ignores_term_is_killed_after_its_grace() {
    let guest = machine("deaf");
    guest.agent().ask("deaf", "deaf");
    guest.agent().service(&["stop", "deaf"]);
    guest.wait("deaf: does not stop; killing it");
    guest.agent().call(&["await-gone", "service:deaf"]);
    guest.agent().service(&["stop", "deaf"]);
    guest.agent().service(&["start", "deaf"]);
    guest.agent().await_start("deaf", 2);
    steady_was_left_alone(&guest);
}

#[test]
fn a_service_with_thousands_of_children_is_stopped_with_all_of_them() {
    let guest = machine("forker");
    let count = scaled(500, 10_000);
    assert_eq!(guest.agent().ask("forker", &format!("fork {count}")), count.to_string());
    assert_eq!(guest.agent().call(&["count", "service:forker"]), count + 1);
    guest.agent().service(&["stop", "forker"]);
    guest.agent().call(&["await-gone", "service:forker"]);
    guest.agent().service(&["start", "forker"]);
    guest.agent().await_start("forker", 2);
    steady_was_left_alone(&guest);
}

#[test]
fn a_service_that_eats_memory_is_named_as_out_of_memory_and_started_again() {
    let guest = machine("eater");
    guest.agent().ask("eater", "eat");
    guest.agent().await_start("eater", 2);
    assert_eq!(guest.agent().status("eater")["last_exit"]["oom"], true);
    let console = guest.console().text();
    let told = console.lines().find(|line| line.contains("eater: ") && line.contains("memory"));
    assert!(told.is_some(), "the console does not say that eater ran out of memory");
    steady_was_left_alone(&guest);
}

#[test]
fn a_flood_of_log_costs_neither_memory_nor_the_lines_of_others() {
    let guest = machine("flooder");
    guest.agent().ask("steady", "say before the flood");
    let seconds = scaled(6, 120);
    let bytes = guest.agent().ask("flooder", &format!("flood {seconds}"));
    println!("{bytes} bytes of log in {seconds} s");
    assert!(bytes.parse::<u64>().is_ok_and(|bytes| bytes > 4_000_000), "{bytes} bytes are no flood");
    guest.agent().ask("steady", "say after the flood");
    let logged = guest.agent().call(&["size", "/var/log"]).as_u64().expect("a size");
    assert!(logged < 16_000_000, "{bytes} bytes of flood left {logged} bytes under /var/log");
    let supervisor = guest.agent().call(&["find", "supervisor"]);
    let resident = supervisor["resident"].as_u64().expect("a size");
    assert!(resident < 16_000, "the supervisor holds {resident} kB after the flood");
    let log = guest.agent().service(&["logs", "steady"]);
    for line in ["steady says before the flood", "steady says after the flood"] {
        assert!(log.contains(line), "{line:?} is lost: {log}");
    }
    assert_eq!(guest.agent().starts("flooder"), 1);
    steady_was_left_alone(&guest);
}

#[test]
fn thousands_of_orphaned_zombies_are_buried() {
    let guest = machine("orphaner");
    let supervisor = guest.agent().pid("supervisor");
    let count = scaled(2000, 10_000);
    assert_eq!(guest.agent().ask("orphaner", &format!("orphans {count}")), "");
    guest.agent().call(&["await-no-zombies"]);
    assert_eq!(guest.agent().pid("supervisor"), supervisor, "the supervisor died of it");
    steady_was_left_alone(&guest);
}
