//! What a driver has the engine do for a service. Each ends in an event for its state machine, or in none.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::make_pipes;
use crate::engine::{Engine, EngineError, Exit, TaskId, TaskState};
use crate::supervisor::logs::Logs;
use crate::supervisor::machine::Event;
use crate::supervisor::plan::Service;
use crate::supervisor::reports::Reports;
use crate::supervisor::{console, face};
use crate::timeline::Kind;

/// How long a start waits for the engine.
pub const ENGINE_LIMIT: Duration = Duration::from_secs(60);
/// Pause before the engine is asked again after it was lost.
const LOST_PAUSE: Duration = Duration::from_millis(50);

/// Prepares, creates and starts.
pub async fn launch<E: Engine>(
    engine: Rc<E>,
    starts: Rc<Semaphore>,
    service: Rc<Service>,
    reports: Rc<Reports>,
) -> Option<Event> {
    // Never closed, so there is always a permit in the end.
    let _permit = starts.acquire().await;
    match try_launch(&*engine, &service, &reports).await {
        Ok(pid) => Some(Event::Started(pid)),
        Err(reason) => {
            // Best effort: a start cleans up once more before it creates.
            drop(engine.remove(&service.container.task).await);
            Some(Event::StartFailed(reason))
        }
    }
}

async fn try_launch<E: Engine>(engine: &E, service: &Service, reports: &Reports) -> Result<u32, String> {
    let step = |part| reports.timeline.begin(Kind::Service, &format!("{}/{part}", service.name()));
    let create = step("create");
    let created = create_container(engine, service, &reports.logs).await;
    create.end_with(&created);
    let pid = created?;
    let start = step("start");
    let started = start_container(engine, service, pid).await;
    start.end_with(&started);
    started.map(|()| pid)
}

async fn create_container<E: Engine>(engine: &E, service: &Service, logs: &Rc<Logs>) -> Result<u32, String> {
    make_pipes(logs, service.name())?;
    // Side by side: early in the boot either may take long.
    let preparing =
        async { if engine.prepares() { Ok(()) } else { face::prepare(&service.container).await } };
    let (prepared, ready) = tokio::join!(preparing, tokio::time::timeout(ENGINE_LIMIT, engine.ready()));
    prepared?;
    let late = EngineError::Timeout { action: "reach containerd", limit: ENGINE_LIMIT };
    ready.unwrap_or(Err(late)).map_err(words)?;
    engine.create(&service.container).await.map_err(words)
}

async fn start_container<E: Engine>(engine: &E, service: &Service, pid: u32) -> Result<(), String> {
    if service.attach && !engine.prepares() {
        face::attach(&service.container, pid).await?;
    }
    engine.start(&service.container.task).await.map_err(words)
}

fn words(error: EngineError) -> String {
    error.to_string()
}

/// What the engine knows of a task, through whatever happens to the engine meanwhile: not to know is not that it does not run.
pub async fn find<E: Engine>(engine: &E, task: &TaskId) -> Result<TaskState, EngineError> {
    loop {
        engine.ready().await?;
        match engine.inspect(task).await {
            Err(error) if error.is_lost() => tokio::time::sleep(LOST_PAUSE).await,
            answer => return answer,
        }
    }
}

/// Waits for the end of a task, through whatever happens to the engine meanwhile.
pub async fn watch<E: Engine>(engine: Rc<E>, service: Rc<Service>) -> Option<Event> {
    let exited = |exit| Some(Event::Exited { exit, oom: false });
    let task = &service.container.task;
    loop {
        match engine.wait(task).await {
            Ok(exit) => return exited(exit),
            Err(_) => tokio::time::sleep(LOST_PAUSE).await,
        }
        if engine.ready().await.is_err() {
            return exited(Exit::Unknown);
        }
        match engine.inspect(task).await {
            Ok(TaskState::Stopped(exit)) => return exited(exit),
            Ok(TaskState::Absent) => return exited(Exit::Unknown),
            Ok(TaskState::Running(_) | TaskState::Created) => {}
            Err(_) => tokio::time::sleep(LOST_PAUSE).await,
        }
    }
}

/// Removes the ended task.
pub async fn clear<E: Engine>(engine: Rc<E>, service: Rc<Service>) -> Option<Event> {
    report(&service, engine.delete_task(&service.container.task).await);
    None
}

/// Removes task and container.
pub async fn remove<E: Engine>(engine: Rc<E>, service: Rc<Service>) -> Option<Event> {
    report(&service, engine.remove(&service.container.task).await);
    None
}

