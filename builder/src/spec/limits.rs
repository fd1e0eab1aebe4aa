//! Devices, cgroup resources and rlimits.

use super::error::Fault;
use super::layers::Layers;
use super::oci::{Device, Resources, Rlimit};
use crate::config::{self, DeviceRule};

/// The path that stands for all devices of a type.
const ALL: &str = "all";
/// Read, write, mknod.
const ACCESS: &str = "rwm";

/// The device nodes, and the cgroup resources with a rule for each of them.
///
/// Path `all` makes a rule for every device of that type and no node; its numbers are ignored, as in LinuxKit.
pub(super) fn devices_and_resources(layers: Layers<'_>) -> Result<(Vec<Device>, Resources), Fault> {
    let mut given = layers.pick(|o| o.resources.as_ref()).cloned().unwrap_or_default();
    layers.profile.limit(&mut given);
    let mut resources = Resources {
        devices: given.devices,
        memory: given.memory,
        cpu: given.cpu,
        pids: given.pids,
        block_io: given.blockio,
        hugepage_limits: given.hugepage_limits,
        network: given.network,
    };
    let mut nodes = Vec::new();
    for device in layers.list(|o| o.devices.as_ref()) {
        let kind = device.kind.clone();
        let numbers = if device.path == ALL { None } else { Some((device.major, device.minor)) };
        resources.devices.push(DeviceRule {
            allow: true,
            kind: Some(kind.clone()),
            major: numbers.map(|(major, _)| major),
            minor: numbers.map(|(_, minor)| minor),
            access: Some(ACCESS.to_owned()),
        });
        if let Some((major, minor)) = numbers {
            let mode = device.mode.as_deref().unwrap_or_default();
            let file_mode = config::octal_mode(mode)
                .map_err(|error| Fault::Value(format!("device {}: {error}", device.path)))?;
            nodes.push(Device { path: device.path.clone(), kind, major, minor, file_mode });
        }
    }
    Ok((nodes, resources))
}

/// The limits by setrlimit(2).
pub(super) fn rlimits(layers: Layers<'_>) -> Result<Vec<Rlimit>, Fault> {
    let texts = layers.list(|o| o.rlimits.as_ref()).iter();
    texts
        .map(|text| {
            let limit = config::rlimit(text).map_err(Fault::Value)?;
            Ok(Rlimit { kind: limit.kind, hard: limit.hard, soft: limit.soft })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::spec::Profile;

    fn made(json: &str) -> Result<serde_json::Value, Fault> {
        let yaml = Overrides::from_label(json).unwrap();
        let (nodes, resources) = devices_and_resources(Layers {
            yaml: &yaml,
            label: &Overrides::default(),
            profile: Profile::Compat,
        })?;
        Ok(serde_json::json!({ "nodes": nodes, "resources": resources }))
    }

    #[test]
    fn nothing_asked_for_is_nothing_given() {
        assert_eq!(made("{}").unwrap().to_string(), r#"{"nodes":[],"resources":{}}"#);
    }

    #[test]
    fn a_device_is_a_node_and_a_rule() {
        let json = r#"{"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,"mode":"0666"}]}"#;
        assert_eq!(
            made(json).unwrap(),
            serde_json::json!({
                "nodes": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
                "resources": {"devices": [
                    {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
                ]},
            })
        );
    }

    #[test]
    fn all_devices_of_a_type_are_a_rule_without_numbers() {
        let json = r#"{"devices":[{"path":"all","type":"c","major":13}]}"#;
        assert_eq!(
            made(json).unwrap(),
            serde_json::json!({
                "nodes": [], "resources": {"devices": [{"allow": true, "type": "c", "access": "rwm"}]},
            })
        );
    }

    #[test]
    fn rules_of_devices_come_after_those_of_resources() {
        let json = r#"{"resources":{"devices":[{"allow":false,"access":"rwm"}],"blockio":{"leafWeight":5}},
            "devices":[{"path":"all","type":"b"}]}"#;
        let made = made(json).unwrap();
        assert_eq!(made["resources"]["devices"][0]["allow"], false);
        assert_eq!(made["resources"]["devices"][1]["type"], "b");
        assert_eq!(made["resources"]["blockIO"]["leafWeight"], 5);
    }

    #[test]
    fn a_label_with_a_device_without_mode_is_refused() {
        let error = made(r#"{"devices":[{"path":"/dev/x","type":"c"}]}"#).unwrap_err();
        assert!(error.to_string().contains("device /dev/x: mode `` is not an octal number"), "{error}");
    }

    #[test]
    fn unlimited_is_the_largest_number() {
        let yaml = Overrides::from_label(r#"{"rlimits":["core,0,unlimited"]}"#).unwrap();
        let limits =
            rlimits(Layers { yaml: &yaml, label: &Overrides::default(), profile: Profile::Compat }).unwrap();
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(json, r#"[{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}]"#);
    }
}
