//! The system calls that preparing needs, behind a trait.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::mount::MntFlags;
use nix::sys::stat::Mode;

use super::plan::Call;

/// The machine, as far as preparing touches it.
pub trait Host {
    /// Makes a directory and its parents (0755); something that is there already is left as it is.
    fn make_dirs(&mut self, path: &Path) -> std::io::Result<()>;
    /// The same below `root`, resolving links as if `root` were `/`; returns the path on the host.
    fn make_dirs_beneath(&mut self, root: &Path, path: &Path) -> std::io::Result<PathBuf>;
    /// mount(2).
    fn mount(&mut self, target: &Path, call: &Call) -> Result<(), Errno>;
    /// Unmounts the topmost file system on `target`: at once, or lazily when it is busy. Not mounted is no error.
    fn unmount(&mut self, target: &Path) -> Result<(), Errno>;
    /// Whether something is mounted exactly on `target`.
    fn is_mount_point(&mut self, target: &Path) -> std::io::Result<bool>;
    /// Makes a cgroup and its parents.
    fn make_cgroup(&mut self, path: &Path) -> std::io::Result<()>;
}

/// The running kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel;

const CGROUPS: &str = "/sys/fs/cgroup";

impl Host for Kernel {
    fn make_dirs(&mut self, path: &Path) -> std::io::Result<()> {
        use std::io::ErrorKind::{AlreadyExists, NotFound};
        // Mostly it is there, or its parent is; asking what is there would be another look-up.
        let made = match std::fs::create_dir(path) {
            Err(error) if error.kind() == NotFound => std::fs::create_dir_all(path),
            other => other,
        };
        match made {
            // A file is a fine target for a bind mount of a file.
            Err(error) if error.kind() == AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn make_dirs_beneath(&mut self, root: &Path, path: &Path) -> std::io::Result<PathBuf> {
        let root =
            nix::fcntl::open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut so_far = PathBuf::new();
        let mut here = open_in(&root, Path::new("."))?;
        for part in path.components().filter(|part| !matches!(part, Component::CurDir | Component::RootDir)) {
            so_far.push(part);
            here = match open_in(&root, &so_far) {
                Err(Errno::ENOENT) => {
                    nix::sys::stat::mkdirat(
                        &here,
                        Path::new(part.as_os_str()),
                        Mode::from_bits_truncate(0o755),
                    )?;
                    open_in(&root, &so_far)?
                }
                other => other?,
            };
        }
        std::fs::read_link(format!("/proc/self/fd/{}", here.as_fd().as_raw_fd()))
    }

    fn mount(&mut self, target: &Path, call: &Call) -> Result<(), Errno> {
        nix::mount::mount(
            call.source.as_deref(),
            target,
            call.kind.as_deref(),
            call.flags,
            call.data.as_deref(),
        )
    }

    fn unmount(&mut self, target: &Path) -> Result<(), Errno> {
        match nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW) {
            Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
            Err(Errno::EBUSY) => {
                nix::mount::umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            }
            other => other,
        }
    }

    fn is_mount_point(&mut self, target: &Path) -> std::io::Result<bool> {
        let table = std::fs::read("/proc/self/mountinfo")?;
        Ok(lists_mount_point(&table, target))
    }

    fn make_cgroup(&mut self, path: &Path) -> std::io::Result<()> {
        let root = Path::new(CGROUPS);
        if root.join("cgroup.controllers").exists() {
            return std::fs::create_dir_all(root.join(path));
        }
        // Version 1: one tree per controller.
        for controller in std::fs::read_dir(root)? {
            let controller = controller?;
            if controller.file_type()?.is_dir() {
                std::fs::create_dir_all(controller.path().join(path))?;
            }
        }
        Ok(())
    }
}

fn open_in(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    nix::fcntl::openat2(root, path, how)
}

/// Whether `/proc/self/mountinfo` (proc_pid_mountinfo(5)) has `target` as a mount point.
fn lists_mount_point(table: &[u8], target: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let wanted = target.as_os_str().as_bytes();
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .any(|field| unescape(field) == wanted)
}

/// Undoes the octal escapes of blank, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(first));
        rest = if octal.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mount_points_are_found_with_blanks_in_their_names() {
        let table = b"22 1 0:21 / /proc rw - proc proc rw\n30 1 0:5 / /a\\040b\\134c rw,relatime shared:1 - tmpfs t rw\n";
        assert!(lists_mount_point(table, Path::new("/proc")));
        assert!(lists_mount_point(table, Path::new("/a b\\c")));
        assert!(!lists_mount_point(table, Path::new("/pro")));
        assert!(!lists_mount_point(b"", Path::new("")));
    }

    #[test]
    fn directories_below_a_root_never_leave_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("../../../..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("etc-link")).unwrap();
        std::fs::create_dir(root.join("etc")).unwrap();
        let cases = [("a/b", "a/b"), ("up/c", "c"), ("etc-link/d", "etc/d"), ("../../x", "x")];
        for (asked, made) in cases {
            let path = Kernel.make_dirs_beneath(&root, Path::new(asked)).unwrap();
            assert_eq!(path, root.canonicalize().unwrap().join(made), "{asked}");
            assert!(path.is_dir());
        }
    }

    proptest! {
        #[test]
        fn any_field_is_unescaped_to_no_more_bytes(field in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(unescape(&field).len() <= field.len());
        }
    }
}
