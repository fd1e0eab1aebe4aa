//! Makes `/dev/disk` what it should be, touching only what differs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::DIRECTORIES;

/// A link that cannot be made or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct LinkError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LinkError {
    let path = path.to_owned();
    move |source| LinkError { what, path, source }
}

/// Changes the links below `disk` (`/dev/disk`) into `wanted`; returns how many were changed.
///
/// A link is replaced in one step, so that nobody finds it missing who finds it at all. What is no link is left alone.
pub fn apply(disk: &Path, wanted: &BTreeMap<String, String>) -> Result<usize, LinkError> {
    let mut changed = 0;
    for directory in DIRECTORIES {
        for (name, target) in links(&disk.join(directory))? {
            if !wanted.contains_key(&format!("{directory}/{name}")) && target.starts_with("../..") {
                let path = disk.join(directory).join(name);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                changed += 1;
            }
        }
    }
    for (name, node) in wanted {
        let (path, target) = (disk.join(name), Path::new("../..").join(node));
        if fs::read_link(&path).is_ok_and(|found| found == target) {
            continue;
        }
        let directory = path.parent().unwrap_or(disk);
        fs::create_dir_all(directory).map_err(failed("make", directory))?;
        let new = directory.join(".new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &new)(error));
            }
            _ => {}
        }
        symlink(&target, &new).map_err(failed("make", &new))?;
        fs::rename(&new, &path).map_err(failed("make", &path))?;
        changed += 1;
    }
    Ok(changed)
}

/// The links in a directory, with what they point to; none when it is missing.
fn links(directory: &Path) -> Result<Vec<(String, PathBuf)>, LinkError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", directory)(error)),
    };
    let named = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let target = fs::read_link(directory.join(&name)).ok()?;
        Some((name, target))
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(links: &[(&str, &str)]) -> BTreeMap<String, String> {
        links.iter().map(|(name, node)| (name.to_string(), node.to_string())).collect()
    }

    fn target(disk: &Path, name: &str) -> Option<String> {
        fs::read_link(disk.join(name)).ok().map(|target| target.display().to_string())
    }

    #[test]
    fn links_follow_the_devices_and_only_what_differs_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let first = map(&[("by-label/a", "vda1"), ("by-label/b", "vdb"), ("by-id/x", "cciss/c0d0")]);
        assert_eq!(apply(&disk, &first).unwrap(), 3);
        assert_eq!(target(&disk, "by-id/x").as_deref(), Some("../../cciss/c0d0"));
        assert_eq!(apply(&disk, &first).unwrap(), 0);
        let second = map(&[("by-label/a", "vdc1"), ("by-uuid/1", "vdc1")]);
        assert_eq!(apply(&disk, &second).unwrap(), 4);
        assert_eq!(target(&disk, "by-label/a").as_deref(), Some("../../vdc1"));
        assert_eq!((target(&disk, "by-label/b"), target(&disk, "by-id/x")), (None, None));
        assert_eq!(apply(&disk, &BTreeMap::new()).unwrap(), 2);
    }

    #[test]
    fn what_others_have_put_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let labels = dir.path().join("by-label");
        fs::create_dir(&labels).unwrap();
        fs::write(labels.join("file"), "").unwrap();
        symlink("/dev/mapper/mine", labels.join("mine")).unwrap();
        assert_eq!(apply(dir.path(), &BTreeMap::new()).unwrap(), 0);
        assert!(labels.join("file").exists() && target(dir.path(), "by-label/mine").is_some());
    }
}
