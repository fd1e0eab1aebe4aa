//! Onboot steps and services that cannot work: each is named with its reason, and the machine comes up all the same.

use std::sync::OnceLock;

use lk_tests::guest::{Engine, Guest, Setup, Watched};
use serde_json::{Value, json};

fn machine() -> Watched<'static> {
    static MACHINE: OnceLock<Guest> = OnceLock::new();
    let guest = MACHINE.get_or_init(|| Guest::boot(Engine::Embedded, "steps", &Setup::default())).watched();
    guest.wait("-last: done");
    guest
}

/// A line of the console that has all of `parts`.
fn told(guest: &Guest, parts: &[&str]) {
    let console = guest.console().text();
    let is_told = console.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(is_told, "no line of the console has all of {parts:?}");
}

#[test]
fn a_step_that_hangs_is_ended_at_its_deadline() {
    let guest = machine();
    told(&guest, &["-hang: did not end within 2 s"]);
    told(&guest, &["-hang: FAILED"]);
}

#[test]
fn a_step_that_fails_is_named_with_its_exit_code() {
    told(&machine(), &["-fail: FAILED: exited with code 3"]);
}

#[test]
fn a_step_without_its_program_is_named_with_the_program() {
    let guest = machine();
    told(&guest, &["-no-program: ", "/no/such/program"]);
    told(&guest, &["-no-program: FAILED"]);
}

#[test]
fn a_step_without_the_source_of_its_bind_is_named_with_the_source() {
    let guest = machine();
    told(&guest, &["-no-source: ", "/no/such/source"]);
    told(&guest, &["-no-source: FAILED"]);
}

#[test]
fn services_that_cannot_be_started_are_named_and_the_others_serve() {
    let guest = machine();
    assert_eq!(guest.agent().await_start("steady", 1), 1);
    guest.wait("no-program: cannot be started: ");
    guest.wait("no-source: cannot be started: ");
    for (service, missing) in [("no-program", "/no/such/service"), ("no-source", "/no/such/directory")] {
        told(&guest, &[&format!("{service}: cannot be started: "), missing]);
        let problem = guest.agent().status(service)["problem"].to_string();
        assert!(problem.contains(missing), "{service}: {problem}");
    }
}

#[test]
fn a_machine_that_must_not_run_without_a_step_powers_off_when_it_fails() {
    let guest = Guest::boot(Engine::Embedded, "give-up", &Setup::default());
    let guest = guest.watched();
    guest.console().wait_end(lk_tests::PATIENCE);
    told(&guest, &["-needed: FAILED: exited with code 4"]);
    told(&guest, &["reboot: Power down"]);
    let console = guest.console().text();
    assert!(!console.contains("this is too late"), "the next step ran all the same");
}

#[test]
fn a_machine_whose_step_may_succeed_the_next_time_is_rebooted_when_it_fails() {
    let guest = Guest::boot(Engine::Embedded, "try-again", &Setup::default());
    let guest = guest.watched();
    guest.console().wait_end(lk_tests::PATIENCE);
    told(&guest, &["-needed: FAILED: exited with code 4"]);
    told(&guest, &["supervisor: rebooting: onboot ", "-needed failed"]);
    told(&guest, &["reboot: Restarting system"]);
    let console = guest.console().text();
    assert!(!console.contains("this is too late"), "the next step ran all the same");
}

#[test]
fn a_machine_that_lacks_a_step_starts_no_service_but_those_that_an_operator_asks_for() {
    let guest = Guest::boot(Engine::Embedded, "withhold", &Setup::default());
    let guest = guest.watched();
    guest.wait("supervisor: NO SERVICES ARE STARTED: onboot ");
    told(&guest, &["-needed failed", "onFailure is `stop`"]);
    let agent = guest.agent();
    let listed: Vec<Value> = serde_json::from_str(&agent.service(&["list", "--json"])).expect("JSON");
    let steady = listed.iter().find(|service| service["name"] == "steady").expect("the service");
    assert_eq!(
        (&steady["state"], &steady["wanted"], &steady["starts"]),
        (&json!("stopped"), &json!(false), &json!(0)),
    );
    assert!(steady["problem"].as_str().is_some_and(|why| why.ends_with("-needed failed")), "{steady}");
    // What did not start by itself does not when a new supervisor comes either.
    let supervisor = agent.pid("supervisor");
    agent.kill(&["supervisor"]);
    agent.call(&["await-other", "supervisor", &supervisor.to_string()]);
    agent.call(&["await-answer", "service", "list"]);
    assert_eq!(agent.starts("steady"), 0);
    agent.service(&["start", "steady"]);
    assert_eq!(agent.await_start("steady", 1), 1);
    assert!(!guest.console().text().contains("this is too late"), "the next step ran all the same");
    guest.power_off();
    told(&guest, &["reboot: Power down"]);
}
