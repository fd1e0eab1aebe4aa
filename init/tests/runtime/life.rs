//! From created to deleted, frozen in between, and what is left then: nothing.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::container::{Container, is_possible};

#[test]
fn a_container_goes_from_created_to_deleted() {
    if !is_possible() {
        return;
    }
    let container = Container::new("life", "echo up; exec sleep 1000", |_| {});
    let id = container.id.as_str();
    let pid_file = container.path("pid");
    assert!(
        container.create(&["--pid-file", pid_file.to_str().unwrap()]).status.success(),
        "{}",
        container.output()
    );
    let state = container.state();
    assert_eq!(state["status"], "created");
    assert_eq!(state["pid"].to_string(), std::fs::read_to_string(&pid_file).unwrap());
    assert_eq!(state["bundle"], container.path("bundle").to_str().unwrap());
    assert_eq!(container.output(), "");

    let again = container.create(&[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(container.error().contains("exists already"), "{}", container.error());

    container.done(&["start", id]);
    container.says("up");
    assert_eq!(container.state()["status"], "running");
    assert!(!container.runtime(&["start", id]).output().unwrap().status.success());
    assert!(!container.runtime(&["delete", id]).output().unwrap().status.success());
    let listed: Value = serde_json::from_str(&container.done(&["list", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["id"], id);
    let processes: Value = serde_json::from_str(&container.done(&["ps", "--format", "json", id])).unwrap();
    assert_eq!(processes, json!([state["pid"]]));

    container.done(&["kill", id, "KILL"]);
    container.until("it does not stop", || (container.state()["status"] == "stopped").then_some(()));
    assert!(!container.runtime(&["kill", id, "KILL"]).output().unwrap().status.success());
    assert_eq!(container.error(), "container not running");
    container.done(&["delete", id]);
    assert_eq!(container.runtime(&["delete", id]).output().unwrap().status.code(), Some(1));
    assert_eq!(container.error(), "container does not exist");
    container.done(&["delete", "--force", id]);
}

#[test]
fn a_container_is_frozen_and_its_limits_are_changed() {
    if !is_possible() {
        return;
    }
    let container = Container::new("freeze", "echo up; exec sleep 1000", |_| {});
    let id = container.id.as_str();
    container.begin();
    container.says("up");
    container.done(&["pause", id]);
    assert_eq!(container.state()["status"], "paused");
    assert!(!container.exec("true").status.success());
    container.done(&["resume", id]);
    assert!(container.exec("true").status.success());
    let mut update =
        container.runtime(&["update", "--resources", "-", id]).stdin(Stdio::piped()).spawn().unwrap();
    update.stdin.take().unwrap().write_all(br#"{"pids":{"limit":20}}"#).unwrap();
    assert!(update.wait().unwrap().success());
    let stats: Value = serde_json::from_str(&container.done(&["events", "--stats", id])).unwrap();
    assert_eq!(stats["data"]["pids"]["limit"], 20);
    container.done(&["pause", id]);
    container.done(&["delete", "--force", id]);
    assert!(!container.path("root").join(id).exists());
}

#[test]
fn a_container_with_cgroups_below_its_own_is_deleted_with_them() {
    if !is_possible() {
        return;
    }
    let container = Container::new("below", "exec sleep 1000", |_| {});
    container.begin();
    let pid = container.state()["pid"].to_string();
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/devices"];
    let own = roots.map(|root| Path::new(root).join(&container.id)).into_iter().find(|dir| dir.is_dir());
    let own = own.expect("the container's cgroup");
    std::fs::create_dir_all(own.join("empty")).unwrap();
    std::fs::create_dir_all(own.join("a/b")).unwrap();
    std::fs::write(own.join("a/b/cgroup.procs"), &pid).unwrap();
    assert_eq!(container.done(&["ps", "--format", "json", &container.id]).trim(), format!("[{pid}]"));
    container.done(&["delete", "--force", &container.id]);
    assert!(!own.exists());
}

#[test]
fn what_was_mounted_for_a_container_goes_with_it() {
    if !is_possible() {
        return;
    }
    let container = Container::new("release", "cat /proc/self/mountinfo", |_| {});
    let point = container.path("bundle/volume");
    let runtime = json!({ "mounts": [{ "destination": point, "type": "tmpfs", "source": "tmpfs" }] });
    std::fs::write(container.path("bundle/runtime.json"), runtime.to_string()).unwrap();
    let output =
        container.done(&["run", "--bundle", container.path("bundle").to_str().unwrap(), &container.id]);
    // The runtime was in the container's namespaces for these, and must have come back.
    assert!(output.contains(" /dev/pts "), "{output}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(point.to_str().unwrap()), "{mounts}");
}
