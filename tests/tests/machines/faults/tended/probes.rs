//! Services that are asked whether they serve.

use lk_tests::PATIENCE;
use lk_tests::agent::Agent;
use lk_tests::guest::Watched;
use serde_json::{Value, json};

use super::{came_in_order, events, machine};

/// Looks that a service runs without being ready until it is `made` so.
fn is_ready_when(service: &str, made: impl Fn(&Agent)) -> Watched<'static> {
    let guest = machine(&[service]);
    let agent = guest.agent();
    agent.await_status(service, "state", &json!("running"));
    let status: Value =
        serde_json::from_str(&agent.service(&["status", service, "--json"])).expect("a status");
    assert_eq!(status["ready"], false, "{status}");
    made(agent);
    let status = agent.await_status(service, "ready", &json!(true));
    assert_eq!((&status["starts"], &status["problem"]), (&json!(1), &Value::Null), "{status}");
    guest
}

#[test]
fn a_service_is_ready_when_its_file_exists_and_who_comes_after_it_starts_then() {
    let path = "/tmp/trouble/by-file.ready";
    let guest = is_ready_when("by-file", |agent| {
        let follower = agent.status("follower");
        assert_eq!(
            (&follower["state"], &follower["starts"], &follower["problem"]),
            (&json!("blocked"), &json!(0), &json!("waits for by-file")),
        );
        agent.call(&["write", path, ""]);
    });
    guest.agent().await_start("follower", 1);
    let order = [("by-file", "ready", json!(true)), ("follower", "to", json!("starting"))];
    came_in_order(&events(guest.agent()), &order);
}

#[test]
fn a_service_is_ready_when_it_has_said_so() {
    is_ready_when("by-log", |agent| {
        agent.ask("by-log", "say nowhere near");
        assert_eq!(agent.status("by-log")["ready"], false, "another line made it ready");
        agent.ask("by-log", "say go");
    });
}

#[test]
fn a_service_is_ready_when_it_accepts_connections() {
    is_ready_when("by-tcp", |agent| assert_eq!(agent.ask("by-tcp", "listen 7001"), ""));
}

#[test]
fn a_service_with_a_network_of_its_own_is_ready_when_it_listens_there() {
    is_ready_when("by-own-tcp", |agent| assert_eq!(agent.ask("by-own-tcp", "listen 7001"), ""));
}

#[test]
fn a_service_is_ready_when_a_command_in_its_container_ends_well() {
    is_ready_when("by-exec", |agent| drop(agent.call(&["write", "/tmp/trouble/by-exec.ready", ""])));
}

/// Looks that a healthy service is started afresh, and the reason told, when it is `spoilt`.
fn is_started_afresh_when(service: &str, reason: &str, spoilt: impl Fn(&Agent)) {
    let guest = machine(&[service]);
    let agent = guest.agent();
    let healthy = agent.await_status(service, "health", &json!("healthy"));
    assert_eq!((&healthy["starts"], &healthy["ready"]), (&json!(1), &json!(true)), "{healthy}");
    let mark = guest.console().mark();
    spoilt(agent);
    let line = guest.console().wait_after(mark, &format!("{service}: unhealthy: "), PATIENCE);
    assert!(line.contains(reason) && line.contains("stopping it"), "{line}");
    guest.console().wait_after(mark, &format!("{service}: exited with code 0; starting again in"), PATIENCE);
    assert_eq!(agent.await_start(service, 2), 2);
    let healthy = agent.await_status(service, "health", &json!("healthy"));
    assert_eq!((&healthy["starts"], &healthy["restarts"]), (&json!(2), &json!(1)), "{healthy}");
    assert!(agent.service(&["status", service]).contains("healthy"));
}

#[test]
fn a_service_whose_file_goes_is_started_afresh() {
    let path = "/tmp/trouble/well-file.sock";
    is_started_afresh_when("well-file", &format!("there is no {path}"), |agent| {
        agent.call(&["remove", path]);
    });
}

#[test]
fn a_service_that_falls_silent_is_started_afresh() {
    let reason = r#"no line with "^well-log beats$" in its log"#;
    is_started_afresh_when("well-log", reason, |agent| drop(agent.ask("well-log", "hush")));
}

#[test]
fn a_service_that_accepts_no_more_connections_is_started_afresh() {
    is_started_afresh_when("well-tcp", "nobody listens on port 7002", |agent| {
        assert_eq!(agent.ask("well-tcp", "close 7002"), "");
    });
}

#[test]
fn a_service_whose_command_fails_is_started_afresh() {
    is_started_afresh_when("well-exec", "/usr/bin/trouble: exited with code 1", |agent| {
        agent.call(&["remove", "/tmp/trouble/well-exec.sock"]);
    });
}
