//! Lets the scripts of a phase run, in a process of their own.

use std::process::Stdio;

use tokio::process::Command;

use super::console;
use super::face::SELF;
use crate::scripts::{Phase, of};

/// Waits until all scripts of a phase have run; each has its deadline. Usually there are none.
pub async fn run(phase: Phase) {
    let failed = |error: std::io::Error| console::say(&format!("{}: {error}", phase.directory()));
    match of(phase) {
        Ok(scripts) if scripts.is_empty() => return,
        Ok(_) => {}
        Err(error) => return failed(error),
    }
    let mut command = Command::new(SELF);
    // In a process group of its own, so that it outlives us: our successor waits for it.
    command.arg0("scripts").arg(phase.name()).stdin(Stdio::null()).process_group(0);
    // It says itself what went wrong.
    if let Err(error) = command.status().await {
        failed(error);
    }
}
