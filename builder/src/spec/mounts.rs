//! The mounts of a container: defaults, then tmpfs, binds and mounts, each over the last by destination.

use std::collections::BTreeMap;

use super::error::Fault;
use super::layers::Layers;
use super::oci::Mount;
use super::profile::Profile;
use crate::config::{self, Volume};

/// Type (and source), destination and options of what every container gets; `true` adds `ro` to a read-only one.
const DEFAULTS: [(&str, &str, &[&str], bool); 5] = [
    ("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"], true),
    ("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"], false),
    ("proc", "/proc", &["nosuid", "nodev", "noexec", "relatime"], false),
    ("sysfs", "/sys", &["nosuid", "noexec", "nodev"], true),
    ("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"], false),
];

/// What a bind without options gets.
const BIND_OPTIONS: [&str; 3] = ["rw", "rbind", "rshared"];
/// What it gets where nobody shares unasked.
const PRIVATE_BIND_OPTIONS: [&str; 3] = ["rw", "rbind", "rprivate"];

/// All mounts, sorted by destination, so that `/dev` comes before `/dev/pts`.
pub(super) fn mounts(layers: Layers<'_>, readonly: bool, volumes: &[Volume]) -> Result<Vec<Mount>, Fault> {
    let mut mounts = BTreeMap::new();
    let mut put = |mount: Mount| drop(mounts.insert(mount.destination.clone(), mount));
    for (kind, destination, options, can_be_readonly) in DEFAULTS {
        let read_only = (readonly && can_be_readonly).then_some("ro");
        put(simple(destination, kind, kind, options.iter().copied().chain(read_only)));
    }
    for text in layers.list(|o| o.tmpfs.as_ref()) {
        let tmpfs = config::tmpfs(text).map_err(Fault::Value)?;
        put(simple(tmpfs.destination, "tmpfs", "tmpfs", tmpfs.options));
    }
    for text in layers.sum(|o| o.binds.as_ref(), |o| o.binds_add.as_ref()) {
        let bind = config::bind(text).map_err(Fault::Value)?;
        let options = match bind.options {
            Some(mut options) => {
                options.push("rbind");
                options
            }
            None if layers.profile == Profile::Hardened => PRIVATE_BIND_OPTIONS.to_vec(),
            None => BIND_OPTIONS.to_vec(),
        };
        let source = bind_source(bind.source, &options, volumes)?;
        put(simple(bind.destination, "bind", &source, options));
    }
    for mount in layers.list(|o| o.mounts.as_ref()) {
        put(explicit(mount, volumes)?);
    }
    Ok(mounts.into_values().collect())
}

fn simple<'a>(
    destination: &str,
    kind: &str,
    source: &str,
    options: impl IntoIterator<Item = &'a str>,
) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.into_iter().map(str::to_owned).collect(),
        uid_mappings: Vec::new(),
        gid_mappings: Vec::new(),
    }
}

/// A mount as it is given, with what is left out inferred.
fn explicit(mount: &config::Mount, volumes: &[Volume]) -> Result<Mount, Fault> {
    let kind = match (mount.kind.as_str(), mount.source.as_str(), mount.destination.as_str()) {
        ("", source @ ("mqueue" | "devpts" | "proc" | "sysfs" | "cgroup"), _) => source,
        ("", _, "/dev") => "tmpfs",
        ("", _, destination) => return Err(Fault::MountType { destination: destination.to_owned() }),
        (kind, _, _) => kind,
    };
    let destination = match (mount.destination.as_str(), kind) {
        ("", "proc") => "/proc",
        ("", "devpts") => "/dev/pts",
        ("", "sysfs") => "/sys",
        ("", "cgroup") => "/sys/fs/cgroup",
        ("", "mqueue") => "/dev/mqueue",
        ("", kind) => return Err(Fault::MountDestination { kind: kind.to_owned() }),
        (destination, _) => destination,
    };
    let options: Vec<&str> = mount.options.iter().map(String::as_str).collect();
    let source = match (mount.source.as_str(), kind) {
        ("", kind) => kind.to_owned(),
        (source, "bind") => bind_source(source, &options, volumes)?,
        (source, _) => source.to_owned(),
    };
    let mut result = simple(destination, kind, &source, options);
    result.uid_mappings.clone_from(&mount.uidmappings);
    result.gid_mappings.clone_from(&mount.gidmappings);
    Ok(result)
}

