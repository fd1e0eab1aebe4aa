//! What Azure is asked for, by the REST references of Resource Manager's providers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Parts;
use crate::azure::{Arm, api, group as in_group};
use crate::push::azure::Image;

/// Longer user data than this, in bytes, is custom data alone: in base64 it has to fit into 64 KiB.
const MAX_LIVE_DATA: usize = 48 << 10;

/// What a machine is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lets ssh in; to an address of its kind, nothing comes without.
    Rules,
    /// A network with a subnet.
    Network,
    /// An address that the world reaches.
    Address,
    /// What has the address in the network.
    Interface,
    /// The machine.
    Machine,
}

impl Kind {
    /// All but the machine, in the order that they need each other.
    pub(super) const NETWORK: [Self; 4] = [Self::Rules, Self::Network, Self::Address, Self::Interface];
    /// All, in that order.
    pub(super) const ALL: [Self; 5] =
        [Self::Rules, Self::Network, Self::Address, Self::Interface, Self::Machine];

    /// The version of its interface.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Machine => api::COMPUTE,
            _ => api::NETWORK,
        }
    }

    fn provider(self) -> &'static str {
        match self {
            Self::Rules => "Microsoft.Network/networkSecurityGroups",
            Self::Network => "Microsoft.Network/virtualNetworks",
            Self::Address => "Microsoft.Network/publicIPAddresses",
            Self::Interface => "Microsoft.Network/networkInterfaces",
            Self::Machine => "Microsoft.Compute/virtualMachines",
        }
    }
}

impl Parts<'_> {
    /// The name of a part.
    pub(super) fn name(&self, kind: Kind) -> String {
        let name = match kind {
            Kind::Rules => "linuxkitrules",
            Kind::Network => "linuxkitvirtualnetwork",
            Kind::Address => "publicip",
            Kind::Interface => "networkinterface",
            Kind::Machine => "linuxkitvm",
        };
        format!("{name}{}", self.number)
    }

    /// Its path beneath the subscription.
    pub(super) fn path(&self, kind: Kind) -> String {
        in_group(&self.options.disk.group, &format!("providers/{}/{}", kind.provider(), self.name(kind)))
    }

    /// What is asked for.
    pub(super) fn request(&self, arm: &Arm, kind: Kind, image: &Image) -> Value {
        self.body(&|kind| arm.id(&self.path(kind)), kind, image)
    }

    fn body(&self, id: &dyn Fn(Kind) -> String, kind: Kind, image: &Image) -> Value {
        let mut body = match kind {
            Kind::Rules => json!({ "properties": { "securityRules": [{
                "name": "ssh",
                "properties": {
                    "priority": 1000, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
                    "sourceAddressPrefix": "*", "sourcePortRange": "*",
                    "destinationAddressPrefix": "*", "destinationPortRange": "22",
                },
            }] } }),
            Kind::Network => json!({ "properties": {
                "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] },
                "subnets": [{ "name": self.subnet(), "properties": { "addressPrefix": "10.0.0.0/24" } }],
            } }),
            Kind::Address => json!({
                "sku": { "name": "Standard" },
                "properties": {
                    "publicIPAllocationMethod": "Static",
                    "dnsSettings": { "domainNameLabel": self.name(Kind::Address) },
                },
            }),
            Kind::Interface => json!({ "properties": {
                "networkSecurityGroup": { "id": id(Kind::Rules) },
                "ipConfigurations": [{
                    "name": format!("IPconfig-{}", self.name(Kind::Interface)),
                    "properties": {
                        "privateIPAllocationMethod": "Dynamic",
                        "publicIPAddress": { "id": id(Kind::Address) },
                        "subnet": { "id": format!("{}/subnets/{}", id(Kind::Network), self.subnet()) },
                    },
                }],
            } }),
            Kind::Machine => self.machine(&id(Kind::Interface), image),
        };
        body["location"] = image.location.as_str().into();
        body
    }

    fn subnet(&self) -> String {
        format!("linuxkitsubnet{}", self.number)
    }

    fn machine(&self, interface: &str, image: &Image) -> Value {
        let mut machine = json!({ "properties": {
            "hardwareProfile": { "vmSize": self.options.machine },
            // Azure insists on a user; without its agent in the machine, nobody makes it.
            "osProfile": {
                "computerName": "linuxkit",
                "adminUsername": "unusedUserName",
                "adminPassword": self.password.reveal(),
                "allowExtensionOperations": false,
                "linuxConfiguration": { "disablePasswordAuthentication": false, "provisionVMAgent": false },
            },
            "storageProfile": {
                "imageReference": { "id": image.id },
                "osDisk": { "createOption": "FromImage", "caching": "ReadWrite", "deleteOption": "Delete" },
            },
            "networkProfile": { "networkInterfaces": [{ "id": interface, "properties": { "primary": true } }] },
            "diagnosticsProfile": { "bootDiagnostics": { "enabled": true } },
        } });
        if let Some(data) = &self.options.user_data {
            let text = STANDARD.encode(data);
            if data.len() <= MAX_LIVE_DATA {
                machine["properties"]["userData"] = text.as_str().into();
            }
            machine["properties"]["osProfile"]["customData"] = text.into();
        }
        machine
    }
}

