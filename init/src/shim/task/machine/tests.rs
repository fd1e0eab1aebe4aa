//! The machine's whole life, step by step.

use std::time::SystemTime;

use containerd_shim_protos::api::{ExecProcessRequest, Status};

use super::*;
use crate::shim::request::{Incoming, Request};
use crate::shim::task::action::Deed;

const AT: SystemTime = SystemTime::UNIX_EPOCH;

fn ticket(stream: u32) -> Ticket {
    Ticket { connection: 1, stream }
}

fn call(stream: u32, request: Request) -> Input {
    Input::Call(ticket(stream), Incoming { id: "c".into(), request })
}

fn init() -> String {
    String::new()
}

fn create() -> Request {
    let mut request = CreateTaskRequest::new();
    (request.id, request.bundle) = ("c".into(), "/b".into());
    Request::Create(Box::new(request))
}

fn exec(name: &str) -> Request {
    let mut request = ExecProcessRequest::new();
    (request.id, request.exec_id) = ("c".into(), name.into());
    Request::Exec(Box::new(request))
}

fn exited(pid: u32, status: u32) -> Input {
    Input::Exited { pid, status, at: AT }
}

fn ended(pid: u32, status: u32) -> Ended {
    Ended { pid, status, at: AT }
}

fn running() -> Machine {
    let mut machine = Machine::new("c".into(), 5);
    machine.on(call(1, create()));
    machine.on(Input::Done(Ok(Some(7))));
    machine.on(call(3, Request::Start { exec: init() }));
    machine.on(Input::Done(Ok(None)));
    machine
}

/// Answers only, with codes in place of faults.
fn answers(actions: &[Action]) -> Vec<(u32, Result<Reply, Code>)> {
    let answer = |action: &Action| match action {
        Action::Answer(ticket, answer) => Some((ticket.stream, answer.clone().map_err(|fault| fault.code))),
        _ => None,
    };
    actions.iter().filter_map(answer).collect()
}

