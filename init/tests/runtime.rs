//! `init runtime` as runc is called, with containers on the machine that builds: the host's `/usr` in an empty root.
//!
//! Needs root and cgroups; without them the tests say so and check nothing.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lk_init::runtime::runner::{Answer, Done, Step};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn is_possible() -> bool {
    let possible = nix::unistd::geteuid().is_root() && Path::new("/sys/fs/cgroup").is_dir();
    if !possible {
        eprintln!("not root, or no cgroups: nothing is checked");
    }
    possible
}

/// A container of this test, and its directory.
struct Container {
    dir: tempfile::TempDir,
    id: String,
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.runtime(&["delete", "--force", &self.id]).output());
    }
}

impl Container {
    /// A bundle that runs `script` in a shell, changed by `change`.
    fn new(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rootfs = dir.path().join("bundle/rootfs");
        // Mapped users may not make directories here.
        for made in ["usr", "etc", "proc", "dev"] {
            std::fs::create_dir_all(rootfs.join(made)).unwrap();
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), rootfs.join(link)).unwrap();
        }
        // A mapped user must reach it.
        for open in [dir.path(), &dir.path().join("bundle")] {
            std::fs::set_permissions(open, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut config = json!({
            "ociVersion": "1.2.1",
            "root": { "path": "rootfs" },
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": ["/bin/sh", "-c", script],
                "cwd": "/work",
                "env": ["PATH=/usr/bin:/bin"],
                "capabilities": {},
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "nodev", "noexec"] },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                  "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                  "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
                { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["ro", "rbind"] },
            ],
            "linux": {
                "resources": {},
                "namespaces": [
                    { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "pid" }, { "type": "mount" },
                ],
            },
        });
        change(&mut config);
        std::fs::write(dir.path().join("bundle/config.json"), config.to_string()).unwrap();
        Self { dir, id: format!("lkb-test-{}-{name}", std::process::id()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn runtime(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_init"));
        command.arg("runtime").arg("--root").arg(self.path("root"));
        command.arg("--log").arg(self.path("log")).args(["--log-format", "json"]).args(args);
        command
    }

    /// Runs a command that must succeed, and returns what it printed.
    fn done(&self, args: &[&str]) -> String {
        let output = self.runtime(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Creates it; what the runtime says goes where the container's output does.
    fn create(&self, more: &[&str]) -> Output {
        // A container may open it again, and both must add to it.
        let output = File::options().append(true).create(true).open(self.path("out")).unwrap();
        let bundle = self.path("bundle");
        let mut command = self.runtime(&["create", "--bundle", bundle.to_str().unwrap()]);
        command.args(more).arg(&self.id).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output).output().unwrap()
    }

    /// Creates and starts.
    fn begin(&self) {
        let created = self.create(&[]);
        assert!(created.status.success(), "{}", self.output());
        self.done(&["start", &self.id]);
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.path("out")).unwrap()
    }

    /// Waits until the program has written `text`.
    fn says(&self, text: &str) -> String {
        self.until(&format!("no {text:?}"), || Some(self.output()).filter(|output| output.contains(text)))
    }

    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.done(&["state", &self.id])).unwrap()
    }

    fn exec(&self, script: &str) -> Output {
        self.runtime(&["exec", &self.id, "--", "/bin/sh", "-c", script]).output().unwrap()
    }

    /// The last error in the log, as containerd's shim reads it.
    fn error(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        let last = log.lines().rfind(|line| line.contains("\"level\":\"error\"")).unwrap();
        let line: Value = serde_json::from_str(last).unwrap();
        line["msg"].as_str().unwrap().to_owned()
    }
}

/// `runtime runner`, and the socket by which it is asked.
struct Runner {
    child: std::process::Child,
    requests: UnixStream,
}

impl Runner {
    fn start(container: &Container) -> Self {
        let (requests, theirs) = UnixStream::pair().unwrap();
        let mut command = container.runtime(&["runner"]);
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        Self { child, requests }
    }

    /// Runs the container of `bundle` under the name `step`; its exit code, and whether the runner ends with it.
    fn run(&mut self, container: &Container, bundle: &Path, step: &str) -> Done {
        let file = |suffix: &str| container.path(&format!("{step}.{suffix}"));
        let request = Step {
            id: format!("{}-{step}", container.id),
            bundle: bundle.to_owned(),
            exit_file: file("exit"),
            stdout: file("out"),
            stderr: file("err"),
        };
        File::create(&request.stdout).and_then(|_| File::create(&request.stderr)).unwrap();
        let line = serde_json::to_string(&request).unwrap() + "\n";
        self.requests.write_all(line.as_bytes()).unwrap();
        let mut bytes = [0; 2];
        loop {
            self.requests.read_exact(&mut bytes).unwrap();
            if let Answer::Done(done) = Answer::from_bytes(bytes) {
                return done;
            }
        }
    }
}

