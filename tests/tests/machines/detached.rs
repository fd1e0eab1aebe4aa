//! A machine that `lkb run` leaves behind, and `lkb stop` ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lk_tests::PATIENCE;
use lk_tests::console::Console;
use lk_tests::image::run_lkb;
use lk_tests::qmp::Qmp;
use serde_json::{Value, json};

/// What a machine left behind is known by.
struct Detached {
    path: PathBuf,
    console: Console,
    tail: Child,
}

impl Detached {
    /// Builds the smallest machine, and starts it with `options`.
    fn start(dir: &Path, options: &[&str]) -> Self {
        let out = dir.to_str().expect("a UTF-8 path");
        let built = run_lkb(&["build", "--name", "minimal", "--dir", out, "examples/minimal.yml"]);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let path = dir.join("minimal");
        let prefix = path.to_str().expect("a UTF-8 path");
        let run = run_lkb(&[&["run", "qemu", "--detach"], options, &[prefix]].concat());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let log = dir.join("minimal-state/console.log");
        let mut tail = Command::new("tail")
            .args(["--bytes=+1", "--follow"])
            .arg(&log)
            .stdout(Stdio::piped())
            .spawn()
            .expect("running tail");
        let console = Console::reading(tail.stdout.take().expect("tail's standard output"));
        Self { path, console, tail }
    }

    fn state(&self, name: &str) -> PathBuf {
        self.path.with_file_name("minimal-state").join(name)
    }

    fn lkb_stop(&self, options: &[&str]) -> bool {
        let path = self.path.to_str().expect("a UTF-8 path");
        let stopped = run_lkb(&[&["stop"], options, &[path]].concat());
        eprint!("{}", String::from_utf8_lossy(&stopped.stderr));
        stopped.status.success()
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.console.text());
        }
        if self.state("qemu.pid").exists() {
            self.lkb_stop(&["--force"]);
        }
        // It follows a file for ever, and may only have been killed already.
        let _ = self.tail.kill();
        let _ = self.tail.wait();
    }
}

/// The file of each drive that holds one.
fn drives(qmp: &mut Qmp) -> Vec<String> {
    let blocks = qmp.run("query-block", &json!({}));
    let files =
        blocks.as_array().into_iter().flatten().filter_map(|block| block["inserted"]["file"].as_str());
    files.map(str::to_owned).collect()
}

#[test]
fn a_detached_machine_has_what_was_asked_for_and_stops_when_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let machine = Detached::start(dir.path(), &["--cpus", "2", "--mem", "512", "--data", "said by the host"]);
    machine.console.wait("Welcome to LinuxKit", PATIENCE);
    {
        let mut qmp = Qmp::connect(&machine.state("qmp"));
        let cpus = qmp.run("query-cpus-fast", &json!({}));
        assert_eq!(cpus.as_array().map(Vec::len), Some(2), "{cpus}");
        let memory = qmp.run("query-memory-size-summary", &json!({}));
        assert_eq!(memory["base-memory"], Value::from(512_u64 << 20));
        assert!(drives(&mut qmp).iter().any(|file| file.ends_with("/data.iso")));
    }
    let cd = std::fs::read(machine.state("data.iso")).expect("the metadata CD");
    assert!(cd.windows(16).any(|bytes| bytes == b"said by the host"));
    assert!(machine.lkb_stop(&[]));
    machine.console.wait("powering off", PATIENCE);
}

#[test]
fn a_file_is_put_on_the_metadata_cd_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("user-data");
    let content: Vec<u8> = (0..=255).cycle().take(5000).collect();
    std::fs::write(&file, &content).expect("writing the user-data");
    let machine = Detached::start(dir.path(), &["--data-file", file.to_str().expect("a UTF-8 path")]);
    machine.console.wait("Welcome to LinuxKit", PATIENCE);
    assert!(
        drives(&mut Qmp::connect(&machine.state("qmp"))).iter().any(|drive| drive.ends_with("/data.iso"))
    );
    let cd = std::fs::read(machine.state("data.iso")).expect("the metadata CD");
    assert!(cd.windows(content.len()).any(|bytes| bytes == content));
    assert!(machine.lkb_stop(&["--force"]));
}
