//! Engines that images bring in place of the usual one: containerd 1.7, and Go's shim with runc. Services live as they do
//! under any other.

use lk_tests::PATIENCE;
use lk_tests::agent::{Agent, Ended};
use lk_tests::guest::{Engine, Guest, Setup, Watched};
use serde_json::json;

/// What an image brings.
struct Brought {
    engine: Engine,
    /// How containerd's version begins.
    version: &'static str,
    /// Whether shim and runtime are Go's; else they are init's.
    is_gos: bool,
}

#[test]
fn services_live_under_containerd_1_7_with_inits_shim() {
    lives(&Brought { engine: Engine::Containerd17, version: "1.7.", is_gos: false });
}

#[test]
fn services_live_under_containerd_1_7_with_gos_shim_and_runc() {
    lives(&Brought { engine: Engine::Go17, version: "1.7.", is_gos: true });
}

#[test]
fn services_live_under_containerd_2_1_with_gos_shim_and_runc() {
    lives(&Brought { engine: Engine::Go21, version: "2.1.", is_gos: true });
}

/// From onboot to power off in one machine: a boot costs more than all that is done in it.
fn lives(brought: &Brought) {
    let setup = Setup { processors: 2, memory: 768, ..Setup::default() };
    let guest = Guest::boot(brought.engine, "engines", &setup);
    let guest = guest.watched();
    let agent = guest.agent();
    assert_eq!(agent.await_start("steady", 1), 1);
    assert_eq!(agent.await_start("victim", 1), 1);
    guest.wait("onboot 000-first: done");
    agent.await_status("victim", "ready", &json!(true));

    runs_on_what_the_image_brought(agent, brought);
    commands_run_in_a_service(agent);
    a_service_is_stopped_and_started(agent);
    a_service_that_is_killed_is_started_again_once(&guest);
    a_service_that_loses_its_shim_is_started_again_once(agent);
    services_outlive_containerd(&guest);
    assert_eq!(agent.starts("steady"), 1, "a service that nothing was done to was started again");
    goes_down_in_order(&guest);
}

fn runs_on_what_the_image_brought(agent: &Agent, brought: &Brought) {
    let versions = ctr(agent, &["version"]);
    let server = versions.split_once("Server:").map_or("", |(_, server)| server);
    let version = server.lines().find_map(|line| line.trim().strip_prefix("Version:")).unwrap_or_default();
    assert!(version.trim().starts_with(brought.version), "containerd is not {}: {versions}", brought.version);

    let shim = agent.call(&["read", &format!("/proc/{}/maps", agent.pid("shim:victim"))]);
    let shim = shim.as_str().expect("a text");
    assert_eq!(shim.contains("/usr/bin/containerd-shim-runc-v2"), brought.is_gos, "{shim}");
    let runtime = agent.host(&["/usr/bin/runc", "--version"]).out;
    assert_eq!(runtime.contains("go: go"), brought.is_gos, "{runtime}");
}

fn commands_run_in_a_service(agent: &Agent) {
    for (path, code) in [("/usr/bin/trouble", 0), ("/no/such/file", 1)] {
        let words = ["tasks", "exec", "--exec-id", "check", "steady", "/usr/bin/trouble", "check", path];
        let ended = try_ctr(agent, &words);
        assert_eq!(ended.code, code, "{path}: {ended:?}");
    }
    assert_eq!(state(agent, "steady"), "RUNNING");
}

fn a_service_is_stopped_and_started(agent: &Agent) {
    agent.service(&["stop", "victim"]);
    agent.call(&["await-gone", "service:victim"]);
    agent.call(&["await-gone", "shim:victim"]);
    agent.await_status("victim", "state", &json!("stopped"));
    agent.service(&["start", "victim"]);
    assert_eq!(agent.await_start("victim", 2), 2);
    agent.await_status("victim", "ready", &json!(true));
}

fn a_service_that_is_killed_is_started_again_once(guest: &Watched<'_>) {
    let agent = guest.agent();
    let mark = guest.console().mark();
    agent.kill(&["service:victim"]);
    guest.console().wait_after(mark, "victim: killed by signal 9; starting again in", PATIENCE);
    assert_eq!(agent.await_start("victim", 3), 3);
    let status = agent.await_status("victim", "ready", &json!(true));
    assert_eq!(status["last_exit"]["exit"], json!({"signal": 9}), "{status}");
}

fn a_service_that_loses_its_shim_is_started_again_once(agent: &Agent) {
    let old = agent.pid("service:victim").to_string();
    agent.kill(&["shim:victim"]);
    agent.call(&["await-other", "service:victim", &old]);
    assert_eq!(agent.await_start("victim", 4), 4);
    agent.await_status("victim", "ready", &json!(true));
}

fn services_outlive_containerd(guest: &Watched<'_>) {
    let agent = guest.agent();
    let mark = guest.console().mark();
    agent.kill(&["containerd"]);
    guest.console().wait_after(mark, "containerd: ready after", PATIENCE);
    // The new one has found them all, and what is asked of it is done.
    for service in ["steady", "victim"] {
        assert_eq!(state(agent, service), "RUNNING");
    }
    assert_eq!(agent.starts("victim"), 4, "a service was started again that had outlived containerd");
    agent.service(&["restart", "victim"]);
    assert_eq!(agent.await_start("victim", 5), 5);
}

fn goes_down_in_order(guest: &Watched<'_>) {
    let mark = guest.console().mark();
    guest.power_off();
    let console = guest.console().text();
    let mut last = &console[mark..];
    for step in ["victim: stopped", "shutdown 000-last: done", "everything stopped after", "Power down"] {
        let at = last.find(step).unwrap_or_else(|| panic!("no {step:?}, or not in this order, in {last:?}"));
        last = &last[at..];
    }
}

/// Runs `ctr` on services, well or not.
fn try_ctr(agent: &Agent, words: &[&str]) -> Ended {
    agent.host(&[&["/usr/bin/ctr", "-n", "services.linuxkit"], words].concat())
}

/// Runs `ctr`, which must do what it is told; returns what it printed.
fn ctr(agent: &Agent, words: &[&str]) -> String {
    let ended = try_ctr(agent, words);
    assert_eq!(ended.code, 0, "ctr {words:?}: {ended:?}");
    ended.out
}

/// What `ctr tasks ls` calls the state of a task.
fn state(agent: &Agent, task: &str) -> String {
    let tasks = ctr(agent, &["tasks", "ls"]);
    let line = tasks.lines().find(|line| line.split_whitespace().next() == Some(task));
    let line = line.unwrap_or_else(|| panic!("no task {task}: {tasks}"));
    line.split_whitespace().last().expect("a state").to_string()
}
