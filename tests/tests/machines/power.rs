//! How a machine goes down, and comes up again.

use std::path::Path;

use lk_tests::PATIENCE;
use lk_tests::image::ldap;
use lk_tests::metadata::Instance;
use lk_tests::own_kernel;
use lk_tests::vm::{Setup, Vm, ssh_key};

#[test]
fn the_root_is_read_only_and_sigint_and_sigterm_reboot_and_sigusr2_powers_off() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (key, public) = ssh_key(dir.path());
    let cloud = Instance { name: "power".into(), user_data: None, keys: vec![("k".into(), public)] };
    let mut vm = Vm::boot(ldap(), dir.path(), &Setup { cloud: Some(cloud), ..Setup::default() });
    root_is_read_only_and_modules_came_by_themselves(&vm, &key);
    for signal in ["INT", "TERM"] {
        // sshd may take the connection with it before the exit status comes.
        assert_eq!(vm.guest(&key, "cat /proc/1/comm"), "init\n");
        let mark = vm.console().mark();
        let _ = vm.ssh(&key, &format!("kill -{signal} 1"));
        vm.console().wait_after(mark, "Welcome to LinuxKit", PATIENCE);
    }
    assert_eq!(vm.guest(&key, "cat /proc/1/comm"), "init\n");
    let _ = vm.ssh(&key, "kill -USR2 1");
    vm.wait_off();
}

fn root_is_read_only_and_modules_came_by_themselves(vm: &Vm, key: &Path) {
    let mounts = vm.guest(key, "cat /proc/1/mountinfo");
    let root = mounts.lines().find(|l| l.split(' ').nth(4) == Some("/")).expect("a root");
    assert!(root.split(' ').nth(5).is_some_and(|o| o.split(',').any(|o| o == "ro")), "{root}");
    // Our own kernel mounts a root on a disk by itself, and has built in what others have as modules.
    let (kinds, wanted) = match own_kernel::chosen() {
        None => ([" rootfs ", "- tmpfs"], &["virtio_blk", "virtio_net", "overlay"][..]),
        Some(_) => (["- squashfs", "- erofs"], &["i2c_piix4"][..]),
    };
    assert!(kinds.iter().any(|kind| root.contains(kind)), "{root}");
    let modules = vm.guest(key, "cat /proc/modules");
    for module in wanted {
        assert!(
            modules.lines().any(|l| l.starts_with(&format!("{module} "))),
            "{module} is missing: {modules}"
        );
    }
    let cgroups = vm.guest(key, "cat /sys/fs/cgroup/cgroup.controllers");
    assert!(cgroups.contains("memory") && cgroups.contains("pids"), "{cgroups}");
}
