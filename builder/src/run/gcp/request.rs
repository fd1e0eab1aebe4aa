//! What Compute Engine is asked for.

use serde_json::{Value, json};

use super::Options;
use crate::gcp::UEFI;
use crate::run::disk::DiskRequest;

/// The name of a new disk: its own, or the instance's with a number.
pub(super) fn disk_name(options: &Options, number: usize, disk: &DiskRequest) -> String {
    let named = disk.path.as_ref().map(|path| path.to_string_lossy().into_owned());
    named.unwrap_or_else(|| format!("{}-disk-{number}", options.name))
}

/// What Compute Engine is asked for (disks.insert). Sizes are in whole gibibytes.
pub(super) fn disk_request(options: &Options, name: &str, disk: &DiskRequest) -> Value {
    let size = disk.size.map_or(1, |size| size.bytes().div_ceil(1 << 30).max(1));
    let mut request = json!({ "name": name, "sizeGb": size.to_string() });
    if options.vtpm {
        request["guestOsFeatures"] = json!([{ "type": UEFI }]);
    }
    request
}

/// What Compute Engine is asked for (instances.insert).
pub(super) fn instance(options: &Options) -> Value {
    let zone = &options.zone;
    let mut disks = vec![json!({
        "autoDelete": true, "boot": true,
        "initializeParams": { "sourceImage": format!("global/images/{}", options.image) },
    })];
    disks.extend(options.disks.iter().enumerate().map(|(number, disk)| {
        let name = disk_name(options, number, disk);
        json!({ "autoDelete": true, "boot": false, "source": format!("zones/{zone}/disks/{name}") })
    }));
    // For `gcloud compute connect-to-serial-port`.
    let mut items = vec![json!({ "key": "serial-port-enable", "value": "1" })];
    items.extend(
        options
            .user_data
            .as_ref()
            .map(|data| json!({ "key": "user-data", "value": String::from_utf8_lossy(data) })),
    );
    let mut request = json!({
        "name": options.name,
        "machineType": format!("zones/{zone}/machineTypes/{}", options.machine),
        "disks": disks,
        "networkInterfaces": [{ "network": "global/networks/default", "accessConfigs": [{ "type": "ONE_TO_ONE_NAT" }] }],
        "metadata": { "items": items },
    });
    if options.nested {
        request["minCpuPlatform"] = "Intel Haswell".into();
    }
    if options.vtpm {
        request["shieldedInstanceConfig"] = json!({ "enableVtpm": true });
    }
    request
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    pub(in super::super) fn options() -> Options {
        Options {
            image: "web".into(),
            name: "w1".into(),
            zone: "z-a".into(),
            machine: "g1-small".into(),
            nested: false,
            vtpm: false,
            user_data: None,
            disks: Vec::new(),
            patience: Duration::from_secs(600),
        }
    }

    #[test]
    fn a_request_has_what_was_asked_for_and_no_more() {
        let plain = instance(&options());
        assert_eq!(
            plain,
            json!({
                "name": "w1", "machineType": "zones/z-a/machineTypes/g1-small",
                "disks": [{ "autoDelete": true, "boot": true, "initializeParams": { "sourceImage": "global/images/web" } }],
                "networkInterfaces": [
                    { "network": "global/networks/default", "accessConfigs": [{ "type": "ONE_TO_ONE_NAT" }] }
                ],
                "metadata": { "items": [{ "key": "serial-port-enable", "value": "1" }] },
            })
        );
        let disks: Vec<DiskRequest> = ["data,size=1500M", "size=2G"].map(|disk| disk.parse().unwrap()).into();
        let all = Options { nested: true, vtpm: true, user_data: Some(b"#!".to_vec()), disks, ..options() };
        let full = instance(&all);
        assert_eq!(full["minCpuPlatform"], "Intel Haswell");
        assert_eq!(full["shieldedInstanceConfig"], json!({ "enableVtpm": true }));
        assert_eq!(full["metadata"]["items"][1], json!({ "key": "user-data", "value": "#!" }));
        assert_eq!(full["disks"][1]["source"], "zones/z-a/disks/data");
        assert_eq!(full["disks"][2]["source"], "zones/z-a/disks/w1-disk-1");
        assert_eq!(
            disk_request(&all, "data", &all.disks[0]),
            json!({ "name": "data", "sizeGb": "2", "guestOsFeatures": [{ "type": "UEFI_COMPATIBLE" }] })
        );
    }
}
