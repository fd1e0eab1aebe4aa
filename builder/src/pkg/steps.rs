//! Steps that wait for each other, several of them at the same time.

use std::sync::mpsc::{self, Sender};
use std::thread;

/// A step that was added: what others say that they wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(usize);

/// What a step does.
type Work<'a, E> = Box<dyn FnOnce() -> Result<(), E> + Send + 'a>;

/// What is to be done.
pub(super) struct Steps<'a, E> {
    plan: Plan,
    work: Vec<Option<Work<'a, E>>>,
}

impl<'a, E: Send> Steps<'a, E> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { plan: Plan::default(), work: Vec::new() }
    }

    /// Adds a step, which begins when those in `after` have ended well.
    pub(super) fn add(&mut self, after: Vec<Id>, work: impl FnOnce() -> Result<(), E> + Send + 'a) -> Id {
        self.work.push(Some(Box::new(work)));
        self.plan.add(after)
    }

    /// Does everything, at most `most` steps at the same time, and at least one; of those that could begin, the one that was
    /// added first. When a step has failed, those that are on their way end, and no other begins.
    ///
    /// # Errors
    /// What the steps failed with, in the order in which they did.
    pub(super) fn run(mut self, most: usize) -> Result<(), Vec<E>> {
        let (sender, ended) = mpsc::channel();
        let mut failures = Vec::new();
        thread::scope(|scope| {
            let mut running = 0;
            let mut goes_on = true;
            loop {
                while goes_on && running < most.max(1) {
                    let Some(id) = self.plan.next() else { break };
                    let Some(work) = self.work.get_mut(id.0).and_then(Option::take) else { break };
                    let end = End { id, result: None, to: sender.clone() };
                    scope.spawn(move || {
                        let mut end = end;
                        end.result = Some(work());
                    });
                    running += 1;
                }
                if running == 0 {
                    break;
                }
                // It fails only without senders, and one is here.
                let Ok((id, result)) = ended.recv() else { break };
                running -= 1;
                match result {
                    Some(Ok(())) => self.plan.end(id),
                    Some(Err(error)) => {
                        goes_on = false;
                        failures.push(error);
                    }
                    // It has panicked, and so will the scope.
                    None => goes_on = false,
                }
            }
        });
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }
}

/// Tells that a step has ended when it goes, also when the step panics: nobody must wait for it then.
struct End<E> {
    id: Id,
    result: Option<Result<(), E>>,
    to: Sender<(Id, Option<Result<(), E>>)>,
}

impl<E> Drop for End<E> {
    fn drop(&mut self) {
        // Who does not listen any more does not wait either.
        self.to.send((self.id, self.result.take())).ok();
    }
}

/// Which step is next.
#[derive(Debug, Default)]
struct Plan {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    after: Vec<Id>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Begun,
    Ended,
}

impl Plan {
    fn add(&mut self, after: Vec<Id>) -> Id {
        self.steps.push(Step { after, state: State::Waiting });
        Id(self.steps.len() - 1)
    }

    /// The first step that waits for nothing any more. It has begun then.
    fn next(&mut self) -> Option<Id> {
        let has_ended = |id: &Id| self.steps.get(id.0).is_some_and(|step| step.state == State::Ended);
        let can_begin = |step: &Step| step.state == State::Waiting && step.after.iter().all(has_ended);
        let next = self.steps.iter().position(can_begin)?;
        self.steps.get_mut(next)?.state = State::Begun;
        Some(Id(next))
    }

    fn end(&mut self, id: Id) {
        if let Some(step) = self.steps.get_mut(id.0) {
            step.state = State::Ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Longer than any machine needs to start a thread.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn two_that_do_not_wait_for_each_other_go_on_at_the_same_time() {
        let [(to_first, first), (to_second, second)] = [channel(), channel()];
        let mut steps = Steps::new();
        steps.add(Vec::new(), move || {
            to_second.send(()).unwrap();
            first.recv_timeout(PATIENCE)
        });
        steps.add(Vec::new(), move || {
            to_first.send(()).unwrap();
            second.recv_timeout(PATIENCE)
        });
        assert_eq!(steps.run(2), Ok(()));
    }

    #[test]
    fn when_one_fails_no_other_begins_and_those_on_their_way_end() {
        let mutex = Mutex::new(Vec::new());
        let done = &mutex;
        let (failed, has_failed) = channel();
        let mut steps = Steps::new();
        let first = steps.add(Vec::new(), move || {
            failed.send(()).unwrap();
            Err("first")
        });
        steps.add(Vec::new(), move || {
            has_failed.recv_timeout(PATIENCE).unwrap();
            done.lock().unwrap().push("second");
            Err("second")
        });
        let never = move || -> Result<(), &str> {
            done.lock().unwrap().push("never");
            Ok(())
        };
        steps.add(vec![first], never);
        steps.add(Vec::new(), never);
        let failures = steps.run(2).unwrap_err();
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert_eq!(*done.lock().unwrap(), ["second"]);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_step_that_panics_holds_up_nobody() {
        let mut steps = Steps::<()>::new();
        let first = steps.add(Vec::new(), || panic!("on purpose"));
        steps.add(vec![first], || Ok(()));
        steps.run(2).ok();
    }

    proptest! {
        #[test]
        fn everything_is_done_after_what_it_waits_for_and_never_more_at_once_than_may_be(
            waits in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0..12),
            most in 0..5usize,
        ) {
            let running = Mutex::new((0, Vec::new()));
            let mut steps = Steps::<()>::new();
            let mut ids: Vec<Id> = Vec::new();
            for (number, waits) in waits.iter().enumerate() {
                let after: Vec<Id> = match number {
                    0 => Vec::new(),
                    _ => waits.iter().map(|wait| *wait.get(&ids)).collect(),
                };
                let (running, before) = (&running, after.clone());
                ids.push(steps.add(after, move || {
                    let mut begun = running.lock().unwrap();
                    begun.0 += 1;
                    assert!(begun.0 <= most.max(1));
                    assert!(before.iter().all(|id| begun.1.contains(&id.0)), "{number} before {before:?}");
                    drop(begun);
                    thread::yield_now();
                    let mut ended = running.lock().unwrap();
                    ended.0 -= 1;
                    ended.1.push(number);
                    Ok(())
                }));
            }
            prop_assert_eq!(steps.run(most), Ok(()));
            let (_, mut done) = running.into_inner().unwrap();
            done.sort_unstable();
            prop_assert_eq!(done, (0..waits.len()).collect::<Vec<_>>());
        }
    }
}