/// Where a bind comes from: a path of the machine, or the merged directory of a volume.
fn bind_source(source: &str, options: &[&str], volumes: &[Volume]) -> Result<String, Fault> {
    if source.starts_with('/') {
        return Ok(source.to_owned());
    }
    let Some(volume) = volumes.iter().find(|volume| volume.name == source) else {
        return Err(Fault::NoVolume(source.to_owned()));
    };
    let writable = options.contains(&"rw") || !options.contains(&"ro");
    if volume.readonly && writable {
        return Err(Fault::ReadonlyVolume(source.to_owned()));
    }
    Ok(format!("/{}/{source}/{}", image_layout::VOLUMES, image_layout::MERGED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Spot, VolumeFormat};

    fn made(json: &str, readonly: bool) -> Result<Vec<Mount>, Fault> {
        let yaml = Overrides::from_label(json).unwrap();
        let volume = |name: &str, readonly| Volume {
            name: name.to_owned(),
            image: None,
            readonly,
            format: VolumeFormat::Filesystem,
            platforms: vec![],
            spot: Spot { file: "a".into(), line: 1, column: 1 },
        };
        let volumes = [volume("data", false), volume("fixed", true)];
        mounts(
            Layers { yaml: &yaml, label: &Overrides::default(), profile: Profile::Compat },
            readonly,
            &volumes,
        )
    }

    /// `TYPE SOURCE OPTION,…` of what is mounted on `destination`.
    fn on(destination: &str, json: &str) -> String {
        let mounts = made(json, false).unwrap();
        let mount = mounts.iter().find(|mount| mount.destination == destination).unwrap();
        format!("{} {} {}", mount.kind, mount.source, mount.options.join(","))
    }

    #[test]
    fn the_default_mounts_are_sorted_by_destination() {
        let mounts = made("{}", false).unwrap();
        let destinations: Vec<&str> = mounts.iter().map(|mount| mount.destination.as_str()).collect();
        assert_eq!(destinations, ["/dev", "/dev/pts", "/proc", "/sys", "/sys/fs/cgroup"]);
    }

    #[test]
    fn a_read_only_container_gets_dev_and_sys_read_only() {
        let mounts = made("{}", true).unwrap();
        let read_only: Vec<&str> = mounts
            .iter()
            .filter(|mount| mount.options.last().is_some_and(|option| option == "ro"))
            .map(|mount| mount.destination.as_str())
            .collect();
        assert_eq!(read_only, ["/dev", "/sys", "/sys/fs/cgroup"]);
    }

    #[test]
    fn each_kind_of_mount_overrides_the_one_before_by_destination() {
        for (json, destination, expected) in [
            (r#"{"tmpfs":["/run"]}"#, "/run", "tmpfs tmpfs "),
            (r#"{"tmpfs":["/run:size=1m,nosuid"]}"#, "/run", "tmpfs tmpfs size=1m,nosuid"),
            (r#"{"tmpfs":["/dev:size=1m"]}"#, "/dev", "tmpfs tmpfs size=1m"),
            (r#"{"binds":["/dev:/dev"]}"#, "/dev", "bind /dev rw,rbind,rshared"),
            (r#"{"binds":["/x:/y:ro,nosuid"]}"#, "/y", "bind /x ro,nosuid,rbind"),
            (r#"{"binds":["/a:/y","/b:/y:ro"]}"#, "/y", "bind /b ro,rbind"),
            (r#"{"tmpfs":["/y"],"binds":["/b:/y"]}"#, "/y", "bind /b rw,rbind,rshared"),
            (r#"{"binds":["data:/y"]}"#, "/y", "bind /containers/volumes/data/merged rw,rbind,rshared"),
            (r#"{"binds":["data:/y:ro"]}"#, "/y", "bind /containers/volumes/data/merged ro,rbind"),
            (r#"{"binds":["fixed:/y:ro"]}"#, "/y", "bind /containers/volumes/fixed/merged ro,rbind"),
            (r#"{"mounts":[{"source":"mqueue"}]}"#, "/dev/mqueue", "mqueue mqueue "),
            (r#"{"mounts":[{"type":"cgroup","options":["rw"]}]}"#, "/sys/fs/cgroup", "cgroup cgroup rw"),
            (r#"{"mounts":[{"destination":"/dev","options":["x"]}]}"#, "/dev", "tmpfs tmpfs x"),
            (
                r#"{"binds":["/b:/y"],"mounts":[{"type":"tmpfs","destination":"/y","source":"z"}]}"#,
                "/y",
                "tmpfs z ",
            ),
            (
                r#"{"mounts":[{"type":"bind","destination":"/y","source":"data"}]}"#,
                "/y",
                "bind /containers/volumes/data/merged ",
            ),
        ] {
            assert_eq!(on(destination, json), expected, "{json}");
        }
    }

    #[test]
    fn what_cannot_be_mounted_is_refused() {
        for (json, expected) in [
            (r#"{"binds":["none:/y"]}"#, Fault::NoVolume("none".to_owned())),
            (r#"{"binds":["fixed:/y"]}"#, Fault::ReadonlyVolume("fixed".to_owned())),
            (r#"{"binds":["fixed:/y:rw"]}"#, Fault::ReadonlyVolume("fixed".to_owned())),
            (
                r#"{"mounts":[{"type":"bind","destination":"/y","source":"fixed"}]}"#,
                Fault::ReadonlyVolume("fixed".to_owned()),
            ),
            (r#"{"mounts":[{"destination":"/y"}]}"#, Fault::MountType { destination: "/y".to_owned() }),
            (r#"{"mounts":[{"type":"tmpfs"}]}"#, Fault::MountDestination { kind: "tmpfs".to_owned() }),
        ] {
            assert_eq!(made(json, false), Err(expected), "{json}");
        }
    }
}
