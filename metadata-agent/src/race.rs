//! Asks several providers side by side and takes one answer: the first in their order, among those that come within a
//! short time of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::fetch::{FetchError, Fetcher, Run, Times};
use crate::local::Local;
use crate::provider::{Provider, Reading};

/// What the asking needs of its caller.
#[derive(Debug, Clone)]
pub struct Question {
    /// The times to keep to.
    pub times: Times,
    /// When the run began.
    pub began: Instant,
    /// Whether a service may be believed that hands out no session tokens (AWS, IMDSv1).
    pub imdsv1: bool,
    /// Where the machine's own files are.
    pub local: Local,
    /// Who is told.
    pub console: Arc<Console>,
}

/// What has come of the asking.
#[derive(Debug)]
pub struct Answers {
    /// Whose answer is taken, and it.
    pub taken: Option<(usize, Reading)>,
    /// Who has failed so far, and how, in the order of the providers.
    pub failed: Vec<(usize, FetchError)>,
}

/// Threads that end with the deadline are given this long to say so.
const SLACK: Duration = Duration::from_millis(500);

/// Asks all `providers`, in the order in which their answers are preferred.
#[must_use]
pub fn ask(providers: &[Arc<dyn Provider>], question: &Question) -> Answers {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel();
    let mut states: Vec<State> = providers.iter().map(|_| State::Asking).collect();
    for (index, provider) in providers.iter().enumerate() {
        start(index, Arc::clone(provider), question.clone(), Arc::clone(&cancelled), sender.clone());
    }
    drop(sender);
    let until = question.began + question.times.deadline + SLACK;
    let mut first_answer = None;
    let taken = loop {
        let waited = first_answer.map(|at: Instant| at.elapsed());
        let left = until.saturating_duration_since(Instant::now());
        let pause = match decide(&states, waited, question.times.grace) {
            Decision::Take(index) => break Some(index),
            Decision::Nobody => break None,
            Decision::Wait(pause) => pause.map_or(left, |pause| pause.min(left)),
        };
        match receiver.recv_timeout(pause) {
            Ok((index, Ok(reading))) => {
                first_answer.get_or_insert_with(Instant::now);
                set(&mut states, index, State::Answered(reading));
            }
            Ok((index, Err(error))) => set(&mut states, index, State::Failed(error)),
            Err(RecvTimeoutError::Timeout) if pause < left => {}
            // The time is up, or a thread has died: nobody waits for those who have said nothing.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                states.iter_mut().filter(|state| matches!(state, State::Asking)).for_each(|state| {
                    *state = State::Failed(FetchError::OutOfTime);
                });
            }
        }
    };
    cancelled.store(true, Ordering::Relaxed);
    let mut answers = Answers { taken: None, failed: Vec::new() };
    for (index, state) in states.into_iter().enumerate() {
        match state {
            State::Answered(reading) if taken == Some(index) => answers.taken = Some((index, reading)),
            State::Failed(error) => answers.failed.push((index, error)),
            State::Answered(_) | State::Asking => {}
        }
    }
    answers
}

fn set(states: &mut [State], index: usize, state: State) {
    if let Some(place) = states.get_mut(index) {
        *place = state;
    }
}

/// Asks one provider in a thread of its own, which is left alone once its answer is not needed any more.
fn start(
    index: usize,
    provider: Arc<dyn Provider>,
    question: Question,
    cancelled: Arc<AtomicBool>,
    sender: Sender<(usize, Result<Reading, FetchError>)>,
) {
    let failed = sender.clone();
    let name = provider.name();
    let body = move || {
        let run = Run {
            times: question.times,
            began: question.began,
            imdsv1: question.imdsv1,
            console: &question.console,
            cancelled: &cancelled,
        };
        // Nobody listens any more when another's answer was taken.
        let _unheard = sender.send((index, ask_one(provider.as_ref(), &question.local, run)));
    };
    if let Err(cause) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
        let what = format!("cannot start a thread: {cause}");
        let _heard = failed.send((index, Err(FetchError::Strange { from: name, what })));
    }
}

/// What is on the machine comes before what is on its network; a fault of the first does not hinder the second.
fn ask_one(provider: &dyn Provider, local: &Local, run: Run<'_>) -> Result<Reading, FetchError> {
    let here = provider.read_local(local);
    if let Ok(Some(reading)) = here {
        return Ok(reading);
    }
    let service = provider.service(local);
    match (here, service) {
        (Err(error), None) => Err(error),
        (here, service) => {
            // Without a service, reading says what is missing here.
            let nowhere = crate::service::Service::At(([0, 0, 0, 0], 0).into());
            let mut http = Fetcher::new(service.unwrap_or(nowhere), run);
            let mut reading = provider.read(local, &mut http)?;
            if let Err(error) = here {
                reading.problems.insert(0, error.into());
            }
            Ok(reading)
        }
    }
}

/// How one provider is doing.
#[derive(Debug)]
enum State {
    Asking,
    Answered(Reading),
    Failed(FetchError),
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Take(usize),
    Nobody,
    /// For news, and no longer than this.
    Wait(Option<Duration>),
}

/// What to do, `waited` after the first answer.
fn decide(states: &[State], waited: Option<Duration>, grace: Duration) -> Decision {
    let answered = states.iter().position(|state| matches!(state, State::Answered(_)));
    let asking = states.iter().position(|state| matches!(state, State::Asking));
    match (answered, asking) {
        (None, None) => Decision::Nobody,
        (None, Some(_)) => Decision::Wait(None),
        (Some(answered), Some(asking)) if asking < answered => {
            match grace.checked_sub(waited.unwrap_or_default()).filter(|left| !left.is_zero()) {
                Some(left) => Decision::Wait(Some(left)),
                None => Decision::Take(answered),
            }
        }
        (Some(answered), _) => Decision::Take(answered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_order_is_taken_and_those_before_it_are_waited_for_a_short_time() {
        let state = |letter| match letter {
            'a' => State::Answered(Reading::default()),
            'f' => State::Failed(FetchError::Cancelled),
            _ => State::Asking,
        };
        let (second, half) = (Duration::from_secs(1), Duration::from_millis(500));
        for (states, waited, wanted) in [
            ("???", None, Decision::Wait(None)),
            ("a??", Some(Duration::ZERO), Decision::Take(0)),
            ("?a?", Some(half), Decision::Wait(Some(half))),
            ("?a?", Some(second), Decision::Take(1)),
            ("?aa", Some(second * 2), Decision::Take(1)),
            ("fa?", Some(Duration::ZERO), Decision::Take(1)),
            ("f?f", None, Decision::Wait(None)),
            ("fff", None, Decision::Nobody),
            ("", None, Decision::Nobody),
        ] {
            let states: Vec<_> = states.chars().map(state).collect();
            assert_eq!(decide(&states, waited, second), wanted, "{states:?} {waited:?}");
        }
    }
}