/// Sends a signal to the service's process `pid`.
pub async fn signal<E: Engine>(
    engine: Rc<E>,
    service: Rc<Service>,
    pid: Option<u32>,
    number: u32,
    all: bool,
) {
    report(&service, send(&*engine, &service.container.task, pid, number, all).await);
}

/// Sends a signal, through whatever happens to the engine meanwhile: a service that was not asked to stop would be killed for it.
async fn send<E: Engine>(
    engine: &E,
    task: &TaskId,
    pid: Option<u32>,
    number: u32,
    all: bool,
) -> Result<(), EngineError> {
    loop {
        match engine.signal(task, number, all).await {
            Err(error) if error.is_lost() => tokio::time::sleep(LOST_PAUSE).await,
            answer => return answer,
        }
        // What runs by now may be the next process, which nobody wants to end.
        match find(engine, task).await? {
            TaskState::Running(running) if Some(running) == pid => {}
            _ => return Ok(()),
        }
    }
}

fn report(service: &Service, result: Result<(), EngineError>) {
    if let Err(error) = result {
        console::say(&format!("{}: {error}", service.name()));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;
    use crate::engine::Container;

    /// Answers what it is told to, in order.
    #[derive(Default)]
    struct Scripted {
        states: RefCell<VecDeque<Result<TaskState, EngineError>>>,
        signals: RefCell<VecDeque<Result<(), EngineError>>>,
    }

    impl Engine for Scripted {
        async fn ready(&self) -> Result<(), EngineError> {
            Ok(())
        }
        async fn inspect(&self, _: &TaskId) -> Result<TaskState, EngineError> {
            self.states.borrow_mut().pop_front().unwrap_or(Ok(TaskState::Absent))
        }
        async fn create(&self, _: &Container) -> Result<u32, EngineError> {
            Err(EngineError::NotReady)
        }
        async fn start(&self, _: &TaskId) -> Result<(), EngineError> {
            Err(EngineError::NotReady)
        }
        async fn wait(&self, _: &TaskId) -> Result<Exit, EngineError> {
            Err(EngineError::NotReady)
        }
        async fn signal(&self, _: &TaskId, _: u32, _: bool) -> Result<(), EngineError> {
            self.signals.borrow_mut().pop_front().unwrap_or(Err(EngineError::NotReady))
        }
        async fn exec(&self, _: &TaskId, _: &[String], _: Duration) -> Result<Exit, EngineError> {
            Err(EngineError::NotReady)
        }
        async fn delete_task(&self, _: &TaskId) -> Result<(), EngineError> {
            Err(EngineError::NotReady)
        }
        async fn remove(&self, _: &TaskId) -> Result<(), EngineError> {
            Err(EngineError::NotReady)
        }
    }

    fn found(answers: Vec<Result<TaskState, EngineError>>) -> Result<TaskState, EngineError> {
        let engine = Scripted { states: RefCell::new(answers.into()), ..Scripted::default() };
        run(find(&engine, &task()))
    }

    fn task() -> TaskId {
        TaskId { namespace: "n".into(), id: "a".into() }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    fn refused(lost: bool) -> Result<TaskState, EngineError> {
        Err(EngineError::Refused { action: "look for the task", message: "transport error".into(), lost })
    }

    #[test]
    fn an_engine_that_dies_while_it_is_asked_is_asked_again() {
        let answer = found(vec![refused(true), Err(EngineError::NotReady), Ok(TaskState::Running(7))]);
        assert_eq!(answer.unwrap(), TaskState::Running(7));
    }

    #[test]
    fn a_signal_reaches_the_process_that_it_is_for_when_the_engine_is_back_and_no_other() {
        for (state, unsent) in
            [(TaskState::Running(7), 0), (TaskState::Running(8), 1), (TaskState::Stopped(Exit::Code(0)), 1)]
        {
            let engine = Scripted {
                states: RefCell::new(vec![refused(true), Ok(state)].into()),
                signals: RefCell::new(vec![Err(EngineError::NotReady), Ok(())].into()),
            };
            run(send(&engine, &task(), Some(7), 15, false)).unwrap();
            assert_eq!(engine.signals.borrow().len(), unsent, "{state:?}");
        }
    }

    #[test]
    fn an_engine_that_answers_is_believed() {
        assert!(found(vec![refused(false), Ok(TaskState::Running(7))]).is_err());
        assert_eq!(found(vec![]).unwrap(), TaskState::Absent);
    }
}
