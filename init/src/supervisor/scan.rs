//! Reading `/containers`.

use std::path::Path;

use image_layout::{ONBOOT, ONSHUTDOWN, SERVICES};

use super::plan::{Found, Image};
use crate::runtime::{chain, read_runtime, read_spec_value};

/// Finds all containers below `root`; what could not be read is told to `report`.
pub fn scan(root: &Path, report: &mut dyn FnMut(String)) -> Image {
    let mut list = |dir: &str| directories(&root.join(dir), report);
    Image { onboot: list(ONBOOT), services: list(SERVICES), onshutdown: list(ONSHUTDOWN) }
}

fn directories(dir: &Path, report: &mut dyn FnMut(String)) -> Vec<Found> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            report(format!("cannot read {}: {error}", dir.display()));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.path().is_dir() => found.push(read(&entry.path(), report)),
            Ok(_) => {}
            Err(error) => report(format!("cannot read {}: {error}", dir.display())),
        }
    }
    found
}

fn read(path: &Path, report: &mut dyn FnMut(String)) -> Found {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let config = read_spec_value(path).unwrap_or_else(|error| {
        report(format!("{name}: {}", chain(&error)));
        serde_json::Value::Null
    });
    let runtime = read_runtime(path).unwrap_or_else(|error| {
        report(format!("{name}: {}", chain(&error)));
        image_layout::Runtime::default()
    });
    Found { name, path: path.to_owned(), config, runtime }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_reported_and_the_rest_is_found() {
        let root = tempfile::tempdir().unwrap();
        let make = |dir: &str, config: &str| {
            let path = root.path().join("containers").join(dir);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("config.json"), config).unwrap();
        };
        make("onboot/000-a", r#"{"root":{"path":"rootfs"}}"#);
        make("services/bad", "{");
        std::fs::write(root.path().join("containers/services/file"), "").unwrap();
        let mut reports = Vec::new();
        let image = scan(root.path(), &mut |line| reports.push(line));
        assert_eq!(image.onboot.len(), 1);
        assert_eq!(image.services.len(), 1);
        assert!(image.onshutdown.is_empty());
        assert_eq!(reports.len(), 1);
        assert!(
            reports[0].starts_with("bad: ") && reports[0].contains("config.json is not valid"),
            "{reports:?}"
        );
    }
}
