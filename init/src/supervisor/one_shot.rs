//! Containers that run once, one after another: `onboot` and `onshutdown`.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use image_layout::OnFailure;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::inotify::Inotify;
use super::logs::Stream;
use super::plan::OneShot;
use super::process::{Handle, ProcessId};
use super::runner::{Ended, Runner};
use super::tail::Tail;
use super::timeline::Recorder;
use super::{console, state_file};
use crate::engine::Exit;
use crate::runtime::{RUNTIME_FAILED, runner};
use crate::timeline::Kind;

/// How long the runtime may take to end its container, after it was told to.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A sequence of one-shots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// What it is called on the console and in the names of logs and state: `onboot`, `shutdown`.
    pub name: &'static str,
    /// How long each may take that says nothing itself.
    pub deadline: Duration,
    /// What the time-line calls its steps.
    pub kind: Kind,
}

/// Before the services. LinuxKit waits for ever, and so a missing network blocks its boot; formatting a large disk
/// or filling a swap file takes minutes.
pub const ONBOOT: Sequence =
    Sequence { name: "onboot", deadline: Duration::from_secs(15 * 60), kind: Kind::Onboot };
/// After the services: nobody may keep a machine from going down.
pub const ONSHUTDOWN: Sequence =
    Sequence { name: "shutdown", deadline: Duration::from_secs(30), kind: Kind::Shutdown };

/// What comes after a sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// What comes after it in a boot or a shutdown.
    #[default]
    GoOn,
    /// Nothing: this step failed.
    Stop(String),
    /// The machine starts again: this step failed.
    Reboot(String),
    /// The machine switches off: this step failed.
    Poweroff(String),
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    exit: Exit,
    /// Whether it had to be stopped.
    late: bool,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.late { "too late: " } else { "" }, self.exit)
    }
}

impl End {
    fn is_success(self) -> bool {
        self.exit.is_success() && !self.late
    }

    /// What comes after the step.
    fn outcome(self, step: &OneShot) -> Outcome {
        let id = || step.id.clone();
        match step.on_failure {
            _ if self.is_success() => Outcome::GoOn,
            OnFailure::Continue => Outcome::GoOn,
            OnFailure::Stop => Outcome::Stop(id()),
            OnFailure::Reboot => Outcome::Reboot(id()),
            OnFailure::Poweroff => Outcome::Poweroff(id()),
        }
    }
}

/// How far a sequence has come; the content of its state file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    finished: bool,
    /// What came after it, once it is finished.
    #[serde(default)]
    outcome: Outcome,
    steps: Vec<StepRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StepRecord {
    id: String,
    /// The process that runs it, while it runs.
    process: Option<ProcessId>,
    /// Once it has ended.
    exit: Option<Exit>,
}

/// What must be done about one step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Todo {
    Run,
    Adopt(ProcessId),
    Nothing,
}

impl Progress {
    /// A step runs once in the life of the machine, whoever supervises it.
    fn todo(&self, id: &str) -> Todo {
        match self.steps.iter().find(|step| step.id == id) {
            None => Todo::Run,
            Some(StepRecord { exit: Some(_), .. }) => Todo::Nothing,
            Some(StepRecord { process: Some(process), .. }) => Todo::Adopt(*process),
            // Noted, but never seen to run: it may have.
            Some(_) => Todo::Nothing,
        }
    }

    fn note(&mut self, id: &str, process: Option<ProcessId>, exit: Option<Exit>) {
        let record = StepRecord { id: id.to_owned(), process, exit };
        match self.steps.iter_mut().find(|step| step.id == id) {
            Some(step) => *step = record,
            None => self.steps.push(record),
        }
    }
}

impl Sequence {
    /// Runs all `steps` that have not run yet, up to one whose failure ends it. To be cancelled by
    /// [`Sequence::cancel`], not by dropping alone.
    ///
    /// What `beside` returns is kept while a container is made.
    pub async fn run<T>(
        &self,
        steps: &[OneShot],
        timeline: &Rc<Recorder>,
        beside: impl Fn() -> T,
    ) -> Outcome {
        let file = self.state_file();
        let mut progress: Progress = state_file::read(&file).unwrap_or_default();
        if progress.finished {
            return progress.outcome;
        }
        if !steps.is_empty() {
            self.make_log_dir();
        }
        let mut runner = None;
        for step in steps {
            let begun = Instant::now();
            let todo = progress.todo(&step.id);
            if todo == Todo::Nothing {
                continue;
            }
            let recorded = timeline.begin(self.kind, &step.id);
            let end = match todo {
                Todo::Nothing => continue,
                Todo::Run => self.run_step(step, &mut progress, &mut runner, &beside).await,
                Todo::Adopt(process) => self.adopt(step, process).await,
            };
            recorded.end_with(&if end.is_success() { Ok(()) } else { Err(end) });
            progress.note(&step.id, None, Some(end.exit));
            progress.outcome = end.outcome(step);
            progress.finished = progress.outcome != Outcome::GoOn;
            self.report(step, end, begun.elapsed());
            if progress.finished {
                break;
            }
            // A success is saved when the next step begins: a successor finds it in the step's own file. That a step was late
            // is nowhere else.
            if !end.is_success() {
                self.save(&progress);
            }
        }
        progress.finished = true;
        self.save(&progress);
        progress.outcome
    }

