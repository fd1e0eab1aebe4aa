//! The engine that is this binary's own OCI runtime: for images without containerd.
//!
//! A container is created by a process that is executed for it and ends at once, so that its first process becomes a
//! child of PID 1, and outlives the supervisor. PID 1 writes down how it ended ([`records`]).

mod helper;
mod output;
mod records;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::helper::{Helper, Runtime};
use self::records::Records;
use super::{Container, Engine, EngineError, Exit, TaskId, TaskState};
use crate::runtime::{self, DEFAULT_ROOT, Known, RuntimeError, Status, chain};
use crate::watch::process::ProcessId;

/// How long creating may take: mounts of network file systems are the slow ones.
const CREATE_LIMIT: Duration = Duration::from_secs(60);
/// How long deleting may take, processes that must be killed included.
const DELETE_LIMIT: Duration = Duration::from_secs(15);
/// How long a killed task may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const SIGKILL: u32 = 9;

/// Our own runtime.
#[derive(Debug, Clone)]
pub struct Embedded<R = Helper> {
    root: PathBuf,
    records: Records,
    helper: R,
    /// What was created here and nobody waits for yet, so that it need not be looked up for each step to there.
    fresh: RefCell<HashMap<String, Known>>,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::at(Path::new(DEFAULT_ROOT), Path::new(records::DIR))
    }
}

impl Embedded {
    /// An engine whose containers' state is below `root`, and which finds how they ended in `exits`.
    #[must_use]
    pub fn at(root: &Path, exits: &Path) -> Self {
        let (root, records, helper) = (root.to_owned(), Records::at(exits), Helper::new(root));
        Self { root, records, helper, fresh: RefCell::default() }
    }
}

