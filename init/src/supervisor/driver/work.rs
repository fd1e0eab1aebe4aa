//! What a driver has the engine do for a service. Each ends in an event for its state machine, or in none.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::make_pipes;
use crate::engine::{Engine, EngineError, Exit, TaskState};
use crate::supervisor::logs::Logs;
use crate::supervisor::machine::Event;
use crate::supervisor::plan::Service;
use crate::supervisor::{console, face};

/// How long a start waits for the engine.
pub const ENGINE_LIMIT: Duration = Duration::from_secs(60);
/// Pause before the engine is asked again after it was lost.
const LOST_PAUSE: Duration = Duration::from_millis(50);

/// Prepares, creates and starts.
pub async fn launch<E: Engine>(
    engine: Rc<E>,
    starts: Rc<Semaphore>,
    service: Rc<Service>,
    logs: Rc<Logs>,
) -> Option<Event> {
    // Never closed, so there is always a permit in the end.
    let _permit = starts.acquire().await;
    match try_launch(&*engine, &service, &logs).await {
        Ok(pid) => Some(Event::Started(pid)),
        Err(reason) => {
            // Best effort: a start cleans up once more before it creates.
            drop(engine.remove(&service.container.task).await);
            Some(Event::StartFailed(reason))
        }
    }
}

async fn try_launch<E: Engine>(engine: &E, service: &Service, logs: &Rc<Logs>) -> Result<u32, String> {
    let container = &service.container;
    let words = |error: EngineError| error.to_string();
    make_pipes(logs, service.name())?;
    // Side by side: early in the boot either may take long.
    let preparing = async { if engine.prepares() { Ok(()) } else { face::prepare(container).await } };
    let (prepared, ready) = tokio::join!(preparing, tokio::time::timeout(ENGINE_LIMIT, engine.ready()));
    prepared?;
    ready
        .map_err(|_| words(EngineError::Timeout { action: "reach containerd", limit: ENGINE_LIMIT }))?
        .map_err(words)?;
    let pid = engine.create(container).await.map_err(words)?;
    if service.attach && !engine.prepares() {
        face::attach(container, pid).await?;
    }
    engine.start(&container.task).await.map_err(words)?;
    Ok(pid)
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

/// Sends a signal.
pub async fn signal<E: Engine>(engine: Rc<E>, service: Rc<Service>, number: u32, all: bool) {
    report(&service, engine.signal(&service.container.task, number, all).await);
}

fn report(service: &Service, result: Result<(), EngineError>) {
    if let Err(error) = result {
        console::say(&format!("{}: {error}", service.name()));
    }
}
