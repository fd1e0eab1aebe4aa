//! All services: their state, and who takes their orders.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::board::Board;
use super::console;
use super::dependencies::{Dependencies, Standing};
use super::driver::{self, Driver, Given, Order, Surroundings, is_down};
use super::machine::KILL_PATIENCE;
use super::plan::Service;
use super::reports::Reports;
use crate::engine::Engine;
use crate::service::nearest::no_such_service;
use crate::service::protocol::{Answer, Request, ServiceStatus, State};

/// Services that are being created at the same time: more only make each other slow.
const STARTS_AT_ONCE: usize = 8;
/// Orders that wait for a busy service.
const ORDERS: usize = 16;
/// How long a start that was asked for is watched, beyond what the service's `ready` allows.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// What the engine may take to remove a container that has ended.
const REMOVAL: Duration = Duration::from_secs(5);
/// How long all services together may take to stop, however many wait for each other: PID 1 does not wait for ever.
const SERVICES_LIMIT: Duration = Duration::from_secs(60);

/// All services by name.
#[derive(Debug, Default)]
pub struct Registry {
    services: BTreeMap<String, Entry>,
    dependencies: Dependencies,
    board: Board,
}

#[derive(Debug)]
struct Entry {
    orders: mpsc::Sender<Given>,
    status: watch::Receiver<ServiceStatus>,
    /// How long it may take to stop.
    stop_limit: Duration,
    /// How long it may take to be ready.
    start_limit: Duration,
}