impl<R: Runtime> Embedded<R> {
    fn known(&self, task: &TaskId) -> Result<Option<Known>, RuntimeError> {
        match Known::load(&self.root, &task.id) {
            Ok(known) => Ok(Some(known)),
            Err(RuntimeError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A task that must be there, and its first process. It is fresh no more.
    fn made(&self, task: &TaskId, action: &'static str) -> Result<(Known, ProcessId), EngineError> {
        let fresh = self.fresh.borrow_mut().remove(&task.id);
        let known = fresh.map_or_else(|| Known::load(&self.root, &task.id), Ok).map_err(refused(action))?;
        let init = known.init().ok_or_else(|| refused(action)(RuntimeError::NotFound))?;
        Ok((known, init))
    }

    /// Deletes a container: here when that takes no time, else in a process that may wait.
    async fn delete(&self, task: &TaskId, known: Option<&Known>) -> Result<(), EngineError> {
        let empty = known
            .is_some_and(|known| known.cgroup().and_then(|cgroup| cgroup.is_populated()).is_ok_and(|p| !p));
        if empty {
            runtime::delete(&self.root, &task.id, true).map_err(refused("delete the task"))?;
        } else {
            self.helper.run("delete the task", &["delete", "--force", &task.id], DELETE_LIMIT).await?;
        }
        if let Some(init) = known.and_then(Known::init) {
            self.records.forget(init.pid).map_err(|error| EngineError::Bundle(error.to_string()))?;
        }
        Ok(())
    }
}

impl<R: Runtime> Engine for Embedded<R> {
    async fn ready(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn prepares(&self) -> bool {
        true
    }

    async fn inspect(&self, task: &TaskId) -> Result<TaskState, EngineError> {
        let known = match self.known(task) {
            Ok(None) => return Ok(TaskState::Absent),
            Ok(Some(known)) => known,
            // Cut off while it was created; whoever starts it removes it first.
            Err(RuntimeError::Json { .. } | RuntimeError::Container { .. }) => {
                return Ok(TaskState::Stopped(Exit::Unknown));
            }
            Err(error) => return Err(refused("look for the task")(error)),
        };
        let Some(init) = known.init() else { return Ok(TaskState::Created) };
        Ok(match known.status() {
            Status::Creating | Status::Created => TaskState::Created,
            Status::Running | Status::Paused => TaskState::Running(init.pid),
            Status::Stopped => TaskState::Stopped(self.records.read(init.pid).unwrap_or(Exit::Unknown)),
        })
    }

    async fn create(&self, container: &Container) -> Result<u32, EngineError> {
        self.remove(&container.task).await?;
        let (stdout, stderr) = output::open(&container.stdout)
            .and_then(|stdout| Ok((stdout, output::open(&container.stderr)?)))
            .map_err(|error| EngineError::Bundle(error.to_string()))?;
        self.helper.create(&container.task.id, &container.bundle, stdout, stderr, CREATE_LIMIT).await?;
        let (known, init) = self.made(&container.task, "create the task")?;
        self.fresh.borrow_mut().insert(container.task.id.clone(), known);
        Ok(init.pid)
    }

    async fn start(&self, task: &TaskId) -> Result<(), EngineError> {
        let action = "start the task";
        let (mut known, init) = self.made(task, action)?;
        // Before it can end.
        self.records.expect(init.pid).map_err(|error| EngineError::Bundle(error.to_string()))?;
        runtime::start_known(&mut known).map_err(refused(action))?;
        self.fresh.borrow_mut().insert(task.id.clone(), known);
        Ok(())
    }

    async fn wait(&self, task: &TaskId) -> Result<Exit, EngineError> {
        let (_, init) = self.made(task, "wait for the task")?;
        Ok(self.records.end_of(init).await)
    }

    async fn signal(&self, task: &TaskId, signal: u32, all: bool) -> Result<(), EngineError> {
        match runtime::kill(&self.root, &task.id, signal, all) {
            Ok(()) | Err(RuntimeError::NotFound | RuntimeError::NotRunning) => Ok(()),
            Err(error) => Err(refused("signal the task")(error)),
        }
    }

    async fn delete_task(&self, task: &TaskId) -> Result<(), EngineError> {
        let action = "delete the task";
        let Some(known) = self.known(task).map_err(refused(action))? else { return Ok(()) };
        if known.alive().is_some() {
            return Err(refused(action)(RuntimeError::State { action: "delete", status: known.status() }));
        }
        self.delete(task, Some(&known)).await
    }

    async fn remove(&self, task: &TaskId) -> Result<(), EngineError> {
        self.fresh.borrow_mut().remove(&task.id);
        let known = match self.known(task) {
            Ok(Some(known)) => Some(known),
            // Even then its directory may be there.
            Ok(None) if !runtime::has_remains(&self.root, &task.id) => return Ok(()),
            Ok(None) | Err(_) => None,
        };
        if let Some(alive) = known.as_ref().and_then(Known::alive) {
            self.signal(task, SIGKILL, true).await?;
            let limit = KILL_LIMIT;
            tokio::time::timeout(limit, records::gone(alive))
                .await
                .map_err(|_| EngineError::Timeout { action: "kill the task", limit })?;
        }
        self.delete(task, known.as_ref()).await
    }

    async fn exec(&self, task: &TaskId, args: &[String], limit: Duration) -> Result<Exit, EngineError> {
        self.helper.exec(&task.id, args, limit).await
    }
}

fn refused(action: &'static str) -> impl FnOnce(RuntimeError) -> EngineError {
    move |error| EngineError::Refused { action, message: chain(&error), lost: false }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn task() -> TaskId {
        TaskId { namespace: "n".into(), id: "a".into() }
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// Writes what `runtime create` leaves, for a first process that is this one or was another.
    fn made(root: &Path, process: ProcessId) {
        let dir = root.join("a");
        std::fs::create_dir_all(&dir).unwrap();
        let state = format!(
            r#"{{"ociVersion":"1.2.1","id":"a","status":"running","pid":{},"bundle":"/c/a","useSystemd":false,"intelRdtDir":null}}"#,
            process.pid
        );
        std::fs::write(dir.join("state.json"), state).unwrap();
        let note =
            runtime::Note { bundle: "/c/a".into(), rootfs: "/c/a/rootfs".into(), started: process.started };
        Known::write_note(root, "a", &note).unwrap();
    }

    #[test]
    fn a_new_supervisor_finds_what_runs_and_how_the_rest_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (root, exits) = (dir.path().join("runtime"), dir.path().join("exits"));
        let engine = Embedded::at(&root, &exits);
        assert_eq!(run(engine.inspect(&task())).unwrap(), TaskState::Absent);
        let me = ProcessId::of(std::process::id()).unwrap();
        made(&root, me);
        assert_eq!(run(engine.inspect(&task())).unwrap(), TaskState::Running(me.pid));
        // Its number has been given to another.
        made(&root, ProcessId { started: me.started + 1, ..me });
        assert_eq!(run(engine.inspect(&task())).unwrap(), TaskState::Stopped(Exit::Unknown));
        std::fs::create_dir_all(&exits).unwrap();
        std::fs::write(exits.join(me.pid.to_string()), "signal 11\n").unwrap();
        assert_eq!(run(engine.inspect(&task())).unwrap(), TaskState::Stopped(Exit::Signal(11)));
        assert_eq!(run(engine.wait(&task())).unwrap(), Exit::Signal(11));
    }

    /// Creates containers whose first process has this number and start, which nobody has any more.
    struct Creates(PathBuf, ProcessId);

    impl Runtime for Creates {
        async fn create(&self, _: &str, _: &Path, _: File, _: File, _: Duration) -> Result<(), EngineError> {
            made(&self.0, self.1);
            Ok(())
        }

        async fn run(&self, action: &'static str, _: &[&str], limit: Duration) -> Result<(), EngineError> {
            Err(EngineError::Timeout { action, limit })
        }

        async fn exec(&self, _: &str, _: &[String], _: Duration) -> Result<Exit, EngineError> {
            Ok(Exit::Unknown)
        }
    }

    #[test]
    fn what_was_just_created_is_not_looked_up_again_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (root, exits) = (dir.path().join("runtime"), dir.path().join("exits"));
        let me = ProcessId::of(std::process::id()).unwrap();
        let helper = Creates(root.clone(), ProcessId { started: me.started + 1, ..me });
        let records = Records::at(&exits);
        let engine = Embedded { root: root.clone(), records, helper, fresh: RefCell::default() };
        std::fs::create_dir_all(&exits).unwrap();
        std::fs::write(exits.join(me.pid.to_string()), "code 7\n").unwrap();
        let [bundle, stdout, stderr] = ["bundle", "out", "err"].map(|name| dir.path().join(name));
        let container = Container { task: task(), bundle, stdout, stderr };
        let create = || {
            assert_eq!(run(engine.create(&container)).unwrap(), me.pid);
            // So that looking it up would fail.
            std::fs::remove_dir_all(&root).unwrap();
        };
        create();
        assert_eq!(run(engine.wait(&task())).unwrap(), Exit::Code(7));
        assert!(run(engine.wait(&task())).is_err());
        create();
        run(engine.remove(&task())).unwrap();
        assert!(run(engine.wait(&task())).is_err());
    }

    #[test]
    fn what_is_not_there_needs_neither_signal_nor_removal() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Embedded::at(&dir.path().join("runtime"), &dir.path().join("exits"));
        run(engine.signal(&task(), 15, false)).unwrap();
        run(engine.delete_task(&task())).unwrap();
        run(engine.remove(&task())).unwrap();
        assert!(run(engine.start(&task())).is_err());
        assert!(!run(engine.wait(&task())).unwrap_err().is_lost());
    }

    #[test]
    fn a_state_that_was_cut_off_is_no_task_that_runs() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Embedded::at(dir.path(), &dir.path().join("exits"));
        std::fs::create_dir_all(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/state.json"), "{").unwrap();
        assert_eq!(run(engine.inspect(&task())).unwrap(), TaskState::Stopped(Exit::Unknown));
    }
}
