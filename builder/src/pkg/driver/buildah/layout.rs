//! What buildah has built, as an OCI layout.
//!
//! In OCI's format buildah leaves out what that does not know and everybody uses: HEALTHCHECK, SHELL, ONBUILD. In Docker's it
//! adds names of containers and steps, which are other ones each time. So it builds in Docker's, and here remains what the
//! Dockerfile says.

use std::path::Path;
use std::{fs, io};

use oci_spec::image::MediaType;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::image::{Digest, DigestError};
use crate::pkg::PkgError;

/// What an image's configuration has: OCI's (image-spec, config.md).
const KEPT: [&str; 9] =
    ["created", "author", "architecture", "variant", "os", "os.version", "config", "rootfs", "history"];
/// What it says about containers: OCI's, and Docker's that a Dockerfile writes.
const SAID: [&str; 13] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
    "ArgsEscaped",
];
/// How the type of a layer ends that is compressed.
const GZIP: &str = ".gzip";
/// How a comment begins that has the id of the step before.
const STEP: &str = "FROM ";

/// `manifest.json` of a directory that `buildah push` has written (containers/image, "dir:").
#[derive(Debug, Deserialize)]
struct Written {
    config: Blob,
    layers: Vec<Blob>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
}

impl Blob {
    /// What its file is called.
    fn name(&self) -> Result<String, DigestError> {
        Ok(self.digest.parse::<Digest>()?.hex())
    }
}

/// Makes an OCI layout in `out` of the image that `buildah push` has written to the directory `dir`, whose layers are moved.
pub fn make(dir: &Path, out: &Path) -> Result<(), PkgError> {
    let path = dir.join("manifest.json");
    let unreadable = |error: DigestError| PkgError::io("reading", &path)(io::Error::other(error));
    let written: Written = read(&path)?;
    let config = cleaned(read(&dir.join(written.config.name().map_err(unreadable)?))?);
    let blobs = out.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(PkgError::io("making", &blobs))?;
    let mut layers = Vec::new();
    for layer in written.layers {
        let name = layer.name().map_err(unreadable)?;
        let (path, from) = (blobs.join(&name), dir.join(&name));
        // One layer may be there twice.
        if !path.exists() {
            fs::rename(&from, &path).map_err(PkgError::io("renaming", from))?;
        }
        layers.push(json!({
            "mediaType": if layer.media_type.ends_with(GZIP) { MediaType::ImageLayerGzip } else { MediaType::ImageLayer },
            "digest": layer.digest,
            "size": layer.size,
        }));
    }
    let config = add(&blobs, &MediaType::ImageConfig, &config)?;
    let kind = MediaType::ImageManifest;
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
    let manifest = add(&blobs, &kind, &manifest)?;
    write(&out.join("index.json"), &json!({"schemaVersion": 2, "manifests": [manifest]}).to_string())?;
    write(&out.join("oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}).to_string())
}

/// A configuration without what only this one build had.
fn cleaned(config: Map<String, Value>) -> Value {
    let mut config = only(config, &KEPT);
    if let Some(Value::Object(said)) = config.remove("config") {
        config.insert("config".into(), only(said, &SAID).into());
    }
    for step in config.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_step = |comment: &Value| comment.as_str().is_some_and(|comment| comment.starts_with(STEP));
        if let Some(step) = step.as_object_mut()
            && step.get("comment").is_some_and(is_step)
        {
            step.remove("comment");
        }
    }
    config.into()
}

/// Those of these names that have a value.
fn only(map: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    map.into_iter().filter(|(name, value)| names.contains(&name.as_str()) && !is_empty(value)).collect()
}

/// Writes a document as a blob, and says how it is named.
fn add(blobs: &Path, kind: &MediaType, document: &Value) -> Result<Value, PkgError> {
    let text = document.to_string();
    let digest = Digest::of(text.as_bytes());
    write(&blobs.join(digest.hex()), &text)?;
    Ok(json!({"mediaType": kind, "digest": digest.to_string(), "size": text.len()}))
}

fn write(path: &Path, text: &str) -> Result<(), PkgError> {
    fs::write(path, text).map_err(PkgError::io("writing", path))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, PkgError> {
    let bytes = fs::read(path).map_err(PkgError::io("reading", path))?;
    serde_json::from_slice(&bytes).map_err(|error| PkgError::io("reading", path)(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dockerfile_says_remains_and_what_is_another_each_time_goes() {
        let config = json!({
            "created": "2017-04-18T16:30:00Z", "container": "d842", "parent": "sha256:c867", "docker_version": "",
            "container_config": {"Hostname": "58b7"}, "architecture": "amd64", "os": "linux",
            "config": {
                "Hostname": "58b7", "Tty": false, "Image": "", "User": "", "Cmd": [], "Volumes": {}, "OnBuild": null,
                "Healthcheck": {"Test": ["CMD", "/x"]}, "Shell": ["/x", "-c"], "Labels": {"a": "b"},
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]},
            "history": [{"created_by": "COPY", "comment": "FROM c867"}, {"comment": "mine", "empty_layer": true}],
        });
        let Value::Object(config) = config else { panic!() };
        let expected = json!({
            "created": "2017-04-18T16:30:00Z", "architecture": "amd64", "os": "linux",
            "config": {"Healthcheck": {"Test": ["CMD", "/x"]}, "Shell": ["/x", "-c"], "Labels": {"a": "b"}},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]},
            "history": [{"created_by": "COPY"}, {"comment": "mine", "empty_layer": true}],
        });
        assert_eq!(cleaned(config), expected);
    }

    #[test]
    fn a_layer_that_is_there_twice_is_one_blob() {
        let dir = tempfile::tempdir().unwrap();
        let (from, out) = (dir.path().join("dir"), dir.path().join("out"));
        fs::create_dir(&from).unwrap();
        let [config, layer] = [&b"{\"os\": \"linux\"}"[..], b"layer"].map(|bytes| {
            let digest = Digest::of(bytes);
            fs::write(from.join(digest.hex()), bytes).unwrap();
            json!({"digest": digest.to_string(), "size": bytes.len()})
        });
        let manifest = json!({"config": config, "layers": [layer, layer]});
        fs::write(from.join("manifest.json"), manifest.to_string()).unwrap();
        make(&from, &out).unwrap();
        assert_eq!(fs::read_dir(out.join("blobs/sha256")).unwrap().count(), 3);
        let error = make(&from, &dir.path().join("again")).unwrap_err().to_string();
        assert!(error.starts_with("renaming "), "{error}");
    }
}
