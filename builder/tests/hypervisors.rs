//! `lkb run vbox` and `lkb run vmware` with programs that write down what they are told.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

/// A directory with an image, and programs that write their arguments to `log`.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    /// `body` is what the program does after that, as a shell script.
    fn new(image: &str, program: &str, body: &str) -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(host.path(image), "image").unwrap();
        host.program(program, body);
        host
    }

    fn program(&self, name: &str, body: &str) {
        let file = self.path(name);
        let log = self.path("log");
        fs::write(&file, format!("#!/bin/sh\necho \"$(basename \"$0\") $*\" >>{}\n{body}\n", log.display()))
            .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
        let path = format!("{}:/usr/bin:/bin", self.dir.path().display());
        command.args(args).env("PATH", path).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// What was called, with the directory's name left out.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let dir = format!("{}/", self.path("").display().to_string().trim_end_matches('/'));
        log.replace(&dir, "").lines().map(str::to_owned).collect()
    }
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Connects to the console as VirtualBox does; nobody, if `lkb` is over before there is one.
fn connect(child: &mut Child, socket: &Path) -> Option<UnixStream> {
    loop {
        match UnixStream::connect(socket) {
            Ok(console) => return Some(console),
            Err(_) if child.try_wait().unwrap().is_some() => return None,
            Err(_) => thread::yield_now(),
        }
    }
}

