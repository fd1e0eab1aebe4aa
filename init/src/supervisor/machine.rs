//! A service's life: a pure state machine. Events come in, actions come out; the driver beside it does them.

use std::time::Duration;

use super::backoff::Backoff;
use super::hearing::Hearing;
use crate::engine::Exit;
use crate::service::protocol::State;

/// How long a killed process may take to be gone before we say so.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Grace for a service whose first process takes no notice of its stop signal; its other processes may.
const DEAF_GRACE: Duration = Duration::from_secs(2);

const SIGKILL: u32 = 9;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `onboot` has ended: services may start.
    Released,
    /// It was found running by a supervisor that did not start it.
    Adopted(u32),
    /// It runs.
    Started(u32),
    /// It could not be started.
    StartFailed(String),
    /// It can never be started.
    Impossible(String),
    /// Its first process ended.
    Exited(Exit),
    /// The time that was armed has passed.
    Elapsed,
    /// Someone wants it to run.
    StartAsked,
    /// Someone wants it not to run.
    StopAsked(Hearing),
    /// Someone wants it to run afresh.
    RestartAsked(Hearing),
}

/// What the driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Prepare, create and start; answers with `Started`, `StartFailed` or `Impossible`.
    Launch,
    /// Wait for the end; answers with `Exited`.
    Watch,
    /// Send a signal to the first process, or to all.
    Signal {
        /// The signal's number.
        number: u32,
        /// To all processes of the container.
        all: bool,
    },
    /// Answer with `Elapsed` after this time; replaces what was armed before.
    Arm(Duration),
    /// Forget what was armed.
    Disarm,
    /// Remove the ended task.
    Clear,
    /// Remove task and container.
    Remove,
    /// Tell the console.
    Say(String),
}

/// When a service that ended is started again.
// Until `runtime.json` carries the choice, every service has the default.
#[allow(dead_code)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restart {
    /// Whatever its exit code was.
    #[default]
    Always,
    /// Unless it exited with 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// How a service is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// When it is started again.
    pub restart: Restart,
    /// The signal that asks it to stop.
    pub stop_signal: u32,
    /// How long it may take to stop.
    pub grace: Duration,
}

/// One service.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    state: State,
    wanted: bool,
    pid: Option<u32>,
    restarts: u32,
    backoff: Backoff,
    running_since: Duration,
    problem: Option<String>,
}

impl Machine {
    /// A service that waits to be released, or one that an operator had stopped (`wanted` false).
    #[must_use]
    pub fn new(policy: Policy, wanted: bool, restarts: u32) -> Self {
        Self {
            policy,
            state: if wanted { State::Waiting } else { State::Stopped },
            wanted,
            pid: None,
            restarts,
            backoff: Backoff::default(),
            running_since: Duration::ZERO,
            problem: None,
        }
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it is meant to run.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Its first process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How often it was started again after it had ended unasked.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Why it could not be started last time.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Takes one event at `now` (any clock that does not jump) and says what must be done, in order.
    pub fn on(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Released if self.state == State::Waiting => self.launch(),
            Event::Released => Vec::new(),
            Event::Adopted(pid) => self.running(pid, now),
            Event::Started(pid) => self.started(pid, now),
            Event::StartFailed(problem) => self.start_failed(problem),
            Event::Impossible(problem) => {
                self.problem = Some(problem.clone());
                self.rest(State::Failed);
                vec![Action::Say(format!("cannot be started: {problem}"))]
            }
            Event::Exited(exit) => self.exited(exit, now),
            Event::Elapsed => self.elapsed(),
            Event::StartAsked => self.start_asked(),
            Event::StopAsked(hearing) => {
                self.wanted = false;
                self.stop(hearing)
            }
            Event::RestartAsked(hearing) => {
                self.wanted = true;
                match self.state {
                    State::Running => self.stop(hearing),
                    _ => self.start_asked(),
                }
            }
        }
    }

    fn launch(&mut self) -> Vec<Action> {
        self.state = State::Starting;
        self.wanted = true;
        vec![Action::Launch]
    }

    fn rest(&mut self, state: State) {
        self.state = state;
        self.pid = None;
    }

    fn running(&mut self, pid: u32, now: Duration) -> Vec<Action> {
        self.state = State::Running;
        self.pid = Some(pid);
        self.running_since = now;
        self.problem = None;
        vec![Action::Watch]
    }

    fn started(&mut self, pid: u32, now: Duration) -> Vec<Action> {
        let mut actions = self.running(pid, now);
        if !self.wanted {
            // Stopped while it was being created; it has had no time to become deaf.
            actions.extend(self.stop(Hearing::Hears));
        }
        actions
    }

    fn start_failed(&mut self, problem: String) -> Vec<Action> {
        self.problem = Some(problem.clone());
        self.pid = None;
        if !self.wanted {
            self.rest(State::Stopped);
            return vec![Action::Remove];
        }
        if self.policy.restart == Restart::Never {
            self.rest(State::Failed);
            return vec![Action::Say(format!("cannot be started: {problem}")), Action::Remove];
        }
        let wait = self.backoff.next(Duration::ZERO);
        self.rest(State::BackingOff);
        vec![
            Action::Say(format!("cannot be started: {problem}; trying again in {}", seconds(wait))),
            Action::Arm(wait),
        ]
    }

