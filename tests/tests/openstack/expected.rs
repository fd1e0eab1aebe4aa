//! What a machine must have been told.

use lk_tests::openstack::{Server, Told};
use serde_json::Value;

/// A server, as the cloud was asked for it.
pub struct Expected<'a> {
    pub name: &'a str,
    pub id: &'a str,
    pub mac: &'a str,
    pub user_data: Option<&'a [u8]>,
    /// What user-data makes: path, permission bits, content.
    pub files: &'a [(&'a str, u32, &'a [u8])],
    pub keys: &'a [&'a str],
    /// Its address, where it must take that by itself.
    pub static_address: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// A server with nothing but a name and user-data that makes no files.
    pub fn of(server: &'a Server, name: &'a str, user_data: Option<&'a [u8]>) -> Self {
        Self {
            name,
            id: &server.id,
            mac: &server.mac,
            user_data,
            files: &[],
            keys: &[],
            static_address: None,
        }
    }

    /// Compares it with what the machine has written down.
    pub fn assert(&self, told: &Told) {
        let content = |path: &str| told.get(path).map(|file| (file.mode & 0o7777, file.content.as_slice()));
        let text = |path: &str| {
            let (_, content) = content(path).unwrap_or_else(|| panic!("no {path}: {:?}", told.keys()));
            String::from_utf8(content.to_vec()).unwrap_or_else(|_| panic!("{path} is no text"))
        };
        assert_eq!(content("userdata"), self.user_data.map(|bytes| (0o600, bytes)), "user-data");
        for (path, mode, bytes) in self.files {
            assert_eq!(content(path), Some((*mode, *bytes)), "{path}");
        }
        let keys: String = self.keys.iter().map(|key| format!("{}\n", key.trim())).collect();
        assert_eq!(content("ssh/authorized_keys"), Some((0o600, keys.as_bytes())), "ssh keys");
        assert_eq!(text("provider"), "openstack");
        assert_eq!(text("hostname"), format!("{}.novalocal", self.name));

        let meta_data: Value = serde_json::from_str(&text("meta_data.json")).expect("meta_data.json");
        assert_eq!(meta_data["uuid"], self.id);
        assert_eq!(meta_data["name"], self.name);
        let network: Value = serde_json::from_str(&text("network_data.json")).expect("network_data.json");
        assert_eq!(network["links"][0]["ethernet_mac_address"], self.mac);
        match self.static_address {
            None => assert_eq!(network["networks"][0]["type"], "ipv4_dhcp"),
            Some(address) => {
                assert_eq!(network["networks"][0]["type"], "ipv4");
                assert_eq!(network["networks"][0]["ip_address"], address);
            }
        }
        let known: Vec<&str> = self.files.iter().map(|(path, ..)| *path).chain(OURS).collect();
        let strange: Vec<&String> = told.keys().filter(|path| !known.contains(&path.as_str())).collect();
        assert!(strange.is_empty(), "files that nobody asked for: {strange:?}");
    }
}

/// What the agent itself writes.
const OURS: [&str; 15] = [
    ".source.json",
    "availability_zone",
    "hostname",
    "instance_id",
    "instance_type",
    "local_hostname",
    "local_ipv4",
    "meta_data.json",
    "network_data.json",
    "provider",
    "public_ipv4",
    "ssh/authorized_keys",
    "userdata",
    "vendor_data.json",
    "vendor_data2.json",
];
