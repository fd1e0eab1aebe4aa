//! Every transition of the state machine.

use image_layout::Restart;

use super::stopping::DEAF_GRACE;
use super::*;
use crate::engine::Exit;
use crate::service::protocol::Health;
use crate::supervisor::backoff::FIRST;
use crate::supervisor::probe::{HealthPlan, ReadyPlan};

pub(super) const POLICY: Policy = Policy {
    restart: Restart::Always,
    stop_signal: 15,
    grace: Duration::from_secs(10),
    ready: None,
    health: None,
    memory_limit: None,
};
const NOW: Duration = Duration::from_secs(100);
const TERM: Action = Action::Signal { number: 15, all: false };
const KILL: Action = Action::Signal { number: 9, all: true };
const READY: ReadyPlan = ReadyPlan { timeout: Duration::from_secs(5), patient: false };
const HEALTH: HealthPlan = HealthPlan {
    interval: Duration::from_secs(10),
    timeout: Duration::from_secs(2),
    retries: 2,
    start_period: Duration::ZERO,
};
const ASK_READY: Action =
    Action::Probe { question: Question::Ready, after: Duration::ZERO, limit: READY.timeout };
const ASK_HEALTH: Action =
    Action::Probe { question: Question::Health, after: HEALTH.interval, limit: HEALTH.timeout };

fn machine(policy: Policy) -> Machine {
    Machine::new(policy, Past::default(), Jitter::Off)
}

fn running_with(policy: Policy) -> Machine {
    let mut machine = machine(policy);
    assert_eq!(machine.on(Event::Released, NOW), [Action::Launch]);
    assert_eq!(machine.on(Event::Started(7), NOW)[0], Action::Watch);
    machine
}

fn running() -> Machine {
    running_with(POLICY)
}

fn exited(exit: Exit) -> Event {
    Event::Exited { exit, oom: false }
}

fn refused() -> Event {
    Event::ProbeFailed { reason: "nobody listens".into(), hearing: Hearing::Hears }
}

fn shut(standing: Standing) -> Event {
    Event::Gate(Gate::Shut { by: "db".into(), standing })
}

fn said(actions: &[Action]) -> Vec<&str> {
    let lines = actions.iter().filter_map(|action| match action {
        Action::Say(line) => Some(line.as_str()),
        _ => None,
    });
    lines.collect()
}

#[test]
fn a_crashed_service_is_started_again_with_back_off() {
    let mut machine = running();
    let actions = machine.on(exited(Exit::Signal(9)), NOW);
    assert_eq!(
        actions,
        [
            Action::Say("killed by signal 9; starting again in 0.1 s".into()),
            Action::Arm(FIRST),
            Action::Clear
        ]
    );
    assert_eq!((machine.state(), machine.pid(), machine.restarts()), (State::BackingOff, None, 1));
    assert_eq!((machine.standing(), machine.ready()), (Standing::Retrying, false));
    assert_eq!(machine.on(Event::Elapsed, NOW), [Action::Launch]);
    machine.on(Event::Started(8), NOW);
    let actions = machine.on(exited(Exit::Code(0)), NOW);
    assert_eq!(actions[1], Action::Arm(FIRST * 2));
    assert_eq!(machine.starts(), 2);
}

#[test]
fn a_service_that_cannot_be_started_is_tried_again() {
    let mut machine = machine(POLICY);
    machine.on(Event::Released, NOW);
    let actions = machine.on(Event::StartFailed("no such file".into()), NOW);
    assert_eq!(
        actions,
        [Action::Say("cannot be started: no such file; trying again in 0.1 s".into()), Action::Arm(FIRST)]
    );
    assert_eq!(machine.problem().as_deref(), Some("no such file"));
    machine.on(Event::Elapsed, NOW);
    machine.on(Event::Started(9), NOW);
    assert_eq!(machine.problem(), None);
    assert_eq!((machine.restarts(), machine.starts()), (0, 1));
}