    fn exited(&mut self, exit: Exit, now: Duration) -> Vec<Action> {
        self.pid = None;
        if self.state == State::Stopping {
            if self.wanted {
                let mut actions = vec![Action::Disarm, Action::Clear];
                actions.extend(self.launch());
                return actions;
            }
            self.rest(State::Stopped);
            return vec![Action::Disarm, Action::Say(format!("stopped ({exit})")), Action::Remove];
        }
        let again = match self.policy.restart {
            Restart::Always => true,
            Restart::OnFailure => !exit.is_success(),
            Restart::Never => false,
        };
        if !again {
            self.rest(if exit.is_success() { State::Stopped } else { State::Failed });
            return vec![Action::Say(exit.to_string()), Action::Remove];
        }
        self.restarts = self.restarts.saturating_add(1);
        let wait = self.backoff.next(now.saturating_sub(self.running_since));
        self.rest(State::BackingOff);
        let line = format!("{exit}; starting again in {}", seconds(wait));
        vec![Action::Say(line), Action::Arm(wait), Action::Clear]
    }

    fn elapsed(&mut self) -> Vec<Action> {
        match self.state {
            State::BackingOff => self.launch(),
            State::Stopping => vec![
                Action::Say("does not stop; killing it".to_owned()),
                Action::Signal { number: SIGKILL, all: true },
                Action::Arm(KILL_PATIENCE),
            ],
            _ => Vec::new(),
        }
    }

    fn start_asked(&mut self) -> Vec<Action> {
        self.wanted = true;
        match self.state {
            State::Waiting | State::Starting | State::Running | State::Stopping => Vec::new(),
            State::BackingOff | State::Stopped | State::Failed => {
                self.backoff.reset();
                let mut actions = vec![Action::Disarm];
                actions.extend(self.launch());
                actions
            }
        }
    }

    fn stop(&mut self, hearing: Hearing) -> Vec<Action> {
        match self.state {
            State::Running => {
                self.state = State::Stopping;
                let number = self.policy.stop_signal;
                match hearing {
                    Hearing::Hears => {
                        vec![Action::Signal { number, all: false }, Action::Arm(self.policy.grace)]
                    }
                    Hearing::Deaf => {
                        vec![
                            Action::Signal { number, all: true },
                            Action::Arm(self.policy.grace.min(DEAF_GRACE)),
                        ]
                    }
                    Hearing::DeafAndAlone => {
                        vec![Action::Signal { number: SIGKILL, all: true }, Action::Arm(KILL_PATIENCE)]
                    }
                }
            }
            State::BackingOff => {
                self.rest(State::Stopped);
                vec![Action::Disarm, Action::Remove]
            }
            State::Waiting | State::Failed => {
                self.rest(State::Stopped);
                Vec::new()
            }
            State::Starting | State::Stopping | State::Stopped => Vec::new(),
        }
    }
}

