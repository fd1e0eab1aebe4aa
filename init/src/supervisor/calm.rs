//! The end of the boot: what only makes it faster is called off.

use std::time::Duration;

use tokio::time::timeout;

use super::console;
use super::registry::Registry;
use crate::{rcu, sys};

/// How long the services may take until the boot counts as over, whatever they do.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until all services have been started, and lets the kernel take its time again.
pub async fn down(registry: &Registry) {
    // A service that takes longer starts as it would at any later time.
    drop(timeout(LIMIT, registry.settled()).await);
    if let Err(error) = rcu::rest() {
        console::say(&format!("supervisor: cannot let the kernel take its time again (RCU): {error}"));
    }
    sys::release_memory();
}
