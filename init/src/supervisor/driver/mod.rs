//! Drives one service's state machine: does its actions, and tells it what happened.

mod ledger;
mod work;

use std::collections::VecDeque;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use image_layout::Probe;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};

pub use ledger::now;

use super::backoff::Jitter;
use super::board::Board;
use super::console;
use super::dependencies::Need;
use super::hearing::{Hearing, hearing};
use super::logs::{Logs, Stream};
use super::machine::{Action, Event, Machine, Question};
use super::memory::OomWatch;
use super::plan::Service;
use super::probe::{self, Listener, Subject};
use super::reports::Reports;
use super::timeline::Token;
use crate::engine::{Engine, Exit, TaskState};
use crate::service::protocol::{ServiceStatus, State};
use crate::terminal::cut;
use crate::timeline::{Kind, Outcome};
use ledger::Ledger;

/// How much is said of a service's last line before it failed, in characters: the console is not the log.
const LAST_WORDS: usize = 400;

/// What others tell a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// `onboot` has ended.
    Release,
    /// `onboot` failed, for this reason, and no service is to start by itself.
    Withhold(String),
    /// Run.
    Start,
    /// Do not run.
    Stop,
    /// Run afresh.
    Restart,
    /// Do not run while one that it requires is stopped.
    Hold,
    /// That is over.
    Unhold,
    /// The machine goes down: stop, without forgetting that it is wanted.
    ShutDown,
}

/// An order on its way; the sender is dropped when the order was taken, and the status tells what came of it at once.
pub type Given = (Order, oneshot::Sender<()>);

type Work = Pin<Box<dyn Future<Output = Option<Event>>>>;

/// What all services share.
pub struct Surroundings<E> {
    /// What runs them.
    pub engine: Rc<E>,
    /// How many may be created at the same time.
    pub starts: Rc<Semaphore>,
    /// How the others stand.
    pub board: Board,
    /// Where what happens to them is told.
    pub reports: Rc<Reports>,
}

/// A service and all that is going on about it.
pub struct Driver<E> {
    engine: Rc<E>,
    starts: Rc<Semaphore>,
    board: Board,
    reports: Rc<Reports>,
    service: Rc<Service>,
    needs: Vec<Need>,
    machine: Machine,
    ledger: Ledger,
    epoch: Instant,
    /// Things to do for the engine, one after another.
    queue: VecDeque<Work>,
    /// Waits for the task's end.
    watching: Option<Work>,
    /// Asks the service whether it serves.
    probing: Option<Work>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    going_down: bool,
    /// What a former supervisor knew of it.
    before: Option<ServiceStatus>,
    memory: Option<OomWatch>,
    /// What hears its log, for probes that need it.
    ready_listener: Option<Rc<Mutex<Listener>>>,
    health_listener: Option<Rc<Mutex<Listener>>>,
    /// Where the logs were when it was last started.
    log_start: u64,
    /// On the time-line, from its start until it is ready.
    becoming_ready: Option<Token>,
}

