//! One machine of an appliance's usual parts: kernel, init, containerd, DHCP, what the cloud says, a disk, and what it is for.

use std::fs;
use std::path::{Path, PathBuf};

use lk_tests::disk::Disk;
use lk_tests::image::build_initrd_with;
use lk_tests::metadata::Instance;
use lk_tests::readme::example;
use lk_tests::vm::{Setup, Vm};

use super::{said, show};

const USER_DATA: &str =
    r#"{"ldap": {"entries": {"password": {"content": "from the cloud", "perm": "0600"}}}}"#;

/// What is there, each line by the package that did it.
const THERE: &str = r#"
    say metadata $(cat /var/config/provider) $(stat -L -c %a /var/config/ldap/password)
    until grep -q leased /var/log/dhcpcd.*log; do sleep 0.1; done
    say dhcpcd $(cat /var/log/dhcpcd.*log | grep leased)
    say mount $(grep ' /var/lib/openldap ' /proc/mounts)
"#;

#[test]
fn a_directory_server_of_the_readmes_is_what_its_cloud_makes_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let text = |package| fs::read_to_string(example(package, dir.path())).expect("the example");
    assert_eq!(text("init"), text("containerd"), "init's example is another, which nobody boots");

    let packages = ["kernel", "containerd", "dhcpcd", "metadata", "format", "slapd"];
    let mut yaml: Vec<PathBuf> = packages.iter().map(|package| example(package, dir.path())).collect();
    yaml.push(show(dir.path(), THERE));
    let paths: Vec<&Path> = yaml.iter().map(PathBuf::as_path).collect();
    let image = build_initrd_with("appliance", &[], &paths);
    let disk = Disk::blank(dir.path(), 64);
    let cloud =
        Instance { name: "directory".into(), user_data: Some(USER_DATA.into()), ..Instance::default() };
    let setup = Setup { disks: vec![disk.argument()], cloud: Some(cloud), ..Setup::default() };
    let mut vm = Vm::boot(&image, dir.path(), &setup);

    let found = vm.search("dc=example,dc=org", "from the cloud");
    assert!(found.contains("o: Example"), "{found}");
    for (word, wanted) in [("metadata", "openstack 600"), ("dhcpcd", "leased 10.0.2.15"), ("mount", "ext4")] {
        let line = said(&vm, word);
        assert!(line.contains(wanted), "{word}: {line}");
    }
    vm.press_power_button();
    vm.wait_off();
    disk.assert_clean();
}
