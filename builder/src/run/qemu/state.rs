//! What a machine keeps on the host, in a directory of its own.
//!
//! | file | content |
//! |---|---|
//! | `mac-addr` | the MAC address |
//! | `disk.qcow2`, `disk1.qcow2`, … | data disks that were given without a path |
//! | `data.iso` | the metadata CD, written anew at every start |
//! | `efi-vars.fd` | the variables of its EFI firmware |
//! | `qemu.pid` | QEMU's process number, as long as it runs |
//! | `qmp` | QEMU's control socket |
//! | `console.log` | the console of a detached machine |
//! | `virtiofs0.sock`, `virtiofs0.log`, … | where a directory is shared with the machine, and what is wrong there |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use super::super::disk::{DiskRequest, Format};
use super::{Drive, Metadata, QemuError, absolute, format_of, launch, stop};
use crate::bounded;
use crate::output::metadata_cd::{self, MetadataCdError};

/// Why the state directory is of no use.
#[derive(Debug, Error)]
pub enum StateError {
    /// Reading or writing failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A machine uses it.
    #[error("a machine with the state {} runs already, as process {pid}: stop it, or give this one another --state", path.display())]
    Running {
        /// The directory.
        path: PathBuf,
        /// QEMU's process number.
        pid: u32,
    },
    /// `mac-addr` holds something else.
    #[error("{} does not hold a MAC address of a single machine: remove it, and a new one is made", .0.display())]
    Mac(PathBuf),
    /// A disk must be made, and nobody said how large.
    #[error("the disk {} is not there, and no size is given to make it: add ,size=1G", .0.display())]
    NoSize(PathBuf),
    /// `qemu-img` failed.
    #[error("qemu-img could not make the disk {}: {message}", path.display())]
    Create {
        /// The disk.
        path: PathBuf,
        /// What `qemu-img` said.
        message: String,
    },
    /// The metadata CD could not be made.
    #[error("cannot make the metadata CD {}", path.display())]
    Metadata {
        /// The CD's image.
        path: PathBuf,
        /// Why not.
        source: MetadataCdError,
    },
}

/// A machine's directory.
pub struct State {
    path: PathBuf,
}

impl State {
    /// Makes the directory, for its owner only, unless it is there.
    pub fn open(path: &Path) -> Result<Self, QemuError> {
        let path = absolute(path)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(io_error("make the state directory", &path))?;
        let state = Self { path };
        match state.running() {
            Some(pid) => Err(StateError::Running { path: state.path, pid }.into()),
            None => Ok(state),
        }
    }

    /// Where QEMU writes its process number.
    pub fn pid_file(&self) -> PathBuf {
        self.path.join("qemu.pid")
    }

    /// Where a detached machine's console goes.
    pub fn console_log(&self) -> PathBuf {
        self.path.join("console.log")
    }

    /// Where QEMU takes orders; `None` when the directory's name is too long for a socket.
    pub fn control_socket(&self) -> Option<PathBuf> {
        self.socket(stop::SOCKET)
    }

