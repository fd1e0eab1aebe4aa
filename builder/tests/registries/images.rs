//! Images that are put into registries.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// One image for one architecture.
#[derive(Clone)]
pub struct Image {
    pub kind: &'static str,
    pub arch: &'static str,
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    /// One whose layers have these as their only file, `/etc/N`.
    pub fn new(arch: &'static str, contents: &[&[u8]]) -> Self {
        let names =
            [MANIFEST, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"];
        Self::of_kinds(arch, contents, names)
    }

    /// The same in Docker's words.
    pub fn docker(arch: &'static str, contents: &[&[u8]]) -> Self {
        let names = [
            DOCKER_MANIFEST,
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar",
        ];
        Self::of_kinds(arch, contents, names)
    }

    fn of_kinds(
        arch: &'static str,
        contents: &[&[u8]],
        [kind, of_config, of_layer]: [&'static str; 3],
    ) -> Self {
        let layers: Vec<Vec<u8>> = contents
            .iter()
            .enumerate()
            .map(|(index, content)| tar(&format!("etc/{index}"), content))
            .collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({
            "architecture": arch, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": kind,
            "config": descriptor(of_config, &config),
            "layers": layers.iter().map(|layer| descriptor(of_layer, layer)).collect::<Vec<_>>(),
        });
        Self { kind, arch, manifest: manifest.to_string().into_bytes(), config, layers }
    }

    /// All blobs but the manifest.
    pub fn blobs(&self) -> impl Iterator<Item = &Vec<u8>> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// Writes it as an OCI layout.
    pub fn write_layout(&self, dir: &std::path::Path) {
        std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        for blob in self.blobs().chain([&self.manifest]) {
            std::fs::write(dir.join("blobs/sha256").join(hex(blob)), blob).unwrap();
        }
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({"schemaVersion": 2, "manifests": [descriptor(self.kind, &self.manifest)]});
        std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
    }

    /// The names that its blobs have in a cache, sorted.
    pub fn cached(&self) -> Vec<String> {
        let mut names: Vec<String> = self.blobs().chain([&self.manifest]).map(|blob| hex(blob)).collect();
        names.sort();
        names
    }
}

/// An index of these images.
pub fn index(images: &[&Image]) -> Vec<u8> {
    let manifests: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut descriptor = descriptor(image.kind, &image.manifest);
            descriptor["platform"] = json!({"os": "linux", "architecture": image.arch});
            descriptor
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes()
}

pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}
