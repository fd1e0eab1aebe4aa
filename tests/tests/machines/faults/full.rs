//! File systems without space. One after another in one machine: what is full for one test is full for all.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use lk_tests::PATIENCE;
use lk_tests::guest::{Engine, Guest, Setup, Watched};

fn machine() -> (MutexGuard<'static, ()>, Watched<'static>) {
    static MACHINE: OnceLock<Guest> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let guest = MACHINE.get_or_init(|| Guest::boot(Engine::Embedded, "full", &Setup::default())).watched();
    guest.agent().await_start("steady", 1);
    guest.agent().await_start("victim", 1);
    (turn, guest)
}

/// Fills `dir`, and does to the machine what it must stand all the same.
fn stands_full(dir: &str) {
    let (_turn, guest) = machine();
    let agent = guest.agent();
    let (steady, victim) = (agent.starts("steady"), agent.starts("victim"));
    let mark = guest.console().mark();
    let bytes = agent.call(&["fill", dir]);
    println!("{dir} took {bytes} bytes");
    assert!(bytes.as_u64().is_some_and(|bytes| bytes > 0), "{dir} was not filled");
    guest.console().wait_after(mark, &format!("supervisor: {dir} is full"), PATIENCE);
    agent.ask("steady", &format!("say {dir} is full"));

    // A service must come back, and a supervisor must know what runs. What cannot be done now is done later.
    agent.kill(&["service:victim"]);
    guest.console().wait_after(mark, "victim: killed by signal 9", PATIENCE);
    let supervisor = agent.pid("supervisor");
    agent.kill(&["supervisor"]);
    agent.call(&["await-other", "supervisor", &supervisor.to_string()]);
    agent.call(&["empty", dir]);
    agent.await_start("victim", victim + 1);
    agent.call(&["await-answer", "service", "list"]);

    assert_eq!(agent.starts("victim"), victim + 1, "the service was started more often than it had to be");
    assert_eq!(
        agent.await_start("steady", 1),
        steady,
        "a service that nothing was done to was started again"
    );
}

#[test]
fn a_full_var_is_told_and_stops_no_service() {
    stands_full("/var");
}

#[test]
fn a_full_run_is_told_and_loses_nothing() {
    stands_full("/run");
}
