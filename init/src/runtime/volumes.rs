//! Volumes that containers share: prepared once, before any container.

use std::path::{Path, PathBuf};

use image_layout::{Mount, Runtime};

use super::RuntimeError;
use super::args::valid_id;
use super::prepare::{self, Kernel, Records};

/// What the records of volumes begin with; services and steps have no such names.
pub const RECORD_PREFIX: &str = "volume+";

/// Whether the image has any.
#[must_use]
pub fn has_volumes() -> bool {
    // One that cannot be read has something to say.
    std::fs::read_dir(all()).map_or_else(
        |error| error.kind() != std::io::ErrorKind::NotFound,
        |mut entries| entries.next().is_some(),
    )
}

/// Where the image has its volumes.
pub fn all() -> PathBuf {
    Path::new("/").join(image_layout::VOLUMES)
}

/// Mounts every volume below `dir`; goes on after a failure, and reports the first one.
pub fn prepare(dir: &Path) -> Result<(), RuntimeError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(RuntimeError::io("read", dir))?,
    };
    let mut result = Ok(());
    for entry in entries {
        let entry = entry.map_err(RuntimeError::io("read", dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let prepared = if valid_id(&name) {
            mount(&name, &entry.path())
        } else {
            Err(RuntimeError::VolumeName(entry.path()))
        };
        result = result.and(prepared);
    }
    result
}

fn mount(name: &str, volume: &Path) -> Result<(), RuntimeError> {
    let runtime = volume_mounts(volume, volume.join(image_layout::TMP).is_dir());
    let id = format!("{RECORD_PREFIX}{name}");
    prepare::apply(&mut Kernel, &Records::default(), &id, volume, &prepare::plan(&runtime)?)
}

/// The mounts that make a volume: an overlay on its files where it has a `tmp`, else its files, read-only.
fn volume_mounts(volume: &Path, writable: bool) -> Runtime {
    let path = |name: &str| volume.join(name).to_string_lossy().into_owned();
    let mount = |destination: String, kind: &str, source: String, options: Vec<String>| Mount {
        destination,
        kind: kind.to_owned(),
        source,
        options,
    };
    let (lower, tmp, merged) =
        (path(image_layout::LOWER), path(image_layout::TMP), path(image_layout::MERGED));
    let mounts = if writable {
        vec![
            mount(tmp.clone(), "tmpfs", "tmpfs".into(), vec![]),
            mount(
                merged,
                "overlay",
                "overlay".into(),
                vec![
                    format!("lowerdir={lower}"),
                    format!("upperdir={tmp}/upper"),
                    format!("workdir={tmp}/work"),
                ],
            ),
        ]
    } else {
        vec![mount(merged, "", lower, vec!["bind".into(), "ro".into()])]
    };
    Runtime { mounts, ..Runtime::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_writable_only_with_a_place_to_write() {
        let writable = volume_mounts(Path::new("/v/a"), true);
        assert_eq!(writable.mounts[1].destination, "/v/a/merged");
        assert_eq!(writable.mounts[1].options[1], "upperdir=/v/a/tmp/upper");
        let readonly = volume_mounts(Path::new("/v/a"), false);
        assert_eq!(readonly.mounts[0].options, ["bind", "ro"]);
    }
}