impl Registry {
    /// Makes a driver for each service; each is a task of the current `LocalSet`.
    pub fn start<E: Engine + 'static>(
        engine: &Rc<E>,
        services: Vec<Service>,
        dependencies: Dependencies,
        reports: &Rc<Reports>,
    ) -> Self {
        let starts = Rc::new(Semaphore::new(STARTS_AT_ONCE));
        let mut registry = Self { services: BTreeMap::new(), dependencies, board: Board::default() };
        // All are on the board before the first looks at it.
        let mut drivers = Vec::new();
        for service in services {
            let (name, policy) = (service.name().to_owned(), service.policy);
            let needs = registry.dependencies.needs(&name).to_vec();
            let surroundings = Surroundings {
                engine: Rc::clone(engine),
                starts: Rc::clone(&starts),
                board: registry.board.clone(),
                reports: Rc::clone(reports),
            };
            let (driver, status) = Driver::new(surroundings, service, needs);
            let (orders, receiver) = mpsc::channel(ORDERS);
            drivers.push(driver.run(receiver));
            let stop_limit = policy.grace + KILL_PATIENCE + REMOVAL;
            let start_limit = START_PATIENCE + policy.ready.map_or(Duration::ZERO, |plan| plan.timeout);
            registry.services.insert(name, Entry { orders, status, stop_limit, start_limit });
        }
        for driver in drivers {
            tokio::task::spawn_local(driver);
        }
        registry
    }

    /// Tells all services the same.
    pub async fn tell_all(&self, order: &Order) {
        for entry in self.services.values() {
            entry.give(order.clone()).await;
        }
    }

    /// Waits until each service has been started, or is not going to be now.
    pub async fn settled(&self) {
        for entry in self.services.values() {
            let mut status = entry.status.clone();
            // A driver ends with the supervisor only.
            drop(status.wait_for(|status| is_settled(status.state)).await);
        }
    }

    /// Stops all services, each when those that wait for it have stopped, and otherwise side by side; returns those
    /// that do not stop, with the time that they had.
    pub async fn shut_down(&self) -> Vec<(String, Duration)> {
        let begun = Instant::now();
        let own = |name: &str| self.services.get(name).map_or(Duration::ZERO, |entry| entry.stop_limit);
        let limits = self.dependencies.stop_times(&own);
        let limit = |name: &str| limits.get(name).copied().unwrap_or(own(name)).min(SERVICES_LIMIT);
        let mut stopping = JoinSet::new();
        for (name, entry) in &self.services {
            let dependants = self.dependencies.dependants(name).into_iter();
            let before: Vec<_> = dependants
                .filter_map(|other| Some((self.services.get(other)?.status.clone(), begun + limit(other))))
                .collect();
            let (orders, mut status) = (entry.orders.clone(), entry.status.clone());
            let (name, limit) = (name.clone(), limit(name));
            stopping.spawn_local(async move {
                for (mut other, deadline) in before {
                    // One that does not stop must not keep those below it from being asked.
                    drop(timeout_at(deadline, other.wait_for(|status| is_down(status.state))).await);
                }
                // A driver ends with the supervisor only; whether it has heard is told by its state.
                drop(orders.send((Order::ShutDown, oneshot::channel().0)).await);
                let down = status.wait_for(|status| is_down(status.state));
                let late = timeout_at(begun + limit, down).await.is_err();
                late.then_some((name, limit))
            });
        }
        let mut left: Vec<_> = stopping.join_all().await.into_iter().flatten().collect();
        left.sort();
        left
    }

    /// The names of all services, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Does what an operator asks, and answers when it is done or will not be.
    pub async fn answer(&self, request: Request) -> Answer {
        let (name, order) = match request {
            Request::List => {
                let services = self.services.values().map(Entry::now).collect();
                return Answer::Services { services };
            }
            Request::Status { name } => (name, None),
            Request::Start { name } => (name, Some(Order::Start)),
            Request::Stop { name } => (name, Some(Order::Stop)),
            Request::Restart { name } => (name, Some(Order::Restart)),
            Request::Logs(_) | Request::Events { .. } | Request::Boot => {
                return Answer::Error { message: "that is not about the state of services".to_owned() };
            }
        };
        let Some(entry) = self.services.get(&name) else {
            return no_such_service(&name, &self.names().collect::<Vec<_>>());
        };
        match order {
            Some(Order::Start) => {
                self.want_required(&name).await;
                self.carry_out(&name, entry, Order::Start).await;
            }
            Some(order) => self.carry_out_alone(&name, entry, order).await,
            None => {}
        }
        Answer::Services { services: vec![entry.now()] }
    }

    /// Wants all to run that a service requires, as it could not start otherwise.
    async fn want_required(&self, name: &str) {
        for other in self.dependencies.required(name).into_iter().filter_map(|name| self.services.get(name)) {
            if is_down(other.status.borrow().state) {
                other.tell(Order::Start).await;
            }
        }
    }

    /// Stops or restarts a service while none that requires it runs; those start again when it is ready.
    async fn carry_out_alone(&self, name: &str, entry: &Entry, order: Order) {
        let requiring: Vec<(&str, &Entry)> = self
            .dependencies
            .requiring(name)
            .into_iter()
            .filter_map(|other| Some((other, self.services.get(other)?)))
            .collect();
        for (other, held) in &requiring {
            if is_up(held.status.borrow().state) {
                console::say(&format!("{other}: is stopped first: it requires {name}"));
            }
            held.tell(Order::Hold).await;
            let mut status = held.status.clone();
            // Too late means that it goes on without.
            drop(timeout(held.stop_limit, status.wait_for(|status| !is_up(status.state))).await);
        }
        self.carry_out(name, entry, order).await;
        for (_, held) in &requiring {
            held.tell(Order::Unhold).await;
        }
    }

    /// Gives an order and waits for what comes of it.
    async fn carry_out(&self, name: &str, entry: &Entry, order: Order) {
        let mut status = entry.status.clone();
        let (pid, starts) = {
            let before = status.borrow_and_update();
            (before.pid, before.starts)
        };
        entry.tell(order.clone()).await;
        let failed = |now: &ServiceStatus| {
            let ended = matches!(now.state, State::BackingOff | State::Failed | State::Stopped);
            (ended && (now.starts != starts || now.problem.is_some()))
                || self.board.standing(name) == Standing::Failed
        };
        let reached = async {
            // An error is the driver's end, and that comes with the supervisor's only.
            match order {
                Order::Stop => drop(status.wait_for(|now| is_down(now.state)).await),
                Order::Restart => {
                    drop(status.wait_for(|now| (now.ready && now.pid != pid) || failed(now)).await);
                }
                _ => drop(status.wait_for(|now| now.ready || failed(now)).await),
            }
        };
        // Too late is told by the state in the answer.
        drop(timeout(entry.stop_limit + entry.start_limit, reached).await);
    }
}

impl Entry {
    /// Gives an order and waits until it was taken: the status is not from before then, and says nothing of an
    /// earlier failure.
    async fn tell(&self, order: Order) {
        // It is told by the sender's end.
        drop(self.give(order).await.await);
    }

    /// Gives an order.
    async fn give(&self, order: Order) -> oneshot::Receiver<()> {
        let (by, heard) = oneshot::channel();
        // A driver ends with the supervisor only.
        drop(self.orders.send((order, by)).await);
        heard
    }

    fn now(&self) -> ServiceStatus {
        self.status.borrow().clone().counted(driver::now().0)
    }
}

fn is_settled(state: State) -> bool {
    !matches!(state, State::Waiting | State::Blocked | State::Starting)
}

fn is_up(state: State) -> bool {
    matches!(state, State::Starting | State::Running | State::Stopping)
}