/// Runs a machine that says something on its console and is off then.
fn vbox(host: &Host) -> (Option<i32>, String, String) {
    let mut command = host.command(&["run", "vbox", "web-efi.iso"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(mut console) = connect(&mut child, &host.path("web-efi-state/console")) {
        console.write_all(b"Welcome\n").unwrap();
    }
    said(&child.wait_with_output().unwrap())
}

const MAKE: [&str; 5] = [
    "VBoxManage createvm --name web-efi --ostype Linux_64 --basefolder web-efi-state --register",
    "VBoxManage modifyvm web-efi --acpi on --ioapic on --memory 1024 --cpus 1 --firmware efi --boot1 dvd --uart1 0x3F8 4 \
     --uartmode1 client web-efi-state/console",
    "VBoxManage storagectl web-efi --name IDE Controller --add ide",
    "VBoxManage storageattach web-efi --storagectl IDE Controller --port 1 --device 0 --type dvddrive --medium web-efi.iso",
    "VBoxManage startvm web-efi --type headless",
];
const REMOVE: [&str; 3] = [
    "VBoxManage controlvm web-efi poweroff",
    "VBoxManage storagectl web-efi --name IDE Controller --remove",
    "VBoxManage unregistervm web-efi --delete",
];

#[test]
fn a_virtualbox_machine_is_made_shown_and_removed_without_its_disks() {
    let host = Host::new("web-efi.iso", "VBoxManage", "");
    let (code, stdout, stderr) = vbox(&host);
    assert_eq!((code, stdout.as_str()), (Some(0), "Welcome\n"), "{stderr}");
    assert_eq!(host.log(), [&["VBoxManage list vms"][..], &MAKE, &REMOVE].concat());
}

#[test]
fn a_machine_that_virtualbox_still_holds_is_removed_when_it_lets_go() {
    let held = r#"case "$1" in unregistervm) [ -e held ] || { touch held; echo "The machine is already locked" >&2; exit 1; };; esac"#;
    let host = Host::new("web-efi.iso", "VBoxManage", held);
    let (code, _, stderr) = vbox(&host);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(host.log().iter().filter(|line| line.contains("unregistervm")).count(), 2);
}

#[test]
fn a_machine_that_a_killed_run_left_is_removed_and_anothers_is_not() {
    let info = |dir: &str| {
        format!(
            r#"case "$1" in list) echo '"web-efi" {{0}}';; showvminfo) echo 'CfgFile="{dir}/web-efi/web-efi.vbox"';; esac"#
        )
    };
    let host = Host::new("web-efi.iso", "VBoxManage", "");
    host.program("VBoxManage", &info(&host.path("web-efi-state").display().to_string()));
    let (code, _, stderr) = vbox(&host);
    assert_eq!(code, Some(0), "{stderr}");
    let look = ["VBoxManage list vms", "VBoxManage showvminfo web-efi --machinereadable"];
    assert_eq!(host.log(), [&look[..], &REMOVE, &MAKE, &REMOVE].concat());

    let host = Host::new("web-efi.iso", "VBoxManage", &info("/somebody/else"));
    let (code, _, stderr) = said(&host.command(&["run", "vbox", "web-efi.iso"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("VirtualBox has a machine web-efi already"), "{stderr}");
    assert_eq!(host.log(), look);
}

#[test]
fn what_virtualbox_refuses_is_told_and_cleaned_up() {
    let refuse = r#"case "$1" in startvm) echo "VT-x is not available" >&2; exit 1;; esac"#;
    let host = Host::new("web-efi.iso", "VBoxManage", refuse);
    let (code, _, stderr) = said(&host.command(&["run", "vbox", "web-efi.iso"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("`VBoxManage startvm web-efi --type headless` fails: VT-x is not available"),
        "{stderr}"
    );
    assert!(host.log().ends_with(&REMOVE.map(str::to_owned)), "{:?}", host.log());
    let none =
        said(&host.command(&["run", "vbox", "--vboxmanage", "./none", "web-efi.iso"]).output().unwrap());
    assert!(none.2.contains("install VirtualBox, or name its VBoxManage with --vboxmanage"), "{}", none.2);
}

#[test]
fn a_signal_ends_the_machine_and_removes_it() {
    let host = Host::new("web-efi.iso", "VBoxManage", "");
    let mut child = host.command(&["run", "vbox", "web-efi.iso"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut console = connect(&mut child, &host.path("web-efi-state/console")).unwrap();
    console.write_all(b"x").unwrap();
    // What it has shown, it shows while it listens for signals.
    let mut shown = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut shown).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(host.log().ends_with(&REMOVE.map(str::to_owned)), "{:?}", host.log());
}

#[test]
fn a_vmware_machine_is_described_and_started() {
    let host = Host::new("web.vmdk", "vmrun", "");
    host.program("vmware-vdiskmanager", "");
    let args = ["run", "vmware", "--mem", "512", "--disk", "size=1G", "web"];
    let (code, _, stderr) = said(&host.command(&args).output().unwrap());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("to stop it: vmrun -T ws stop "), "{stderr}");
    assert_eq!(
        host.log(),
        [
            "vmware-vdiskmanager -c -s 1024MB -a lsilogic -t 0 web-state/disk.vmdk",
            "vmrun -T ws start web-state/linuxkit.vmx"
        ]
    );
    let vmx = fs::read_to_string(host.path("web-state/linuxkit.vmx")).unwrap();
    let boot = format!("scsi0:0.fileName = \"{}\"", host.path("web.vmdk").display());
    let data = format!("scsi0:1.fileName = \"{}\"", host.path("web-state/disk.vmdk").display());
    for line in [boot.as_str(), &data, "memsize = \"512\"", "displayName = \"web\""] {
        assert!(vmx.lines().any(|found| found == line), "{line}\nis not in\n{vmx}");
    }
}

#[test]
fn what_vmware_refuses_is_told() {
    let host = Host::new("web.vmdk", "vmrun", "echo 'Error: The operation was canceled'; exit 255");
    let (code, _, stderr) = said(&host.command(&["run", "vmware", "web.vmdk"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("fails: Error: The operation was canceled"), "{stderr}");
    fs::remove_file(host.path("vmrun")).unwrap();
    let (_, _, stderr) = said(&host.command(&["run", "vmware", "web"]).output().unwrap());
    assert!(stderr.contains("cannot start vmrun"), "{stderr}");
    let (_, _, stderr) = said(&host.command(&["run", "vmware", "none"]).output().unwrap());
    assert!(stderr.contains("none.vmdk") && stderr.contains("lkb build --format vmdk"), "{stderr}");
}

#[test]
fn what_is_elsewhere_or_gone_names_what_to_use_here() {
    let host = Host::new("web.iso", "unused", "");
    for (args, says) in [
        (&["run", "hyperkit", "-mem", "512", "web"][..], "hyperkit runs on macOS only; `lkb run qemu`"),
        (&["run", "virtualization", "--virtiofs", "/d", "web"], "virtualization runs on macOS only"),
        (&["run", "hyperv", "web.iso"], "hyperv runs on Windows only"),
        (&["run", "equinixmetal", "--zone", "ams1", "web"], "Equinix Metal has closed on 30 June 2026"),
        (
            &["push", "equinixmetal", "--base-url", "http://x", "web"],
            "Equinix Metal has closed on 30 June 2026",
        ),
    ] {
        let (code, _, stderr) = said(&host.command(args).output().unwrap());
        assert_eq!(code, Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
}