#[test]
fn one_process_runs_container_after_container_each_with_output_and_outcome_of_its_own() {
    if !is_possible() {
        return;
    }
    let container = Container::new(
        "runner",
        "echo \"out $(ls /proc/self/fd | wc -l)\"; echo err >&2; exit $(cat /code)",
        |_| {},
    );
    let bundle = container.path("bundle");
    let mut runner = Runner::start(&container);
    let text = |name: &str| std::fs::read_to_string(container.path(name)).unwrap();
    for (step, code) in [("a", 0), ("b", 3), ("c", 0)] {
        std::fs::write(bundle.join("rootfs/code"), format!("{code}\n")).unwrap();
        assert_eq!(
            runner.run(&container, &bundle, step),
            Done { code, is_last: false },
            "{}",
            text(&format!("{step}.err"))
        );
        assert_eq!(text(&format!("{step}.exit")), format!("{code}\n"));
        // The three standard ones, and the directory that is listed: none of a former container, and no request.
        assert_eq!(text(&format!("{step}.out")), "out 4\n", "{step}");
        assert_eq!(text(&format!("{step}.err")), "err\n");
    }
    drop(runner.requests);
    assert!(runner.child.wait().unwrap().success());
}

#[test]
fn a_runner_that_could_not_run_a_container_says_why_and_ends() {
    if !is_possible() {
        return;
    }
    let container = Container::new("runner-fails", "true", |config| {
        config["process"]["args"] = json!(["/no/such/program"]);
    });
    let mut runner = Runner::start(&container);
    let done = runner.run(&container, &container.path("bundle"), "a");
    assert_eq!(done, Done { code: 125, is_last: true });
    let said = std::fs::read_to_string(container.path("a.err")).unwrap();
    assert!(said.contains("/no/such/program"), "{said}");
    assert_eq!(std::fs::read_to_string(container.path("a.exit")).unwrap(), "125\n");
    assert!(runner.child.wait().unwrap().success());
}

#[test]
fn a_runner_that_is_told_to_end_ends_its_container_first() {
    if !is_possible() {
        return;
    }
    let container =
        Container::new("runner-told", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done", |_| {});
    let mut runner = Runner::start(&container);
    let pid = Pid::from_raw(i32::try_from(runner.child.id()).unwrap());
    let done = std::thread::scope(|scope| {
        let running = scope.spawn(|| runner.run(&container, &container.path("bundle"), "a"));
        container.until("it is not ready", || {
            std::fs::read_to_string(container.path("a.out")).ok().filter(|out| out == "ready\n")
        });
        kill(pid, Signal::SIGTERM).unwrap();
        running.join().unwrap()
    });
    assert_eq!(done, Done { code: 7, is_last: true });
    assert!(runner.child.wait().unwrap().success());
}

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

/// What a shim does with `--console-socket`: takes the terminal's other side.
fn terminal(listener: &UnixListener) -> File {
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::empty()).unwrap();
    let files = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    File::from(files.unwrap())
}