impl<E: Engine + 'static> Driver<E> {
    /// A service that has done nothing yet; a former supervisor's knowledge about it is used.
    pub fn new(
        surroundings: Surroundings<E>,
        service: Service,
        needs: Vec<Need>,
    ) -> (Self, watch::Receiver<ServiceStatus>) {
        let Surroundings { engine, starts, board, reports } = surroundings;
        // Now, so that what it says is read even if it was started by a former supervisor.
        if let Err(reason) = make_pipes(&reports.logs, service.name()) {
            console::say(&format!("{}: {reason}", service.name()));
        }
        let (ledger, before) = Ledger::open(service.name());
        let seed = RandomState::new().hash_one(service.name());
        let machine = Machine::new(service.policy, ledger::past(before.as_ref()), Jitter::Seed(seed));
        board.set(service.name(), machine.standing());
        let status = ledger.watch();
        let driver = Self {
            engine,
            starts,
            board,
            reports,
            service: Rc::new(service),
            needs,
            machine,
            ledger,
            epoch: Instant::now(),
            queue: VecDeque::new(),
            watching: None,
            probing: None,
            timer: None,
            going_down: false,
            before,
            memory: None,
            ready_listener: None,
            health_listener: None,
            log_start: 0,
            becoming_ready: None,
        };
        (driver, status)
    }

    /// Runs until nobody can give orders any more.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Given>) {
        let mut news = self.board.watch();
        // Before any order: a task that runs must not be taken for the remains of a dead one.
        if let Some(before) = self.before.take() {
            self.take_over(&before).await;
        }
        self.publish();
        loop {
            let mut heard = None;
            let event = tokio::select! {
                given = orders.recv() => match given {
                    Some((order, by)) => {
                        heard = Some(by);
                        Some(self.event_of(order))
                    }
                    None => return,
                },
                event = first(&mut self.queue) => event,
                event = optional(&mut self.watching) => { self.watching = None; event }
                event = optional(&mut self.probing) => { self.probing = None; event }
                () = elapsed(&mut self.timer) => { self.timer = None; Some(Event::Elapsed) }
                // The board lives as long as we do.
                _ = news.changed(), if !self.needs.is_empty() => Some(Event::Gate(self.board.gate(&self.needs))),
            };
            match event {
                Some(event) => self.handle(event),
                // Something was done; it may have been the last thing.
                None => self.publish(),
            }
            drop(heard);
        }
    }

    fn event_of(&mut self, order: Order) -> Event {
        match order {
            Order::Release => Event::Released,
            Order::Withhold(reason) => Event::Withheld(reason),
            Order::Start => Event::StartAsked,
            Order::Stop => Event::StopAsked(self.hearing()),
            Order::ShutDown => {
                self.going_down = true;
                Event::StopAsked(self.hearing())
            }
            Order::Restart => Event::RestartAsked(self.hearing()),
            Order::Hold => Event::HoldAsked(self.hearing()),
            Order::Unhold => Event::HoldEnded,
        }
    }

    fn handle(&mut self, mut event: Event) {
        match &mut event {
            Event::Started(pid) | Event::Adopted { pid, .. } => self.memory = OomWatch::of(*pid),
            Event::Exited { exit, oom } => {
                *oom = !exit.is_success() && self.memory.take().is_some_and(|memory| memory.has_killed());
                self.ledger.note_exit(*exit, *oom);
                if !exit.is_success() {
                    self.tell_last_words();
                }
            }
            _ => {}
        }
        // As things are now, so that nothing is started on old news.
        self.tell(Event::Gate(self.board.gate(&self.needs)));
        if matches!(event, Event::Started(_)) && self.service.ready.is_some() {
            let name = format!("{}/ready", self.service.name());
            self.becoming_ready = Some(self.reports.timeline.begin(Kind::Service, &name));
        }
        self.tell(event);
        self.publish();
    }

    fn tell(&mut self, event: Event) {
        for action in self.machine.on(event, self.epoch.elapsed()) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        let (engine, service) = (Rc::clone(&self.engine), Rc::clone(&self.service));
        match action {
            Action::Launch => {
                self.log_start = self.reports.logs.position();
                self.listen();
                let (starts, reports) = (Rc::clone(&self.starts), Rc::clone(&self.reports));
                self.queue.push_back(Box::pin(work::launch(engine, starts, service, reports)));
            }
            Action::Watch => self.watching = Some(Box::pin(work::watch(engine, service))),
            Action::Signal { number, all } => {
                // Not queued: a signal must not wait behind anything.
                let pid = self.machine.pid();
                tokio::task::spawn_local(work::signal(engine, service, pid, number, all));
            }
            Action::Probe { question, after, limit } => self.ask(question, after, limit),
            Action::EndProbe => self.probing = None,
            Action::Arm(wait) => self.timer = Some(Box::pin(tokio::time::sleep(wait))),
            Action::Disarm => self.timer = None,
            Action::Clear => self.queue.push_back(Box::pin(work::clear(engine, service))),
            Action::Remove => self.queue.push_back(Box::pin(work::remove(engine, service))),
            Action::Say(line) => console::say(&format!("{}: {line}", self.service.name())),
        }
    }

    fn ask(&mut self, question: Question, after: Duration, limit: Duration) {
        let probe = match question {
            Question::Ready => self.service.ready.as_ref().map(|ready| (&ready.probe, &self.ready_listener)),
            Question::Health => {
                self.service.health.as_ref().map(|health| (&health.probe, &self.health_listener))
            }
        };
        let (Some((probe, listener)), Some(pid)) = (probe, self.machine.pid()) else { return };
        let (engine, probe, signal) =
            (Rc::clone(&self.engine), probe.clone(), self.service.policy.stop_signal);
        let subject = Subject { task: self.service.container.task.clone(), pid, listener: listener.clone() };
        self.probing = Some(Box::pin(async move {
            tokio::time::sleep(after).await;
            Some(match probe::ask(&*engine, &probe, &subject, limit).await {
                Ok(()) => Event::ProbeSucceeded,
                Err(reason) => Event::ProbeFailed { reason, hearing: hearing(pid, signal) },
            })
        }));
    }

    /// Begins to hear its log where a probe needs that, before it can say anything.
    fn listen(&mut self) {
        let service = Rc::clone(&self.service);
        let listener = |probe: Option<&Probe>| match probe {
            Some(Probe::Log(pattern)) => {
                match Listener::new(pattern, self.reports.logs.follow(service.name())) {
                    Ok(listener) => Some(Rc::new(Mutex::new(listener))),
                    Err(reason) => {
                        console::say(&format!("{}: {reason}", service.name()));
                        None
                    }
                }
            }
            _ => None,
        };
        let ready = listener(service.ready.as_ref().map(|ready| &ready.probe));
        let health = listener(service.health.as_ref().map(|health| &health.probe));
        (self.ready_listener, self.health_listener) = (ready, health);
    }

    fn tell_last_words(&self) {
        let name = self.service.name();
        if let Some(line) = self.reports.logs.last_since(name, self.log_start) {
            console::say(&format!("{name}: {}", cut(&line.text, LAST_WORDS)));
        }
    }

    /// Adopts a former supervisor's task if it runs, and hears of its end if it has ended meanwhile; anything else is
    /// cleaned when it is started.
    async fn take_over(&mut self, before: &ServiceStatus) {
        let name = self.service.name().to_owned();
        let ran = matches!(before.state, State::Running | State::Starting | State::Stopping);
        let service = Rc::clone(&self.service);
        let find = work::find(&*self.engine, &service.container.task);
        let found = if ran {
            // However long that takes: started again while it runs, it would be killed for that.
            find.await
        } else {
            match tokio::time::timeout(work::ENGINE_LIMIT, find).await {
                Ok(found) => found,
                Err(_) => return,
            }
        };
        match found {
            Ok(TaskState::Running(pid)) => {
                console::say(&format!("{name}: still running"));
                self.listen();
                // The line that a log is searched for may have come while nobody listened.
                let heard =
                    matches!(self.service.ready.as_ref().map(|ready| &ready.probe), Some(Probe::Log(_)));
                let ready = heard || (before.ready && before.pid == Some(pid));
                self.handle(Event::Adopted { pid, ready });
                if !self.machine.wanted() {
                    // The former supervisor was about to stop it.
                    let hearing = self.hearing();
                    self.handle(Event::StopAsked(hearing));
                }
            }
            Ok(TaskState::Stopped(exit)) if ran && before.wanted => {
                self.handle(Event::Exited { exit, oom: false })
            }
            Ok(TaskState::Absent) if before.state == State::Running && before.wanted => {
                self.handle(Event::Exited { exit: Exit::Unknown, oom: false });
            }
            Ok(_) if ran && !before.wanted => self.act(Action::Remove),
            Ok(_) => {}
            Err(error) => console::say(&format!("{name}: {error}")),
        }
    }

    fn hearing(&self) -> Hearing {
        match self.machine.pid() {
            Some(pid) => hearing(pid, self.service.policy.stop_signal),
            None => Hearing::Hears,
        }
    }

    fn publish(&mut self) {
        // It has not come to rest while its container is still being removed.
        let state = match self.machine.state() {
            state if is_down(state) && !self.queue.is_empty() => State::Stopping,
            state => state,
        };
        self.board.set(self.service.name(), self.machine.standing());
        self.ledger.note(&self.machine, state, self.going_down, &self.reports.events);
        if self.machine.ready() || self.machine.state() != State::Running {
            self.end_becoming_ready();
        }
    }

    fn end_becoming_ready(&mut self) {
        let Some(step) = self.becoming_ready.take() else { return };
        match (self.machine.ready(), self.machine.problem()) {
            (true, _) => step.end(Outcome::Ok, ""),
            (false, reason) => step.end(Outcome::Failed, reason.unwrap_or_else(|| "it was not".to_owned())),
        }
    }
}

/// The pipes that take its output.
fn make_pipes(logs: &Rc<Logs>, name: &str) -> Result<(), String> {
    for stream in [Stream::Out, Stream::Err] {
        logs.fifo(name, stream).map_err(|error| format!("cannot make the pipe for its output: {error}"))?;
    }
    Ok(())
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