#[test]
fn a_service_that_is_to_run_once_is_not_tried_again() {
    let mut machine = machine(Policy { restart: Restart::Never, ..POLICY });
    machine.on(Event::Released, NOW);
    let actions = machine.on(Event::StartFailed("no such file".into()), NOW);
    assert_eq!(actions, [Action::Say("cannot be started: no such file".into()), Action::Remove]);
    assert_eq!((machine.state(), machine.standing()), (State::Failed, Standing::Failed));
}

#[test]
fn stopping_is_asking_then_killing() {
    let mut machine = running();
    assert_eq!(machine.on(Event::StopAsked(Hearing::Hears), NOW), [TERM, Action::Arm(POLICY.grace)]);
    assert_eq!(machine.standing(), Standing::Stopped);
    assert!(machine.on(Event::Elapsed, NOW).contains(&KILL));
    let actions = machine.on(exited(Exit::Signal(9)), NOW);
    assert_eq!(actions.last(), Some(&Action::Remove));
    assert_eq!((machine.state(), machine.wanted()), (State::Stopped, false));
}

#[test]
fn a_service_that_cannot_hear_its_stop_signal_is_not_waited_for_long() {
    let mut machine = running();
    let actions = machine.on(Event::StopAsked(Hearing::Deaf), NOW);
    assert_eq!(actions, [Action::Signal { number: 15, all: true }, Action::Arm(DEAF_GRACE)]);
    let actions = running().on(Event::StopAsked(Hearing::DeafAndAlone), NOW);
    assert_eq!(actions, [KILL, Action::Arm(KILL_PATIENCE)]);
}

#[test]
fn a_stop_during_the_start_is_not_forgotten() {
    let mut machine = machine(POLICY);
    machine.on(Event::Released, NOW);
    assert_eq!(machine.on(Event::StopAsked(Hearing::Hears), NOW), []);
    assert_eq!(machine.on(Event::Started(7), NOW), [Action::Watch, TERM, Action::Arm(POLICY.grace)]);
}

#[test]
fn a_restart_is_a_stop_and_a_start() {
    let mut machine = running();
    assert_eq!(machine.on(Event::RestartAsked(Hearing::Hears), NOW), [TERM, Action::Arm(POLICY.grace)]);
    assert_eq!(machine.standing(), Standing::Coming);
    let actions = machine.on(exited(Exit::Code(0)), NOW);
    assert_eq!(actions, [Action::Disarm, Action::Clear, Action::Launch]);
    assert_eq!(machine.restarts(), 0);
}

#[test]
fn a_start_ends_the_back_off() {
    let mut machine = running();
    machine.on(exited(Exit::Code(1)), NOW);
    assert_eq!(machine.on(Event::StartAsked, NOW), [Action::Disarm, Action::Launch]);
}

#[test]
fn a_service_that_runs_is_adopted_not_started() {
    let past = Past { restarts: 3, starts: 4, ..Past::default() };
    let mut machine = Machine::new(POLICY, past, Jitter::Off);
    assert_eq!(machine.on(Event::Adopted { pid: 7, ready: true }, NOW), [Action::Watch]);
    assert_eq!(machine.on(Event::Released, NOW), []);
    assert_eq!((machine.restarts(), machine.starts(), machine.ready()), (3, 4, true));
}

#[test]
fn a_service_that_was_ready_is_not_asked_again_when_it_is_adopted() {
    let policy = Policy { ready: Some(READY), health: Some(HEALTH), ..POLICY };
    let mut adopted = machine(policy);
    assert_eq!(adopted.on(Event::Adopted { pid: 7, ready: true }, NOW), [Action::Watch, ASK_HEALTH]);
    let mut adopted = machine(policy);
    assert_eq!(adopted.on(Event::Adopted { pid: 7, ready: false }, NOW), [Action::Watch, ASK_READY]);
}

