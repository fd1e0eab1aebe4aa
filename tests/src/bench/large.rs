//! An image with a root filesystem that is larger than anybody's memory for builds.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use lkb::image::{Digest, Hashing};
use serde_json::{Value, json};

/// What the image is called.
pub(super) const NAME: &str = "docker.io/bench/large:1";
/// Files of the image, and bytes of each: 6 GiB.
pub(super) const FILES: u64 = 96;
pub(super) const FILE: u64 = 64 << 20;
/// Of tar.
const BLOCK: usize = 512;

/// Writes an OCI layout (image-spec, image-layout.md) with this image over the directory `dir`: `files` files of `size` bytes,
/// one half of which can be compressed.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(dir: &Path, files: u64, size: u64) -> io::Result<()> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let path = blobs.join("layer");
    let mut layer = Hashing::new(BufWriter::new(File::create(&path)?));
    // What it is does not matter, as long as it cannot be compressed.
    let mut noise = Vec::new();
    File::open("/dev/urandom")?.take(size).read_to_end(&mut noise)?;
    for number in 0..files {
        layer.write_all(&header(&format!("data/{number}"), size)?)?;
        if number % 2 == 0 {
            // No two files are equal.
            let at = usize::try_from(number).unwrap_or(0) << 10;
            layer.write_all(&noise[at..])?;
            layer.write_all(&noise[..at])?;
        } else {
            io::copy(&mut io::repeat(number as u8).take(size), &mut layer)?;
        }
    }
    layer.write_all(&[0; 2 * BLOCK])?;
    layer.flush()?;
    let (_, digest, len) = layer.finish();
    fs::rename(path, blobs.join(digest.hex()))?;

    let blob = |kind: &str, content: &Value| -> io::Result<Value> {
        let bytes = content.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        fs::write(blobs.join(digest.hex()), &bytes)?;
        Ok(descriptor(&format!("{kind}.v1+json"), digest, bytes.len() as u64))
    };
    let rootfs = json!({"type": "layers", "diff_ids": [digest.to_string()]});
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs});
    let config = blob("config", &config)?;
    let layers = [descriptor("layer.v1.tar", digest, len)];
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let mut manifest = blob(
        "manifest",
        &json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}),
    )?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": NAME});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(dir.join("index.json"), index.to_string())?;
    fs::write(dir.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())
}

fn descriptor(kind: &str, digest: Digest, len: u64) -> Value {
    json!({
        "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest.to_string(), "size": len,
    })
}

/// The header of a regular file (POSIX.1, "ustar Interchange Format").
fn header(name: &str, size: u64) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000001");
    put(148, "        0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    write!(&mut header[148..155], "{sum:06o}\0")?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lkb::image::entries;

    #[test]
    fn the_layout_names_its_image_whose_layer_has_the_files() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 3, 1 << 20).unwrap();
        let index: Value = serde_json::from_slice(&fs::read(dir.path().join("index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], NAME);
        let blobs = fs::read_dir(dir.path().join("blobs/sha256")).unwrap();
        let largest =
            blobs.map(|blob| blob.unwrap().path()).max_by_key(|path| fs::metadata(path).unwrap().len());
        let layer = fs::read(largest.unwrap()).unwrap();
        let files = entries(&layer[..], 0, layer.len() as u64).unwrap();
        assert_eq!(files.len(), 3);
    }
}
