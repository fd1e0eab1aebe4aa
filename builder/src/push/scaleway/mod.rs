//! An image in Scaleway: a server with a second volume writes the file to that, and a snapshot of it becomes the image.
//!
//! | file | duty |
//! |---|---|
//! | `ssh.rs` | commands on that server |

mod ssh;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::event::{Event, Work};
use crate::scaleway::{Cloud, ScalewayError, Server, Wait, addresses};
use ssh::Ssh;
pub use ssh::SshError;

/// The type of the server that writes.
const TYPE: &str = "DEV1-S";
/// What it runs.
const IMAGE: &str = "ubuntu_jammy";
/// What that type has on all its volumes, in GB.
const SPACE: u64 = 20;
/// What the server itself needs of it, in GB.
const OWN: u64 = 10;
/// How long a snapshot, or an image of it, may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What is made of which file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The CD or disk image.
    pub file: PathBuf,
    /// The image's name; the file's without `.iso`, if there is none.
    pub name: Option<String>,
    /// The key that root has there.
    pub ssh_key: Option<PathBuf>,
    /// A server that runs and has a second volume; one is made, if there is none.
    pub instance: Option<String>,
    /// Where that server has the volume.
    pub device: String,
    /// The volume's size in GB; the file's, if nothing is said.
    pub volume_size: Option<u64>,
    /// Leave server and volumes there.
    pub keep: bool,
    /// Where the server's key is kept meanwhile.
    pub directory: PathBuf,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum PushError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no room for it.
    #[error("cannot push {}: a volume of {size} GB is needed, and a {TYPE} has 1 to {} GB for it; \
             name a larger server with --instance-id", path.display(), SPACE - OWN)]
    Size {
        /// The file.
        path: PathBuf,
        /// The size of the volume.
        size: u64,
    },
    /// It would be read by a shell.
    #[error("{0:?} is no device: --device-name is such as /dev/vdb")]
    Device(String),
    /// Scaleway does not do it.
    #[error(transparent)]
    Cloud(#[from] ScalewayError),
    /// The server has no such thing.
    #[error("server {id} has no {what}")]
    Lacks {
        /// The server.
        id: String,
        /// `second volume`, `public address`.
        what: &'static str,
    },
    /// The server does not do it.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The volume has something else than was sent.
    #[error("the volume did not get what was sent: the SHA-256 there is {there}, here {here}")]
    Differs {
        /// That of the volume.
        there: String,
        /// That of the file.
        here: String,
    },
    /// What was begun is still there.
    #[error("{failure}; {what} is still there: {why}")]
    Left {
        /// What is left.
        what: String,
        /// Why it is of no use.
        failure: Box<PushError>,
        /// Why it is still there.
        why: Box<ScalewayError>,
    },
}

