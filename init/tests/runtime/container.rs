//! A container of a test, and its directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn is_possible() -> bool {
    let possible = nix::unistd::geteuid().is_root() && Path::new("/sys/fs/cgroup").is_dir();
    if !possible {
        eprintln!("not root, or no cgroups: nothing is checked");
    }
    possible
}

/// A container of this test, and its directory.
pub struct Container {
    pub dir: tempfile::TempDir,
    pub id: String,
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.runtime(&["delete", "--force", &self.id]).output());
    }
}

impl Container {
    /// A bundle that runs `script` in a shell, changed by `change`.
    pub fn new(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Self {
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn runtime(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_init"));
        command.arg("runtime").arg("--root").arg(self.path("root"));
        command.arg("--log").arg(self.path("log")).args(["--log-format", "json"]).args(args);
        command
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.runtime(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Creates it; what the runtime says goes where the container's output does.
    pub fn create(&self, more: &[&str]) -> Output {
        // A container may open it again, and both must add to it.
        let output = File::options().append(true).create(true).open(self.path("out")).unwrap();
        let bundle = self.path("bundle");
        let mut command = self.runtime(&["create", "--bundle", bundle.to_str().unwrap()]);
        command.args(more).arg(&self.id).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output).output().unwrap()
    }

    /// Creates and starts.
    pub fn begin(&self) {
        let created = self.create(&[]);
        assert!(created.status.success(), "{}", self.output());
        self.done(&["start", &self.id]);
    }

    pub fn output(&self) -> String {
        std::fs::read_to_string(self.path("out")).unwrap()
    }

    /// Waits until the program has written `text`.
    pub fn says(&self, text: &str) -> String {
        self.until(&format!("no {text:?}"), || Some(self.output()).filter(|output| output.contains(text)))
    }

    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&self.done(&["state", &self.id])).unwrap()
    }

    pub fn exec(&self, script: &str) -> Output {
        self.runtime(&["exec", &self.id, "--", "/bin/sh", "-c", script]).output().unwrap()
    }

    /// The last error in the log, as containerd's shim reads it.
    pub fn error(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        let last = log.lines().rfind(|line| line.contains("\"level\":\"error\"")).unwrap();
        let line: Value = serde_json::from_str(last).unwrap();
        line["msg"].as_str().unwrap().to_owned()
    }
}
