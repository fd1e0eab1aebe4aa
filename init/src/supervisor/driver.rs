//! Drives one service's state machine: does its actions, and tells it what happened.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, mpsc, watch};

use super::hearing::{Hearing, hearing};
use super::logs::{Logs, Stream};
use super::machine::{Action, Event, Machine};
use super::plan::Service;
use super::{console, face, state_file};
use crate::engine::{Engine, EngineError, Exit, TaskState};
use crate::service::protocol::{LastExit, ServiceStatus, State};
use crate::terminal::cut;

/// How long a start waits for the engine.
const ENGINE_LIMIT: Duration = Duration::from_secs(60);
/// How much is said of a service's last line before it failed, in characters: the console is not the log.
const LAST_WORDS: usize = 400;
/// Pause before the engine is asked again after it was lost.
const LOST_PAUSE: Duration = Duration::from_millis(50);

/// What others tell a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// `onboot` has ended.
    Release,
    /// Run.
    Start,
    /// Do not run.
    Stop,
    /// Run afresh.
    Restart,
    /// The machine goes down: stop, without forgetting that it is wanted.
    ShutDown,
    /// It can never run, for this reason.
    Give(String),
}

type Work = Pin<Box<dyn Future<Output = Option<Event>>>>;

/// A service and all that is going on about it.
pub struct Driver<E> {
    engine: Rc<E>,
    starts: Rc<Semaphore>,
    service: Rc<Service>,
    machine: Machine,
    status: watch::Sender<ServiceStatus>,
    epoch: Instant,
    /// Things to do for the engine, one after another.
    queue: VecDeque<Work>,
    /// Waits for the task's end.
    watching: Option<Work>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    going_down: bool,
    /// Whether a former supervisor had to do with it.
    known: bool,
    logs: Rc<Logs>,
    /// Where the logs were when it was last started.
    log_start: u64,
}

impl<E: Engine + 'static> Driver<E> {
    /// A service that has done nothing yet; a former supervisor's knowledge about it is used.
    pub fn new(
        engine: Rc<E>,
        starts: Rc<Semaphore>,
        service: Service,
        logs: Rc<Logs>,
    ) -> (Self, watch::Receiver<ServiceStatus>) {
        // Now, so that what it says is read even if it was started by a former supervisor.
        if let Err(reason) = make_pipes(&logs, service.name()) {
            console::say(&format!("{}: {reason}", service.name()));
        }
        let before: Option<ServiceStatus> = state_file::read(&state_file::path(&file_name(service.name())));
        let wanted = before.as_ref().is_none_or(|status| status.wanted);
        let machine =
            Machine::new(service.policy, wanted, before.as_ref().map_or(0, |status| status.restarts));
        let last_exit = before.as_ref().and_then(|status| status.last_exit);
        let (status, receiver) = watch::channel(ServiceStatus {
            name: service.name().to_owned(),
            state: machine.state(),
            pid: None,
            restarts: machine.restarts(),
            since: seconds_now(),
            wanted,
            last_exit,
            problem: None,
        });
        let driver = Self {
            engine,
            starts,
            service: Rc::new(service),
            machine,
            status,
            epoch: Instant::now(),
            queue: VecDeque::new(),
            watching: None,
            timer: None,
            going_down: false,
            known: before.is_some(),
            logs,
            log_start: 0,
        };
        (driver, receiver)
    }

    /// Runs until nobody can give orders any more.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        self.publish(None);
        // Before any order: a task that runs must not be taken for the remains of a dead one.
        if self.known
            && let Some(event) = self.look_for_task().await
        {
            self.handle(event);
        }
        loop {
            let event = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.event_of(order),
                    None => return,
                },
                event = first(&mut self.queue) => event,
                event = optional(&mut self.watching) => { self.watching = None; event }
                () = elapsed(&mut self.timer) => { self.timer = None; Some(Event::Elapsed) }
            };
            match event {
                Some(event) => self.handle(event),
                // Something was done; it may have been the last thing.
                None => self.publish(None),
            }
        }
    }

    fn event_of(&mut self, order: Order) -> Option<Event> {
        Some(match order {
            Order::Release => Event::Released,
            Order::Start => Event::StartAsked,
            Order::Stop => Event::StopAsked(self.hearing()),
            Order::ShutDown => {
                self.going_down = true;
                Event::StopAsked(self.hearing())
            }
            Order::Restart => Event::RestartAsked(self.hearing()),
            Order::Give(reason) => Event::Impossible(reason),
        })
    }

    fn handle(&mut self, event: Event) {
        let adopted_unwanted = matches!(event, Event::Adopted(_)) && !self.machine.wanted();
        let exit = match &event {
            Event::Exited(exit) => Some(LastExit { exit: *exit, at: seconds_now() }),
            _ => None,
        };
        if exit.is_some_and(|last| !last.exit.is_success()) {
            self.tell_last_words();
        }
        for action in self.machine.on(event, self.epoch.elapsed()) {
            self.act(action);
        }
        if adopted_unwanted {
            // The former supervisor was about to stop it.
            let hearing = self.hearing();
            for action in self.machine.on(Event::StopAsked(hearing), self.epoch.elapsed()) {
                self.act(action);
            }
        }
        self.publish(exit);
    }

    fn act(&mut self, action: Action) {
        let engine = Rc::clone(&self.engine);
        let service = Rc::clone(&self.service);
        match action {
            Action::Launch => {
                self.log_start = self.logs.position();
                let logs = Rc::clone(&self.logs);
                self.queue.push_back(Box::pin(launch(engine, Rc::clone(&self.starts), service, logs)))
            }
            Action::Watch => self.watching = Some(Box::pin(watch_task(engine, service))),
            Action::Signal { number, all } => {
                // Not queued: a signal must not wait behind anything.
                tokio::task::spawn_local(async move {
                    if let Err(error) = engine.signal(&service.container.task, number, all).await {
                        console::say(&format!("{}: {error}", service.name()));
                    }
                });
            }
            Action::Arm(wait) => self.timer = Some(Box::pin(tokio::time::sleep(wait))),
            Action::Disarm => self.timer = None,
            Action::Clear => self.queue.push_back(Box::pin(async move {
                report(&service, engine.delete_task(&service.container.task).await);
                None
            })),
            Action::Remove => self.queue.push_back(Box::pin(async move {
                report(&service, engine.remove(&service.container.task).await);
                None
            })),
            Action::Say(line) => console::say(&format!("{}: {line}", self.service.name())),
        }
    }

    fn tell_last_words(&self) {
        let name = self.service.name();
        if let Some(line) = self.logs.last_since(name, self.log_start) {
            console::say(&format!("{name}: {}", cut(&line.text, LAST_WORDS)));
        }
    }

    /// Looks whether a former supervisor's task runs; anything else is cleaned when it is started.
    async fn look_for_task(&self) -> Option<Event> {
        tokio::time::timeout(ENGINE_LIMIT, self.engine.ready()).await.ok()?.ok()?;
        match self.engine.inspect(&self.service.container.task).await {
            Ok(TaskState::Running(pid)) => {
                console::say(&format!("{}: still running", self.service.name()));
                Some(Event::Adopted(pid))
            }
            Ok(_) => None,
            Err(error) => {
                console::say(&format!("{}: {error}", self.service.name()));
                None
            }
        }
    }

    fn hearing(&self) -> Hearing {
        match self.machine.pid() {
            Some(pid) => hearing(pid, self.service.policy.stop_signal),
            None => Hearing::Hears,
        }
    }

    fn publish(&mut self, exit: Option<LastExit>) {
        let machine = &self.machine;
        let going_down = self.going_down;
        // It has not come to rest while its container is still being removed.
        let state = match machine.state() {
            state if is_down(state) && !self.queue.is_empty() => State::Stopping,
            state => state,
        };
        self.status.send_if_modified(|status| {
            let before = status.clone();
            if status.state != state || status.pid != machine.pid() {
                status.since = seconds_now();
            }
            status.state = state;
            status.pid = machine.pid();
            status.restarts = machine.restarts();
            if !going_down {
                status.wanted = machine.wanted();
            }
            status.problem = machine.problem().map(str::to_owned);
            status.last_exit = exit.or(status.last_exit);
            *status != before
        });
        let path = state_file::path(&file_name(self.service.name()));
        if let Err(error) = state_file::write(&path, &*self.status.borrow()) {
            console::say(&format!("{}: cannot write {}: {error}", self.service.name(), path.display()));
        }
    }
}

