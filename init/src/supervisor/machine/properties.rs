//! What holds whatever operators, containers and their neighbours do.

use image_layout::Restart;
use proptest::prelude::*;

use super::tests::POLICY;
use super::*;
use crate::engine::Exit;
use crate::supervisor::dependencies::{Bond, Need, gate};
use crate::supervisor::probe::{HealthPlan, ReadyPlan};

/// Something that happens to one service.
#[derive(Debug, Clone, Copy)]
enum Stimulus {
    Launched(bool),
    Exit(Exit),
    Answer(bool),
    Elapsed,
    Start,
    Stop(Hearing),
    Restart(Hearing),
    Hold(Hearing),
    HoldEnd,
}

fn hearings() -> impl Strategy<Value = Hearing> {
    prop_oneof![Just(Hearing::Hears), Just(Hearing::Deaf), Just(Hearing::DeafAndAlone)]
}

fn stimuli() -> impl Strategy<Value = Stimulus> {
    prop_oneof![
        4 => any::<bool>().prop_map(Stimulus::Launched),
        2 => prop_oneof![Just(Exit::Code(0)), Just(Exit::Code(1)), Just(Exit::Signal(9))].prop_map(Stimulus::Exit),
        3 => any::<bool>().prop_map(Stimulus::Answer),
        2 => Just(Stimulus::Elapsed),
        1 => Just(Stimulus::Start),
        1 => hearings().prop_map(Stimulus::Stop),
        1 => hearings().prop_map(Stimulus::Restart),
        1 => hearings().prop_map(Stimulus::Hold),
        1 => Just(Stimulus::HoldEnd),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let restarts = prop_oneof![Just(Restart::Always), Just(Restart::OnFailure), Just(Restart::Never)];
    let ready = ReadyPlan { timeout: Duration::from_secs(2), patient: false };
    let health = HealthPlan {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        retries: 2,
        start_period: Duration::ZERO,
    };
    (restarts, any::<bool>(), any::<bool>()).prop_map(move |(restart, with_ready, with_health)| Policy {
        restart,
        ready: with_ready.then_some(ready),
        health: with_health.then_some(health),
        ..POLICY
    })
}

/// A service, and what is really going on.
struct Service {
    machine: Machine,
    needs: Vec<Need>,
    launching: bool,
    alive: bool,
    asked: bool,
    armed: bool,
}

/// Services by number; each needs only ones before it.
struct World {
    services: Vec<Service>,
    now: Duration,
}

impl World {
    fn new(policies: Vec<Policy>, edges: &[(usize, usize, bool)]) -> Self {
        let services = policies.into_iter().enumerate().map(|(number, policy)| {
            let mine = edges.iter().filter(|(from, to, _)| *from == number && *to < number);
            let needs = mine.map(|(_, to, requires)| Need {
                name: to.to_string(),
                bond: if *requires { Bond::Requires } else { Bond::After },
            });
            Service {
                machine: Machine::new(policy, Past::default(), Jitter::Seed(number as u64)),
                needs: needs.collect(),
                launching: false,
                alive: false,
                asked: false,
                armed: false,
            }
        });
        Self { services: services.collect(), now: Duration::from_secs(100) }
    }

    fn standing(&self, name: &str) -> Standing {
        self.services[name.parse::<usize>().unwrap()].machine.standing()
    }

    /// Tells one service, and then all others how it stands.
    fn tell(&mut self, number: usize, event: Event) -> Result<(), TestCaseError> {
        self.tell_one(number, event)?;
        // Each needs only those before it.
        for later in 0..self.services.len() {
            let news = gate(&self.services[later].needs, |name| self.standing(name));
            self.tell_one(later, Event::Gate(news))?;
        }
        Ok(())
    }

    fn tell_one(&mut self, number: usize, event: Event) -> Result<(), TestCaseError> {
        let actions = self.services[number].machine.on(event, self.now);
        for action in actions {
            if action == Action::Launch {
                for need in &self.services[number].needs {
                    let standing = self.standing(&need.name);
                    let met = match need.bond {
                        Bond::Requires => standing == Standing::Ready,
                        Bond::After => standing != Standing::Coming,
                    };
                    prop_assert!(met, "{number} was started while {need:?} was {standing:?}");
                }
            }
            let service = &mut self.services[number];
            match action {
                Action::Launch => {
                    prop_assert!(!service.launching && !service.alive, "two launches without an end between");
                    service.launching = true;
                }
                Action::Watch | Action::Signal { .. } => prop_assert!(service.alive),
                Action::Remove | Action::Clear => prop_assert!(!service.alive && !service.launching),
                Action::Probe { .. } => {
                    prop_assert!(service.alive);
                    service.asked = true;
                }
                Action::EndProbe => service.asked = false,
                Action::Arm(_) => service.armed = true,
                Action::Disarm => service.armed = false,
                Action::Say(line) => prop_assert!(!line.is_empty()),
            }
        }
        let service = &self.services[number];
        prop_assert_eq!(service.machine.pid().is_some(), service.alive);
        prop_assert_eq!(service.machine.state() == State::Starting, service.launching);
        prop_assert!(!service.machine.ready() || service.machine.state() == State::Running);
        Ok(())
    }

    /// Does to a service what can happen to it in reality; says whether it could.
    fn stimulate(&mut self, number: usize, stimulus: Stimulus) -> Result<bool, TestCaseError> {
        let service = &mut self.services[number];
        let event = match stimulus {
            Stimulus::Launched(ok) if service.launching => {
                service.launching = false;
                service.alive = ok;
                if ok { Event::Started(7) } else { Event::StartFailed("x".into()) }
            }
            Stimulus::Exit(exit) if service.alive => {
                service.alive = false;
                Event::Exited { exit, oom: false }
            }
            Stimulus::Answer(ok) if service.asked => {
                service.asked = false;
                match ok {
                    true => Event::ProbeSucceeded,
                    false => Event::ProbeFailed { reason: "x".into(), hearing: Hearing::Hears },
                }
            }
            Stimulus::Elapsed if service.armed => {
                service.armed = false;
                Event::Elapsed
            }
            Stimulus::Launched(_) | Stimulus::Exit(_) | Stimulus::Answer(_) | Stimulus::Elapsed => {
                return Ok(false);
            }
            Stimulus::Start => Event::StartAsked,
            Stimulus::Stop(hearing) => Event::StopAsked(hearing),
            Stimulus::Restart(hearing) => Event::RestartAsked(hearing),
            Stimulus::Hold(hearing) => Event::HoldAsked(hearing),
            Stimulus::HoldEnd => Event::HoldEnded,
        };
        self.tell(number, event)?;
        Ok(true)
    }

    /// Lets everything go well from now on until nothing more happens.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for number in 0..self.services.len() {
            self.stimulate(number, Stimulus::HoldEnd)?;
        }
        let mut steps = 0;
        loop {
            let mut moved = false;
            for number in 0..self.services.len() {
                let stopping = self.services[number].machine.state() == State::Stopping;
                let ready = self.services[number].machine.ready();
                moved |= self.stimulate(number, Stimulus::Launched(true))?;
                moved |= stopping && self.stimulate(number, Stimulus::Exit(Exit::Code(0)))?;
                moved |= !ready && self.stimulate(number, Stimulus::Answer(true))?;
                moved |= !stopping && self.stimulate(number, Stimulus::Elapsed)?;
            }
            steps += 1;
            prop_assert!(steps < 1000, "it does not come to rest");
            if !moved {
                return Ok(());
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_started_twice_too_early_or_unwanted(
        policies in prop::collection::vec(policies(), 1..5),
        edges in prop::collection::vec((0_usize..5, 0_usize..5, any::<bool>()), 0..8),
        steps in prop::collection::vec((0_usize..5, stimuli(), 0_u64..3000), 0..80),
    ) {
        let mut world = World::new(policies, &edges);
        let count = world.services.len();
        for number in 0..count {
            world.tell(number, Event::Released)?;
        }
        for (number, stimulus, milliseconds) in steps {
            world.now += Duration::from_millis(milliseconds);
            world.stimulate(number % count, stimulus)?;
        }
        world.settle()?;
        for service in &world.services {
            let machine = &service.machine;
            match (machine.state(), machine.wanted()) {
                (State::Running, wanted) => prop_assert!(wanted && machine.ready() && service.alive),
                (State::Blocked, wanted) => {
                    let missing = |need: &Need| need.bond == Bond::Requires && world.standing(&need.name) != Standing::Ready;
                    prop_assert!(wanted && service.needs.iter().any(missing));
                }
                (State::Stopped | State::Failed, _) => prop_assert!(!service.alive),
                (state, _) => prop_assert!(false, "came to rest {state:?}"),
            }
        }
    }
}
