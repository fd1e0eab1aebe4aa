//! What Firecracker is given.

use super::*;

#[test]
fn firecracker_gets_a_kernel_that_is_unpacked_and_a_configuration_that_names_it() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    write(&machine(&cache), &cache, out.path(), NAME, sized(SIZE), &[&Firecracker]).unwrap();
    assert!(fs::read(out.path().join("machine-vmlinux")).unwrap().starts_with(b"\x7fELF"));
    let config = fs::read(out.path().join("machine-firecracker.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let source = &config["boot-source"];
    assert_eq!(source["boot_args"], "console=ttyS0 reboot=k panic=1 pci=off");
    for key in ["kernel_image_path", "initrd_path"] {
        assert!(out.path().join(source[key].as_str().unwrap()).exists(), "{key}");
    }
    assert_eq!(config["drives"], serde_json::json!([]));
    assert_eq!(config["machine-config"], serde_json::json!({"vcpu_count": 1, "mem_size_mib": 1024}));
}
