//! What a container may see and do: namespaces and capabilities.

use std::collections::BTreeSet;

use super::error::Fault;
use super::layers::Layers;
use super::oci::{Capabilities, Namespace};
use super::profile::Profile;
use crate::config::{self, CAPABILITIES, Overrides};

/// The namespaces that a container gets, in LinuxKit's order.
///
/// | kind | unless asked |
/// |---|---|
/// | network, ipc, uts | the machine's |
/// | pid | a new one |
/// | user | the machine's |
/// | mount | always a new one |
/// | cgroup | the machine's; a new one when hardened |
pub(super) fn namespaces(layers: Layers<'_>) -> Vec<Namespace> {
    let wanted = [
        ("network", layers.pick_text(|o| o.net.as_ref()).unwrap_or("host")),
        ("ipc", layers.pick_text(|o| o.ipc.as_ref()).unwrap_or("host")),
        ("uts", layers.pick_text(|o| o.uts.as_ref()).unwrap_or("host")),
        ("pid", layers.pick_text(|o| o.pid.as_ref()).unwrap_or("new")),
        ("user", layers.pick_text(|o| o.userns.as_ref()).unwrap_or("host")),
        ("mount", "new"),
        ("cgroup", layers.pick_text(|o| o.cgroupns.as_ref()).unwrap_or("host")),
    ];
    wanted
        .into_iter()
        .filter_map(|(kind, choice)| match (kind, choice) {
            (_, "host" | "root") => None,
            (_, "new") | ("network", "none") => Some(Namespace { kind, path: String::new() }),
            (_, path) => Some(Namespace { kind, path: path.to_owned() }),
        })
        .collect()
}

/// The capability sets: bounding, inheritable and permitted are all of them, sorted; effective and ambient are
/// as they are listed. Hardened, inheritable are only those that ambient ones need.
///
/// # Errors
/// When one is unknown, or it is the label that asks a hardened machine for all of them.
pub(super) fn capabilities(layers: Layers<'_>) -> Result<Capabilities, Fault> {
    if layers.profile == Profile::Hardened && all_is_labelled(layers) {
        return Err(Fault::AllCapabilities);
    }
    let effective = expand(layers.sum(|o| o.capabilities.as_ref(), |o| o.capabilities_add.as_ref()))?;
    let ambient = expand(layers.list(|o| o.ambient.as_ref()).iter().map(String::as_str).collect())?;
    let all: BTreeSet<&String> = effective.iter().chain(&ambient).collect();
    let all: Vec<String> = all.into_iter().cloned().collect();
    // A program with inheritable file capabilities would get them from a set that nobody asked for.
    let inheritable = match layers.profile {
        Profile::Compat => all.clone(),
        Profile::Hardened => ambient.clone(),
    };
    Ok(Capabilities { bounding: all.clone(), effective, inheritable, permitted: all, ambient })
}

/// Whether all capabilities come from the label: the YAML has not named them.
fn all_is_labelled(layers: Layers<'_>) -> bool {
    let nobody = Overrides::default();
    let label = Layers { yaml: &nobody, ..layers };
    let listed = match layers.yaml.capabilities {
        Some(_) => Vec::new(),
        None => label.sum(|o| o.capabilities.as_ref(), |o| o.capabilities_add.as_ref()),
    };
    let ambient = if layers.yaml.ambient.is_some() { &[] } else { label.list(|o| o.ambient.as_ref()) };
    listed.into_iter().chain(ambient.iter().map(String::as_str)).any(config::is_all)
}

/// `all` makes it all, wherever it came from; `none` adds nothing.
fn expand(names: Vec<&str>) -> Result<Vec<String>, Fault> {
    for name in &names {
        config::capability(name).map_err(Fault::Value)?;
    }
    let listed = if names.iter().any(|name| config::is_all(name)) { CAPABILITIES.to_vec() } else { names };
    Ok(listed.into_iter().filter(|name| !config::is_none(name)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(json: &str) -> Overrides {
        Overrides::from_label(json).unwrap()
    }

    #[test]
    fn namespaces_follow_the_table() {
        for (yaml, label, expected) in [
            ("{}", "{}", "pid mount"),
            (
                r#"{"net":"new","ipc":"new","uts":"new","userns":"new"}"#,
                "{}",
                "network ipc uts pid user mount",
            ),
            (r#"{"net":"none"}"#, "{}", "network pid mount"),
            (r#"{"net":"/run/netns/x"}"#, "{}", "network=/run/netns/x pid mount"),
            (r#"{"pid":"host"}"#, "{}", "mount"),
            (r#"{"pid":"root"}"#, "{}", "mount"),
            (r#"{"pid":"/p"}"#, "{}", "pid=/p mount"),
            (r#"{"net":"host"}"#, r#"{"net":"new","pid":"host"}"#, "mount"),
            (r#"{"net":""}"#, r#"{"net":"new"}"#, "network pid mount"),
        ] {
            let (yaml_layer, label_layer) = (overrides(yaml), overrides(label));
            let got: Vec<String> =
                namespaces(Layers { yaml: &yaml_layer, label: &label_layer, profile: Profile::Compat })
                    .into_iter()
                    .map(|ns| {
                        if ns.path.is_empty() {
                            ns.kind.to_owned()
                        } else {
                            format!("{}={}", ns.kind, ns.path)
                        }
                    })
                    .collect();
            assert_eq!(got.join(" "), expected, "{yaml} over {label}");
        }
    }

    #[test]
    fn capability_sets_follow_the_lists() {
        let label = overrides(r#"{"capabilities":["CAP_SYS_TIME"],"capabilities.add":["CAP_CHOWN"]}"#);
        for (yaml, effective, bounding) in [
            ("{}", "CAP_SYS_TIME CAP_CHOWN", "CAP_CHOWN CAP_SYS_TIME"),
            (r#"{"capabilities":[]}"#, "", ""),
            (r#"{"capabilities":["None"]}"#, "", ""),
            (r#"{"capabilities":["CAP_KILL","CAP_KILL"]}"#, "CAP_KILL CAP_KILL", "CAP_KILL"),
            (r#"{"capabilities":["CAP_KILL"],"ambient":["CAP_BPF"]}"#, "CAP_KILL", "CAP_BPF CAP_KILL"),
            (
                r#"{"capabilities.add":["CAP_KILL"]}"#,
                "CAP_SYS_TIME CAP_CHOWN CAP_KILL",
                "CAP_CHOWN CAP_KILL CAP_SYS_TIME",
            ),
        ] {
            let yaml_layer = overrides(yaml);
            let sets =
                capabilities(Layers { yaml: &yaml_layer, label: &label, profile: Profile::Compat }).unwrap();
            assert_eq!(sets.effective.join(" "), effective, "{yaml}");
            assert_eq!(sets.bounding.join(" "), bounding, "{yaml}");
            assert_eq!((&sets.inheritable, &sets.permitted), (&sets.bounding, &sets.bounding));
        }
    }

    #[test]
    fn all_means_every_capability_also_by_add() {
        let label = overrides(r#"{"capabilities":["CAP_SYS_TIME"]}"#);
        for yaml in [r#"{"capabilities":["all"]}"#, r#"{"capabilities.add":["ALL"]}"#] {
            let yaml = overrides(yaml);
            let sets = capabilities(Layers { yaml: &yaml, label: &label, profile: Profile::Compat }).unwrap();
            assert_eq!(sets.effective, CAPABILITIES);
            assert_eq!(sets.bounding.len(), 41);
        }
    }
}
