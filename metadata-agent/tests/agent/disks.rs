//! Machines whose metadata is on a disk, a disc, in their firmware, or in a file.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use metadata_agent::fetch::{FetchError, Fetcher};
use metadata_agent::local::Local;
use metadata_agent::provider::{Provider, Reading, by_name};
use metadata_agent::run::Settings;
use metadata_agent::service::Service;
use tempfile::TempDir;

use crate::fake_cloud::{At, FakeCloud, nobody, quick, text};
use crate::machine::Try;

/// A machine with these images in its devices.
fn machine(devices: &[(&str, Vec<u8>)]) -> TempDir {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("dev")).unwrap();
    for (name, image) in devices {
        let block = root.path().join("sys/class/block").join(name);
        fs::create_dir_all(&block).unwrap();
        fs::write(block.join("size"), format!("{}\n", image.len() / 512)).unwrap();
        fs::write(root.path().join("dev").join(name), image).unwrap();
    }
    root
}

fn image(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/volumes").join(format!("{name}.gz"));
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A provider whose service is at another address, on a machine with its own disks.
#[derive(Debug)]
struct Both(At);
impl Provider for Both {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn service(&self, local: &Local) -> Option<Service> {
        self.0.service(local)
    }
    fn read_local(&self, local: &Local) -> Result<Option<Reading>, FetchError> {
        self.0.0.read_local(local)
    }
    fn read(&self, local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        self.0.read(local, http)
    }
}

fn ask(root: TempDir, name: &str) -> Try {
    let settings = Settings { times: quick(), ..Settings::default() };
    Try::on(root, &[by_name(name).unwrap()], settings)
}

#[test]
fn a_config_drive_is_openstack_whatever_its_file_system() {
    for name in ["rock-ridge.iso", "fat12", "fat16", "fat32"] {
        let it = ask(machine(&[("vda", vec![0; 65536]), ("vdb", image(name))]), "openstack");
        assert!(it.clean, "{name}: {}", it.log);
        assert_eq!(it.read("provider").as_deref(), Some("openstack"), "{name}");
        assert_eq!(it.read("instance_id").as_deref(), Some("golden"), "{name}");
        assert_eq!(it.read("userdata").as_deref(), Some("#cloud-config\n"), "{name}");
    }
}

#[test]
fn a_config_drive_is_preferred_to_the_service_and_a_machine_without_one_asks_the_service() {
    let cloud =
        FakeCloud::serving([("/openstack/latest/meta_data.json", text(r#"{"uuid": "of-the-service"}"#))]);
    for (root, wanted) in [(machine(&[("sr0", image("fat16"))]), "golden"), (machine(&[]), "of-the-service")]
    {
        let provider: Arc<dyn Provider> = Arc::new(Both(At(by_name("openstack").unwrap(), cloud.address)));
        let settings = Settings { times: quick(), ..Settings::default() };
        let it = Try::on(root, &[provider], settings);
        assert_eq!(it.read("instance_id").as_deref(), Some(wanted), "{}", it.log);
    }
}

#[test]
fn a_disk_labelled_cidata_is_nocloud() {
    for name in ["nocloud.fat", "nocloud.iso"] {
        let it = ask(machine(&[("vdb1", image(name))]), "cdrom");
        assert!(it.clean, "{}", it.log);
        for (name, wanted) in [
            ("hostname", "web-7"),
            ("instance_id", "iid-7"),
            ("ssh/authorized_keys", "ssh-rsa AAAA\n"),
            ("network-config", "version: 2\n"),
            ("a", "1"),
        ] {
            assert_eq!(it.read(name).as_deref(), Some(wanted), "{name}: {}", it.log);
        }
        assert!(
            it.read("provider").unwrap().starts_with("CDROM ")
                && it.read("provider").unwrap().ends_with("/dev/vdb1")
        );
    }
}

#[test]
fn a_disc_of_linuxkit_s_has_user_data_in_its_file_config() {
    let disc = image("linuxkit.iso");
    let it = ask(machine(&[("sr0", disc.clone())]), "cdrom");
    assert!(it.clean, "{}", it.log);
    assert_eq!(it.read("b").as_deref(), Some("2"));
    let elsewhere = ask(machine(&[("vdb", disc)]), "cdrom");
    assert_eq!(elsewhere.read("b"), None, "a disk without the label is not a disc");
    elsewhere.says("cdrom: this machine has no disk labelled cidata");
}

#[test]
fn azure_s_disc_stands_in_for_what_the_service_does_not_say() {
    let root = machine(&[("sr0", image("azure.iso"))]);
    let settings = Settings { times: quick(), ..Settings::default() };
    let provider: Arc<dyn Provider> = Arc::new(At(by_name("azure").unwrap(), nobody()));
    let it = Try::on(root, &[provider], settings);
    assert_eq!(
        (it.read("hostname").as_deref(), it.read("c").as_deref()),
        (Some("web-9"), Some("3")),
        "{}",
        it.log
    );
    it.says("azure: 127.0.0.1: connection refused");
}

#[test]
fn the_kernel_s_command_line_and_the_serial_number_can_name_the_machine() {
    let line = "quiet ds=nocloud;h=web-3;i=iid-3";
    for (file, content) in
        [("proc/cmdline", line), ("sys/class/dmi/id/product_serial", "ds=nocloud;h=web-3;i=iid-3")]
    {
        let root = machine(&[]);
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        let it = ask(root, "nocloud");
        assert!(it.clean, "{}", it.log);
        assert_eq!(
            (it.hostname.as_deref(), it.read("instance_id").as_deref()),
            (Some("web-3"), Some("iid-3"))
        );
    }
}

#[test]
fn a_seed_elsewhere_than_on_the_link_is_refused() {
    let root = machine(&[]);
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/cmdline"), "ds=nocloud;s=http://192.0.2.1/seed/").unwrap();
    let it = ask(root, "nocloud");
    assert!(!it.clean);
    it.says(r#"nocloud: ds=nocloud: "http://192.0.2.1/seed/" is not a link-local address"#);
}

#[test]
fn a_seed_on_the_network_has_nocloud_s_documents() {
    let cloud = FakeCloud::serving([
        ("/s/meta-data", text("instance-id: iid-4\nlocal-hostname: web-4\n")),
        ("/s/user-data", text(r#"{"d": {"content": "4"}}"#)),
    ]);
    let root = machine(&[]);
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/cmdline"), "ds=nocloud;s=http://169.254.3.4/s/").unwrap();
    let provider: Arc<dyn Provider> = Arc::new(At(by_name("nocloud").unwrap(), cloud.address));
    let settings = Settings { times: quick(), ..Settings::default() };
    let it = Try::on(root, &[provider], settings);
    assert!(it.clean, "{}", it.log);
    assert_eq!((it.hostname.as_deref(), it.read("d").as_deref()), (Some("web-4"), Some("4")));
}

#[test]
fn credentials_from_qemu_s_firmware_device_are_metadata() {
    let root = machine(&[]);
    let credentials = root.path().join("sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials");
    for (name, value) in [
        ("system.hostname", "web-5\n"),
        ("ssh.authorized_keys.root", "ssh-rsa AAAA\nssh-rsa BBBB\n"),
        ("metadata.user-data", r#"{"e": {"content": "5"}}"#),
    ] {
        fs::create_dir_all(credentials.join(name)).unwrap();
        fs::write(credentials.join(name).join("raw"), value).unwrap();
    }
    let it = ask(root, "qemu");
    assert!(it.clean, "{}", it.log);
    assert_eq!((it.hostname.as_deref(), it.read("e").as_deref()), (Some("web-5"), Some("5")));
    assert_eq!(it.read("ssh/authorized_keys").as_deref(), Some("ssh-rsa AAAA\nssh-rsa BBBB\n"));
}

#[test]
fn a_named_file_is_user_data_and_its_path_the_provider() {
    let root = machine(&[]);
    let path = root.path().join("seed");
    fs::write(&path, r#"{"f": {"content": "6"}}"#).unwrap();
    let path = path.display().to_string();
    let it = ask(root, &format!("file={path}"));
    assert!(it.clean, "{}", it.log);
    assert_eq!((it.read("f").as_deref(), it.read("provider")), (Some("6"), Some(path)));
    let it = ask(machine(&[]), "file=/nonexistent");
    assert!(it.clean, "{}", it.log);
    it.says("file: this machine has no file of that name; going on with defaults");
}

#[test]
fn a_machine_without_any_of_it_says_so() {
    for (name, said) in
        [("cdrom", "no disk labelled cidata"), ("nocloud", "no ds=nocloud"), ("qemu", "no credentials")]
    {
        let it = ask(machine(&[("vda", vec![0; 65536])]), name);
        assert!(it.clean, "{name}: {}", it.log);
        it.says(said);
        assert_eq!(it.names(), ["ssh", "ssh/authorized_keys"], "{name}");
    }
}
