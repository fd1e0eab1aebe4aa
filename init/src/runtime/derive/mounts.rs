//! The mounts of a configuration: sources that are missing, and what libcontainer does not do about mounts.

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use oci_spec::runtime::{Mount, Spec};

use super::Machine;
use crate::runtime::RuntimeError;
use crate::runtime::prepare::sort_options;

/// Files of container engines that LinuxKit's packages bind without asking whether the image has them.
///
/// An image without containerd has none, and such a package (a shell, `getty`, `sshd`) is of use all the same.
const ENGINES: &[&str] = &[
    "/etc/containerd",
    "/run/containerd",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/bin/ctr",
    "/usr/bin/runc",
    "/var/lib/containerd",
    "/var/run/containerd",
];

/// Whether `path` is one of an engine's files.
fn is_engines(path: &Path) -> bool {
    ENGINES.iter().any(|engine| path.starts_with(engine))
}

pub(super) fn is_bind(mount: &Mount) -> bool {
    mount.typ().as_deref() == Some("bind")
        || words(mount).iter().any(|word| word == "bind" || word == "rbind")
}

pub(super) fn words(mount: &Mount) -> &[String] {
    mount.options().as_deref().unwrap_or_default()
}

/// Makes the sources of bind mounts absolute, from the bundle as runc does it.
///
/// One that is missing is an error that names it, or a warning and no mount where it is a file of an engine.
pub fn resolve_sources(
    spec: &mut Spec,
    bundle: &Path,
    machine: Machine<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), RuntimeError> {
    let mut kept = Vec::new();
    for mut mount in spec.mounts().clone().unwrap_or_default() {
        if is_bind(&mount) {
            let destination = mount.destination().display().to_string();
            let Some(source) = mount.source().as_deref().filter(|source| !source.as_os_str().is_empty())
            else {
                return Err(RuntimeError::Unsupported(format!(
                    "the bind mount on {destination} has no source"
                )));
            };
            let source = bundle.join(source);
            if !(machine.exists)(&source) {
                if is_engines(&source) {
                    warnings.push(format!(
                        "{} is not mounted on {destination}: this image has no such engine",
                        source.display()
                    ));
                    continue;
                }
                return Err(RuntimeError::NoSource { path: source, destination });
            }
            mount.set_source(Some(source));
        } else if mount.source().is_none() {
            let kind = mount.typ().clone().unwrap_or_default();
            mount.set_source(Some(PathBuf::from(kind)));
        }
        kept.push(mount);
    }
    spec.set_mounts(Some(kept));
    Ok(())
}

/// The propagation that mounts ask for, which libcontainer reads and does not apply.
///
/// `shared` changes nothing where the whole root is: the mount is of the host's peer group already.
pub fn propagation(spec: &Spec, shared_root: bool) -> Vec<(PathBuf, Vec<MsFlags>)> {
    let mut changes = Vec::new();
    for mount in spec.mounts().iter().flatten() {
        let mut wanted = sort_options(words(mount)).propagation;
        if shared_root {
            wanted.retain(|flags| !flags.contains(MsFlags::MS_SHARED));
        }
        if !wanted.is_empty() {
            changes.push((Path::new("/").join(mount.destination()), wanted));
        }
    }
    changes
}

/// The flags of a read-only `/dev`, which libcontainer mounts writable to make devices in it, and leaves so.
pub fn read_only_dev(spec: &Spec) -> Option<MsFlags> {
    let dev = spec.mounts().iter().flatten().rfind(|mount| mount.destination() == Path::new("/dev"));
    let flags = sort_options(words(dev?)).flags;
    flags.contains(MsFlags::MS_RDONLY).then_some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mounts: &str) -> Spec {
        serde_json::from_str(&format!(
            r#"{{"ociVersion":"1.2.1","root":{{"path":"rootfs"}},"mounts":{mounts}}}"#
        ))
        .unwrap()
    }

    fn resolved(mounts: &str) -> Result<(Vec<String>, Vec<String>), RuntimeError> {
        let mut spec = spec(mounts);
        let machine = Machine { exists: &|path| path.starts_with("/c/a/x"), home: &|_| None, unified: true };
        let mut warnings = Vec::new();
        resolve_sources(&mut spec, Path::new("/c/a"), machine, &mut warnings)?;
        let sources = spec.mounts().iter().flatten().map(|mount| {
            format!("{} {}", mount.source().as_ref().unwrap().display(), mount.destination().display())
        });
        Ok((sources.collect(), warnings))
    }

    #[test]
    fn relative_sources_are_in_the_bundle() {
        let (sources, warnings) = resolved(
            r#"[{"destination":"/x","type":"bind","source":"x"},{"destination":"/proc","type":"proc"},
                {"destination":"/y","type":"none","source":"/c/a/x/y","options":["rbind"]}]"#,
        )
        .unwrap();
        assert_eq!(sources, ["/c/a/x /x", "proc /proc", "/c/a/x/y /y"]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_missing_source_is_named() {
        let error = resolved(r#"[{"destination":"/d","type":"bind","source":"/gone"}]"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot mount /gone on /d: there is no /gone on this machine; an image, a volume or an earlier step must make it"
        );
    }

    #[test]
    fn an_engine_that_the_image_does_not_have_is_left_out() {
        let (sources, warnings) = resolved(
            r#"[{"destination":"/usr/bin/ctr","type":"bind","source":"/usr/bin/ctr"},
                {"destination":"/run/containerd/containerd.sock","type":"bind","source":"/run/containerd/containerd.sock"}]"#,
        )
        .unwrap();
        assert!(sources.is_empty());
        assert_eq!(warnings[0], "/usr/bin/ctr is not mounted on /usr/bin/ctr: this image has no such engine");
        assert_eq!(warnings.len(), 2);
        assert!(!is_engines(Path::new("/usr/bin/ctrl")));
    }

    #[test]
    fn propagation_is_ours_to_apply() {
        let spec = spec(
            r#"[{"destination":"/v","type":"bind","source":"/v","options":["rw","rbind","rshared"]},
                {"destination":"/w","type":"bind","source":"/w","options":["bind","private"]},
                {"destination":"/proc","type":"proc","source":"proc","options":["nosuid"]}]"#,
        );
        let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
        assert_eq!(
            propagation(&spec, false),
            [("/v".into(), vec![shared]), ("/w".into(), vec![MsFlags::MS_PRIVATE])]
        );
        assert_eq!(propagation(&spec, true), [("/w".into(), vec![MsFlags::MS_PRIVATE])]);
    }

    #[test]
    fn a_read_only_dev_keeps_its_other_flags() {
        let dev = |options: &str| {
            spec(&format!(
                r#"[{{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":{options}}}]"#
            ))
        };
        assert_eq!(read_only_dev(&dev(r#"["nosuid","mode=755"]"#)), None);
        assert_eq!(
            read_only_dev(&dev(r#"["nosuid","strictatime","mode=755","ro"]"#)),
            Some(MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME | MsFlags::MS_RDONLY)
        );
    }
}
