//! The marks that clouds leave in a machine's firmware tables (`/sys/class/dmi/id`).
//!
//! Sources: each cloud's documentation of how to recognise it, and cloud-init's `ds-identify`.

use crate::local::{Local, read_text};

/// Longest field that is read, in bytes.
const MAX_FIELD: usize = 4096;

/// The fields that have marks; empty where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dmi {
    /// `sys_vendor`.
    pub sys_vendor: String,
    /// `product_name`.
    pub product_name: String,
    /// `product_serial`.
    pub product_serial: String,
    /// `product_uuid`.
    pub product_uuid: String,
    /// `bios_version`.
    pub bios_version: String,
    /// `chassis_asset_tag`.
    pub chassis_asset_tag: String,
}

/// How a field bears a mark.
enum Mark {
    Is(&'static str),
    Begins(&'static str),
    Holds(&'static str),
}

type Field = fn(&Dmi) -> &str;

const VENDOR: Field = |dmi| &dmi.sys_vendor;
const PRODUCT: Field = |dmi| &dmi.product_name;
const SERIAL: Field = |dmi| &dmi.product_serial;
const UUID: Field = |dmi| &dmi.product_uuid;
const BIOS: Field = |dmi| &dmi.bios_version;
const CHASSIS: Field = |dmi| &dmi.chassis_asset_tag;

/// A field, its mark in any case, and the provider; the first that fits counts.
const MARKS: &[(Field, Mark, &str)] = &[
    (SERIAL, Mark::Begins("ds=nocloud"), "nocloud"),
    (VENDOR, Mark::Is("Amazon EC2"), "aws"),
    (UUID, Mark::Begins("ec2"), "aws"),
    (BIOS, Mark::Holds("amazon"), "aws"),
    (PRODUCT, Mark::Is("Google Compute Engine"), "gcp"),
    (SERIAL, Mark::Begins("GoogleCloud-"), "gcp"),
    (VENDOR, Mark::Is("Hetzner"), "hetzner"),
    (PRODUCT, Mark::Is("OpenStack Nova"), "openstack"),
    (PRODUCT, Mark::Is("OpenStack Compute"), "openstack"),
    (VENDOR, Mark::Is("OpenStack Foundation"), "openstack"),
    (CHASSIS, Mark::Is("OpenStack Nova"), "openstack"),
    (CHASSIS, Mark::Is("OpenStack Compute"), "openstack"),
    (CHASSIS, Mark::Is("OpenTelekomCloud"), "openstack"),
    (CHASSIS, Mark::Is("HUAWEICLOUD"), "openstack"),
    (CHASSIS, Mark::Is("SAP CCloud VM"), "openstack"),
    (CHASSIS, Mark::Is("Samsung Cloud Platform"), "openstack"),
    (VENDOR, Mark::Is("Scaleway"), "scaleway"),
    (VENDOR, Mark::Is("Vultr"), "vultr"),
    (VENDOR, Mark::Is("DigitalOcean"), "digitalocean"),
    (CHASSIS, Mark::Is("7783-7084-3265-9085-8269-3286-77"), "azure"),
    (VENDOR, Mark::Begins("VMware"), "vmware"),
];

/// Clouds all of whose machines bear their mark. Others rent out machines with somebody else's firmware too.
const ALWAYS_MARKED: &[&str] = &["aws", "gcp", "hetzner", "digitalocean", "azure"];

impl Dmi {
    /// This machine's.
    #[must_use]
    pub fn read(local: &Local) -> Self {
        let field =
            |name: &str| read_text(&local.sys.join("class/dmi/id").join(name), MAX_FIELD).unwrap_or_default();
        Self {
            sys_vendor: field("sys_vendor"),
            product_name: field("product_name"),
            product_serial: field("product_serial"),
            product_uuid: field("product_uuid"),
            bios_version: field("bios_version"),
            chassis_asset_tag: field("chassis_asset_tag"),
        }
    }

    /// The provider whose mark there is.
    #[must_use]
    pub fn provider(&self) -> Option<&'static str> {
        let bears = |value: &str, mark: &Mark| {
            let value = value.to_ascii_lowercase();
            match mark {
                Mark::Is(mark) => value == mark.to_ascii_lowercase(),
                Mark::Begins(mark) => value.starts_with(&mark.to_ascii_lowercase()),
                Mark::Holds(mark) => value.contains(mark),
            }
        };
        MARKS.iter().find(|(field, mark, _)| bears(field(self), mark)).map(|(.., provider)| *provider)
    }

    /// Whether this can't be a machine of that provider's: it would bear a mark, and this one says it is another's.
    #[must_use]
    pub fn rules_out(&self, provider: &str) -> bool {
        !self.sys_vendor.is_empty() && ALWAYS_MARKED.contains(&provider) && self.provider() != Some(provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_is_known_by_its_mark() {
        let dmi = |vendor: &str, product: &str| Dmi {
            sys_vendor: vendor.into(),
            product_name: product.into(),
            ..Dmi::default()
        };
        for (dmi, wanted) in [
            (dmi("Amazon EC2", "t3.micro"), Some("aws")),
            (Dmi { product_uuid: "EC2E1916-9099-7CAF".into(), ..dmi("Xen", "HVM domU") }, Some("aws")),
            (Dmi { bios_version: "4.11.amazon".into(), ..dmi("Xen", "HVM domU") }, Some("aws")),
            (dmi("Google", "Google Compute Engine"), Some("gcp")),
            (Dmi { product_serial: "GoogleCloud-0A".into(), ..dmi("Google", "Google") }, Some("gcp")),
            (dmi("Hetzner", "vServer"), Some("hetzner")),
            (dmi("OpenStack Foundation", "OpenStack Nova"), Some("openstack")),
            (dmi("Red Hat", "OpenStack Compute"), Some("openstack")),
            (
                Dmi { chassis_asset_tag: "OpenTelekomCloud".into(), ..dmi("Xen", "HVM domU") },
                Some("openstack"),
            ),
            (dmi("Scaleway", "SCW-DEV1-S"), Some("scaleway")),
            (dmi("Vultr", "VC2"), Some("vultr")),
            (dmi("DigitalOcean", "Droplet"), Some("digitalocean")),
            (
                Dmi {
                    chassis_asset_tag: "7783-7084-3265-9085-8269-3286-77".into(),
                    ..dmi("Microsoft Corporation", "Virtual Machine")
                },
                Some("azure"),
            ),
            (dmi("VMware, Inc.", "VMware7,1"), Some("vmware")),
            (Dmi { product_serial: "ds=nocloud;h=a".into(), ..dmi("QEMU", "") }, Some("nocloud")),
            // Hyper-V at home, a plain qemu, and no tables at all.
            (dmi("Microsoft Corporation", "Virtual Machine"), None),
            (dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)"), None),
            (Dmi::default(), None),
        ] {
            assert_eq!(dmi.provider(), wanted, "{dmi:?}");
        }
    }

    #[test]
    fn only_a_machine_that_says_whose_it_is_rules_clouds_out() {
        let qemu = Dmi { sys_vendor: "QEMU".into(), ..Dmi::default() };
        assert!(qemu.rules_out("aws") && qemu.rules_out("azure"));
        assert!(!qemu.rules_out("openstack") && !qemu.rules_out("cdrom"));
        assert!(!Dmi::default().rules_out("aws"));
    }

    #[test]
    fn every_mark_is_of_a_provider_that_there_is() {
        let names = MARKS.iter().map(|(.., name)| name).chain(ALWAYS_MARKED);
        names.for_each(|name| assert!(crate::provider::by_name(name).is_ok(), "{name}"));
    }

    #[test]
    fn the_fields_are_read_from_sys() {
        let root = tempfile::TempDir::new().unwrap();
        let local = Local::below(root.path());
        assert_eq!(Dmi::read(&local), Dmi::default());
        let id = local.sys.join("class/dmi/id");
        std::fs::create_dir_all(&id).unwrap();
        std::fs::write(id.join("sys_vendor"), "Hetzner\n").unwrap();
        assert_eq!(Dmi::read(&local), Dmi { sys_vendor: "Hetzner".into(), ..Dmi::default() });
    }
}
