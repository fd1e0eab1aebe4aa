//! Documents that are kept as they came.

/// Something that the cloud said at length, kept as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Document {
    /// OpenStack's.
    MetaDataJson,
    /// OpenStack's description of the machine's networks.
    NetworkDataJson,
    /// OpenStack's, of the cloud's owner, the same for all machines.
    VendorDataJson,
    /// OpenStack's, of the cloud's owner, made for this machine.
    VendorData2Json,
    /// OpenStack's: what the machine once posted there, encrypted for its owner.
    Password,
    /// VMware's `guestinfo.metadata`, under LinuxKit's name.
    Metadata,
    /// NoCloud's and Hetzner's description of the machine's networks (YAML).
    NetworkConfig,
    /// NoCloud's, VMware's and DigitalOcean's, of the cloud's owner.
    VendorData,
}

impl Document {
    /// Every document, the file that it is written to, and that file's mode.
    pub const ALL: &[(Self, &str, u32)] = &[
        (Self::MetaDataJson, "meta_data.json", 0o600),
        (Self::NetworkDataJson, "network_data.json", 0o644),
        (Self::VendorDataJson, "vendor_data.json", 0o600),
        (Self::VendorData2Json, "vendor_data2.json", 0o600),
        (Self::Password, "password", 0o600),
        (Self::Metadata, "metadata", 0o600),
        (Self::NetworkConfig, "network-config", 0o644),
        (Self::VendorData, "vendor-data", 0o600),
    ];

    pub(super) fn file(self) -> (&'static str, u32) {
        let found = Self::ALL.iter().find(|(document, ..)| *document == self);
        found.map_or(("", 0o600), |&(_, name, mode)| (name, mode))
    }
}
