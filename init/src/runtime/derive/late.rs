//! File systems of the kernel's own that are mounted once libcontainer is done, for a tenth of what it costs there: it makes
//! every mount point as if the container were an enemy that already runs, with some fifty path look-ups.

use std::path::Path;

use image_layout::Mount;
use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::Machine;
use super::mounts::words;
use crate::runtime::prepare::{are_attributes, sort_options};

/// Mount points, and what OCI and the kernel call their file systems: those deeper in the tree first. libcontainer has mounted
/// `/dev` and `/proc` by then, in which it makes devices and hides files.
const LATE: [(&str, &str, &str); 3] =
    [("/sys/fs/cgroup", "cgroup", "cgroup2"), ("/sys", "sysfs", "sysfs"), ("/dev/pts", "devpts", "devpts")];
/// The options of devpts that are not flags (kernel documentation, filesystems/devpts.rst).
const DEVPTS: [&str; 4] = ["newinstance", "ptmxmode=", "mode=", "gid="];

/// Takes out of `spec` what can be mounted last, and returns it in the order of mounting, relative to the root filesystem.
///
/// What anything else of the configuration depends on stays.
pub fn take(spec: &mut Spec, machine: Machine<'_>) -> Vec<Mount> {
    if !is_plain(spec) {
        return Vec::new();
    }
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    let mut taken = Vec::new();
    for (destination, kind, name) in LATE {
        let is_it = |mount: &oci_spec::runtime::Mount| mount.destination() == Path::new(destination);
        let Some(at) = mounts.iter().position(is_it) else { continue };
        let possible = mounts.get(at).is_some_and(|mount| {
            mount.typ().as_deref() == Some(kind)
                && (kind != "cgroup" || machine.unified)
                && has_plain_options(mount)
        });
        let below = |path: &Path| path.starts_with(destination);
        let covered = |path: &Path| Path::new(destination).starts_with(path);
        let is_free = !used(spec).any(below)
            && !hidden(spec).any(|path| below(path) || covered(path))
            && mounts.iter().filter(|mount| below(mount.destination())).count() == 1
            && !mounts.iter().skip(at + 1).any(|mount| covered(mount.destination()))
            && !mounts.iter().any(|mount| covered(mount.destination()) && is_bind(mount));
        let has_place = can_make(spec, destination, machine)
            || mounts
                .iter()
                .any(|mount| mount.destination() != Path::new(destination) && covered(mount.destination()));
        if possible && is_free && has_place {
            taken.push(late(&mounts.remove(at), name));
        }
    }
    spec.set_mounts(Some(mounts));
    taken.reverse();
    taken
}

/// Whether the root filesystem has the mount point, or one can be made when libcontainer is done.
fn can_make(spec: &Spec, destination: &str, machine: Machine<'_>) -> bool {
    let Some(root) = spec.root() else { return false };
    let is_read_only = root.readonly().unwrap_or_default();
    !is_read_only || (machine.exists)(&root.path().join(destination.trim_start_matches('/')))
}

/// Whether libcontainer does nothing that the order of mounts matters for.
fn is_plain(spec: &Spec) -> bool {
    let Some(linux) = spec.linux() else { return false };
    let new = |kind| {
        let of_kind = linux.namespaces().iter().flatten().find(|namespace| namespace.typ() == kind);
        of_kind.map(|namespace| namespace.path().is_none())
    };
    // The first process of another user namespace may mount, where we may not; a terminal is of the container's devpts.
    let has_terminal = spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or_default();
    new(LinuxNamespaceType::Mount) == Some(true)
        && new(LinuxNamespaceType::User).is_none()
        && linux.rootfs_propagation().is_none()
        && linux.mount_label().is_none()
        && spec.hooks().is_none()
        && !has_terminal
}

/// Paths that libcontainer hides: it mounts over them.
fn hidden(spec: &Spec) -> impl Iterator<Item = &Path> {
    let lists = spec.linux().iter().flat_map(|linux| [linux.masked_paths(), linux.readonly_paths()]);
    lists.flatten().flatten().map(Path::new)
}

/// Paths that it uses.
fn used(spec: &Spec) -> impl Iterator<Item = &Path> {
    let devices = spec.linux().iter().flat_map(|linux| linux.devices()).flatten();
    devices
        .map(|device| device.path().as_path())
        .chain(spec.process().iter().map(|process| process.cwd().as_path()))
}

/// Whether it is something of the host's, where the file system may be mounted already: twice it cannot be.
fn is_bind(mount: &oci_spec::runtime::Mount) -> bool {
    mount.typ().as_deref() == Some("bind") || sort_options(words(mount)).bind.is_some()
}

/// Whether the options are attributes of a mount, and what devpts takes besides.
fn has_plain_options(mount: &oci_spec::runtime::Mount) -> bool {
    let options = sort_options(words(mount));
    let known = |word: &str| {
        mount.typ().as_deref() == Some("devpts") && DEVPTS.iter().any(|known| word.starts_with(known))
    };
    options.bind.is_none()
        && !options.remount
        && are_attributes(options.flags)
        && options.propagation.is_empty()
        && options.data.split(',').all(|word| word.is_empty() || known(word))
}

