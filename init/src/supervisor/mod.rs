//! Runs the containers of the machine: `onboot`, the services, `onshutdown`. Started, and started again, by PID 1.

mod backoff;
mod console;
mod containerd;
mod control;
mod driver;
mod face;
mod hearing;
mod heartbeat;
pub mod logs;
mod machine;
mod one_shot;
mod plan;
mod registry;
mod scan;
mod state_file;
mod tail;

use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::containerd::Daemon;
use driver::Order;
use logs::Logs;
use plan::Plan;
use registry::Registry;

use crate::runtime::signal_name;
use crate::watch::{inotify, process};

use crate::engine::{Absent, Containerd, Engine, EngineError};

/// How long all services together may take to stop: their grace, the kill, and the engine's work.
const SERVICES_LIMIT: Duration = Duration::from_secs(20);

/// Runs `init supervisor` until SIGTERM, and then until everything has stopped.
#[must_use]
pub fn main() -> ExitCode {
    // PID 1 reads its signals from a file descriptor, and so has them blocked.
    if let Err(errno) = SigSet::empty().thread_set_mask() {
        console::say(&format!("supervisor: cannot unblock signals: {errno}"));
    }
    let beat = heartbeat::beat();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::say(&format!("supervisor: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let tasks = tokio::task::LocalSet::new();
    tasks.spawn_local(beat);
    match tasks.block_on(&runtime, supervise()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::say(&format!("supervisor: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn supervise() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let logs = Logs::start()?;
    let image = scan::scan(Path::new("/"), &mut |line| console::say(&line));
    let plan = plan::plan(image);
    for problem in &plan.problems {
        console::say(problem);
    }
    if Path::new(containerd::BINARY).exists() {
        let daemon = Rc::new(Daemon::default());
        let engine = Rc::new(Containerd::new(daemon.connection()));
        let kept = Rc::clone(&daemon);
        tokio::task::spawn_local(async move { kept.keep().await });
        run(plan, &engine, Some(&daemon), &logs, &mut terminate).await;
    } else {
        run(plan, &Rc::new(Absent), None, &logs, &mut terminate).await;
    }
    Ok(())
}

async fn run<E: Engine + 'static>(
    plan: Plan,
    engine: &Rc<E>,
    daemon: Option<&Rc<Daemon>>,
    logs: &Rc<Logs>,
    terminate: &mut Signal,
) {
    let registry = Rc::new(Registry::start(engine, plan.services, logs));
    tokio::task::spawn_local(control::serve(Rc::clone(&registry)));
    tokio::select! {
        () = boot(&plan.onboot, &registry, daemon, logs) => { terminate.recv().await; }
        _ = terminate.recv() => one_shot::ONBOOT.cancel().await,
    }
    shut_down(&plan.onshutdown, &registry, daemon).await;
    logs.finish();
}

/// Volumes and `onboot`, and then the services may start.
async fn boot(onboot: &[plan::OneShot], registry: &Registry, daemon: Option<&Rc<Daemon>>, logs: &Logs) {
    let begun = Instant::now();
    if let Err(reason) = face::volumes().await {
        console::say(&format!("volumes: {reason}"));
    }
    one_shot::ONBOOT.run(onboot).await;
    // Not earlier: `onboot` may mount a disk on /var.
    logs.write_files();
    match daemon {
        Some(daemon) => {
            daemon.renew_if_hidden().await;
            registry.tell_all(&Order::Release).await;
        }
        None => registry.tell_all(&Order::Give(EngineError::NoEngine.to_string())).await,
    }
    console::say(&format!("supervisor: onboot ended after {:.2} s", begun.elapsed().as_secs_f64()));
}

/// Services, `onshutdown`, containerd, mounts: in this order.
async fn shut_down(onshutdown: &[plan::OneShot], registry: &Registry, daemon: Option<&Rc<Daemon>>) {
    let begun = Instant::now();
    for name in registry.shut_down(SERVICES_LIMIT).await {
        console::say(&format!("{name}: did not stop within {} s", SERVICES_LIMIT.as_secs()));
    }
    one_shot::ONSHUTDOWN.run(onshutdown).await;
    if let Some(daemon) = daemon {
        daemon.stop().await;
    }
    if let Err(reason) = face::release().await {
        console::say(&format!("mounts: {reason}"));
    }
    console::say(&format!("supervisor: everything stopped after {:.2} s", begun.elapsed().as_secs_f64()));
}