/// Makes an image of a file, and returns its id. It replaces others of one's own with that name, when it is there.
///
/// # Errors
/// When the file cannot be read, or Scaleway does not do its part; what was made for it is deleted then.
pub fn push(
    options: &Options,
    log_in: impl FnOnce() -> Result<Cloud, ScalewayError>,
    tell: &dyn Fn(Event<'_>),
) -> Result<String, PushError> {
    let path = &options.file;
    let read = |source| PushError::Read { path: path.clone(), source };
    let mut file = File::open(path).map_err(read)?;
    let (len, hash) = digest(&mut file).map_err(read)?;
    let size = options.volume_size.unwrap_or(len.div_ceil(1_000_000_000));
    if len == 0 || (options.instance.is_none() && !(1..=SPACE - OWN).contains(&size)) {
        return Err(PushError::Size { path: path.clone(), size });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    if !options.device.starts_with("/dev/") || !options.device.chars().all(plain) {
        return Err(PushError::Device(options.device.clone()));
    }
    let cloud = log_in()?;
    let name = name(options);
    let server = match &options.instance {
        Some(id) => Server { cloud: &cloud, id: id.clone() },
        None => Server::make(&cloud, description(size))?,
    };
    let image =
        write(&server, options, &name, (len, &hash), tell).and_then(|volume| make(&cloud, &name, &volume));
    // A server that was given goes only when all went well, as with LinuxKit.
    let stays = options.keep || (image.is_err() && options.instance.is_some());
    let gone = if stays { Ok(()) } else { server.delete() };
    let image = match (image, gone) {
        (Ok(image), Ok(())) => image,
        (Ok(image), Err(why)) => {
            tell(Event::Note(&format!(
                "server {} is not needed any more, and still there: {why}",
                server.id
            )));
            image
        }
        (Err(failure), Ok(())) => return Err(failure),
        (Err(failure), Err(why)) => return Err(left(format!("server {}", server.id), failure, why)),
    };
    if let Err(why) = replace(&cloud, &name, &image) {
        tell(Event::Note(&format!("an older image {name} is still there: {why}")));
    }
    Ok(image)
}

fn left(what: String, failure: PushError, why: ScalewayError) -> PushError {
    PushError::Left { what, failure: Box::new(failure), why: Box::new(why) }
}

/// Has the server write the file to its second volume, turns it off, and returns the volume's id.
fn write(
    server: &Server<'_>,
    options: &Options,
    name: &str,
    (len, hash): (u64, &str),
    tell: &dyn Fn(Event<'_>),
) -> Result<String, PushError> {
    let running = if options.instance.is_some() { server.look()? } else { server.start()? };
    let lacks = |what| PushError::Lacks { id: server.id.clone(), what };
    let volume = running["volumes"]["1"]["id"].as_str().ok_or_else(|| lacks("second volume"))?;
    let address = addresses(&running).into_iter().next().ok_or_else(|| lacks("public address"))?;
    let device = &options.device;
    let file =
        File::open(&options.file).map_err(|source| PushError::Read { path: options.file.clone(), source })?;
    let ssh = Ssh::open(&address, &server.id, options.ssh_key.as_deref(), &options.directory)?;
    let work = Work::Upload;
    tell(Event::Started { work, name });
    ssh.run(&format!("dd of={device} bs=1M conv=fsync status=none"), Some(file))?;
    let there = ssh.run(&format!("head -c {len} {device} | sha256sum"), None)?;
    let there = there.split_whitespace().next().unwrap_or_default();
    if there != hash {
        return Err(PushError::Differs { there: there.to_owned(), here: hash.to_owned() });
    }
    tell(Event::Finished { work, name, bytes: Some(len), digest: None });
    let volume = volume.to_owned();
    server.stop()?;
    Ok(volume)
}

/// Makes an image of a volume, and returns its id when it can be used.
fn make(cloud: &Cloud, name: &str, volume: &str) -> Result<String, PushError> {
    let body = json!({ "name": name, "volume_id": volume });
    let snapshot = cloud.make("/snapshots", body, "snapshot", &format!("make snapshot {name}"))?;
    let snapshot = id(&snapshot);
    let made = ready(cloud, "snapshot", &snapshot).and_then(|()| {
        let body = json!({ "name": name, "root_volume": snapshot, "arch": "x86_64" });
        let image = id(&cloud.make("/images", body, "image", &format!("make image {name}"))?);
        ready(cloud, "image", &image).map_err(|failure| undo(cloud, "image", &image, failure))?;
        Ok(image)
    });
    made.map_err(|failure| undo(cloud, "snapshot", &snapshot, failure))
}

fn ready(cloud: &Cloud, what: &'static str, id: &str) -> Result<(), PushError> {
    let passing = &["creating", "snapshotting", "importing"];
    let wait = Wait { what, wanted: &["available"], passing, patience: Some(PATIENCE) };
    cloud.wait(id, &wait)?;
    Ok(())
}

fn undo(cloud: &Cloud, kind: &str, id: &str, failure: PushError) -> PushError {
    match cloud.delete(kind, id) {
        Ok(()) => failure,
        Err(why) => left(format!("{kind} {id}"), failure, why),
    }
}

/// Deletes the other images of this name, and their snapshots.
fn replace(cloud: &Cloud, name: &str, image: &str) -> Result<(), ScalewayError> {
    for older in cloud.images(name)?.iter().filter(|older| older["id"] != image) {
        cloud.delete("image", &id(older))?;
        if let Some(snapshot) = older["root_volume"]["id"].as_str() {
            cloud.delete("snapshot", snapshot)?;
        }
    }
    Ok(())
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap_or_default().to_owned()
}

/// The server that writes, with a second volume of this size in GB.
fn description(size: u64) -> Value {
    let volume = |gigabytes: u64| json!({ "size": gigabytes * 1_000_000_000, "volume_type": "l_ssd" });
    let mut second = volume(size);
    second["name"] = "linuxkit-builder-volume".into();
    json!({
        "name": "linuxkit-builder", "commercial_type": TYPE, "image": IMAGE, "dynamic_ip_required": true,
        "boot_type": "local", "volumes": { "0": volume(SPACE - size), "1": second },
    })
}

fn name(options: &Options) -> String {
    let file = options.file.file_name().unwrap_or_default().to_string_lossy();
    options.name.clone().unwrap_or_else(|| file.strip_suffix(".iso").unwrap_or(&file).to_owned())
}

fn digest(file: &mut File) -> io::Result<(u64, String)> {
    let (mut hash, mut buffer, mut len) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                len += count as u64;
            }
        }
    }
    Ok((len, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_has_room_for_both_volumes() {
        let volumes = description(3)["volumes"].clone();
        assert_eq!(
            (&volumes["0"]["size"], &volumes["1"]["size"]),
            (&json!(17_000_000_000_u64), &json!(3_000_000_000_u64))
        );
    }
}
