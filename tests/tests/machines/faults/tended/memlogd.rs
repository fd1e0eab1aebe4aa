//! A package that speaks to LinuxKit's log daemon.

use lk_tests::PATIENCE;
use serde_json::Value;

use super::machine;

/// A line as a reader of the log gets it: whose it is, and when it was said.
fn read(answer: &str) -> (String, String) {
    let line: Value = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
    let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key} in {answer}")).to_string();
    (text("source"), text("time"))
}

#[test]
fn a_package_gets_what_services_said_and_say() {
    let guest = machine(&["reader", "steady"]);
    let agent = guest.agent();
    agent.ask("steady", "say to be read later");
    let (source, time) = read(&agent.ask("reader", "await-log steady says to be read later"));
    assert_eq!(source, "steady.out");
    assert!(time.contains('T') && time.ends_with('Z'), "{time} is not as RFC 3339 has it");

    let coming = agent.send(&["ask", "reader", "await-log steady says while it is read"]);
    agent.ask("steady", "say while it is read");
    let answer = coming.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(read(answer["ok"].as_str().expect("a line")).0, "steady.out");
}

#[test]
fn a_package_logs_in_its_own_name_and_not_in_that_of_a_service() {
    let guest = machine(&["reader", "steady"]);
    let agent = guest.agent();
    assert_eq!(agent.ask("reader", "log-as visitor I was here"), "");
    assert_eq!(read(&agent.ask("reader", "await-log I was here")).0, "visitor");
    assert!(agent.service(&["logs", "visitor"]).contains("visitor: I was here"));

    assert_eq!(agent.ask("reader", "log-as steady not by steady"), "");
    guest.wait("logs: steady is not read: a service has this name");
    assert!(!agent.service(&["logs", "steady"]).contains("not by steady"));
}