/// The mount. `ro` is the mount's alone: the file system itself is others' as well.
fn late(mount: &oci_spec::runtime::Mount, kind: &str) -> Mount {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Mount {
        destination: text(mount.destination()).trim_start_matches('/').to_owned(),
        kind: kind.to_owned(),
        source: mount.source().as_deref().map(text).unwrap_or_default(),
        options: words(mount).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = r#"[
        {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]},
        {"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620"]},
        {"destination":"/proc","type":"proc","source":"proc","options":["nosuid"]},
        {"destination":"/sys","type":"sysfs","source":"sysfs","options":["nosuid","ro"]},
        {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["relatime","ro"]}]"#;
    const ALL: [&str; 3] = ["dev/pts", "sys", "sys/fs/cgroup"];

    fn machine() -> Machine<'static> {
        Machine { exists: &|path| path == Path::new("rootfs/sys"), home: &|_| None, unified: true }
    }

    fn spec(mounts: &str, linux: &str, rest: &str) -> Spec {
        serde_json::from_str(&format!(
            r#"{{"ociVersion":"1.2.1","root":{{"path":"rootfs"}},"mounts":{mounts},
                "linux":{{{linux}"namespaces":[{{"type":"mount"}}]}}{rest}}}"#
        ))
        .unwrap()
    }

    fn process(more: &str) -> String {
        format!(r#","process":{{"user":{{"uid":0,"gid":0}},"args":["/a"]{more}}}"#)
    }

    fn destinations(mounts: &[Mount]) -> Vec<&str> {
        mounts.iter().map(|mount| mount.destination.as_str()).collect()
    }

    #[test]
    fn what_linuxkit_mounts_in_every_container_is_mounted_late_but_for_dev_and_proc() {
        let mut plain = spec(MOUNTS, "", &process(r#","cwd":"/""#));
        let taken = take(&mut plain, machine());
        assert_eq!(destinations(&taken), ALL);
        let kinds = taken.iter().map(|mount| mount.kind.as_str());
        assert_eq!(kinds.collect::<Vec<_>>(), ["devpts", "sysfs", "cgroup2"]);
        assert_eq!(taken[1].options, ["nosuid", "ro"]);
        let left: Vec<_> = plain.mounts().iter().flatten().map(|mount| mount.destination().clone()).collect();
        assert_eq!(left, [Path::new("/dev"), Path::new("/proc")]);
    }

    #[test]
    fn what_something_else_depends_on_is_left() {
        let root = process(r#","cwd":"/""#);
        let bind = |path: &str| {
            MOUNTS.replace("}]", &format!(r#"}},{{"destination":"{path}","type":"bind","source":"/x"}}]"#))
        };
        let sys_of_the_host = MOUNTS.replace(
            r#""type":"sysfs","source":"sysfs","options":["nosuid","ro"]"#,
            r#""source":"/sys","options":["rbind","ro"]"#,
        );
        let cases: [(String, &str, String, &[&str]); 12] = [
            (sys_of_the_host, "", root.clone(), &["dev/pts"]),
            (bind("/sys/firmware"), "", root.clone(), &["dev/pts", "sys/fs/cgroup"]),
            (bind("/sys"), "", root.clone(), &["dev/pts"]),
            (bind("/dev/shm"), "", root.clone(), &ALL),
            (
                MOUNTS.to_owned(),
                r#""maskedPaths":["/sys/firmware"],"#,
                root.clone(),
                &["dev/pts", "sys/fs/cgroup"],
            ),
            (MOUNTS.to_owned(), r#""readonlyPaths":["/proc/sys"],"#, root.clone(), &ALL),
            (MOUNTS.to_owned(), r#""maskedPaths":["/dev"],"#, root.clone(), &ALL[1..]),
            (MOUNTS.replace("newinstance", "x"), "", root.clone(), &ALL[1..]),
            (MOUNTS.replace("newinstance", "lazytime"), "", root.clone(), &ALL[1..]),
            (MOUNTS.to_owned(), r#""rootfsPropagation":"shared","#, root.clone(), &[]),
            (MOUNTS.to_owned(), "", process(r#","cwd":"/","terminal":true"#), &[]),
            (MOUNTS.to_owned(), "", process(r#","cwd":"/sys/fs/cgroup""#), &["dev/pts"]),
        ];
        for (mounts, linux, rest, expected) in cases {
            let taken = take(&mut spec(&mounts, linux, &rest), machine());
            assert_eq!(destinations(&taken), expected, "{mounts} {linux} {rest}");
        }
    }

    #[test]
    fn version_1_is_many_mounts_which_libcontainer_makes_below_sys() {
        let taken =
            take(&mut spec(MOUNTS, "", &process(r#","cwd":"/""#)), Machine { unified: false, ..machine() });
        assert_eq!(destinations(&taken), ["dev/pts"]);
    }

    #[test]
    fn a_root_that_cannot_be_written_must_have_the_mount_point() {
        let read_only = |exists| {
            let mut spec = spec(MOUNTS, "", &process(r#","cwd":"/""#));
            spec.root_mut().as_mut().unwrap().set_readonly(Some(true));
            destinations(&take(&mut spec, Machine { exists, ..machine() })).len()
        };
        assert_eq!(read_only(&|path| path == Path::new("rootfs/sys")), ALL.len());
        // What is in a directory that libcontainer mounts can be made there.
        assert_eq!(read_only(&|_| false), 2);
    }
}