/// A resource group.
pub(super) fn group(location: &str) -> Value {
    json!({ "location": location })
}

/// A storage account of LinuxKit's kind, which may have page blobs.
pub(super) fn account(location: &str) -> Value {
    json!({
        "location": location, "kind": "StorageV2", "sku": { "name": "Standard_LRS" },
        "properties": { "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": true, "allowBlobPublicAccess": false },
    })
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;
    use crate::http::Secret;
    use crate::push::azure as push;
    use std::time::Duration;

    fn options(user_data: Option<Vec<u8>>) -> Options {
        let disk = push::Options {
            file: "web.vhd".into(),
            group: "g".into(),
            account: "a".into(),
            name: None,
            uefi: false,
            patience: Duration::from_secs(600),
        };
        Options { disk, location: "westus".into(), machine: "Standard_DS1".into(), user_data }
    }

    fn body(options: &Options, kind: Kind) -> Value {
        let parts = Parts { options, number: 7, password: Secret::new("p") };
        let image = Image { id: "/i".into(), location: "northeurope".into() };
        parts.body(&|kind| format!("/{}", parts.name(kind)), kind, &image)
    }

    #[test]
    fn everything_is_where_the_image_is() {
        let options = options(None);
        for kind in Kind::ALL {
            assert_eq!(body(&options, kind)["location"], "northeurope", "{kind:?}");
        }
        assert_eq!(Kind::ALL[..4], Kind::NETWORK);
    }

    #[test]
    fn a_machine_has_its_interface_its_image_and_no_agent() {
        let machine = body(&options(None), Kind::Machine)["properties"].clone();
        assert_eq!(machine["networkProfile"]["networkInterfaces"][0]["id"], "/networkinterface7");
        assert_eq!(machine["storageProfile"]["imageReference"]["id"], "/i");
        assert_eq!(machine["osProfile"]["linuxConfiguration"]["provisionVMAgent"], false);
        assert!(machine["userData"].is_null() && machine["osProfile"]["customData"].is_null());
        let subnet = &body(&options(None), Kind::Interface)["properties"]["ipConfigurations"][0]["properties"]
            ["subnet"];
        assert_eq!(subnet["id"], "/linuxkitvirtualnetwork7/subnets/linuxkitsubnet7");
    }

    #[test]
    fn user_data_is_custom_data_and_also_live_when_that_has_room() {
        for (len, live) in [(1, true), (MAX_LIVE_DATA, true), (MAX_LIVE_DATA + 1, false)] {
            let machine = body(&options(Some(vec![b'x'; len])), Kind::Machine)["properties"].clone();
            assert_eq!(machine["osProfile"]["customData"], STANDARD.encode(vec![b'x'; len]));
            assert_eq!(machine["userData"].is_string(), live, "{len}");
        }
        assert!(STANDARD.encode(vec![0; MAX_LIVE_DATA]).len() <= 64 << 10);
    }
}
