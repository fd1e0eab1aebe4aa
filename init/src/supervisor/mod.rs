//! Runs the containers of the machine: `onboot`, the services, `onshutdown`. Started, and started again, by PID 1.

mod backoff;
mod board;
mod boot_port;
mod calm;
mod console;
mod containerd;
mod control;
mod dependencies;
mod driver;
mod events;
mod face;
mod hearing;
mod heartbeat;
pub mod logs;
mod machine;
mod memory;
mod one_shot;
mod plan;
mod probe;
mod registry;
mod reports;
mod runner;
mod scan;
mod scripts;
mod space;
mod state_file;
mod tail;
mod timeline;

use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::containerd::Daemon;
use driver::Order;
use logs::memlogd;
use one_shot::Outcome;
use plan::Plan;
use registry::Registry;
use reports::Reports;
use timeline::Recorder;

use crate::scripts::Phase;
use crate::watch::{inotify, process};

use crate::engine::{Containerd, Embedded, Engine};
use crate::power::{self, Action};
use crate::timeline::{self as boot_timeline, Kind};

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
    tasks.spawn_local(space::watch());
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
    let reports = Reports::start()?;
    let image = scan::scan(Path::new("/"), &mut |line| console::say(&line));
    if image.containers().any(|found| memlogd::is_wanted(&found.config)) {
        memlogd::serve(&reports.logs);
    }
    let plan = plan::plan(image);
    for problem in &plan.problems {
        console::say(problem);
    }
    if Path::new(containerd::BINARY).exists() {
        let daemon = Rc::new(Daemon::default());
        let engine = Rc::new(Containerd::new(daemon.connection()));
        let (kept, reports_too) = (Rc::clone(&daemon), Rc::clone(&reports));
        tokio::task::spawn_local(async move { kept.keep(&reports_too).await });
        run(plan, &engine, Some(&daemon), &reports, &mut terminate).await;
    } else {
        run(plan, &Rc::new(Embedded::default()), None, &reports, &mut terminate).await;
    }
    Ok(())
}

async fn run<E: Engine + 'static>(
    plan: Plan,
    engine: &Rc<E>,
    daemon: Option<&Rc<Daemon>>,
    reports: &Rc<Reports>,
    terminate: &mut Signal,
) {
    let registry = Rc::new(Registry::start(engine, plan.services, plan.dependencies, reports));
    tokio::task::spawn_local(control::serve(Rc::clone(&registry), Rc::clone(reports)));
    tokio::select! {
        () = boot(&plan.onboot, &registry, daemon, reports) => { terminate.recv().await; }
        _ = terminate.recv() => one_shot::ONBOOT.cancel().await,
    }
    shut_down(&plan.onshutdown, &registry, daemon, &reports.timeline).await;
    reports.logs.finish();
    reports.timeline.flush().await;
}

/// Volumes and `onboot`, and then the services may start.
async fn boot(onboot: &[plan::OneShot], registry: &Registry, daemon: Option<&Rc<Daemon>>, reports: &Reports) {
    let begun = Instant::now();
    let timeline = &reports.timeline;
    scripts::run(Phase::BeforeOnboot).await;
    let step = timeline.begin(Kind::Onboot, "volumes");
    let volumes = face::volumes().await;
    step.end_with(&volumes);
    if let Err(reason) = volumes {
        console::say(&format!("volumes: {reason}"));
    }
    let outcome = one_shot::ONBOOT.run(onboot, timeline, || daemon.and_then(|daemon| daemon.pause())).await;
    scripts::run(Phase::AfterOnboot).await;
    // Not earlier: `onboot` may mount a disk on /var.
    reports.logs.write_files();
    console::say(&format!("supervisor: onboot ended after {:.2} s", begun.elapsed().as_secs_f64()));
    if let Some(daemon) = daemon {
        daemon.hurry();
        daemon.renew_if_hidden().await;
    }
    let order = match outcome {
        Outcome::GoOn => Order::Release,
        Outcome::Stop(step) => withhold(&step),
        Outcome::Reboot(step) => return take_down(&step, Action::Reboot),
        Outcome::Poweroff(step) => return take_down(&step, Action::PowerOff),
    };
    registry.tell_all(&order).await;
    scripts::run(Phase::AfterServices).await;
    calm::down(registry).await;
}

/// A step of `onboot` failed after which nothing is to be started.
fn withhold(step: &str) -> Order {
    let reason = format!("onboot {step} failed");
    console::say(&format!(
        "supervisor: NO SERVICES ARE STARTED: {reason}, and its onFailure is `stop`. \
         `service start NAME` starts one, `reboot` tries again"
    ));
    Order::Withhold(reason)
}

/// A step of `onboot` failed with which the machine is not to run.
fn take_down(step: &str, action: Action) {
    console::say(&format!("supervisor: {action}: onboot {step} failed"));
    if let Err(errno) = power::request(action) {
        console::say(&format!("supervisor: cannot ask PID 1 for it: {errno}"));
    }
}

/// Services, `onshutdown`, containerd, mounts: in this order.
async fn shut_down(
    onshutdown: &[plan::OneShot],
    registry: &Registry,
    daemon: Option<&Rc<Daemon>>,
    timeline: &Rc<Recorder>,
) {
    let begun = Instant::now();
    scripts::run(Phase::BeforeStop).await;
    let step = timeline.begin(Kind::Shutdown, "services");
    let left = registry.shut_down().await;
    for (name, limit) in &left {
        console::say(&format!("{name}: did not stop within {} s", limit.as_secs_f64()));
    }
    let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    let stopped = if left.is_empty() { Ok(()) } else { Err(format!("did not stop: {}", names.join(", "))) };
    step.end_with(&stopped);
    one_shot::ONSHUTDOWN.run(onshutdown, timeline, || ()).await;
    scripts::run(Phase::AfterOnshutdown).await;
    if let Some(daemon) = daemon {
        let step = timeline.begin(Kind::Shutdown, "containerd");
        daemon.stop().await;
        step.end(boot_timeline::Outcome::Ok, "");
    }
    let step = timeline.begin(Kind::Shutdown, "mounts");
    let released = face::release().await;
    step.end_with(&released);
    if let Err(reason) = released {
        console::say(&format!("mounts: {reason}"));
    }
    console::say(&format!("supervisor: everything stopped after {:.2} s", begun.elapsed().as_secs_f64()));
}