#[test]
fn a_service_that_an_operator_stopped_stays_stopped() {
    let mut machine = Machine::new(POLICY, Past { wanted: false, ..Past::default() }, Jitter::Off);
    assert_eq!(machine.on(Event::Released, NOW), []);
    assert_eq!(machine.state(), State::Stopped);
    assert_eq!(machine.on(Event::StartAsked, NOW), [Action::Disarm, Action::Launch]);
}

#[test]
fn a_service_that_had_come_to_rest_is_not_started_by_the_next_supervisor() {
    for over in [State::Stopped, State::Failed] {
        let mut machine = Machine::new(POLICY, Past { over: Some(over), ..Past::default() }, Jitter::Off);
        assert_eq!(machine.on(Event::Released, NOW), []);
        assert_eq!(machine.state(), over);
        assert_eq!(machine.on(Event::StartAsked, NOW), [Action::Disarm, Action::Launch]);
    }
}

#[test]
fn an_end_that_nobody_watched_counts() {
    let mut machine = machine(POLICY);
    machine.on(exited(Exit::Code(3)), NOW);
    assert_eq!((machine.state(), machine.restarts()), (State::BackingOff, 1));
}

#[test]
fn services_that_onboot_withheld_start_only_when_asked() {
    let mut machine = machine(POLICY);
    assert_eq!(machine.on(Event::Withheld("onboot 001-x failed".into()), NOW), []);
    assert_eq!((machine.state(), machine.wanted()), (State::Stopped, false));
    assert_eq!(machine.problem().as_deref(), Some("onboot 001-x failed"));
    assert_eq!(machine.on(Event::StartAsked, NOW), [Action::Disarm, Action::Launch]);
    machine.on(Event::Started(7), NOW);
    assert_eq!(machine.problem(), None);
}

#[test]
fn the_restart_policy_is_kept() {
    let cases = [
        (Restart::Always, Exit::Code(0), State::BackingOff),
        (Restart::OnFailure, Exit::Code(0), State::Stopped),
        (Restart::OnFailure, Exit::Signal(11), State::BackingOff),
        (Restart::OnFailure, Exit::Unknown, State::BackingOff),
        (Restart::Never, Exit::Code(0), State::Stopped),
        (Restart::Never, Exit::Code(3), State::Failed),
    ];
    for (restart, exit, state) in cases {
        let mut machine = running_with(Policy { restart, ..POLICY });
        machine.on(exited(exit), NOW);
        assert_eq!(machine.state(), state, "{restart:?} {exit}");
    }
}

#[test]
fn a_service_waits_until_what_it_needs_is_there() {
    let mut machine = machine(POLICY);
    machine.on(shut(Standing::Coming), NOW);
    assert_eq!(machine.state(), State::Waiting);
    assert_eq!(machine.on(Event::Released, NOW), []);
    assert_eq!((machine.state(), machine.standing()), (State::Blocked, Standing::Coming));
    assert_eq!(machine.problem().as_deref(), Some("waits for db"));
    assert_eq!(machine.on(Event::Gate(Gate::Open), NOW), [Action::Launch]);
    assert_eq!(machine.problem(), None);
    // Once it runs, nothing of that matters until it is started again.
    machine.on(Event::Started(7), NOW);
    assert_eq!(machine.on(shut(Standing::Coming), NOW), []);
    machine.on(exited(Exit::Code(1)), NOW);
    assert_eq!(machine.on(Event::Elapsed, NOW), []);
    assert_eq!(machine.state(), State::Blocked);
}

#[test]
fn a_requirement_that_failed_for_good_is_told_once() {
    let mut machine = machine(POLICY);
    machine.on(shut(Standing::Coming), NOW);
    machine.on(Event::Released, NOW);
    let actions = machine.on(shut(Standing::Failed), NOW);
    assert_eq!(said(&actions), ["is not started: it requires db, which has failed"]);
    assert_eq!(machine.on(shut(Standing::Failed), NOW), []);
    assert_eq!((machine.state(), machine.standing()), (State::Blocked, Standing::Failed));
    assert_eq!(machine.problem().as_deref(), Some("waits for db, which has failed"));
    assert_eq!(machine.on(Event::Gate(Gate::Open), NOW), [Action::Launch]);
}