    /// Ends the step that runs, if any.
    pub async fn cancel(&self) {
        let progress: Progress = state_file::read(&self.state_file()).unwrap_or_default();
        for process in
            progress.steps.iter().filter(|step| step.exit.is_none()).filter_map(|step| step.process)
        {
            if let Some(handle) = Handle::open(process) {
                self.end(&handle).await;
            }
        }
    }

    /// Runs a step in `runner`, or in a new one when there is none; leaves there what can run the next.
    async fn run_step<T>(
        &self,
        step: &OneShot,
        progress: &mut Progress,
        runner: &mut Option<Runner>,
        beside: impl Fn() -> T,
    ) -> End {
        let prefix = format!("{} {}", self.name, step.id);
        let limit = step.deadline.unwrap_or(self.deadline);
        let mut late = false;
        let failed = |what: &str, error: &std::io::Error| {
            console::say(&format!("{prefix}: cannot {what}: {error}"));
            End { exit: Exit::Code(RUNTIME_FAILED.into()), late: false }
        };
        let (stdout, stderr) = (self.log(&step.id, ".out.log"), self.log(&step.id, ".log"));
        let (out, err) = match make_log(&stdout).and_then(|out| Ok((out, make_log(&stderr)?))) {
            Ok(files) => files,
            Err(error) => return failed("open its log", &error),
        };
        let mut tails = [
            Tail::new(out, self.name, &step.id, Stream::Out),
            Tail::new(err, self.name, &step.id, Stream::Err),
        ];
        let watch = Inotify::new().and_then(|watch| {
            watch.watch_content(&stdout)?;
            watch.watch_content(&stderr)?;
            Ok(watch)
        });
        let making = beside();
        let mut used = match alive(runner.take()).map_or_else(Runner::start, Ok) {
            Ok(used) => used,
            Err(error) => return failed("start the runtime", &error),
        };
        let id = used.process();
        // Noted before it can have any effect: better not run at all than run twice.
        progress.note(&step.id, id, None);
        self.save(progress);

        let request = runner::Step {
            id: step.id.clone(),
            bundle: step.bundle.clone(),
            exit_file: self.exit_file(&step.id),
            stdout,
            stderr,
        };
        let ended = {
            let (deadline, ended) = (tokio::time::sleep(limit), used.run(&request, making));
            tokio::pin!(deadline, ended);
            loop {
                tokio::select! {
                    ended = &mut ended => break ended,
                    changed = follow(&watch) => {
                        tails.iter_mut().for_each(Tail::copy);
                        if !changed {
                            break ended.await;
                        }
                    }
                    () = &mut deadline, if !late => {
                        late = true;
                        console::say(&format!("{prefix}: did not end within {} s; stopping it", limit.as_secs_f64()));
                        if let Some(handle) = id.and_then(Handle::open) {
                            self.end(&handle).await;
                        }
                    }
                }
            }
        };
        tails.into_iter().for_each(Tail::finish);
        match ended {
            Ok(Ended { exit, is_last }) => {
                *runner = (!is_last && !late).then_some(used);
                End { exit, late }
            }
            Err(error) => failed("wait for the runtime", &error),
        }
    }

    /// Waits for a step that a former supervisor started.
    async fn adopt(&self, step: &OneShot, process: ProcessId) -> End {
        let mut late = false;
        if let Some(handle) = Handle::open(process) {
            let prefix = format!("{} {}", self.name, step.id);
            console::say(&format!("{prefix}: still running, waiting for it"));
            let limit = step.deadline.unwrap_or(self.deadline);
            if tokio::time::timeout(limit, handle.ended()).await.is_err() {
                late = true;
                console::say(&format!("{prefix}: did not end within {} s; stopping it", limit.as_secs_f64()));
                self.end(&handle).await;
            }
        }
        let outcome = std::fs::read_to_string(self.exit_file(&step.id)).ok();
        let status = outcome.and_then(|text| text.trim().parse().ok());
        End { exit: status.map_or(Exit::Unknown, Exit::from_status), late }
    }

