//! Services that wait for each other and are asked how they are. All in one machine, each test with services of its own.
//!
//! | file | what is looked at |
//! |---|---|
//! | `chains` | services that require others, and what an operator's command does to them |
//! | `probes` | services that are asked whether they serve |
//! | `memlogd` | a package that speaks to LinuxKit's log daemon |

mod chains;
mod memlogd;
mod probes;

use std::sync::OnceLock;

use lk_tests::agent::Agent;
use lk_tests::guest::{Engine, Guest, Setup, Watched};
use serde_json::Value;

/// How many tests there are in these files: the machine has much to do, and ends with the last.
const TESTS: usize = 15;

/// The machine, once `services` serve in it. To be asked for once by each test.
pub fn machine(services: &[&str]) -> Watched<'static> {
    static MACHINE: OnceLock<Guest> = OnceLock::new();
    let setup = || Setup { processors: 2, ..Setup::default() };
    let boot = || Guest::boot(Engine::Embedded, "tended", &setup()).ending_after(TESTS);
    let guest = MACHINE.get_or_init(boot).watched();
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
