//! Services that require others, and what an operator's command does to them.

use lk_tests::PATIENCE;
use lk_tests::agent::Agent;
use serde_json::{Value, json};

use super::{came_in_order, events, machine};

/// What `service COMMAND NAME --json` says, which has to do what it is told.
fn told(agent: &Agent, command: &str, name: &str) -> Value {
    let text = agent.service(&[command, name, "--json"]);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("service {command} {name} --json: {e}: {text}"))
}

#[test]
fn who_requires_a_service_is_stopped_before_it_and_comes_back_after_it() {
    let guest = machine(&["base", "middle", "top", "beside"]);
    let agent = guest.agent();
    let mark = guest.console().mark();
    let known = events(agent).len();

    let base = told(agent, "stop", "base");
    assert_eq!((&base["state"], &base["wanted"]), (&json!("stopped"), &json!(false)), "{base}");
    for held in ["top", "middle"] {
        guest.console().wait_after(mark, &format!("{held}: is stopped first: it requires base"), PATIENCE);
    }
    let stopping = |name| (name, "to", json!("stopping"));
    let gone = |name| (name, "pid", Value::Null);
    let order =
        [stopping("top"), gone("top"), stopping("middle"), gone("middle"), stopping("base"), gone("base")];
    came_in_order(&events(agent)[known..], &order);
    for (held, problem) in
        [("middle", "waits for base, which is stopped"), ("top", "waits for middle, which is stopped")]
    {
        let status = agent.await_status(held, "problem", &json!(problem));
        assert_eq!((&status["state"], &status["wanted"]), (&json!("blocked"), &json!(true)), "{status}");
    }
    assert_eq!(told(agent, "stop", "base")["state"], "stopped", "a second stop is not as good as the first");

    let known = events(agent).len();
    let base = told(agent, "start", "base");
    assert_eq!((&base["ready"], &base["wanted"]), (&json!(true), &json!(true)), "{base}");
    for name in ["base", "middle", "top"] {
        assert_eq!(agent.await_start(name, 2), 2, "{name}");
        agent.await_status(name, "ready", &json!(true));
    }
    let starting = |name| (name, "to", json!("starting"));
    let ready = |name| (name, "ready", json!(true));
    let order = [ready("base"), starting("middle"), ready("middle"), starting("top"), ready("top")];
    came_in_order(&events(agent)[known..], &order);

    // Who is asked for last brings all that it requires.
    told(agent, "stop", "base");
    let top = told(agent, "start", "top");
    assert_eq!(top["ready"], true, "{top}");
    for name in ["base", "middle", "top"] {
        assert_eq!(agent.await_start(name, 3), 3, "{name}");
    }
    assert_eq!(agent.starts("beside"), 1, "a service that only comes after another was started again");
}

#[test]
fn a_restart_takes_those_along_that_require_the_service() {
    let guest = machine(&["trunk", "leaf", "steady"]);
    let agent = guest.agent();
    let known = events(agent).len();
    let before = agent.status("trunk")["pid"].clone();
    let trunk = told(agent, "restart", "trunk");
    assert_eq!((&trunk["ready"], &trunk["state"]), (&json!(true), &json!("running")), "{trunk}");
    assert_ne!(trunk["pid"], before);
    for name in ["trunk", "leaf"] {
        assert_eq!(agent.await_start(name, 2), 2, "{name}");
        assert_eq!(agent.status(name)["restarts"], 0, "{name}: a restart that was asked for is no crash");
    }
    let order = [
        ("leaf", "to", json!("stopping")),
        ("trunk", "to", json!("stopping")),
        ("trunk", "ready", json!(true)),
        ("leaf", "to", json!("starting")),
    ];
    came_in_order(&events(agent)[known..], &order);
    assert_eq!(agent.starts("steady"), 1);
}

#[test]
fn the_exit_status_tells_what_became_of_a_command() {
    let guest = machine(&["steady"]);
    let agent = guest.agent();
    for (words, code, hint) in [
        (&["stop", "stedy"][..], 4, "steady"),
        (&["status", "stedy", "--json"], 4, "steady"),
        (&["stop"], 2, "needs the name of a service"),
        (&["stpo", "steady"], 2, "stop"),
        (&["stop", "steady", "--svg"], 2, "--svg"),
    ] {
        let ended = agent.try_service(words);
        assert_eq!(ended.code, code, "service {words:?}: {ended:?}");
        assert!(ended.err.contains(hint) && ended.out.is_empty(), "service {words:?}: {ended:?}");
    }
    let quiet = agent.try_service(&["-q", "start", "steady"]);
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (0, "", ""));
    assert_eq!(agent.starts("steady"), 1, "a start of what runs did something");
}

#[test]
fn a_service_that_is_never_ready_is_given_up_and_keeps_those_that_require_it() {
    let guest = machine(&["after-late"]);
    let agent = guest.agent();
    let reason = "there is no /tmp/trouble/late.ready";
    guest.wait(&format!("late: not ready within 2.0 s: {reason}; stopping it"));
    guest.wait("needs-late: is not started: it requires late, which has failed");
    agent.await_status("late", "state", &json!("failed"));
    let needs = agent.await_status("needs-late", "problem", &json!("waits for late, which has failed"));
    assert_eq!((&needs["state"], &needs["starts"]), (&json!("blocked"), &json!(0)), "{needs}");

    let again = agent.try_service(&["start", "late", "--json"]);
    assert_eq!(again.code, 1, "{again:?}");
    let late: Value = serde_json::from_str(&again.out).expect("JSON");
    assert_eq!((&late["ready"], &late["starts"]), (&json!(false), &json!(2)), "{late}");

    // Who is asked for brings what it requires, though that had failed.
    agent.call(&["write", "/tmp/trouble/late.ready", ""]);
    assert_eq!(told(agent, "start", "needs-late")["ready"], true);
    assert_eq!((agent.starts("late"), agent.await_start("needs-late", 1)), (3, 1));
}
