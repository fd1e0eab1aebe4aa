//! Images and archives for tests.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::{Cache, Digest, Image, Reference};

/// A tar archive under construction.
#[derive(Default)]
pub(crate) struct Layer {
    archive: Vec<u8>,
}

impl Layer {
    /// Any entry; the name goes into the header as it is, however hostile.
    pub(crate) fn raw(mut self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1);
        header.set_gid(2);
        header.set_mtime(1000);
        header.set_size(content.len() as u64);
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        header.set_cksum();
        self.archive.extend(header.as_bytes());
        self.bytes(content)
    }

    /// A content, padded.
    pub(crate) fn bytes(mut self, content: &[u8]) -> Self {
        self.archive.extend(content);
        self.archive.resize(self.archive.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.raw(EntryType::Directory, name, "", 0o755, b"")
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.raw(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(crate) fn hardlink(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Link, name, target, 0o644, b"")
    }

    /// PAX records for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut block = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let len = (1..).find(|len| rest + format!("{len}").len() == *len).unwrap();
            block.extend(format!("{len} {key}=").as_bytes());
            block.extend(*value);
            block.push(b'\n');
        }
        self.raw(EntryType::XHeader, "pax", "", 0o644, &block)
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.archive.extend([0; 1024]);
        self.archive
    }
}

/// How a layer's blob is stored.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    Plain,
    Gzip,
    Zstd,
}

/// An OCI layout directory under construction.
pub(crate) struct Layout<'a> {
    dir: &'a Path,
    manifests: Vec<Value>,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(dir: &'a Path) -> Self {
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { dir, manifests: Vec::new() }
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({"digest": digest.to_string(), "size": bytes.len()})
    }

    /// A manifest's descriptor, without a name.
    pub(crate) fn manifest(&self, arch: &str, config: Value, layers: &[(Vec<u8>, Stored)]) -> Value {
        let with_type = |mut descriptor: Value, kind: &str| {
            descriptor["mediaType"] = json!(kind);
            descriptor
        };
        let diff_ids: Vec<String> = layers.iter().map(|(layer, _)| Digest::of(layer).to_string()).collect();
        let config = json!({
            "architecture": arch,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let layers: Vec<Value> = layers
            .iter()
            .map(|(layer, stored)| {
                let (bytes, suffix) = match stored {
                    Stored::Plain => (layer.clone(), ""),
                    Stored::Gzip => (gzip(layer), "+gzip"),
                    Stored::Zstd => (zstd::encode_all(&layer[..], 1).unwrap(), "+zstd"),
                };
                with_type(self.blob(&bytes), &format!("application/vnd.oci.image.layer.v1.tar{suffix}"))
            })
            .collect();
        let config =
            with_type(self.blob(config.to_string().as_bytes()), "application/vnd.oci.image.config.v1+json");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        with_type(self.blob(manifest.to_string().as_bytes()), "application/vnd.oci.image.manifest.v1+json")
    }

    pub(crate) fn index(&self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        let mut descriptor = self.blob(index.to_string().as_bytes());
        descriptor["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
        descriptor
    }

    pub(crate) fn add(&mut self, name: &str, mut descriptor: Value) {
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.manifests.push(descriptor);
        let index = json!({"schemaVersion": 2, "manifests": self.manifests});
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Puts an amd64 image of these layers into a cache.
pub(crate) fn add_image(cache: &Cache, name: &str, config: Value, layers: &[(Vec<u8>, Stored)]) -> Image {
    let dir = tempfile::tempdir().unwrap();
    let mut layout = Layout::new(dir.path());
    let manifest = layout.manifest("amd64", config, layers);
    layout.add(name, manifest);
    let reference: Reference = name.parse().unwrap();
    cache.import(dir.path(), Some(&reference)).unwrap();
    cache.resolve(&reference, "amd64").unwrap().unwrap()
}