    async fn end(&self, handle: &Handle) {
        for signal in [Signal::TERM, Signal::KILL] {
            if let Err(error) = handle.signal(signal) {
                console::say(&format!("{}: cannot signal the runtime: {error}", self.name));
            }
            if tokio::time::timeout(STOP_PATIENCE, handle.ended()).await.is_ok() {
                return;
            }
        }
    }

    fn report(&self, step: &OneShot, end: End, took: Duration) {
        let seconds = took.as_secs_f64();
        let words = if end.is_success() {
            format!("done in {seconds:.2} s")
        } else {
            format!("FAILED: {end} after {seconds:.2} s")
        };
        console::say(&format!("{} {}: {words}", self.name, step.id));
    }

    fn make_log_dir(&self) {
        let dir = self.log_dir();
        let link = Path::new("/var/log").join(self.name);
        let made =
            std::fs::create_dir_all(&dir).and_then(|()| std::fs::create_dir_all("/var/log")).and_then(|()| {
                match std::os::unix::fs::symlink(&dir, &link) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                    other => other,
                }
            });
        if let Err(error) = made {
            console::say(&format!(
                "{}: cannot make {} and {}: {error}",
                self.name,
                dir.display(),
                link.display()
            ));
        }
    }

    fn log_dir(&self) -> PathBuf {
        Path::new("/run/log").join(self.name)
    }

    fn log(&self, id: &str, suffix: &str) -> PathBuf {
        self.log_dir().join(format!("{}.{id}{suffix}", self.name))
    }

    fn exit_file(&self, id: &str) -> PathBuf {
        state_file::path(&format!("{}.{id}.exit", self.name))
    }

    fn state_file(&self) -> PathBuf {
        state_file::path(&format!("{}.json", self.name))
    }

    fn save(&self, progress: &Progress) {
        if let Err(error) = state_file::write(&self.state_file(), progress) {
            console::say(&format!("{}: cannot write {}: {error}", self.name, self.state_file().display()));
        }
    }
}

fn alive(runner: Option<Runner>) -> Option<Runner> {
    runner.and_then(|mut runner| runner.is_alive().then_some(runner))
}

/// Makes the file that a step writes into, empty, and opens it for reading.
fn make_log(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).open(path)
}

/// Waits for new output; false when that is not possible any more.
async fn follow(watch: &std::io::Result<Inotify>) -> bool {
    match watch {
        Ok(watch) => watch.changed().await.is_ok(),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_never_runs_twice() {
        let process = ProcessId { pid: 7, started: 1 };
        let mut progress = Progress::default();
        assert_eq!(progress.todo("000-a"), Todo::Run);
        progress.note("000-a", None, None);
        assert_eq!(progress.todo("000-a"), Todo::Nothing);
        progress.note("000-a", Some(process), None);
        assert_eq!(progress.todo("000-a"), Todo::Adopt(process));
        progress.note("000-a", None, Some(Exit::Code(1)));
        assert_eq!(progress.todo("000-a"), Todo::Nothing);
        assert_eq!(progress.todo("001-b"), Todo::Run);
        assert_eq!(progress.steps.len(), 1);
    }

    #[test]
    fn only_a_failure_has_consequences_and_being_late_is_one() {
        let step =
            |on_failure| OneShot { id: "000-a".into(), bundle: "/c".into(), deadline: None, on_failure };
        let end = |exit, late| End { exit, late };
        for (on_failure, consequence) in [
            (OnFailure::Continue, Outcome::GoOn),
            (OnFailure::Stop, Outcome::Stop("000-a".into())),
            (OnFailure::Reboot, Outcome::Reboot("000-a".into())),
            (OnFailure::Poweroff, Outcome::Poweroff("000-a".into())),
        ] {
            let step = step(on_failure);
            assert_eq!(end(Exit::Code(0), false).outcome(&step), Outcome::GoOn);
            for failure in [end(Exit::Code(1), false), end(Exit::Code(0), true), end(Exit::Unknown, false)] {
                assert_eq!(failure.outcome(&step), consequence, "{failure:?}");
            }
        }
    }

    #[test]
    fn a_successor_knows_what_came_after_a_sequence() {
        let progress = Progress { finished: true, outcome: Outcome::Stop("000-a".into()), steps: Vec::new() };
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
        let older: Progress = serde_json::from_str(r#"{"finished":true,"steps":[]}"#).unwrap();
        assert_eq!(older.outcome, Outcome::GoOn);
    }

    #[test]
    fn logs_have_linuxkits_names() {
        assert_eq!(
            ONBOOT.log("000-sysctl", ".out.log"),
            Path::new("/run/log/onboot/onboot.000-sysctl.out.log")
        );
        assert_eq!(ONSHUTDOWN.log("000-a", ".log"), Path::new("/run/log/shutdown/shutdown.000-a.log"));
    }
}