fn read_until(file: &mut File, text: &str) -> String {
    let (mut read, mut buffer) = (String::new(), [0; 256]);
    while !read.contains(text) {
        match file.read(&mut buffer) {
            Ok(0) | Err(_) => panic!("no {text:?} in {read:?}"),
            Ok(count) => read.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    read
}

#[test]
fn terminals_are_handed_over_for_the_first_and_for_added_processes() {
    if !is_possible() {
        return;
    }
    let container = Container::new("terminal", "tty; stty size; exec sleep 1000", |config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({ "height": 33, "width": 111 });
    });
    let socket = container.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let socket = socket.to_str().unwrap();
    assert!(container.create(&["--console-socket", socket]).status.success(), "{}", container.output());
    let mut first = terminal(&listener);
    container.done(&["start", &container.id]);
    let said = read_until(&mut first, "33 111");
    assert!(said.contains("/dev/pts/0"), "{said}");

    let no_socket = container.runtime(&["exec", "--tty", "--detach", &container.id, "tty"]).output().unwrap();
    assert_eq!(no_socket.status.code(), Some(255));
    let mut exec =
        container.runtime(&["exec", "--tty", "--detach", "--console-socket", socket, &container.id]);
    let mut child = exec.args(["sh", "-c", "tty; read line; echo \"got $line\""]).spawn().unwrap();
    let mut added = terminal(&listener);
    assert!(child.wait().unwrap().success());
    read_until(&mut added, "/dev/pts/1");
    added.write_all(b"word\n").unwrap();
    read_until(&mut added, "got word");
}

#[test]
fn what_cannot_be_mounted_is_named_unless_it_is_an_engines() {
    if !is_possible() {
        return;
    }
    let container = Container::new("missing", "true", |config| {
        config["mounts"].as_array_mut().unwrap().push(
            json!({ "destination": "/data", "type": "bind", "source": "/gone/data", "options": ["rbind"] }),
        );
    });
    assert_eq!(container.create(&[]).status.code(), Some(1));
    assert!(
        container.error().starts_with("cannot mount /gone/data on /data: there is no"),
        "{}",
        container.error()
    );
    assert!(!container.path("root").join(&container.id).exists());

    let container = Container::new("engine", "echo up; exec sleep 1000", |config| {
        config["mounts"].as_array_mut().unwrap().push(
            json!({ "destination": "/x", "type": "bind", "source": "/var/lib/containerd/nosuch", "options": ["rbind"] }),
        );
    });
    container.begin();
    container.says("up");
    let log = std::fs::read_to_string(container.path("log")).unwrap();
    assert!(log.contains("\"level\":\"warning\"") && log.contains("no such engine"), "{log}");
}

#[test]
fn mounts_propagate_as_they_are_asked_to() {
    if !is_possible() {
        return;
    }
    let container = Container::new(
        "propagation",
        "cat /proc/self/mountinfo; ls /dev; echo up; exec sleep 1000",
        |config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts[3]["options"] = json!(["ro", "rbind", "rshared"]);
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
            mounts.push(
                json!({ "destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"] }),
            );
        },
    );
    container.begin();
    let output = container.says("up");
    let usr = output.lines().find(|line| line.split(' ').nth(4) == Some("/usr")).unwrap();
    assert!(usr.contains(" shared:"), "{usr}");
    // The host's /dev, and not the one that libcontainer would have made.
    let host = std::fs::read_dir("/dev").unwrap().count();
    let devices = output.lines().skip_while(|line| line.contains(" - ")).filter(|line| *line != "up").count();
    assert!(devices >= host.saturating_sub(3), "{devices} of {host}: {output}");
}

fn sysfs() -> Value {
    json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "ro"] })
}

#[test]
fn file_systems_that_are_mounted_last_have_their_options() {
    if !is_possible() {
        return;
    }
    let container = Container::new("late", "cat /proc/self/mountinfo; echo up; exec sleep 1000", |config| {
        config["mounts"].as_array_mut().unwrap().push(sysfs());
    });
    container.begin();
    let output = container.says("up");
    let options = |point: &str| {
        let line = output.lines().find(|line| line.split(' ').nth(4) == Some(point)).unwrap();
        (line.split(' ').nth(5).unwrap(), line.split(" - ").nth(1).unwrap())
    };
    assert_eq!(options("/dev/pts"), ("rw,nosuid,noexec,relatime", "devpts devpts rw,mode=620,ptmxmode=666"));
    // Read-only for the container, and not for the host.
    assert_eq!(options("/sys"), ("ro,nosuid,noexec,relatime", "sysfs sysfs rw"));
}

#[test]
fn nothing_is_mounted_where_a_link_in_the_image_leads() {
    if !is_possible() {
        return;
    }
    let host = std::process::id();
    for (name, lead) in [("host", "/proc/HOST/rootDIR/outside"), ("near", "/etc")] {
        let container = Container::new(name, "true", |config| {
            config["mounts"].as_array_mut().unwrap().push(sysfs());
            // Of the host's, so that its processes are in the container's /proc.
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "pid");
        });
        let outside = container.path("outside");
        std::fs::create_dir(&outside).unwrap();
        let dir = container.dir.path().to_str().unwrap();
        let lead = lead.replace("HOST", &host.to_string()).replace("DIR", dir);
        std::os::unix::fs::symlink(lead, container.path("bundle/rootfs/sys")).unwrap();
        assert_eq!(container.create(&[]).status.code(), Some(1), "{name}");
        assert!(container.error().contains("is a link"), "{name}: {}", container.error());
        for untouched in [outside, container.path("bundle/rootfs/etc")] {
            assert_eq!(std::fs::read_dir(&untouched).unwrap().count(), 0, "{name}: {}", untouched.display());
        }
        assert!(!container.path("root").join(&container.id).exists());
    }
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