/// Prepares, creates and starts.
async fn launch<E: Engine>(
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
    face::prepare(container).await?;
    make_pipes(logs, service.name())?;
    let words = |error: EngineError| error.to_string();
    tokio::time::timeout(ENGINE_LIMIT, engine.ready())
        .await
        .map_err(|_| words(EngineError::Timeout { action: "reach containerd", limit: ENGINE_LIMIT }))?
        .map_err(words)?;
    let pid = engine.create(container).await.map_err(words)?;
    if service.attach {
        face::attach(container, pid).await?;
    }
    engine.start(&container.task).await.map_err(words)?;
    Ok(pid)
}

/// The pipes that take its output.
fn make_pipes(logs: &Rc<Logs>, name: &str) -> Result<(), String> {
    for stream in [Stream::Out, Stream::Err] {
        logs.fifo(name, stream).map_err(|error| format!("cannot make the pipe for its output: {error}"))?;
    }
    Ok(())
}

/// Waits for the end of a task, through whatever happens to the engine meanwhile.
async fn watch_task<E: Engine>(engine: Rc<E>, service: Rc<Service>) -> Option<Event> {
    let task = &service.container.task;
    loop {
        match engine.wait(task).await {
            Ok(exit) => return Some(Event::Exited(exit)),
            Err(_) => tokio::time::sleep(LOST_PAUSE).await,
        }
        if engine.ready().await.is_err() {
            return Some(Event::Exited(Exit::Unknown));
        }
        match engine.inspect(task).await {
            Ok(TaskState::Stopped(exit)) => return Some(Event::Exited(exit)),
            Ok(TaskState::Absent) => return Some(Event::Exited(Exit::Unknown)),
            Ok(TaskState::Running(_) | TaskState::Created) => {}
            Err(_) => tokio::time::sleep(LOST_PAUSE).await,
        }
    }
}

fn report(service: &Service, result: Result<(), EngineError>) {
    if let Err(error) = result {
        console::say(&format!("{}: {error}", service.name()));
    }
}

async fn first(queue: &mut VecDeque<Work>) -> Option<Event> {
    let event = match queue.front_mut() {
        Some(work) => work.await,
        None => std::future::pending().await,
    };
    queue.pop_front();
    event
}

async fn optional(work: &mut Option<Work>) -> Option<Event> {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn elapsed(timer: &mut Option<Pin<Box<tokio::time::Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// Whether a service has come to rest.
#[must_use]
pub fn is_down(state: State) -> bool {
    matches!(state, State::Stopped | State::Failed)
}

fn file_name(service: &str) -> String {
    format!("services/{service}.json")
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
