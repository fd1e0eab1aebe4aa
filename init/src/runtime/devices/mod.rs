//! Which devices a container may use, where cgroups have no file for it: version 2, where a program decides.
//!
//! libcontainer would need libbpf for this, and without it drops the rules.

mod loaded;
mod program;

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

pub use program::{ACCESS_ALL, Access, Kind, Rule, program};

use super::RuntimeError;
use crate::sys::attach_device_program;

/// More rules than any real configuration has; each is a few instructions of the kernel's one million.
const LIMIT: usize = 4096;

/// What every container may use: runc's list, which OCI's "default devices" need.
fn defaults() -> impl Iterator<Item = Rule> {
    let allow = |kind, major, minor, access| Rule { allow: true, kind: Some(kind), major, minor, access };
    let device = move |major, minor| allow(Kind::Character, Some(major), minor, ACCESS_ALL);
    [
        allow(Kind::Character, None, None, Access::MKNOD),
        allow(Kind::Block, None, None, Access::MKNOD),
        device(1, Some(3)),
        device(1, Some(5)),
        device(1, Some(7)),
        device(1, Some(8)),
        device(1, Some(9)),
        device(5, Some(0)),
        device(5, Some(2)),
        device(136, None),
    ]
    .into_iter()
}

/// The rules of a container, in the order in which they are asked: `configured` ones, then what every container may use.
/// What no rule allows is refused.
pub fn rules(configured: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>, RuntimeError> {
    if configured.len() > LIMIT {
        return Err(RuntimeError::Unsupported(format!(
            "linux.resources.devices has more than {LIMIT} rules"
        )));
    }
    configured.iter().map(rule).chain(defaults().map(Ok)).collect()
}

fn rule(device: &LinuxDeviceCgroup) -> Result<Rule, RuntimeError> {
    let wrong = |what: &str| {
        RuntimeError::Unsupported(format!(
            "linux.resources.devices: {what} in rule {device:?} is not possible"
        ))
    };
    // Negative is runc's way of saying "any".
    let number = |value: Option<i64>| match value {
        Some(value) if value >= 0 => u32::try_from(value).map(Some).map_err(|_| wrong("the device number")),
        _ => Ok(None),
    };
    let access = match device.access().as_deref() {
        None | Some("") => ACCESS_ALL,
        Some(text) => Access::parse(text).ok_or_else(|| wrong("the access"))?,
    };
    Ok(Rule {
        allow: device.allow(),
        kind: match device.typ() {
            None | Some(LinuxDeviceType::A) => None,
            Some(LinuxDeviceType::B) => Some(Kind::Block),
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(Kind::Character),
            Some(LinuxDeviceType::P) => return Err(wrong("a pipe")),
        },
        major: number(device.major())?,
        minor: number(device.minor())?,
        access,
    })
}

/// Lets only `rules` hold in the cgroup at `dir`. `false` when the kernel cannot do that at all.
pub fn restrict(dir: &Path, rules: &[Rule]) -> Result<bool, RuntimeError> {
    let cgroup = std::fs::File::open(dir).map_err(RuntimeError::io("open", dir))?;
    match loaded::load(&program(rules))
        .and_then(|program| attach_device_program(cgroup.as_fd(), program.as_fd()))
    {
        Ok(()) => Ok(true),
        // No CONFIG_BPF_SYSCALL; no CONFIG_CGROUP_BPF; locked down.
        Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => Ok(false),
        Err(errno) => Err(RuntimeError::system("restrict the container's devices")(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(json: &str) -> Vec<LinuxDeviceCgroup> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn rules_are_those_of_the_configuration_and_then_the_default_ones() {
        let rules = rules(&configured(
            r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":8,"minor":-1,"access":"r"}]"#,
        ))
        .unwrap();
        assert_eq!(
            rules[..2],
            [
                Rule { allow: false, kind: None, major: None, minor: None, access: ACCESS_ALL },
                Rule {
                    allow: true,
                    kind: Some(Kind::Block),
                    major: Some(8),
                    minor: None,
                    access: Access::READ
                },
            ]
        );
        assert_eq!(rules.len(), 2 + defaults().count());
    }

    #[test]
    fn what_cannot_be_a_rule_is_refused() {
        for text in [
            r#"[{"allow":true,"type":"c","major":1,"minor":3,"access":"x"}]"#,
            r#"[{"allow":true,"type":"p","major":1,"minor":3,"access":"r"}]"#,
            r#"[{"allow":true,"type":"c","major":99999999999,"minor":3,"access":"r"}]"#,
        ] {
            assert!(rules(&configured(text)).is_err(), "{text}");
        }
    }
}
