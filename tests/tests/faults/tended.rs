//! The machine of `chains`, `probes` and `memlogd`. Each test has services of its own in it.

use std::sync::OnceLock;

use lk_tests::agent::Agent;
use lk_tests::guest::{Engine, Guest, Setup, Watched};
use serde_json::Value;

/// The machine, once `services` serve in it.
pub fn machine(services: &[&str]) -> Watched<'static> {
    static MACHINE: OnceLock<Guest> = OnceLock::new();
    let setup = || Setup { processors: 2, ..Setup::default() };
    let guest = MACHINE.get_or_init(|| Guest::boot(Engine::Embedded, "tended", &setup())).watched();
    for service in services {
        guest.agent().await_start(service, 1);
    }
    guest
}

/// What has happened to services so far.
pub fn events(agent: &Agent) -> Vec<Value> {
    let lines = agent.service(&["events", "--json"]);
    lines.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

/// Looks that these events came in this order: of a service, that a field had a value after it.
pub fn came_in_order(events: &[Value], wanted: &[(&str, &str, Value)]) {
    let mut rest = events.iter();
    for (service, field, value) in wanted {
        let found = rest.any(|event| event["service"] == *service && event[*field] == *value);
        let told = || events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        assert!(found, "{service} did not come to {field} {value} in the order of {wanted:?}:\n{}", told());
    }
}
