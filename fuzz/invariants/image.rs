//! The documents of an image from anywhere: an OCI layout with an index, a manifest, a configuration and a layer.
//!
//! The four are separated by NUL bytes. In each, `@manifest@`, `@config@` and `@layer@` stand for digests and `@manifest-size@`,
//! `@config-size@` and `@layer-size@` for lengths, so that documents that name each other can be found.
//!
//! Holds for every layout: it is refused, with a reason, or imported; and an image that is found then has a layer for
//! each of its differences, all of them verified.

use std::fs;
use std::path::Path;

use lkb::image::{Cache, Reference};
use sha2::{Digest as _, Sha256};

/// Checks one layout.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let [index, manifest, config, layer] = [(); 4].map(|()| parts.next().unwrap_or_default().to_vec());
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let layout = dir.path().join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a directory");
    let layer = store(&blobs, "layer", layer);
    let config = store(&blobs, "config", layer.fill(config));
    let manifest = store(&blobs, "manifest", config.fill(layer.fill(manifest)));
    let index = manifest.fill(config.fill(layer.fill(index)));
    fs::write(layout.join("index.json"), index).expect("a file");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");

    let cache = Cache::open(&dir.path().join("cache")).expect("a cache");
    let name: Reference = "example.org/fuzz:1".parse().expect("a name");
    match cache.import(&layout, Some(&name)) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(names) => assert_eq!(names, std::slice::from_ref(&name)),
    }
    let Ok(Some(image)) = cache.resolve(&name, "amd64") else { return };
    assert_eq!(image.layers.len(), image.config.rootfs().diff_ids().len());
    if cache.verify([&image]).is_ok() {
        for layer in &image.layers {
            cache.layer(&image, layer).expect("what was verified can be used");
        }
    }
}

/// A blob that other documents name.
struct Blob {
    name: &'static str,
    digest: String,
    len: usize,
}

fn store(blobs: &Path, name: &'static str, content: Vec<u8>) -> Blob {
    let hex: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(blobs.join(&hex), &content).expect("a file");
    Blob { name, digest: format!("sha256:{hex}"), len: content.len() }
}

impl Blob {
    fn fill(&self, text: Vec<u8>) -> Vec<u8> {
        let Ok(text) = String::from_utf8(text) else { return Vec::new() };
        let text = text.replace(&format!("@{}@", self.name), &self.digest);
        text.replace(&format!("@{}-size@", self.name), &self.len.to_string()).into_bytes()
    }
}
