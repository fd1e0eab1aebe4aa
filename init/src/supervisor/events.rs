//! What happened to services: the newest changes, in memory, and those who listen for the next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::SystemTime;

use tokio::sync::broadcast;

use crate::rfc3339;
use crate::service::protocol::{Event, ServiceStatus};
use crate::terminal::cut;

/// How many events are kept.
const KEPT: usize = 1000;
/// How many may wait for one listener; a slower one loses the oldest.
const QUEUE: usize = 256;
/// Longer details are cut (characters).
const DETAIL_LIMIT: usize = 400;

/// The events.
#[derive(Debug)]
pub struct Events {
    kept: RefCell<VecDeque<Rc<Event>>>,
    sender: broadcast::Sender<Rc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { kept: RefCell::default(), sender: broadcast::Sender::new(QUEUE) }
    }
}

impl Events {
    /// Notes the change from one status of a service to the next, if it is one.
    pub fn note(&self, before: &ServiceStatus, after: &ServiceStatus) {
        let Some(event) = change(before, after, SystemTime::now()) else { return };
        let event = Rc::new(event);
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Rc::clone(&event));
        // Nobody may be listening.
        drop(self.sender.send(event));
    }

    /// The events that are kept, oldest first, and whatever comes after them.
    #[must_use]
    pub fn listen(&self) -> (Vec<Rc<Event>>, broadcast::Receiver<Rc<Event>>) {
        (self.kept.borrow().iter().cloned().collect(), self.sender.subscribe())
    }
}

/// What changed, if an operator wants to know of it.
fn change(before: &ServiceStatus, after: &ServiceStatus, time: SystemTime) -> Option<Event> {
    let looks = |status: &ServiceStatus| (status.state, status.pid, status.ready, status.health);
    if looks(before) == looks(after) {
        return None;
    }
    let exit = after.last_exit.filter(|exit| before.last_exit != Some(*exit)).map(|last| last.to_string());
    let problem = || after.problem.as_ref().filter(|_| before.problem != after.problem).cloned();
    Some(Event {
        time: rfc3339::format(time),
        service: after.name.clone(),
        from: before.state,
        to: after.state,
        ready: after.ready,
        health: after.health,
        pid: after.pid,
        detail: exit.or_else(problem).map(|text| cut(&text, DETAIL_LIMIT)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Exit;
    use crate::service::protocol::{Health, LastExit, State};

    fn status(state: State, pid: Option<u32>) -> ServiceStatus {
        ServiceStatus { pid, ..ServiceStatus::new("slapd", state) }
    }

    #[test]
    fn a_change_of_state_is_an_event_with_its_reason() {
        let events = Events::default();
        let running = status(State::Running, Some(7));
        let exited = ServiceStatus {
            last_exit: Some(LastExit { exit: Exit::Code(3), at: 1, oom: false }),
            ..status(State::BackingOff, None)
        };
        events.note(&running, &running.clone());
        events.note(&running, &exited);
        events.note(&exited, &ServiceStatus { problem: Some("no file".into()), ..exited.clone() });
        let (kept, _) = events.listen();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].from, kept[0].to), (State::Running, State::BackingOff));
        assert_eq!(kept[0].detail.as_deref(), Some("exited with code 3"));
    }

    #[test]
    fn becoming_ready_or_unhealthy_is_an_event_as_well() {
        let events = Events::default();
        let running = status(State::Running, Some(7));
        let ready = ServiceStatus { ready: true, ..running.clone() };
        let ill = ServiceStatus { health: Some(Health::Unhealthy), ..ready.clone() };
        events.note(&running, &ready);
        events.note(&ready, &ill);
        let (kept, _) = events.listen();
        let told: Vec<_> =
            kept.iter().map(|event| (event.from, event.to, event.ready, event.health)).collect();
        let state = State::Running;
        assert_eq!(told, [(state, state, true, None), (state, state, true, Some(Health::Unhealthy))]);
    }

    #[test]
    fn the_newest_events_are_kept_and_listeners_hear_the_next() {
        let events = Events::default();
        for pid in 0..KEPT as u32 + 5 {
            events.note(&status(State::Running, Some(pid)), &status(State::Running, Some(pid + 1)));
        }
        let (kept, mut receiver) = events.listen();
        assert_eq!((kept.len(), kept[0].pid), (KEPT, Some(6)));
        assert!(receiver.try_recv().is_err());
        events.note(&status(State::Running, Some(1)), &status(State::Stopping, Some(1)));
        assert_eq!(receiver.try_recv().unwrap().to, State::Stopping);
    }
}