/// A wait in seconds, with tenths where they matter.
fn seconds(wait: Duration) -> String {
    if wait < Duration::from_secs(10) {
        format!("{:.1} s", wait.as_secs_f64())
    } else {
        format!("{} s", wait.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy =
        Policy { restart: Restart::Always, stop_signal: 15, grace: Duration::from_secs(10) };
    const NOW: Duration = Duration::from_secs(100);
    const TERM: Action = Action::Signal { number: 15, all: false };
    const KILL: Action = Action::Signal { number: 9, all: true };

    fn running() -> Machine {
        let mut machine = Machine::new(POLICY, true, 0);
        assert_eq!(machine.on(Event::Released, NOW), [Action::Launch]);
        assert_eq!(machine.on(Event::Started(7), NOW), [Action::Watch]);
        machine
    }

    #[test]
    fn a_crashed_service_is_started_again_with_back_off() {
        let mut machine = running();
        let actions = machine.on(Event::Exited(Exit::Signal(9)), NOW);
        assert_eq!(
            actions,
            [
                Action::Say("killed by signal 9; starting again in 0.1 s".into()),
                Action::Arm(Duration::from_millis(100)),
                Action::Clear
            ]
        );
        assert_eq!((machine.state(), machine.pid(), machine.restarts()), (State::BackingOff, None, 1));
        assert_eq!(machine.on(Event::Elapsed, NOW), [Action::Launch]);
        machine.on(Event::Started(8), NOW);
        let actions = machine.on(Event::Exited(Exit::Code(0)), NOW);
        assert_eq!(actions[1], Action::Arm(Duration::from_millis(200)));
    }

    #[test]
    fn a_service_that_cannot_be_started_is_tried_again() {
        let mut machine = Machine::new(POLICY, true, 0);
        machine.on(Event::Released, NOW);
        let actions = machine.on(Event::StartFailed("no such file".into()), NOW);
        assert_eq!(
            actions,
            [
                Action::Say("cannot be started: no such file; trying again in 0.1 s".into()),
                Action::Arm(Duration::from_millis(100))
            ]
        );
        assert_eq!(machine.problem(), Some("no such file"));
        machine.on(Event::Elapsed, NOW);
        machine.on(Event::Started(9), NOW);
        assert_eq!(machine.problem(), None);
        assert_eq!(machine.restarts(), 0);
    }

    #[test]
    fn stopping_is_asking_then_killing() {
        let mut machine = running();
        assert_eq!(machine.on(Event::StopAsked(Hearing::Hears), NOW), [TERM, Action::Arm(POLICY.grace)]);
        assert!(machine.on(Event::Elapsed, NOW).contains(&KILL));
        let actions = machine.on(Event::Exited(Exit::Signal(9)), NOW);
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
        let mut machine = Machine::new(POLICY, true, 0);
        machine.on(Event::Released, NOW);
        assert_eq!(machine.on(Event::StopAsked(Hearing::Hears), NOW), []);
        assert_eq!(machine.on(Event::Started(7), NOW), [Action::Watch, TERM, Action::Arm(POLICY.grace)]);
    }

    #[test]
    fn a_restart_is_a_stop_and_a_start() {
        let mut machine = running();
        assert_eq!(machine.on(Event::RestartAsked(Hearing::Hears), NOW), [TERM, Action::Arm(POLICY.grace)]);
        let actions = machine.on(Event::Exited(Exit::Code(0)), NOW);
        assert_eq!(actions, [Action::Disarm, Action::Clear, Action::Launch]);
        assert_eq!(machine.restarts(), 0);
    }

    #[test]
    fn a_start_ends_the_back_off() {
        let mut machine = running();
        machine.on(Event::Exited(Exit::Code(1)), NOW);
        assert_eq!(machine.on(Event::StartAsked, NOW), [Action::Disarm, Action::Launch]);
    }

    #[test]
    fn a_service_that_runs_is_adopted_not_started() {
        let mut machine = Machine::new(POLICY, true, 3);
        assert_eq!(machine.on(Event::Adopted(7), NOW), [Action::Watch]);
        assert_eq!(machine.on(Event::Released, NOW), []);
        assert_eq!(machine.restarts(), 3);
    }

    #[test]
    fn a_service_that_an_operator_stopped_stays_stopped() {
        let mut machine = Machine::new(POLICY, false, 0);
        assert_eq!(machine.on(Event::Released, NOW), []);
        assert_eq!(machine.state(), State::Stopped);
        assert_eq!(machine.on(Event::StartAsked, NOW), [Action::Disarm, Action::Launch]);
    }

    #[test]
    fn the_restart_policy_is_kept() {
        let cases = [
            (Restart::Always, Exit::Code(0), State::BackingOff),
            (Restart::OnFailure, Exit::Code(0), State::Stopped),
            (Restart::OnFailure, Exit::Signal(11), State::BackingOff),
            (Restart::Never, Exit::Code(0), State::Stopped),
            (Restart::Never, Exit::Code(3), State::Failed),
        ];
        for (restart, exit, state) in cases {
            let mut machine = Machine::new(Policy { restart, ..POLICY }, true, 0);
            machine.on(Event::Released, NOW);
            machine.on(Event::Started(7), NOW);
            machine.on(Event::Exited(exit), NOW);
            assert_eq!(machine.state(), state, "{restart:?} {exit}");
        }
    }

    fn hearings() -> impl Strategy<Value = Hearing> {
        prop_oneof![Just(Hearing::Hears), Just(Hearing::Deaf), Just(Hearing::DeafAndAlone)]
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Released),
            Just(Event::Elapsed),
            Just(Event::StartAsked),
            hearings().prop_map(Event::StopAsked),
            hearings().prop_map(Event::RestartAsked),
            any::<bool>().prop_map(|ok| if ok { Event::Started(7) } else { Event::StartFailed("x".into()) }),
            Just(Event::Exited(Exit::Code(1))),
        ]
    }

    proptest! {
        /// Whatever operators and containers do: never two launches at once, never a watch without a process.
        #[test]
        fn there_is_never_more_than_one_process(asked in prop::collection::vec(events(), 0..60)) {
            let mut machine = Machine::new(POLICY, true, 0);
            let (mut launching, mut alive) = (false, false);
            for event in asked {
                match &event {
                    Event::Started(_) | Event::StartFailed(_) if !launching => continue,
                    Event::Exited(_) if !alive => continue,
                    Event::Started(_) => { launching = false; alive = true; }
                    Event::StartFailed(_) => launching = false,
                    Event::Exited(_) => alive = false,
                    _ => {}
                }
                for action in machine.on(event, NOW) {
                    match action {
                        Action::Launch => { prop_assert!(!launching && !alive); launching = true; }
                        Action::Watch => prop_assert!(alive),
                        Action::Remove | Action::Clear => prop_assert!(!alive && !launching),
                        _ => {}
                    }
                }
                prop_assert_eq!(machine.pid().is_some(), alive);
                prop_assert_eq!(machine.state() == State::Starting, launching);
            }
        }
    }
}
