//! All services: their state, and who takes their orders.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};

use super::driver::{Driver, Order, is_down};
use super::logs::Logs;
use super::plan::Service;
use crate::engine::Engine;
use crate::service::protocol::{Answer, Request, ServiceStatus, State};

/// Services that are being created at the same time: more only make each other slow.
const STARTS_AT_ONCE: usize = 8;
/// Orders that wait for a busy service.
const ORDERS: usize = 16;
/// How long a start that was asked for is watched.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// All services by name.
#[derive(Debug, Default)]
pub struct Registry {
    services: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<ServiceStatus>,
    grace: Duration,
}

impl Registry {
    /// Makes a driver for each service; each is a task of the current `LocalSet`.
    pub fn start<E: Engine + 'static>(engine: &Rc<E>, services: Vec<Service>, logs: &Rc<Logs>) -> Self {
        let starts = Rc::new(Semaphore::new(STARTS_AT_ONCE));
        let services = services.into_iter().map(|service| {
            let (name, grace) = (service.name().to_owned(), service.policy.grace);
            let (driver, status) =
                Driver::new(Rc::clone(engine), Rc::clone(&starts), service, Rc::clone(logs));
            let (orders, receiver) = mpsc::channel(ORDERS);
            tokio::task::spawn_local(driver.run(receiver));
            (name, Entry { orders, status, grace })
        });
        Self { services: services.collect() }
    }

    /// Tells all services the same.
    pub async fn tell_all(&self, order: &Order) {
        for entry in self.services.values() {
            // A driver ends with the supervisor only.
            drop(entry.orders.send(order.clone()).await);
        }
    }

    /// Stops all services side by side; returns the names of those that do not stop within `limit`.
    pub async fn shut_down(&self, limit: Duration) -> Vec<String> {
        self.tell_all(&Order::ShutDown).await;
        let deadline = tokio::time::Instant::now() + limit;
        let mut left = Vec::new();
        for (name, entry) in &self.services {
            let mut status = entry.status.clone();
            let down = status.wait_for(|status| is_down(status.state));
            if tokio::time::timeout_at(deadline, down).await.is_err() {
                left.push(name.clone());
            }
        }
        left
    }

    /// Does what an operator asks, and answers when it is done or will not be.
    pub async fn answer(&self, request: Request) -> Answer {
        let (name, order) = match request {
            Request::List => {
                let services = self.services.values().map(|entry| entry.status.borrow().clone()).collect();
                return Answer::Services { services };
            }
            Request::Status { name } => (name, None),
            Request::Start { name } => (name, Some(Order::Start)),
            Request::Stop { name } => (name, Some(Order::Stop)),
            Request::Restart { name } => (name, Some(Order::Restart)),
        };
        let Some(entry) = self.services.get(&name) else {
            let known: Vec<&str> = self.services.keys().map(String::as_str).collect();
            return Answer::Error {
                message: format!("there is no service {name:?}; there are: {}", known.join(", ")),
            };
        };
        if let Some(order) = order {
            entry.carry_out(order).await;
        }
        Answer::Services { services: vec![entry.status.borrow().clone()] }
    }
}

impl Entry {
    /// Gives an order and waits for what comes of it.
    async fn carry_out(&self, order: Order) {
        let mut status = self.status.clone();
        let before = status.borrow_and_update().pid;
        if self.orders.send(order.clone()).await.is_err() {
            return;
        }
        let patience = self.grace + START_PATIENCE;
        let reached = async {
            match order {
                Order::Stop => drop(status.wait_for(|now| is_down(now.state)).await),
                Order::Restart => {
                    let anew = |now: &ServiceStatus| now.state == State::Running && now.pid != before;
                    drop(status.wait_for(|now| anew(now) || has_failed(now)).await);
                }
                _ => drop(status.wait_for(|now| now.state == State::Running || has_failed(now)).await),
            }
        };
        // Too late is told by the state in the answer.
        drop(tokio::time::timeout(patience, reached).await);
    }
}

/// Whether a start came to nothing, for now or for good.
fn has_failed(status: &ServiceStatus) -> bool {
    status.problem.is_some() && matches!(status.state, State::BackingOff | State::Failed)
}
