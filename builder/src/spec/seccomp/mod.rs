//! The system call filter of a container: the field's default, for its architecture and the capabilities that it has.

mod rules;

use serde::Serialize;

use rules::{ABSENT, ALLOWED, ARCHITECTURES, Argument, COMPARED, When};

const ALLOW: &str = "SCMP_ACT_ALLOW";
const FAIL: &str = "SCMP_ACT_ERRNO";

/// A filter (OCI runtime spec, config-linux.md, "Seccomp").
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seccomp {
    default_action: &'static str,
    default_errno_ret: i32,
    architectures: Vec<&'static str>,
    syscalls: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<&'static str>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Comparison>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    index: u32,
    value: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_two: Option<u64>,
    op: &'static str,
}

/// The filter for a container that has these capabilities, on an architecture in Go's words. None where the
/// architecture is not known: every call would be of a foreign one.
pub(super) fn filter(arch: &str, capabilities: &[String]) -> Option<Seccomp> {
    let (_, architectures) = ARCHITECTURES.iter().find(|(name, _)| *name == arch)?;
    let has = |capability: &str| capabilities.iter().any(|other| other == capability);
    let holds = |when: &When| match when {
        When::Always => true,
        When::On(names) => names.contains(&arch),
        When::With(capability) => has(capability),
        When::Without(capability, other) => !has(capability) && arch != *other,
        When::WithoutOn(capability, own) => !has(capability) && arch == *own,
    };
    let allowed = ALLOWED.iter().filter(|(when, _)| holds(when));
    let mut names: Vec<&str> = allowed.flat_map(|(_, names)| names.split_whitespace()).collect();
    names.sort_unstable();
    names.dedup();
    let mut syscalls = vec![Rule { names, action: ALLOW, errno_ret: None, args: Vec::new() }];
    syscalls.extend(COMPARED.iter().filter(|(_, when, _)| holds(when)).map(|(name, _, argument)| Rule {
        names: vec![name],
        action: ALLOW,
        errno_ret: None,
        args: vec![comparison(argument)],
    }));
    let (absent, capability) = ABSENT;
    if !has(capability) {
        let errno_ret = Some(nix::libc::ENOSYS);
        syscalls.push(Rule { names: vec![absent], action: FAIL, errno_ret, args: Vec::new() });
    }
    Some(Seccomp {
        default_action: FAIL,
        default_errno_ret: nix::libc::EPERM,
        architectures: architectures.to_vec(),
        syscalls,
    })
}

fn comparison(Argument { index, value, masked, operator }: &Argument) -> Comparison {
    Comparison { index: *index, value: *value, value_two: *masked, op: operator }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(arch: &str, capabilities: &[&str]) -> Vec<&'static str> {
        let capabilities: Vec<String> = capabilities.iter().map(|&name| name.to_owned()).collect();
        filter(arch, &capabilities).unwrap().syscalls.swap_remove(0).names
    }

    #[test]
    fn a_call_is_allowed_to_those_whose_capability_and_architecture_it_is_for() {
        for (call, arch, capabilities, expected) in [
            ("read", "amd64", &[][..], true),
            ("mount", "amd64", &[], false),
            ("mount", "amd64", &["CAP_SYS_ADMIN"], true),
            ("mount", "arm64", &["CAP_SYS_TIME"], false),
            ("keyctl", "amd64", &["CAP_SYS_ADMIN"], false),
            ("io_uring_setup", "amd64", &[], false),
            ("unshare", "amd64", &[], false),
            ("reboot", "amd64", &["CAP_SYS_BOOT"], true),
            ("finit_module", "amd64", &["CAP_SYS_MODULE"], true),
            ("clock_settime", "amd64", &[], false),
            ("clock_settime", "amd64", &["CAP_SYS_TIME"], true),
            ("arch_prctl", "amd64", &[], true),
            ("arch_prctl", "arm64", &[], false),
            ("clone", "amd64", &[], false),
            ("clone", "amd64", &["CAP_SYS_ADMIN"], true),
        ] {
            assert_eq!(
                allowed(arch, capabilities).contains(&call),
                expected,
                "{call} {arch} {capabilities:?}"
            );
        }
    }

    #[test]
    fn no_namespace_can_be_made_without_cap_sys_admin() {
        for (arch, index) in [("amd64", 0), ("arm64", 0), ("riscv64", 0), ("s390x", 1)] {
            let filter = filter(arch, &[]).unwrap();
            let clone: Vec<&Rule> = filter.syscalls.iter().filter(|rule| rule.names == ["clone"]).collect();
            let [rule] = clone.as_slice() else { panic!("{arch}: {clone:?}") };
            assert_eq!(rule.args.len(), 1);
            assert_eq!((rule.args[0].index, rule.args[0].value_two), (index, Some(0)), "{arch}");
            let clone3 = filter.syscalls.iter().find(|rule| rule.names == ["clone3"]).unwrap();
            assert_eq!((clone3.action, clone3.errno_ret), (FAIL, Some(38)));
        }
    }

    #[test]
    fn a_filter_is_one_that_readers_of_the_specification_take() {
        for (arch, _) in ARCHITECTURES {
            let json = serde_json::to_string(&filter(arch, &[]).unwrap()).unwrap();
            let read: oci_spec::runtime::LinuxSeccomp = serde_json::from_str(&json).unwrap();
            assert_eq!(read.default_errno_ret(), Some(1));
        }
        assert_eq!(filter("pdp11", &[]), None);
    }
}