#[test]
fn a_blocked_service_stands_no_better_than_what_it_waits_for() {
    let mut machine = machine(POLICY);
    machine.on(shut(Standing::Coming), NOW);
    machine.on(Event::Released, NOW);
    for (standing, words) in [
        (Standing::Coming, "waits for db"),
        (Standing::Retrying, "waits for db, which does not keep running"),
        (Standing::Stopped, "waits for db, which is stopped"),
        (Standing::Failed, "waits for db, which has failed"),
    ] {
        machine.on(shut(standing), NOW);
        assert_eq!((machine.standing(), machine.problem().as_deref()), (standing, Some(words)));
    }
    // One that is held comes back by itself.
    machine.on(Event::HoldAsked(Hearing::Hears), NOW);
    assert_eq!(machine.standing(), Standing::Coming);
}

#[test]
fn a_blocked_service_can_be_stopped() {
    let mut machine = machine(POLICY);
    machine.on(shut(Standing::Coming), NOW);
    machine.on(Event::Released, NOW);
    assert_eq!(machine.on(Event::StopAsked(Hearing::Hears), NOW), []);
    assert_eq!(machine.state(), State::Stopped);
    assert_eq!(machine.on(Event::Gate(Gate::Open), NOW), []);
}

#[test]
fn a_service_is_held_while_one_that_it_requires_is_stopped() {
    let mut machine = running();
    assert_eq!(machine.on(Event::HoldAsked(Hearing::Hears), NOW), [TERM, Action::Arm(POLICY.grace)]);
    let actions = machine.on(exited(Exit::Code(0)), NOW);
    assert_eq!(actions, [Action::Disarm, Action::Say("stopped (exited with code 0)".into()), Action::Clear]);
    assert_eq!((machine.state(), machine.wanted()), (State::Blocked, true));
    machine.on(shut(Standing::Coming), NOW);
    assert_eq!(machine.on(Event::HoldEnded, NOW), []);
    assert_eq!(machine.on(Event::Gate(Gate::Open), NOW), [Action::Launch]);
}

#[test]
fn a_held_service_does_not_start_whatever_happens() {
    let mut backing_off = running();
    backing_off.on(exited(Exit::Code(1)), NOW);
    assert_eq!(backing_off.on(Event::HoldAsked(Hearing::Hears), NOW), [Action::Disarm]);
    assert_eq!(backing_off.on(Event::StartAsked, NOW), [Action::Disarm]);
    assert_eq!(backing_off.on(Event::HoldEnded, NOW), [Action::Launch]);

    let mut starting = machine(POLICY);
    starting.on(Event::Released, NOW);
    assert_eq!(starting.on(Event::HoldAsked(Hearing::Hears), NOW), []);
    assert_eq!(starting.on(Event::Started(7), NOW), [Action::Watch, TERM, Action::Arm(POLICY.grace)]);

    let mut failing = machine(POLICY);
    failing.on(Event::Released, NOW);
    failing.on(Event::HoldAsked(Hearing::Hears), NOW);
    assert_eq!(failing.on(Event::StartFailed("x".into()), NOW), []);
    assert_eq!(failing.state(), State::Blocked);
}

#[test]
fn a_service_is_ready_when_it_says_so() {
    let mut machine = running_with(Policy { ready: Some(READY), ..POLICY });
    assert_eq!((machine.ready(), machine.standing()), (false, Standing::Coming));
    let again = machine.on(refused(), NOW);
    assert!(matches!(again[..], [Action::Probe { question: Question::Ready, .. }]), "{again:?}");
    assert_eq!(machine.on(Event::ProbeSucceeded, NOW), []);
    assert_eq!((machine.ready(), machine.standing(), machine.health()), (true, Standing::Ready, None));
}

