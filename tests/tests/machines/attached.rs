//! What `lkb run qemu` attaches to a machine: TAP interfaces, USB, directories of the host. Each is looked at from outside.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use lk_tests::console::{Console, keep};
use lk_tests::image::{build_initrd, lkb, run_lkb};
use lk_tests::netns::Netns;
use lk_tests::qmp::Qmp;
use lk_tests::{PATIENCE, root};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;

/// A machine on this test's own terms. Dropping it kills it; when the test fails, its console is kept.
struct Machine {
    name: &'static str,
    child: Child,
    console: Console,
    qmp: std::path::PathBuf,
}

impl Machine {
    /// Runs `image`, which has its state in `dir`, by `command`.
    fn run(name: &'static str, mut command: Command, dir: &Path, options: &[&str], image: &Path) -> Self {
        let qmp = dir.join("qmp");
        command
            .args(["run", "qemu", "--mem", "512", "--state"])
            .arg(dir.join("state"))
            .arg("--qmp")
            .arg(&qmp);
        command.args(options).arg(image).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("starting lkb run");
        let console = Console::reading(child.stdout.take().expect("lkb's standard output"));
        Self { name, child, console, qmp }
    }

    fn wait(&self, wanted: &str) -> String {
        self.console.wait(wanted, PATIENCE)
    }

    /// What QEMU's monitor answers.
    fn monitor(&self, command: &str) -> String {
        let answer = Qmp::connect(&self.qmp).run("human-monitor-command", &json!({"command-line": command}));
        answer.as_str().expect("an answer in words").to_owned()
    }

    fn power_off(&mut self) {
        Qmp::connect(&self.qmp).run("system_powerdown", &json!({}));
        self.console.wait_end(PATIENCE);
        assert!(self.child.wait().expect("waiting for lkb run").success(), "{}", self.console.text());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            keep(self.name, &self.console);
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It may have ended.
            killpg(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
        self.child.wait().ok();
    }
}

/// A machine with one container of BusyBox, in which a script runs.
fn script(dir: &Path, name: &str, lines: &str, script: &str) -> std::path::PathBuf {
    let minimal = fs::read_to_string(root().join("examples/minimal.yml")).expect("the example");
    let pkg = root().join("pkg");
    let container = format!(
        "services:\n  - name: probe\n    image: \"@pkg:../pkg/busybox\"\n    net: host\n    pid: host\n{lines}\
         \x20   restart: never\n    devices: [{{path: /dev/kmsg, type: c, major: 1, minor: 11, mode: \"0600\"}}]\n\
         \x20   env: [PATH=/bin]\n    command:\n      - /bin/sh\n      - -c\n      - |\n        {script}\n"
    );
    let text = (minimal + &container).replace("@pkg:../pkg", &format!("@pkg:{}", pkg.display()));
    let yaml = dir.join(format!("{name}.yml"));
    fs::write(&yaml, text).expect("writing the YAML");
    build_initrd(name, &yaml)
}

#[test]
fn a_machine_on_a_tap_interface_is_reached_at_its_own_address() {
    assert!(
        Path::new("/dev/net/tun").exists(),
        "this host has no /dev/net/tun, so no TAP interface can be made: load the module tun"
    );
    let dir = tempfile::tempdir().expect("a temporary directory");
    let asks = "ip address add 10.9.8.2/24 dev eth0 && ip link set eth0 up && \
                answer=$(echo hello from the machine | nc 10.9.8.1 7) && \
                echo \"<2>probe: $answer\" >/dev/kmsg; exec sleep 1000000";
    let image = script(dir.path(), "tap", "    capabilities: [CAP_NET_ADMIN]\n", asks);
    let netns = Netns::new(&[]);
    let ip = |args: &[&str]| {
        let out = netns.command("ip").args(args).output().expect("running ip (package iproute2)");
        assert!(out.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    ip(&["tuntap", "add", "name", "tap7", "mode", "tap"]);
    ip(&["address", "add", "10.9.8.1/24", "dev", "tap7"]);
    ip(&["link", "set", "tap7", "up"]);
    let listener = netns.run(|| TcpListener::bind("10.9.8.1:7")).expect("listening on the host's side");
    let (sender, came) = mpsc::channel();
    thread::spawn(move || sender.send(listener.accept()));
    let options = ["--networking", "tap,tap7"];
    let mut machine = Machine::run("tap", netns.command(lkb()), dir.path(), &options, &image);
    let connection = came.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        panic!("the machine did not connect within {PATIENCE:?}");
    });
    let (mut stream, from) = connection.expect("a connection");
    assert_eq!(from.ip().to_string(), "10.9.8.2");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("what the machine says");
    assert_eq!(line, "hello from the machine\n");
    stream.write_all(b"hello from the host\n").expect("answering the machine");
    drop(stream);
    machine.wait("probe: hello from the host");
    machine.power_off();
}

#[test]
fn a_machine_starts_from_a_memory_stick_that_is_plugged_into_its_usb() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().to_str().expect("a UTF-8 path");
    let args = ["build", "--format", "raw-bios", "--root", "initrd", "--name", "stick", "--dir", out];
    let built = run_lkb(&[&args[..], &["examples/minimal.yml"]].concat());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // The disk that the machine has otherwise has nothing to start.
    let blank = dir.path().join("blank.raw");
    fs::File::create(&blank).and_then(|file| file.set_len(1 << 20)).expect("an empty disk");
    let stick = format!("usb-storage,file={out}/stick-bios.img,format=raw,bootindex=0");
    let options = ["--usb", "--device", &stick];
    let mut machine = Machine::run("usb", Command::new(lkb()), dir.path(), &options, &blank);
    machine.wait("Welcome to LinuxKit");
    let plugged = machine.monitor("info usb");
    assert!(plugged.contains("Product QEMU USB MSD"), "{plugged}");
    machine.power_off();
}

#[test]
fn a_directory_of_the_host_is_read_and_written_by_the_machine() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for share in [&one, &two] {
        fs::create_dir(share).expect("a directory");
    }
    fs::write(one.join("question"), "six times seven").expect("the question");
    let answers = "mount -t virtiofs virtiofs0 /mnt && mount -t virtiofs virtiofs1 /srv && \
                   cp /mnt/question /srv/copy && mkdir /srv/sub && echo 42 >/srv/sub/answer && sync && \
                   echo '<2>probe: written' >/dev/kmsg; exec sleep 1000000";
    let lines = "    capabilities: [CAP_SYS_ADMIN]\n    tmpfs: [/mnt, /srv]\n";
    let image = script(dir.path(), "virtiofs", lines, answers);
    let shares = [&one, &two].map(|share| share.to_str().expect("a UTF-8 path"));
    let options = ["--virtiofs", shares[0], "--virtiofs", shares[1]];
    let mut machine = Machine::run("virtiofs", Command::new(lkb()), dir.path(), &options, &image);
    machine.wait("probe: written");
    let read = |name: &str| fs::read_to_string(two.join(name)).expect("what the machine has written");
    assert_eq!((read("copy").as_str(), read("sub/answer").as_str()), ("six times seven", "42\n"));
    assert_eq!(fs::read_dir(&one).expect("the first directory").count(), 1, "nothing else came to be");
    machine.power_off();
}
