//! `kubevirt`: a disk in a container image, which KubeVirt runs as a machine.
//!
//! Source: KubeVirt's user guide, "containerDisk": one file below `/disk`, owned by user 107; the OCI image layout
//! specification, as a tar archive, which registries' tools push as it is. The disk is for BIOS and EFI: KubeVirt has both.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use serde_json::json;

use super::{Format, Job, OutputError, qcow2, raw_hybrid};
use crate::image::{Digest, Hashing};
use crate::tree::GENERATED_MTIME;

/// `NAME-kubevirt.tar`.
#[derive(Debug, Clone, Copy)]
pub struct KubeVirt;

const NAME: &str = "kubevirt";
/// Who runs QEMU in KubeVirt's pods.
const QEMU: u64 = 107;
/// The only one with a BIOS.
const ARCH: &str = "amd64";
/// Of tar (bytes).
const BLOCK: u64 = 512;

impl Format for KubeVirt {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-kubevirt.tar")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut raw = job.scratch(&format!("{}-{NAME}-raw", job.name))?;
        let path = raw.path().to_owned();
        raw_hybrid::disk(NAME, job, raw.file_mut(), &path, None)?;
        let mut disk = job.scratch(&format!("{}-{NAME}-disk", job.name))?;
        let path = disk.path().to_owned();
        qcow2::write(raw.file_mut(), disk.file_mut()).map_err(|error| error.of(NAME, &path))?;
        let out = job.create(&format!("{}-kubevirt.tar", job.name))?;
        let path = out.path().to_owned();
        archive(disk.file_mut(), BufWriter::new(out)).map_err(OutputError::io("write", &path))
    }
}

/// Writes an OCI layout with one image of one layer, which is the disk.
fn archive(disk: &mut File, out: impl Write) -> io::Result<()> {
    let (mut content, layer_len) = layer(disk)?;
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut content, &mut hashing)?;
    drop(content);
    let (_, layer_digest, _) = hashing.finish();
    let config = json!({
        "architecture": ARCH, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest.to_string()]},
    });
    let config = config.to_string().into_bytes();
    let descriptor = |kind: &str, digest: Digest, len: u64| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest.to_string(), "size": len,
        })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", Digest::of(&config), config.len() as u64),
        "layers": [descriptor("layer.v1.tar", layer_digest, layer_len)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut described = descriptor("manifest.v1+json", Digest::of(&manifest), manifest.len() as u64);
    described["platform"] = json!({"architecture": ARCH, "os": "linux"});
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [described],
    });

    let mut archive = tar::Builder::new(out);
    let blob = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    for (name, content) in [
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        (blob(Digest::of(&manifest)), manifest),
        (blob(Digest::of(&config)), config),
    ] {
        archive.append_data(&mut header(content.len() as u64, 0o644, 0), name, content.as_slice())?;
    }
    let (content, _) = layer(disk)?;
    archive.append_data(&mut header(layer_len, 0o644, 0), blob(layer_digest), content)?;
    archive.into_inner()?.flush()
}

/// The layer, and its length: an archive of a directory and the disk in it.
fn layer(disk: &mut File) -> io::Result<(impl Read + '_, u64)> {
    let len = disk.seek(SeekFrom::End(0))?;
    disk.seek(SeekFrom::Start(0))?;
    let mut directory = header(0, 0o755, 0);
    directory.set_entry_type(tar::EntryType::Directory);
    let mut file = header(len, 0o440, QEMU);
    let mut head = Vec::new();
    for (header, path) in [(&mut directory, "disk/"), (&mut file, "disk/disk.qcow2")] {
        header.set_path(path)?;
        header.set_cksum();
        head.extend(header.as_bytes());
    }
    // The last block is filled, and two empty ones end the archive (pax(1), "ustar Interchange Format").
    let end = len.next_multiple_of(BLOCK) - len + 2 * BLOCK;
    let total = head.len() as u64 + len + end;
    Ok((io::Cursor::new(head).chain(disk.take(len)).chain(io::repeat(0).take(end)), total))
}

fn header(len: u64, mode: u32, owner: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(len);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(GENERATED_MTIME);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn entries(archive: &[u8]) -> BTreeMap<String, (Vec<u8>, u32, u64)> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            let (mode, owner) = (header.mode().unwrap(), header.uid().unwrap());
            (entry.path().unwrap().display().to_string(), (content, mode, owner))
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn the_archive_is_an_image_with_the_disk_for_qemus_user() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(&[7; 70_001]).unwrap();
        let mut out = Vec::new();
        archive(&mut disk, &mut out).unwrap();
        let files = entries(&out);
        let json = |name: &str| -> Value { serde_json::from_slice(&files[name].0).unwrap() };
        let blob = |digest: &Value| {
            let name = format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
            let content = &files[&name].0;
            assert_eq!(Digest::of(content).to_string(), digest.as_str().unwrap());
            (name, content.len())
        };
        let index = json("index.json");
        let manifest = json(&blob(&index["manifests"][0]["digest"]).0);
        let config = json(&blob(&manifest["config"]["digest"]).0);
        let (layer, len) = blob(&manifest["layers"][0]["digest"]);
        assert_eq!(manifest["layers"][0]["size"], len);
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        let inside = entries(&files[&layer].0);
        assert_eq!(inside["disk/disk.qcow2"], (vec![7; 70_001], 0o440, QEMU));
        assert_eq!(inside.len(), 2);
    }
}