#[test]
fn a_service_that_does_not_become_ready_has_crashed() {
    for (restart, state) in [(Restart::Always, State::BackingOff), (Restart::Never, State::Failed)] {
        let mut machine = running_with(Policy { ready: Some(READY), restart, ..POLICY });
        let actions = machine.on(refused(), NOW + READY.timeout);
        assert_eq!(
            actions,
            [
                Action::Say("not ready within 5.0 s: nobody listens; stopping it".into()),
                Action::EndProbe,
                TERM,
                Action::Arm(POLICY.grace)
            ]
        );
        // It obeys, but that does not make it a success.
        machine.on(exited(Exit::Code(0)), NOW);
        assert_eq!(machine.state(), state);
    }
}

#[test]
fn an_unhealthy_service_is_started_afresh_and_that_counts_as_a_crash() {
    let mut machine = running_with(Policy { ready: Some(READY), health: Some(HEALTH), ..POLICY });
    assert_eq!(machine.health(), Some(Health::Starting));
    assert_eq!(machine.on(Event::ProbeSucceeded, NOW), [ASK_HEALTH]);
    assert_eq!(machine.on(Event::ProbeSucceeded, NOW), [ASK_HEALTH]);
    assert_eq!(machine.health(), Some(Health::Healthy));
    assert_eq!(machine.on(refused(), NOW), [ASK_HEALTH]);
    let actions = machine.on(refused(), NOW);
    assert_eq!(said(&actions), ["unhealthy: nobody listens; stopping it"]);
    assert!(actions.contains(&TERM));
    let actions = machine.on(exited(Exit::Code(0)), NOW);
    assert_eq!(said(&actions), ["exited with code 0; starting again in 0.1 s"]);
    assert_eq!((machine.restarts(), machine.health()), (1, None));
}

#[test]
fn an_unhealthy_service_that_nobody_would_start_again_is_left_alone() {
    let mut machine = running_with(Policy { health: Some(HEALTH), restart: Restart::Never, ..POLICY });
    machine.on(refused(), NOW);
    let actions = machine.on(refused(), NOW);
    assert_eq!(actions, [Action::Say("unhealthy: nobody listens".into()), ASK_HEALTH]);
    assert_eq!(machine.on(refused(), NOW), [ASK_HEALTH]);
    assert_eq!((machine.state(), machine.health()), (State::Running, Some(Health::Unhealthy)));
    assert_eq!(machine.on(Event::ProbeSucceeded, NOW), [Action::Say("healthy again".into()), ASK_HEALTH]);
}

#[test]
fn a_service_that_ends_is_not_asked_any_more() {
    let mut machine = running_with(Policy { ready: Some(READY), ..POLICY });
    assert_eq!(machine.on(exited(Exit::Code(1)), NOW)[0], Action::EndProbe);
    assert_eq!(machine.on(Event::ProbeSucceeded, NOW), []);
    assert_eq!(machine.on(refused(), NOW), []);
    assert!(!machine.ready());
}

#[test]
fn a_stop_overrules_the_restart_of_one_that_is_not_well() {
    let mut machine = running_with(Policy { ready: Some(READY), ..POLICY });
    machine.on(refused(), NOW + READY.timeout);
    machine.on(Event::StopAsked(Hearing::Hears), NOW);
    machine.on(exited(Exit::Code(0)), NOW);
    assert_eq!(machine.state(), State::Stopped);
}

#[test]
fn memory_is_named_as_the_cause() {
    let limited = Policy { memory_limit: Some(64 << 20), ..POLICY };
    let cases = [
        (limited, Exit::Signal(9), "killed: out of memory (limit 64 MB)"),
        (
            limited,
            Exit::Code(1),
            "exited with code 1 after a process of it was killed: out of memory (limit 64 MB)",
        ),
        (POLICY, Exit::Signal(9), "killed: out of memory (it has no limit; the machine has no more)"),
    ];
    for (policy, exit, words) in cases {
        let actions = running_with(policy).on(Event::Exited { exit, oom: true }, NOW);
        assert_eq!(said(&actions), [format!("{words}; starting again in 0.1 s")]);
    }
}
