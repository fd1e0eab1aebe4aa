//! What a container's first process has, and what processes have that are added.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::container::{Container, is_possible};

#[test]
fn a_program_has_what_its_configuration_says() {
    if !is_possible() {
        return;
    }
    let script = r#"
        id -u; id -G; hostname; ulimit -n; cat /proc/self/oom_score_adj; umask; pwd; echo "home $HOME"
        grep -E 'CapEff|CapBnd|CapAmb|NoNew' /proc/self/status | tr '\t\n' '  '
        cat /proc/sys/net/ipv4/ip_forward; stat -c '%t:%T %u' /dev/fuse; wc -c < /proc/timer_list
        (echo 1 > /proc/sys/kernel/panic) 2>&1; (touch /dev/x) 2>&1
        cat /sys/class/net/lo/operstate 2>/dev/null; ls /proc/sys/net/ipv4/conf
        echo reopened >> /dev/stdout; echo complete; sleep 1000"#;
    let container = Container::new("fields", script, |config| {
        let process = &mut config["process"];
        process["user"] = json!({ "uid": 33, "gid": 34, "additionalGids": [5, 6], "umask": 63 });
        process["capabilities"] = json!({
            "bounding": ["CAP_NET_RAW", "CAP_KILL"], "permitted": ["CAP_NET_RAW", "CAP_KILL"],
            "inheritable": ["CAP_NET_RAW", "CAP_KILL"], "effective": ["CAP_KILL"], "ambient": ["CAP_NET_RAW"],
        });
        process["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]);
        process["oomScoreAdj"] = json!(250);
        process["noNewPrivileges"] = json!(true);
        config["hostname"] = json!("inner");
        config["annotations"] = json!({ "a.b": "c" });
        config["mounts"][1]["options"].as_array_mut().unwrap().push(json!("ro"));
        let linux = &mut config["linux"];
        linux["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
        linux["maskedPaths"] = json!(["/proc/timer_list", "/nonexistent"]);
        linux["readonlyPaths"] = json!(["/proc/sys"]);
        linux["devices"] = json!([{ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 33 }]);
        linux["resources"] = json!({ "pids": { "limit": 50 }, "memory": { "limit": 67_108_864 } });
    });
    container.begin();
    let output = container.says("complete");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..8], ["33", "34 5 6", "inner", "100", "250", "0077", "/work", "home /"], "{output}");
    assert!(lines[8].contains("CapEff: 0000000000002000"), "{output}");
    assert!(lines[8].contains("CapBnd: 0000000000002020"), "{output}");
    assert!(lines[8].contains("CapAmb: 0000000000002000"), "{output}");
    assert!(lines[8].contains("NoNewPrivs: 1"), "{output}");
    assert!(lines[8].ends_with('1'), "sysctl: {output}");
    assert_eq!(lines[9..11], ["a:e5 33", "0"], "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    assert!(output.contains("reopened"), "{output}");
    assert_eq!(container.state()["annotations"]["a.b"], "c");
    let stats: Value = serde_json::from_str(&container.done(&["events", "--stats", &container.id])).unwrap();
    assert_eq!(stats["data"]["pids"]["limit"], 50);
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 67_108_864);
}

#[test]
fn a_working_directory_that_a_read_only_image_lacks_is_made_and_nothing_else_can_be() {
    if !is_possible() {
        return;
    }
    let container = Container::new("read-only", "pwd; touch x 2>&1; touch /x 2>&1; exit 3", |config| {
        config["root"]["readonly"] = json!(true);
    });
    let bundle = container.path("bundle");
    let run = container.runtime(&["run", "--bundle", bundle.to_str().unwrap(), &container.id]).output();
    let out = run.unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(3), "{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.starts_with("/work\n"), "{said}");
    assert_eq!(said.matches("Read-only file system").count(), 2, "{said}");
    assert!(!bundle.join("rootfs/work").exists());
}

#[test]
fn an_added_process_is_as_confined_as_the_first() {
    if !is_possible() {
        return;
    }
    let container =
        Container::new("exec", "mkdir /tmp-first; echo \"first $?\"; exec sleep 1000", |config| {
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 }],
            });
        });
    container.begin();
    assert!(container.says("first").contains("Function not implemented"), "{}", container.output());
    let added = container.exec("grep CapBnd /proc/self/status; mkdir /tmp-added; pwd; exit 7");
    assert_eq!(added.status.code(), Some(7));
    let (out, err) = (String::from_utf8_lossy(&added.stdout), String::from_utf8_lossy(&added.stderr));
    assert_eq!(out, "CapBnd:\t0000000000000000\n/work\n");
    assert!(err.contains("Function not implemented"), "{err}");

    let missing = container.runtime(&["exec", &container.id, "nosuch"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(255));
    let told = container.error();
    assert!(told.starts_with("cannot add a process to the container: program \"nosuch\" is not"), "{told}");

    let pid_file = container.path("added.pid");
    let pid_file = pid_file.to_str().unwrap();
    // Its output would keep a pipe open.
    let mut detached =
        container.runtime(&["exec", "--detach", "--pid-file", pid_file, &container.id, "sleep", "1000"]);
    assert!(detached.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let pid: Value = serde_json::from_str(&std::fs::read_to_string(pid_file).unwrap()).unwrap();
    let processes: Value =
        serde_json::from_str(&container.done(&["ps", "--format", "json", &container.id])).unwrap();
    assert!(processes.as_array().unwrap().contains(&pid), "{processes} {pid}");
}

#[test]
fn users_of_a_container_may_be_others_outside() {
    if !is_possible() {
        return;
    }
    let container = Container::new("users", "id -u; cat /proc/self/uid_map; exec sleep 1000", |config| {
        config["process"]["cwd"] = json!("/");
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
        let mapping = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
        config["linux"]["uidMappings"] = mapping.clone();
        config["linux"]["gidMappings"] = mapping;
    });
    container.begin();
    let output = container.says("65536");
    assert!(output.starts_with("0\n"), "{output}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.state()["pid"])).unwrap();
    assert!(status.contains("Uid:\t100000"), "{status}");
    // libcontainer would run it as the machine's root.
    assert!(!container.exec("true").status.success());
}