    /// A socket in the directory; `None` when the directory's name is too long for it.
    pub fn socket(&self, name: &str) -> Option<PathBuf> {
        /// Bytes in a socket's address, with the NUL at its end (unix(7)).
        const LONGEST: usize = 108;
        Some(self.path.join(name)).filter(|path| path.as_os_str().len() < LONGEST)
    }

    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The QEMU that uses this directory now. A number that is left over may belong to another process by now.
    fn running(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.pid_file()).ok()?.trim().parse::<u32>().ok()?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        name.starts_with("qemu").then_some(pid)
    }

    /// The machine's MAC address, made at its first start.
    pub fn mac(&self) -> Result<String, StateError> {
        let path = self.path.join("mac-addr");
        match fs::read_to_string(&path) {
            Ok(text) if is_mac(text.trim()) => Ok(text.trim().to_owned()),
            Ok(_) => Err(StateError::Mac(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut random = [0; 6];
                let source = Path::new("/dev/urandom");
                File::open(source)
                    .and_then(|mut f| f.read_exact(&mut random))
                    .map_err(io_error("read", source))?;
                let mac = random_mac(random);
                write_whole(&path, |file| file.write_all(mac.as_bytes()))
                    .map_err(io_error("write", &path))?;
                Ok(mac)
            }
            Err(source) => Err(StateError::Io { action: "read", path, source }),
        }
    }

    /// Finds the data disks, and makes those that are not there.
    pub fn disks(&self, requests: &[DiskRequest]) -> Result<Vec<Drive>, QemuError> {
        requests.iter().enumerate().map(|(index, request)| self.disk(index, request)).collect()
    }

    fn disk(&self, index: usize, request: &DiskRequest) -> Result<Drive, QemuError> {
        let path = match &request.path {
            Some(path) => absolute(path)?,
            None => self.path.join(default_disk_name(index, request.format)),
        };
        match format_of(&path) {
            Ok(told) => Ok(Drive { format: format_of_existing(&path, request.format, told), path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(size) = request.size else { return Err(StateError::NoSize(path).into()) };
                let drive = Drive { format: format_of_new(&path, request.format), path };
                create(&drive, size.bytes())?;
                Ok(drive)
            }
            Err(source) => Err(StateError::Io { action: "read the disk", path, source }.into()),
        }
    }

    /// The machine's own variable store, at first a copy of `template`.
    pub fn efi_variables(&self, template: &Path) -> Result<PathBuf, StateError> {
        let path = self.path.join("efi-vars.fd");
        if !path.exists() {
            let mut from = File::open(template).map_err(io_error("read", template))?;
            write_whole(&path, |file| io::copy(&mut from, file).map(drop))
                .map_err(io_error("write", &path))?;
        }
        Ok(path)
    }

    /// Writes the metadata CD.
    pub fn metadata_cd(&self, metadata: &Metadata) -> Result<PathBuf, StateError> {
        let path = self.path.join("data.iso");
        let refused = |source| StateError::Metadata { path: path.clone(), source };
        let config = match metadata {
            Metadata::Text(text) => text.clone().into_bytes(),
            Metadata::File(file) => bounded::read(file, metadata_cd::LIMIT as u64)
                .map_err(io_error("read the metadata", file))?
                .ok_or_else(|| refused(MetadataCdError::TooLarge))?,
        };
        let mut image = Vec::new();
        metadata_cd::write(&mut image, &config).map_err(refused)?;
        write_whole(&path, |file| file.write_all(&image))
            .map_err(io_error("write the metadata CD", &path))?;
        Ok(path)
    }
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { action, path: path.to_owned(), source }
}

/// `disk.qcow2`, `disk1.qcow2`, …
fn default_disk_name(index: usize, format: Option<Format>) -> String {
    let number = if index == 0 { String::new() } else { index.to_string() };
    format!("disk{number}.{}", format.unwrap_or(Format::Qcow2).name())
}

/// What was asked for counts, then a file name that is plain about it, then the first bytes. A machine can write
/// qcow2's first bytes on its own raw disk: name such a disk `.raw`, or give the format.
fn format_of_existing(path: &Path, asked: Option<Format>, told: Format) -> Format {
    asked.or_else(|| Format::of_name(path)).unwrap_or(told)
}

fn format_of_new(path: &Path, asked: Option<Format>) -> Format {
    asked.or_else(|| Format::of_name(path)).unwrap_or(Format::Qcow2)
}

fn create(drive: &Drive, bytes: u64) -> Result<(), QemuError> {
    let program = launch::program("qemu-img", "qemu-utils")?;
    let output = Command::new(&program)
        .args(["create", "-q", "-f", drive.format.name()])
        .arg(&drive.path)
        .arg(bytes.to_string())
        .output()
        .map_err(|source| QemuError::Start { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(StateError::Create { path: drive.path.clone(), message }.into())
}

/// A locally administered address of a single machine.
fn random_mac(mut random: [u8; 6]) -> String {
    random[0] = random[0] & 0xFC | 0x02;
    random.map(|byte| format!("{byte:02x}")).join(":")
}

fn is_mac(text: &str) -> bool {
    let bytes: Vec<_> =
        text.split(':').map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2)).collect();
    matches!(bytes[..], [Some(first), Some(_), Some(_), Some(_), Some(_), Some(_)] if first & 1 == 0)
}

/// Writes a file, readable by its owner only, so that it is there whole or not at all.
fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let result =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).and_then(
            |mut file| {
                write(&mut file)?;
                file.sync_all()?;
                fs::rename(&temporary, path)
            },
        );
    if result.is_err() {
        // The first error counts; a left-over is overwritten by the next attempt.
        let _left_over = fs::remove_file(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("m-state")).unwrap();
        (dir, state)
    }

    #[test]
    fn the_mac_address_stays() {
        let (_dir, state) = state();
        let mac = state.mac().unwrap();
        assert_eq!(state.mac().unwrap(), mac);
        assert_eq!(random_mac([0xFF; 6]), "fe:ff:ff:ff:ff:ff");
        assert_eq!(random_mac([0; 6]), "02:00:00:00:00:00");
        fs::write(state.path.join("mac-addr"), "01:00:00:00:00:00,netdev=x").unwrap();
        assert!(matches!(state.mac(), Err(StateError::Mac(_))));
    }

    #[test]
    fn the_state_and_its_metadata_are_for_their_owner_only() {
        let (_dir, state) = state();
        let cd = state.metadata_cd(&Metadata::Text("secret".into())).unwrap();
        assert_eq!(fs::metadata(&state.path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&cd).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read(&cd).unwrap().windows(6).any(|w| w == b"secret"));
        let error = state.metadata_cd(&Metadata::File("/nonexistent".into())).unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
        let error = state.metadata_cd(&Metadata::File("/dev/zero".into())).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("it holds up to 64 MiB of metadata"), "{source}");
    }

    #[test]
    fn a_missing_disk_is_made_and_kept() {
        let (_dir, state) = state();
        let requests: Vec<DiskRequest> =
            ["size=1G", "size=2M,format=raw"].map(|r| r.parse().unwrap()).to_vec();
        let drives = state.disks(&requests).unwrap();
        assert_eq!(drives[0], Drive { path: state.path.join("disk.qcow2"), format: Format::Qcow2 });
        assert_eq!(drives[1], Drive { path: state.path.join("disk1.raw"), format: Format::Raw });
        assert_eq!(fs::metadata(&drives[1].path).unwrap().len(), 2 << 20);
        fs::write(&drives[1].path, b"kept").unwrap();
        assert_eq!(state.disks(&requests).unwrap(), drives);
        assert_eq!(fs::read(&drives[1].path).unwrap(), b"kept");
    }

    #[test]
    fn a_missing_disk_without_a_size_is_an_error() {
        let (dir, state) = state();
        let request = DiskRequest { path: Some(dir.path().join("none.img")), ..DiskRequest::default() };
        let error = state.disks(&[request]).unwrap_err().to_string();
        assert!(error.contains("none.img") && error.contains("size=1G"), "{error}");
    }

    #[test]
    fn the_format_is_as_asked_then_as_named_then_as_found() {
        let (raw, qcow2) = (Format::Raw, Format::Qcow2);
        for (path, asked, told, existing, new) in [
            ("a.img", None, qcow2, qcow2, qcow2),
            ("a.img", None, raw, raw, qcow2),
            ("a.raw", None, qcow2, raw, raw),
            ("a.qcow2", Some(raw), qcow2, raw, raw),
        ] {
            assert_eq!(format_of_existing(Path::new(path), asked, told), existing, "{path}");
            assert_eq!(format_of_new(Path::new(path), asked), new, "{path}");
        }
    }

    #[test]
    fn a_left_over_process_number_does_not_count() {
        let (_dir, state) = state();
        for pid in ["", "nonsense", "4294967295", &std::process::id().to_string()] {
            fs::write(state.pid_file(), pid).unwrap();
            assert_eq!(state.running(), None, "{pid}");
        }
    }
}
