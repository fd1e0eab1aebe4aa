//! The boot time-line as the supervisor keeps it: in memory, in a file, and on a port that leads out of the machine.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::{boot_port, console, state_file};
use crate::timeline::{Kind, Outcome, PATH, STEPS_LIMIT, Step, Timeline, now};

/// What the supervisor's own start is called.
const OWN_START: &str = "pid1/supervisor";
/// Changes within this time are written together.
const COALESCE: Duration = Duration::from_millis(200);

/// Records what takes time until the machine serves, and when it ends.
///
/// A step that has succeeded once is not recorded again: a service that crashes later is no part of the boot. One that
/// failed and is tried again keeps its place and its start.
#[derive(Debug)]
pub struct Recorder {
    timeline: RefCell<Timeline>,
    path: PathBuf,
    changed: Notify,
}

/// A step that has begun. Dropped without [`Token::end`], it stays one that runs.
#[derive(Debug)]
#[must_use]
pub struct Token {
    recorder: Weak<Recorder>,
    /// `None` for a step that is not recorded.
    step: Option<(Kind, String)>,
}

impl Recorder {
    /// Goes on with what PID 1 or a former supervisor wrote. Needs a `LocalSet`.
    pub fn start() -> Rc<Self> {
        Self::start_at(Path::new(PATH))
    }

    /// The same with another file.
    fn start_at(path: &Path) -> Rc<Self> {
        let mut timeline: Timeline = state_file::read(path).unwrap_or_default();
        timeline.steps.extend(own_start(&timeline, now()));
        let timeline = RefCell::new(timeline);
        let recorder = Rc::new(Self { timeline, path: path.to_owned(), changed: Notify::new() });
        tokio::task::spawn_local(keep(Rc::clone(&recorder)));
        recorder
    }

    /// Begins a step.
    pub fn begin(self: &Rc<Self>, kind: Kind, name: &str) -> Token {
        let mut timeline = self.timeline.borrow_mut();
        let is_full = timeline.steps.len() >= STEPS_LIMIT;
        let known = timeline.steps.iter_mut().find(|step| step.kind == kind && step.name == name);
        let recorded = match known {
            Some(step) if step.outcome == Outcome::Ok => false,
            Some(step) => {
                (step.outcome, step.end) = (Outcome::Running, None);
                true
            }
            None if is_full => false,
            None => {
                timeline.steps.push(Step::begun(kind, name, now()));
                true
            }
        };
        let step = recorded.then(|| (kind, name.to_owned()));
        if recorded {
            self.changed.notify_one();
        }
        Token { recorder: Rc::downgrade(self), step }
    }

    /// What is known now.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.timeline.borrow().clone()
    }

    /// Writes what is known, now.
    pub async fn flush(&self) {
        let timeline = self.timeline();
        if let Err(error) = state_file::write(&self.path, &timeline) {
            console::say(&format!("boot time-line: cannot write {}: {error}", self.path.display()));
        }
        boot_port::send(&timeline).await;
    }
}

impl Token {
    /// Ends the step; `detail` says why it failed, and is empty when it did not.
    pub fn end(self, outcome: Outcome, detail: impl Into<String>) {
        let (Some(recorder), Some((kind, name))) = (self.recorder.upgrade(), self.step) else { return };
        let mut timeline = recorder.timeline.borrow_mut();
        if let Some(step) = timeline.steps.iter_mut().find(|step| step.kind == kind && step.name == name) {
            step.end = Step::done(kind, &name, now(), now()).end;
            (step.outcome, step.detail) = (outcome, detail.into());
        }
        recorder.changed.notify_one();
    }

    /// Ends the step as `result` says.
    pub fn end_with<T, E: std::fmt::Display>(self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.end(Outcome::Ok, ""),
            Err(reason) => self.end(Outcome::Failed, reason.to_string()),
        }
    }
}

/// The first supervisor's own start, from when PID 1 had done everything else; `None` for its successors, and where PID 1
/// wrote nothing.
fn own_start(timeline: &Timeline, now: Duration) -> Option<Step> {
    let steps = || timeline.steps.iter().filter(|step| step.kind == Kind::Pid1);
    let start = steps().filter_map(|step| step.end).reduce(f64::max)?;
    let known = steps().any(|step| step.name == OWN_START);
    (!known).then(|| Step { start, ..Step::done(Kind::Pid1, OWN_START, now, now) })
}

/// Writes changes, a while after the first of them.
async fn keep(recorder: Rc<Recorder>) {
    loop {
        recorder.changed.notified().await;
        tokio::time::sleep(COALESCE).await;
        recorder.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, work)
    }

    fn recorded(recorder: &Recorder) -> Vec<(String, Outcome, bool)> {
        let steps = recorder.timeline().steps;
        steps.into_iter().map(|step| (step.name, step.outcome, step.end.is_some())).collect()
    }

    #[test]
    fn steps_are_recorded_until_they_succeed_and_not_again() {
        let dir = tempfile::tempdir().unwrap();
        local(async {
            let recorder = Recorder::start_at(&dir.path().join("boot.json"));
            recorder.begin(Kind::Service, "a/create").end(Outcome::Failed, "no such file");
            let again = recorder.begin(Kind::Service, "a/create");
            assert_eq!(recorded(&recorder), [("a/create".to_owned(), Outcome::Running, false)]);
            again.end_with::<(), String>(&Ok(()));
            let first = recorder.timeline();
            recorder.begin(Kind::Service, "a/create").end(Outcome::Failed, "later");
            assert_eq!(recorder.timeline(), first);
            assert_eq!((first.steps[0].outcome, first.steps[0].detail.as_str()), (Outcome::Ok, ""));
        });
    }

    #[test]
    fn a_successor_goes_on_where_the_former_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.json");
        let start = local(async {
            let recorder = Recorder::start_at(&path);
            drop(recorder.begin(Kind::Onboot, "000-a"));
            recorder.flush().await;
            recorder.timeline().steps[0].start
        });
        local(async {
            let recorder = Recorder::start_at(&path);
            recorder.begin(Kind::Onboot, "000-a").end(Outcome::Ok, "");
            let steps = recorder.timeline().steps;
            assert_eq!((steps.len(), steps[0].start, steps[0].outcome), (1, start, Outcome::Ok));
            assert!(steps[0].end.is_some_and(|end| end >= start));
        });
    }

    #[test]
    fn the_first_supervisors_own_start_is_a_step_and_no_successors() {
        let at = Duration::from_millis;
        let mut timeline = Timeline::default();
        assert_eq!(own_start(&timeline, at(9)), None);
        timeline.steps.push(Step::done(Kind::Pid1, "pid1/seal", at(1000), at(1010)));
        let step = own_start(&timeline, at(1500)).unwrap();
        assert_eq!((step.name.as_str(), step.start, step.end), ("pid1/supervisor", 1.01, Some(1.5)));
        timeline.steps.push(step);
        assert_eq!(own_start(&timeline, at(9000)), None);
    }

    #[test]
    fn the_number_of_steps_is_limited() {
        let dir = tempfile::tempdir().unwrap();
        local(async {
            let recorder = Recorder::start_at(&dir.path().join("boot.json"));
            for number in 0..STEPS_LIMIT + 10 {
                recorder.begin(Kind::Onboot, &number.to_string()).end(Outcome::Ok, "");
            }
            assert_eq!(recorder.timeline().steps.len(), STEPS_LIMIT);
        });
    }
}
