//! What containerd's client does to services, which init's own shim and runtime run.

use std::sync::OnceLock;

use lk_tests::PATIENCE;
use lk_tests::agent::{Agent, Ended};
use lk_tests::guest::{Engine, Guest, Setup, Watched};
use serde_json::{Value, json};

/// The client, and the namespace of services.
const CTR: [&str; 3] = ["/usr/bin/ctr", "-n", "services.linuxkit"];

/// How many tests there are in this file: the machine has much to do, and ends with the last.
const TESTS: usize = 4;

fn machine(service: &str) -> Watched<'static> {
    static MACHINE: OnceLock<Guest> = OnceLock::new();
    let setup = || Setup { processors: 2, memory: 768, ..Setup::default() };
    let boot = || Guest::boot(Engine::Shim, "ctr", &setup()).ending_after(TESTS);
    let guest = MACHINE.get_or_init(boot).watched();
    guest.agent().await_status(service, "ready", &json!(true));
    guest
}

/// Runs `ctr`, which must do what it is told; returns what it printed.
fn ctr(agent: &Agent, words: &[&str]) -> String {
    let ended = agent.host(&[&CTR, words].concat());
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

#[test]
fn a_command_runs_on_a_terminal_of_the_size_of_the_operators() {
    let guest = machine("shell");
    let script = r#"test -t 0 && test -t 1 && echo on a terminal
        until [ "$(stty size)" = "41 113" ]; do sleep 0.1; done
        echo of $(stty size); exit 7"#;
    let exec = ["tasks", "exec", "--tty", "--exec-id", "look", "shell", "sh", "-c", script];
    let answer = guest.agent().call(&[&["terminal", "41", "113"], &CTR[..], &exec].concat());
    let ended = Ended::from(&answer);
    let lines: Vec<&str> = ended.out.lines().map(str::trim).collect();
    assert!(lines.contains(&"on a terminal") && lines.contains(&"of 41 113"), "{ended:?}");
    assert_eq!(ended.code, 7, "{ended:?}");
}

#[test]
fn a_command_in_a_service_is_killed_alone() {
    let guest = machine("shell");
    let agent = guest.agent();
    let exec = ["tasks", "exec", "--exec-id", "long", "shell", "sleep", "100000"];
    let running = agent.send(&[&["host"], &CTR[..], &exec].concat());
    agent.call(&["await-process", "sleep", "100000"]);
    ctr(agent, &["tasks", "kill", "--exec-id", "long", "-s", "SIGKILL", "shell"]);
    let ended = running.recv_timeout(PATIENCE).expect("the end of the command");
    assert_eq!(Ended::from(&ended["ok"]).code, 128 + 9, "{ended}");
    let status = agent.status("shell");
    assert_eq!((&status["state"], &status["starts"]), (&json!("running"), &json!(1)), "{status}");
}

#[test]
fn a_service_is_paused_and_goes_on_and_is_measured_and_killed() {
    let guest = machine("counter");
    let agent = guest.agent();
    let metrics = ctr(agent, &["tasks", "metrics", "counter"]);
    let metric = |name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.split_whitespace().next() == Some(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
    };
    for name in ["pids.current", "cpu.usage_usec", "memory.usage"] {
        assert!(metric(name) > 0, "{name} is 0: {metrics}");
    }

    let frozen = || {
        let pid = agent.status("counter")["pid"].clone();
        let cgroup = agent.call(&["read", &format!("/proc/{pid}/cgroup")]);
        let cgroup = cgroup.as_str().and_then(|text| text.trim().strip_prefix("0::")).expect("a cgroup v2");
        let path = format!("/proc/1/root/sys/fs/cgroup{cgroup}/cgroup.events");
        agent.call(&["read", &path]).as_str().expect("a text").contains("frozen 1")
    };
    assert!(!frozen());
    ctr(agent, &["tasks", "pause", "counter"]);
    assert!(frozen());
    assert_eq!(state(agent, "counter"), "PAUSED");
    ctr(agent, &["tasks", "resume", "counter"]);
    assert!(!frozen());
    assert_eq!(state(agent, "counter"), "RUNNING");

    let mark = guest.console().mark();
    ctr(agent, &["tasks", "kill", "-s", "SIGKILL", "counter"]);
    guest.console().wait_after(mark, "counter: killed by signal 9; starting again in", PATIENCE);
    let status = agent.await_status("counter", "starts", &json!(2));
    assert_eq!(status["last_exit"]["exit"], json!({"signal": 9}), "{status}");
    agent.await_status("counter", "ready", &json!(true));
    assert_eq!(state(agent, "counter"), "RUNNING");
}

#[test]
fn a_probe_in_a_container_finds_out_that_the_service_is_not_well() {
    let guest = machine("probed");
    let agent = guest.agent();
    agent.await_status("probed", "health", &json!("healthy"));
    let mark = guest.console().mark();
    agent.call(&["remove", "/tmp/trouble/probed.sock"]);
    let line = guest.console().wait_after(mark, "probed: unhealthy: ", PATIENCE);
    assert!(line.contains("/usr/bin/trouble: exited with code 1; stopping it"), "{line}");
    assert_eq!(agent.await_start("probed", 2), 2);
    let status = agent.await_status("probed", "health", &json!("healthy"));
    assert_eq!((&status["restarts"], &status["problem"]), (&json!(1), &Value::Null), "{status}");
}
