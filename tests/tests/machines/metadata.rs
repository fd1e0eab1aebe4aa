//! The metadata agent as a package, with no more rights than it asks for.

use lk_tests::image::{build_initrd_with, run_lkb};
use lk_tests::{PATIENCE, root};

/// What the CD says: the host name takes a right, the file takes a disk to be read.
const USER_DATA: &str = "#cloud-config\nhostname: named-by-cd\nwrite_files:\n- {path: /etc/app.conf, content: from-cd, permissions: '0600'}\n";

/// What a container after it sees, and whether the agent's own rights would let it write to that disk.
fn yaml() -> String {
    let pkg = root().join("pkg");
    let pkg = pkg.display();
    format!(
        "onboot:\n  - name: metadata\n    image: \"@pkg:{pkg}/metadata\"\n    command: [/usr/bin/metadata]\n\
         \x20 - name: show\n    image: \"@pkg:{pkg}/busybox\"\n    env: [PATH=/bin]\n    binds: [/var/config:/var/config:ro]\n\
         \x20   devices: [{{path: /dev/kmsg, type: c, major: 1, minor: 11, mode: \"0600\"}}]\n\
         \x20   command:\n      - /bin/sh\n      - -c\n      - |\n\
         \x20       say() {{ echo \"<2>show: $*\" >/dev/kmsg; }}\n\
         \x20       say \"$(cat /var/config/provider), $(hostname), $(cat /var/config/files/etc/app.conf)\"\n\
         \x20       say done\n"
    )
}

#[test]
fn a_cd_is_read_and_the_machine_named_without_the_rights_of_an_administrator() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let probe = dir.path().join("probe.yml");
    std::fs::write(&probe, yaml()).expect("writing the YAML");
    let minimal = root().join("examples/minimal.yml");
    let patience = PATIENCE.as_secs().to_string();
    for profile in ["compat", "hardened"] {
        let name = format!("metadata-{profile}");
        let machine = build_initrd_with(&name, &["--profile", profile], &[&minimal, &probe]);
        let (machine, state) = (machine.to_str().expect("a UTF-8 path"), dir.path().join(profile));
        let state = state.to_str().expect("a UTF-8 path");
        let place = ["--state", state, "--networking", "none", "--data", USER_DATA];
        let until = ["--expect", "show: done", "--timeout", &patience, machine];
        let out = run_lkb(&[&["run", "qemu"][..], &place, &until].concat());
        let console = String::from_utf8_lossy(&out.stdout);
        let wanted = "show: CDROM /dev/sr0, named-by-cd, from-cd";
        assert!(console.contains(wanted), "{profile}:\n{console}\n{}", String::from_utf8_lossy(&out.stderr));
    }
}