fn told(actions: &[Action]) -> Vec<&Event> {
    let event = |action: &'_ Action| matches!(action, Action::Tell(_));
    actions
        .iter()
        .filter(|action| event(action))
        .filter_map(|action| match action {
            Action::Tell(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn status(machine: &mut Machine, exec: &str) -> Status {
    let actions = machine.on(call(99, Request::State { exec: exec.into() }));
    match actions.first() {
        Some(Action::Answer(_, Ok(Reply::State(state)))) => state.status.enum_value().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_is_created_started_waited_for_and_deleted() {
    let mut machine = Machine::new("c".into(), 5);
    assert!(matches!(machine.on(call(1, create()))[..], [Action::Begin(Job::Create(_))]));
    let actions = machine.on(Input::Done(Ok(Some(7))));
    assert_eq!(answers(&actions), [(1, Ok(Reply::Pid(7)))]);
    assert!(matches!(told(&actions)[..], [Event::Created { pid: 7, .. }]));
    assert_eq!(status(&mut machine, ""), Status::CREATED);

    assert!(machine.on(call(3, Request::Wait { exec: init() })).is_empty());
    assert_eq!(machine.on(call(5, Request::Start { exec: init() })), [Action::Begin(Job::Start)]);
    let actions = machine.on(Input::Done(Ok(None)));
    assert_eq!(answers(&actions), [(5, Ok(Reply::Pid(7)))]);
    assert_eq!(told(&actions), [&Event::Started(7)]);
    assert_eq!(status(&mut machine, ""), Status::RUNNING);

    let actions = machine.on(exited(7, 3));
    assert_eq!(answers(&actions), [(3, Ok(Reply::Ended(ended(7, 3))))]);
    assert_eq!(told(&actions), [&Event::Exited { exec: init(), ended: ended(7, 3) }]);
    assert!(actions.contains(&Action::KillRest));
    assert_eq!(status(&mut machine, ""), Status::STOPPED);

    assert_eq!(machine.on(call(7, Request::Delete { exec: init() })), [Action::Begin(Job::Delete)]);
    let actions = machine.on(Input::Done(Ok(None)));
    assert_eq!(answers(&actions), [(7, Ok(Reply::Deleted(ended(7, 3))))]);
    assert_eq!(told(&actions), [&Event::Deleted(ended(7, 3))]);
    let actions = machine.on(call(9, Request::Shutdown));
    assert_eq!(actions, [Action::Answer(ticket(9), Ok(Reply::Empty)), Action::Quit]);
}

#[test]
fn a_container_that_ends_before_its_start_is_known_is_started_before_it_ends() {
    let mut machine = Machine::new("c".into(), 5);
    machine.on(call(1, create()));
    machine.on(Input::Done(Ok(Some(7))));
    machine.on(call(3, Request::Start { exec: init() }));
    assert!(machine.on(exited(7, 0)).is_empty());
    let actions = machine.on(Input::Done(Ok(None)));
    let events = told(&actions);
    assert!(matches!(events[..], [Event::Started(7), Event::Exited { .. }]), "{events:?}");
}

#[test]
fn a_process_that_ends_before_its_number_is_known_is_not_lost() {
    let mut machine = running();
    machine.on(call(5, exec("e")));
    assert!(matches!(
        machine.on(call(7, Request::Start { exec: "e".into() }))[..],
        [Action::Begin(Job::Exec(_))]
    ));
    assert!(machine.on(exited(99, 1)).is_empty());
    assert!(machine.on(exited(8, 4)).is_empty());
    let actions = machine.on(Input::Done(Ok(Some(8))));
    assert_eq!(answers(&actions), [(7, Ok(Reply::Pid(8)))]);
    assert!(matches!(told(&actions)[..], [Event::ExecStarted { pid: 8, .. }, Event::Exited { .. }]));
    assert_eq!(
        machine.on(call(9, Request::Wait { exec: "e".into() })),
        [Action::Answer(ticket(9), Ok(Reply::Ended(ended(8, 4))))]
    );
    assert!(machine.unclaimed.is_empty());
}

#[test]
fn orphans_take_no_memory() {
    let mut machine = running();
    for pid in 100..1000 {
        machine.on(exited(pid, 0));
    }
    assert!(machine.unclaimed.is_empty());
    machine.on(call(5, Request::Pause));
    for pid in 100..1000 {
        machine.on(exited(pid, 0));
    }
    assert_eq!(machine.unclaimed.len(), UNCLAIMED_LIMIT);
}

#[test]
fn the_first_process_is_listed_until_the_container_is_deleted() {
    let mut machine = running();
    machine.on(exited(7, 137));
    let actions = machine.on(call(5, Request::Pids));
    let known = BTreeMap::from([(7, String::new())]);
    assert_eq!(actions, [Action::Perform(ticket(5), Deed::Pids(known))]);
}

#[test]
fn jobs_run_one_after_another() {
    let mut machine = running();
    assert_eq!(
        machine.on(call(5, Request::Update(b"{}".to_vec()))),
        [Action::Begin(Job::Update(b"{}".to_vec()))]
    );
    assert!(machine.on(call(7, Request::Pause)).is_empty());
    let actions = machine.on(Input::Done(Ok(None)));
    assert_eq!(answers(&actions), [(5, Ok(Reply::Empty))]);
    assert_eq!(actions.last(), Some(&Action::Begin(Job::Pause)));
    machine.on(Input::Done(Ok(None)));
    assert_eq!(status(&mut machine, ""), Status::PAUSED);
    machine.on(call(9, Request::Resume));
    machine.on(Input::Done(Ok(None)));
    assert_eq!(status(&mut machine, ""), Status::RUNNING);
}

#[test]
fn a_signal_reaches_what_lives_and_nothing_else() {
    let kill = |exec: &str| Request::Kill { exec: exec.into(), signal: 9, all: true };
    let mut machine = Machine::new("c".into(), 5);
    assert_eq!(answers(&machine.on(call(1, kill("")))), [(1, Err(Code::NOT_FOUND))]);
    let mut machine = running();
    assert_eq!(
        machine.on(call(5, kill(""))),
        [Action::Perform(ticket(5), Deed::Signal { pid: 7, signal: 9, all: true })]
    );
    machine.on(call(7, exec("e")));
    assert_eq!(answers(&machine.on(call(9, kill("e")))), [(9, Err(Code::FAILED_PRECONDITION))]);
    machine.on(exited(7, 137));
    assert_eq!(answers(&machine.on(call(11, kill("")))), [(11, Err(Code::NOT_FOUND))]);
}

#[test]
fn a_created_container_is_killed_before_it_is_deleted() {
    let mut machine = Machine::new("c".into(), 5);
    machine.on(call(1, create()));
    machine.on(Input::Done(Ok(Some(7))));
    assert_eq!(machine.on(call(3, Request::Delete { exec: init() })), [Action::Kill(7)]);
    let actions = machine.on(exited(7, 137));
    assert_eq!(actions.last(), Some(&Action::Begin(Job::Delete)));
    assert_eq!(answers(&machine.on(Input::Done(Ok(None)))), [(3, Ok(Reply::Deleted(ended(7, 137))))]);
}

#[test]
fn a_creation_that_failed_leaves_nothing() {
    let mut machine = Machine::new("c".into(), 5);
    machine.on(call(1, create()));
    let actions = machine.on(Input::Done(Err("no such program".into())));
    let failed = Fault::failed("no such program");
    assert_eq!(actions, [Action::Release(init()), Action::Answer(ticket(1), Err(failed))]);
    assert!(matches!(machine.on(call(3, create()))[..], [Action::Begin(Job::Create(_))]));
}

#[test]
fn what_is_asked_for_before_the_process_runs_is_done_when_it_does() {
    let mut machine = running();
    machine.on(call(5, exec("e")));
    machine.on(call(7, Request::Start { exec: "e".into() }));
    let actions = machine.on(call(9, Request::CloseInput { exec: "e".into() }));
    assert_eq!(actions, [Action::Answer(ticket(9), Ok(Reply::Empty))]);
    machine.on(call(9, Request::Resize { exec: "e".into(), width: 80, height: 25 }));
    let close = Action::CloseInput("e".into());
    let actions = machine.on(Input::Done(Ok(Some(8))));
    assert!(actions.contains(&close) && actions.contains(&Action::Resize("e".into(), 80, 25)));
    assert!(machine.on(call(11, Request::CloseInput { exec: "e".into() })).contains(&close));
}

#[test]
fn an_exec_that_cannot_be_started_has_ended() {
    let mut machine = running();
    machine.on(call(5, exec("e")));
    machine.on(call(7, Request::Wait { exec: "e".into() }));
    machine.on(call(9, Request::Start { exec: "e".into() }));
    let actions = machine.on(Input::Done(Err("no such program".into())));
    assert!(matches!(
        answers(&actions)[..],
        [(7, Ok(Reply::Ended(Ended { status: NEVER_RAN, .. }))), (9, Err(Code::UNKNOWN))]
    ));
    assert!(matches!(
        answers(&machine.on(call(11, Request::Delete { exec: "e".into() })))[..],
        [(11, Ok(Reply::Deleted(_)))]
    ));
    assert_eq!(
        answers(&machine.on(call(13, Request::State { exec: "e".into() }))),
        [(13, Err(Code::NOT_FOUND))]
    );
}

#[test]
fn what_does_not_fit_the_state_is_refused() {
    let mut machine = running();
    let cases = [
        (create(), Code::ALREADY_EXISTS),
        (Request::Start { exec: init() }, Code::FAILED_PRECONDITION),
        (Request::Delete { exec: init() }, Code::FAILED_PRECONDITION),
        (Request::Resume, Code::FAILED_PRECONDITION),
        (Request::Wait { exec: "none".into() }, Code::NOT_FOUND),
    ];
    for (request, code) in cases {
        assert_eq!(answers(&machine.on(call(5, request.clone()))), [(5, Err(code))], "{request:?}");
    }
    let other = Input::Call(ticket(5), Incoming { id: "d".into(), request: Request::Pids });
    assert_eq!(answers(&machine.on(other)), [(5, Err(Code::NOT_FOUND))]);
    // A shim whose container runs stays, whoever says that it may go.
    assert_eq!(machine.on(call(7, Request::Shutdown)), [Action::Answer(ticket(7), Ok(Reply::Empty))]);
}

#[test]
fn who_has_gone_is_not_answered() {
    let mut machine = running();
    machine.on(call(5, Request::Wait { exec: init() }));
    machine.on(Input::Gone(1));
    assert!(answers(&machine.on(exited(7, 0))).is_empty());
}

#[test]
fn waiting_callers_are_bounded() {
    let mut machine = running();
    let refused =
        (0..1000).filter(|_| !machine.on(call(5, Request::Wait { exec: init() })).is_empty()).count();
    assert_eq!(refused, 1000 - WAITING_LIMIT);
}

#[test]
fn on_the_way_down_a_shim_stays_as_long_as_its_container() {
    let mut machine = running();
    assert!(machine.on(Input::Terminate).is_empty());
    assert_eq!(machine.on(exited(7, 0)).last(), Some(&Action::Quit));
}
