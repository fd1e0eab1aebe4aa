//! Reading a container's directory: `config.json` and `runtime.json`.

use std::io::Read;
use std::path::{Path, PathBuf};

use image_layout::Runtime;
use oci_spec::runtime::{Root, Spec};

use super::RuntimeError;

/// No real configuration is near this size (bytes).
const LIMIT: u64 = 4 << 20;

/// A container's directory, read.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The directory.
    pub path: PathBuf,
    /// `config.json`, with an absolute `root.path`.
    pub spec: Spec,
    /// `runtime.json`; empty when the file is missing.
    pub runtime: Runtime,
}

impl Bundle {
    /// Reads both files of the directory `path`.
    pub fn read(path: &Path) -> Result<Self, RuntimeError> {
        let path = &std::path::absolute(path).map_err(RuntimeError::io("find", path))?;
        let config = path.join(image_layout::CONFIG);
        let bytes = read_bounded(&config, LIMIT)?;
        let mut spec: Spec = serde_json::from_slice(&bytes)
            .map_err(|source| RuntimeError::Json { path: config.clone(), source })?;
        let root = spec.root().clone().ok_or(RuntimeError::NoRoot(config))?;
        spec.set_root(Some(absolute_root(path, root)));
        Ok(Self { path: path.to_owned(), spec, runtime: read_runtime(path)? })
    }

    /// Whether the container may not write to its root filesystem.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or_default()
    }

    /// Where the container's root filesystem is, on the host.
    #[must_use]
    pub fn rootfs(&self) -> PathBuf {
        match self.spec.root() {
            Some(root) => root.path().clone(),
            None => self.path.join(image_layout::ROOTFS),
        }
    }
}

/// Reads `config.json` of the directory `path` as it is, but for an absolute `root.path`.
///
/// Keys that only other runtimes know are kept.
pub fn read_spec_value(path: &Path) -> Result<serde_json::Value, RuntimeError> {
    let config = path.join(image_layout::CONFIG);
    let bytes = read_bounded(&config, LIMIT)?;
    let mut spec: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|source| RuntimeError::Json { path: config.clone(), source })?;
    let root = spec.pointer_mut("/root/path").ok_or_else(|| RuntimeError::NoRoot(config.clone()))?;
    let absolute = path.join(root.as_str().ok_or(RuntimeError::NoRoot(config))?);
    *root = serde_json::Value::String(absolute.to_string_lossy().into_owned());
    Ok(spec)
}

/// Reads `runtime.json` of the directory `path`; a missing file asks for nothing.
pub fn read_runtime(path: &Path) -> Result<Runtime, RuntimeError> {
    let file = path.join(image_layout::RUNTIME);
    match read_bounded(&file, LIMIT) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|source| RuntimeError::Json { path: file, source })
        }
        Err(RuntimeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Runtime::default())
        }
        Err(error) => Err(error),
    }
}

/// Reads a whole file that must not be larger than `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, RuntimeError> {
    let file = std::fs::File::open(path).map_err(RuntimeError::io("open", path))?;
    // One call reads most of them.
    let mut bytes = Vec::with_capacity(4096);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(RuntimeError::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(RuntimeError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn absolute_root(bundle: &Path, mut root: Root) -> Root {
    if root.path().is_relative() {
        let path = bundle.join(root.path());
        root.set_path(path);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_made_absolute_and_a_missing_runtime_json_asks_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("config.json"),
            r#"{"ociVersion":"1.2.1","root":{"path":"rootfs"},"process":{"user":{"uid":0,"gid":0},"args":["/a"],"cwd":"/"}}"#,
        )
        .unwrap();
        let bundle = Bundle::read(dir.path()).unwrap();
        assert_eq!(bundle.rootfs(), dir.path().join("rootfs"));
        assert_eq!(bundle.runtime, Runtime::default());
    }

    #[test]
    fn a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"ociVersion":"1.2.1","root":{"path":"rootfs"}}"#)
            .unwrap();
        std::fs::write(dir.path().join("runtime.json"), "{").unwrap();
        let error = Bundle::read(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("runtime.json is not valid"), "{error}");
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let error = read_bounded(Path::new("/dev/zero"), 10).unwrap_err();
        assert_eq!(error.to_string(), "/dev/zero is larger than 10 bytes");
    }
}
