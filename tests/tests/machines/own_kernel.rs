//! Our own kernel (`make kernel`): it mounts its root by itself, loads nothing that is not signed, is small, and is there soon.
//!
//! To build it takes longer than all other tests: `make kernel-suite` does that, and then runs these.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lk_tests::bench::machine::{Image, Settings, boot};
use lk_tests::bench::marks::Marks;
use lk_tests::image::run_lkb;
use lk_tests::own_kernel::{PARTITION, built, partitioned};
use lk_tests::root;
use lk_tests::roots::{Kind, make, tree};
use lk_tests::vm::{Setup, Vm};

/// The port beside the machine that leads to its service.
const PORT: u16 = 8080;
/// 10 MB, the most that the kernel may take.
const LARGEST_KERNEL: u64 = 10_000_000;
/// The most that kernel and root of a machine with containerd, DHCP and one service may take.
const LARGEST_WITH_CONTAINERD: u64 = 45_000_000;
/// The most that kernel and initrd of `examples/embedded.yml` may take, without modules.
const LARGEST_WITHOUT_CONTAINERD: u64 = 12_000_000;
/// The most that the LDAP appliance's disk may take.
const LARGEST_LDAP: u64 = 55_000_000;
/// From the kernel's start to init, in seconds of a clock that counts instructions.
const LONGEST_START: f64 = 1.1;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Builds a machine from `yaml`, which has our own kernel in it; `options` have the format.
fn build(dir: &Path, name: &str, options: &[&str], yaml: &[&Path]) {
    let text = |path: &Path| path.to_str().expect("a UTF-8 path").to_owned();
    let (dir, yaml) = (text(dir), yaml.iter().map(|path| text(path)).collect::<Vec<_>>());
    let mut args = vec!["build", "--name", name, "--dir", &dir];
    args.extend(options);
    args.extend(yaml.iter().map(String::as_str));
    let out = run_lkb(&args);
    assert!(out.status.success(), "lkb {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("what was built").len()
}

/// A machine with one service, which makes an interface whose driver is a module, and then says which modules there are.
fn with_a_module(dir: &Path) -> PathBuf {
    let pkg = root().join("pkg");
    let pkg = pkg.display();
    let yaml = dir.join("hello.yml");
    let text = format!(
        "kernel:\n  image: \"@pkg:{pkg}/kernel\"\n  cmdline: console=ttyS0\ninit:\n  - \"@pkg:{pkg}/init\"\nservices:\n\
         \x20 - name: hello\n    image: \"@pkg:{pkg}/busybox\"\n    capabilities: [CAP_NET_ADMIN]\n\
         \x20   devices: [{{path: /dev/kmsg, type: c, major: 1, minor: 11, mode: \"0600\"}}]\n    command:\n      - /bin/sh\n      - -c\n\
         \x20     - ip link add test0 type dummy; echo \"<2>hello with $(cut -d' ' -f1 /proc/modules)\" >/dev/kmsg; exec sleep 1000000\n"
    );
    fs::write(&yaml, text).expect("writing the YAML");
    yaml
}

/// Boots a machine whose root the kernel is to mount, and powers it off.
fn mounts_its_root(image: &Path, dir: &Path, file_system: &str) {
    let mut vm = Vm::boot(image, dir, &Setup::default());
    vm.wait(&format!("VFS: Mounted root ({file_system} filesystem) readonly on device "));
    let line = vm.wait("hello with ");
    assert!(line.contains("dummy"), "{file_system}: {line}");
    vm.press_power_button();
    vm.wait_off();
}

#[test]
#[ignore = "takes our own kernel: make kernel-suite"]
fn the_kernel_mounts_ext4_squashfs_erofs_and_iso_9660_without_an_initrd() {
    let own = built();
    let dir = directory();
    let yaml = with_a_module(dir.path());
    for name in ["squashfs", "erofs"] {
        build(dir.path(), name, &["--format", &format!("kernel+{name}")], &[&yaml, &own]);
    }
    let merged = dir.path().join("merged.yml");
    let choice = fs::read_to_string(&own).expect("the choice of a kernel");
    let hello = fs::read_to_string(&yaml).expect("the YAML");
    let rest = hello.split_once("  cmdline:").expect("a command line").1;
    fs::write(&merged, format!("{choice}  cmdline:{rest}")).expect("writing the YAML");
    let tree = tree(merged.to_str().expect("a UTF-8 path"), dir.path());
    let made = |kind: Kind, name: &str| {
        let path = dir.path().join(name);
        make(kind, &tree, &path);
        path
    };
    let roots = [
        ("ext4", made(Kind::Ext4, "ext4.raw")),
        ("squashfs", dir.path().join("squashfs-squashfs.img")),
        ("erofs", dir.path().join("erofs-erofs.img")),
        ("iso9660", made(Kind::Iso, "iso9660.raw")),
    ];
    for (file_system, image) in roots {
        let machine = dir.path().join(format!("from-{file_system}"));
        fs::create_dir(&machine).expect("making a directory");
        let prefix = machine.join("m");
        let beside = |suffix: &str| machine.join(format!("m{suffix}"));
        fs::copy(dir.path().join("squashfs-kernel"), beside("-kernel")).expect("copying the kernel");
        let cmdline = format!("console=ttyS0 root=PARTUUID={PARTITION} ro rootwait");
        fs::write(beside("-cmdline"), cmdline).expect("writing the command line");
        // `lkb run` attaches what has this name, whatever is in it.
        partitioned(&image, &beside("-squashfs.img"));
        mounts_its_root(&prefix, &machine, file_system);
    }
}

#[test]
#[ignore = "takes our own kernel: make kernel-suite"]
fn a_disk_of_lkb_has_a_root_that_the_kernel_mounts() {
    let own = built();
    let dir = directory();
    build(dir.path(), "m", &["--format", "raw-bios"], &[&with_a_module(dir.path()), &own]);
    mounts_its_root(&dir.path().join("m-bios.img"), dir.path(), "squashfs");
}

#[test]
#[ignore = "takes our own kernel: make kernel-suite"]
fn the_kernel_is_small_and_so_is_a_machine_with_it() {
    let own = built();
    let dir = directory();
    let pkg = root().join("pkg");
    let pkg = pkg.display();
    let yaml = dir.path().join("echo.yml");
    let text = format!(
        "kernel:\n  image: \"@pkg:{pkg}/kernel\"\n  cmdline: console=ttyS0\ninit:\n  - \"@pkg:{pkg}/init\"\n  - \"@pkg:{pkg}/containerd\"\n\
         onboot:\n  - name: dhcpcd\n    image: \"@pkg:{pkg}/dhcpcd\"\n    command: [/sbin/dhcpcd, --nobackground, -f, /dhcpcd.conf, \"-1\"]\n\
         services:\n  - name: echo\n    image: \"@pkg:{pkg}/busybox\"\n    command: [/bin/nc, -lk, -p, \"7\", -e, /bin/cat]\n"
    );
    fs::write(&yaml, text).expect("writing the YAML");
    build(dir.path(), "m", &["--format", "kernel+squashfs"], &[&yaml, &own]);
    let (kernel, squashfs) = (size(&dir.path().join("m-kernel")), size(&dir.path().join("m-squashfs.img")));
    println!("kernel: {kernel} bytes; root with containerd: {squashfs} bytes");
    assert!(kernel <= LARGEST_KERNEL, "{kernel} bytes of kernel are more than {LARGEST_KERNEL}");
    assert!(kernel + squashfs <= LARGEST_WITH_CONTAINERD, "{kernel} + {squashfs} bytes");
}

#[test]
#[ignore = "takes our own kernel: make kernel-suite"]
fn a_machine_without_containerd_and_modules_takes_12_mb_and_serves() {
    let own = built();
    let dir = directory();
    let bare = dir.path().join("bare.yml");
    fs::write(&bare, "kernel:\n  tar: none\n").expect("writing the YAML");
    let example = root().join("examples/embedded.yml");
    let how = ["--format", "kernel+initrd", "--compress", "zstd-19"];
    build(dir.path(), "m", &how, &[&example, &own, &bare]);
    let (kernel, initrd) = (size(&dir.path().join("m-kernel")), size(&dir.path().join("m-initrd.img")));
    println!("kernel: {kernel} bytes; root without containerd: {initrd} bytes");
    assert!(kernel + initrd <= LARGEST_WITHOUT_CONTAINERD, "{kernel} + {initrd} bytes");

    let setup = Setup { publish: vec![(PORT, 7)], ..Setup::default() };
    let mut vm = Vm::boot(&dir.path().join("m"), dir.path(), &setup);
    let talk =
        format!("exec 3<>/dev/tcp/127.0.0.1/{PORT} && echo hello >&3 && timeout 20 head -n 1 <&3 | grep .");
    assert_eq!(vm.ask("bash", &["-c", &talk]), "hello\n");
    vm.press_power_button();
    vm.wait_off();
}

#[test]
#[ignore = "takes our own kernel: make kernel-suite"]
fn the_ldap_appliance_takes_55_mb_and_boots() {
    let own = built();
    let dir = directory();
    let how = ["--format", "qcow2-efi", "--root", "initrd", "--compress", "zstd-19"];
    build(dir.path(), "m", &how, &[&root().join("examples/ldap.yml"), &own]);
    let image = dir.path().join("m-efi.qcow2");
    println!("LDAP: {} bytes", size(&image));
    assert!(size(&image) <= LARGEST_LDAP, "{} bytes", size(&image));
    let mut vm = Vm::boot(&image, dir.path(), &Setup::default());
    assert!(vm.search("dc=example,dc=org", "password").contains("o: Example"));
    vm.press_power_button();
    vm.wait_off();
}

#[test]
#[ignore = "takes our own kernel: make kernel-suite"]
fn the_kernel_runs_init_soon() {
    let own = built();
    let dir = directory();
    let example = root().join("examples/bench-embedded.yml");
    let image = Image::build(dir.path(), "bench", &[&example, &own]).expect("building the example");
    let settings = Settings { memory: 1024, seed: 1, patience: Duration::from_secs(600) };
    let started = boot(&image, &settings).expect("starting qemu");
    let marks = Marks::read(&started.console);
    let init = marks.init.unwrap_or_else(|| panic!("init has not run: {}", started.console));
    println!("kernel to init: {init} s");
    assert!(init <= LONGEST_START, "init ran after {init} s, which is more than {LONGEST_START}");
    assert_eq!(marks.services.len(), 5, "{}", started.console);
}
