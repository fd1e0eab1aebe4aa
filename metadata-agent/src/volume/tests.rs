//! Images that others wrote (see `tests/volumes`), and the same with errors in them.

use std::fs;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const LIMIT: usize = 64 * 1024;

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/volumes/{name}.gz", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn volume(bytes: Vec<u8>) -> Volume {
    Volume::open("/dev/test", Box::new(bytes)).unwrap().unwrap()
}

const META_DATA: &str = r#"{"uuid": "golden"}"#;

fn numbers() -> String {
    (1..=2000).map(|n| format!("{n}\n")).collect()
}

fn long_name() -> String {
    "n".repeat(240)
}

fn text(volume: &Volume, path: &str) -> Option<String> {
    volume.read(path, LIMIT).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Every image; each holds a config drive's tree.
static CONFIG_DRIVES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let names = ["rock-ridge.iso", "joliet.iso", "plain.iso", "fat12", "fat16", "fat32"];
    names.into_iter().map(|name| (name, golden(name))).collect()
});

#[test]
fn a_config_drive_is_read_in_every_format() {
    for (name, bytes) in CONFIG_DRIVES.iter() {
        let volume = volume(bytes.clone());
        let wanted = match *name {
            "rock-ridge.iso" => "config-2",
            "joliet.iso" => "cidata",
            "plain.iso" => "CIDATA",
            _ => "CONFIG-2",
        };
        assert_eq!(volume.label(), wanted, "{name}");
        for (path, wanted) in [
            ("openstack/latest/meta_data.json", Some(META_DATA)),
            ("/openstack//latest/META_DATA.JSON", Some(META_DATA)),
            ("openstack/latest/user_data", Some("#cloud-config\n")),
            ("openstack/content/0000", Some(numbers().as_str())),
            ("empty", Some("")),
            ("openstack/latest/gone", None),
            ("openstack/1999/meta_data.json", None),
            ("openstack/../empty", None),
            ("./empty", None),
        ] {
            assert_eq!(text(&volume, path).as_deref(), wanted, "{name}: {path}");
        }
        for directory in ["openstack", "empty/meta_data.json", ""] {
            let error = volume.read(directory, LIMIT).unwrap_err();
            assert!(matches!(error, VolumeError::Read { why: Fault::Kind, .. }), "{name}: {error}");
        }
        let error = volume.read("openstack/content/0000", 100).unwrap_err();
        assert_eq!(error.to_string(), "/dev/test: openstack/content/0000: larger than 100 bytes");
        assert_eq!(volume.read("openstack/content/0000", numbers().len()).unwrap().unwrap().len(), 8893);
    }
}

#[test]
fn long_names_are_read_where_the_format_has_them_and_links_are_not_followed() {
    for (name, bytes) in CONFIG_DRIVES.iter().filter(|(name, _)| !matches!(*name, "joliet.iso" | "plain.iso"))
    {
        assert_eq!(text(&volume(bytes.clone()), &long_name()).as_deref(), Some("long"), "{name}");
    }
    assert_eq!(text(&volume(golden("rock-ridge.iso")), "link"), None);
    assert_eq!(text(&volume(golden("joliet.iso")), "user-data").as_deref(), Some("data"));
}

#[test]
fn what_is_no_known_file_system_is_none() {
    let mut partitions = vec![0; 1 << 20];
    partitions[510..512].copy_from_slice(&[0x55, 0xaa]);
    partitions[..3].copy_from_slice(&[0xeb, 0x63, 0x90]); // GRUB's
    for (what, bytes) in [("nothing", vec![]), ("zeros", vec![0; 1 << 20]), ("partitions", partitions)] {
        assert!(Volume::open("", Box::new(bytes)).unwrap().is_none(), "{what}");
    }
}

#[test]
fn a_chain_of_clusters_in_a_circle_ends() {
    let mut bytes = golden("fat16");
    let reserved = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    for cluster in 2..64 {
        bytes[reserved + cluster * 2..][..2].copy_from_slice(&2_u16.to_le_bytes());
    }
    let volume = volume(bytes);
    assert!(volume.read("openstack/latest/none", LIMIT).is_ok_and(|found| found.is_none()));
}

#[test]
fn an_image_cut_short_is_an_error_and_never_other_bytes() {
    for (name, bytes) in CONFIG_DRIVES.iter().filter(|(name, _)| !matches!(*name, "fat16" | "fat32")) {
        let whole = volume(bytes.clone());
        let path = "openstack/content/0000";
        let wanted = whole.read(path, LIMIT).unwrap();
        for cut in (0..bytes.len()).step_by(bytes.len() / 97) {
            let Ok(Some(volume)) = Volume::open("", Box::new(bytes[..cut].to_vec())) else { continue };
            if let Ok(found) = volume.read(path, LIMIT) {
                assert_eq!(found, wanted, "{name} of {cut} bytes");
            }
        }
    }
}

#[test]
fn a_device_is_found_by_its_label_among_others() {
    let (sys, dev) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let add = |name: &str, bytes: &[u8]| {
        fs::create_dir_all(sys.path().join(name)).unwrap();
        fs::write(sys.path().join(name).join("size"), format!("{}\n", bytes.len() / 512)).unwrap();
        fs::write(dev.path().join(name), bytes).unwrap();
    };
    let find = |labels: &[&str]| find_below(sys.path(), dev.path(), labels);
    add("loop0", &golden("rock-ridge.iso"));
    add("sda", &vec![0; 1 << 20]);
    add("sdb1", &golden("fat12"));
    add("sr0", &golden("joliet.iso"));
    add("sr1", &[]);
    for (labels, wanted) in [
        (["config-2", "CONFIG-2"], Some("sdb1")),
        (["cidata", "CIDATA"], Some("sr0")),
        (["CIDATA", "Cidata"], None),
    ] {
        let found = find(&labels).unwrap();
        let wanted = wanted.map(|name| dev.path().join(name).display().to_string());
        assert_eq!(found.as_ref().map(|v| v.device().to_owned()), wanted, "{labels:?}");
    }

    // A drive that can't be opened matters only if nothing else is found.
    fs::remove_file(dev.path().join("sda")).unwrap();
    assert!(find(&["cidata"]).unwrap().is_some());
    let error = find(&["a", "b"]).unwrap_err().to_string();
    assert!(error.contains("sda: cannot read it") && error.contains("labelled a or b"), "{error}");
    let error = find_below(&sys.path().join("none"), dev.path(), &["a"]).unwrap_err().to_string();
    assert!(error.contains("cannot list block devices"), "{error}");
}

/// Reads whatever there is; only that it ends, and within bounds, is asked.
fn exercise(bytes: Vec<u8>) {
    let Ok(Some(volume)) = Volume::open("", Box::new(bytes)) else { return };
    for path in ["openstack/latest/meta_data.json", "openstack/content/0000", "empty", "no/such/file"] {
        if let Ok(Some(found)) = volume.read(path, LIMIT) {
            assert!(found.len() <= LIMIT);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flipped_bytes_are_survived(
        flips in proptest::collection::vec((0..1_000_000_usize, any::<u8>()), 1..40),
        which in 0..5_usize,
    ) {
        let (name, bytes) = &CONFIG_DRIVES[which];
        let mut bytes = bytes.clone();
        // Where the structures are, and not the data that nobody interprets.
        let (start, length) = if name.contains("iso") { (32_768, 40_000) } else { (0, 60_000) };
        for (at, value) in flips {
            let at = start + at % length.min(bytes.len() - start);
            bytes[at] = value;
        }
        exercise(bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        exercise(bytes);
    }
}
