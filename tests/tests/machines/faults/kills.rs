//! SIGKILL to every process of init's, and to the services, in random order under load.

use std::collections::BTreeMap;

use lk_tests::guest::{Engine, Guest, Setup};

use super::dice::Dice;
use super::scaled;

const SERVICES: [&str; 5] = ["one", "two", "three", "four", "steady"];

/// Kills by the round, and keeps count of how often each service may have been started.
struct Storm<'a> {
    guest: &'a Guest,
    /// Starts that are accounted for: the first one, and one for each kill that took the service with it.
    allowed: BTreeMap<&'static str, usize>,
    /// Processes of services that have lost their shim: they serve until containerd has seen it, and end then.
    doomed: BTreeMap<&'static str, i64>,
}

impl<'a> Storm<'a> {
    fn new(guest: &'a Guest) -> Self {
        Self { guest, allowed: BTreeMap::new(), doomed: BTreeMap::new() }
    }

    fn kill(&mut self, targets: &[&str]) {
        let shims = SERVICES.map(|name| (name, format!("shim:{name}")));
        let shims = shims.iter().filter(|(_, shim)| targets.contains(&shim.as_str()));
        let served: Vec<_> = shims
            .filter_map(|(name, shim)| {
                Some((*name, shim, self.guest.agent().find(&format!("service:{name}"))?))
            })
            .collect();
        let killed = self.guest.agent().kill(targets);
        println!("killed {killed:?}");
        for (service, shim, pid) in served {
            if killed.iter().any(|(target, _)| target == shim) {
                self.doomed.insert(service, pid);
            }
        }
        for service in SERVICES {
            let is_hit = killed
                .iter()
                .any(|(target, _)| target.split_once(':').is_some_and(|(_, name)| name == service));
            *self.allowed.entry(service).or_insert(1) += usize::from(is_hit);
        }
        self.others_came(&killed);
    }

    /// What has no notes of its own must come back as another process.
    fn others_came(&self, killed: &[(String, i64)]) {
        for (target, pid) in killed.iter().filter(|(target, _)| !target.contains(':')) {
            self.guest.agent().call(&["await-other", target, &pid.to_string()]);
        }
    }

    /// Waits until every service serves that was hit, and looks that none was started for nothing.
    fn all_serve(&mut self) {
        for (service, pid) in std::mem::take(&mut self.doomed) {
            self.guest.agent().call(&["await-other", &format!("service:{service}"), &pid.to_string()]);
        }
        for service in SERVICES {
            let starts = self.guest.agent().await_start(service, 1);
            let allowed = self.allowed.entry(service).or_insert(1);
            assert!(
                starts <= *allowed,
                "{service} was started {starts} times; {allowed} can be accounted for"
            );
        }
    }

    /// As [`Storm::all_serve`], after which each service has been started exactly as often as it had to be.
    ///
    /// Only where nothing was hit while it was not yet serving: two blows may need one start.
    fn all_serve_again(&mut self) {
        for service in SERVICES {
            let allowed = *self.allowed.entry(service).or_insert(1);
            let starts = self.guest.agent().await_start(service, allowed);
            assert_eq!(starts, allowed, "how often {service} was started");
        }
    }
}

/// As many machines as it takes for so many rounds, `each` in one: each time something is killed, its next start is waited for
/// longer.
fn machines(rounds: usize, each: usize, on_one: impl Fn(usize, Dice)) {
    for (machine, done) in (0_u64..).zip((0..rounds).step_by(each)) {
        on_one((rounds - done).min(each), Dice::new(machine));
    }
}

fn storm(engine: Engine, ours: &[&str], rounds: usize, mut dice: Dice) {
    let guest = Guest::boot(engine, "kills", &Setup { processors: 2, memory: 768, ..Setup::default() });
    let guest = guest.watched();
    let mut storm = Storm::new(&guest);
    storm.all_serve_again();
    guest.agent().await_start("busy", 1);
    guest.agent().ask("busy", "work");

    let services: Vec<String> = SERVICES.iter().map(|name| format!("service:{name}")).collect();
    let shims: Vec<String> = match engine {
        Engine::Embedded => Vec::new(),
        _ => SERVICES.iter().map(|name| format!("shim:{name}")).collect(),
    };
    let all: Vec<&str> =
        ours.iter().copied().chain(services.iter().chain(&shims).map(String::as_str)).collect();

    // Each kind once by itself: what it may cost is known exactly.
    for target in ours {
        storm.kill(&[target]);
        storm.all_serve_again();
    }
    for target in services.iter().chain(&shims).step_by(SERVICES.len()) {
        storm.kill(&[target]);
        storm.all_serve_again();
    }

    for _ in 0..rounds {
        let count = 1 + dice.below(4);
        let targets = dice.pick(&all, count);
        storm.kill(&targets);
        // Two times of three the next blow comes when all is well again, else into the midst of it.
        if dice.below(3) > 0 {
            storm.all_serve();
        }
    }
    storm.all_serve();
    // And the operator is heard.
    guest.agent().call(&["await-answer", "service", "list"]);
    for service in SERVICES {
        let before: u64 = guest.agent().ask(service, "count").parse().expect("a count");
        let after: u64 = guest.agent().ask(service, "count").parse().expect("a count");
        assert_eq!(after, before + 1, "{service} is not one process");
        guest.agent().starts(service);
    }
    guest.power_off();
}

#[test]
fn whatever_is_killed_of_containerd_every_service_serves_and_none_was_started_twice() {
    let ours = ["supervisor", "containerd"];
    machines(scaled(6, 200), 10, |rounds, dice| storm(Engine::Containerd, &ours, rounds, dice));
}

#[test]
fn whatever_is_killed_of_the_embedded_engine_every_service_serves_and_none_was_started_twice() {
    machines(scaled(6, 200), 10, |rounds, dice| storm(Engine::Embedded, &["supervisor"], rounds, dice));
}

/// containerd then has shims without a task: who looks for the task is told that there is none, and who creates it, that it
/// exists.
#[test]
fn a_supervisor_that_is_killed_while_it_creates_tasks_creates_them_when_it_is_back() {
    // The supervisor is killed twice in each round, and waited for the longest.
    machines(scaled(2, 60), 4, killed_at_work);
}

fn killed_at_work(rounds: usize, mut dice: Dice) {
    let guest = Guest::boot(Engine::Containerd, "kills", &Setup { memory: 768, ..Setup::default() });
    let guest = guest.watched();
    let mut storm = Storm::new(&guest);
    storm.all_serve_again();
    for _ in 0..rounds {
        storm.kill(&["supervisor", "service:one", "service:two", "service:three", "service:four"]);
        // A little later each time: there is no event that says that a call is under way.
        for _ in 0..dice.below(40) {
            guest.agent().pid("containerd");
        }
        storm.kill(&["supervisor"]);
        storm.all_serve();
    }
    guest.power_off();
}

/// The exit of a service while nobody is there to see it.
#[test]
fn a_service_that_ends_while_the_supervisor_is_dead_is_started_again_once() {
    for engine in [Engine::Embedded, Engine::Containerd] {
        let guest = Guest::boot(engine, "plain", &Setup::default());
        let guest = guest.watched();
        guest.agent().await_start("victim", 1);
        guest.agent().await_start("steady", 1);
        guest.agent().kill(&["supervisor", "service:victim"]);
        assert_eq!(guest.agent().await_start("victim", 2), 2);
        guest.wait("supervisor was killed by SIGKILL; starting it again");
        guest.wait("victim: killed by signal 9");
        assert_eq!(guest.agent().starts("steady"), 1, "a service that nothing was done to was started again");
    }
}
