//! The disk image of the example, as a file.

use lk_tests::disk::same_bytes;
use lk_tests::image::{build_example, ldap};

/// 80 MB, the most that the LDAP appliance may take.
const LARGEST: u64 = 80_000_000;

#[test]
fn the_ldap_appliance_is_small() {
    let size = std::fs::metadata(ldap()).expect("the image").len();
    println!("lkb-ldap.qcow2: {size} bytes");
    assert!(size <= LARGEST, "{size} bytes are more than {LARGEST}");
}

#[test]
fn two_builds_of_the_same_inputs_are_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let again = build_example(dir.path());
    assert!(same_bytes(ldap(), &again), "{} and {} differ", ldap().display(), again.display());
}

#[test]
fn the_image_is_a_sound_qcow2() {
    let out =
        std::process::Command::new("qemu-img").arg("check").arg(ldap()).output().expect("running qemu-img");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}
