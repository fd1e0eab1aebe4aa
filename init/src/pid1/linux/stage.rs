//! From the initramfs to a root on a disk, and to the init that is there.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::mount::MsFlags;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, chdir, chroot, execve, unlinkat};

use super::super::system::{Result, System};
use super::Linux;
use crate::stage::{BEGUN, SECOND_STAGE};

/// Directories in directories in … that are deleted; an initrd with more keeps them, and its memory.
const DEPTH: usize = 64;

/// Makes a mount point the root, and deletes what is on the initramfs that was the root before: it would take memory for
/// as long as the machine runs.
pub fn leave_initramfs(linux: &Linux, new_root: &str) -> Result<()> {
    // Checked again, here: everything on the old root is about to be deleted.
    let in_memory = linux.root_is_memory()?;
    let old = open("/", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    chdir(new_root)?;
    nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    chroot(".")?;
    chdir("/")?;
    if in_memory {
        let device = fstat(&old)?.st_dev;
        delete_below(old, device, DEPTH);
    }
    Ok(())
}

/// Deletes what is in a directory and on its file system. What cannot be deleted stays: it only takes memory.
fn delete_below(directory: OwnedFd, device: u64, depth: usize) {
    let Ok(mut entries) = Dir::from_fd(directory) else { return };
    let names: Vec<CString> =
        entries.iter().filter_map(|entry| Some(entry.ok()?.file_name().to_owned())).collect();
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        let Ok(found) = fstatat(entries.as_fd(), name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        if found.st_dev != device {
            continue;
        }
        let is_directory = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
        let how = if is_directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        if is_directory && depth > 0 {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            if let Ok(below) = nix::fcntl::openat(entries.as_fd(), name.as_c_str(), flags, Mode::empty()) {
                delete_below(below, device, depth - 1);
            }
        }
        // A mount point, or a file that the kernel holds: it stays.
        unlinkat(entries.as_fd(), name.as_c_str(), how).ok();
    }
}

/// Becomes another program, with the arguments and environment that the kernel gave this one, which began at `begun`.
pub fn exec(program: &str, begun: Duration) -> Errno {
    let text = |text: OsString| CString::new(text.into_vec()).ok();
    let Ok(path) = CString::new(program) else { return Errno::EINVAL };
    let arguments = std::env::args_os().skip(1).filter_map(text);
    let arguments: Vec<CString> = std::iter::once(path.clone()).chain(arguments).collect();
    let variables = std::env::vars_os().filter_map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        text(name)
    });
    let markers = [SECOND_STAGE.to_owned(), format!("{BEGUN}={}", begun.as_micros())];
    let markers = markers.into_iter().filter_map(|marker| CString::new(marker).ok());
    let environment: Vec<CString> = variables.chain(markers).collect();
    // Blocked signals stay so across execve(2), and other inits do not expect that.
    let unblocked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    let result = unblocked.and_then(|()| execve(&path, &arguments, &environment));
    if let Err(errno) = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None) {
        return errno;
    }
    match result {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn everything_below_a_directory_is_deleted_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (old, other) = (dir.path().join("old"), dir.path().join("other"));
        std::fs::create_dir_all(old.join("a/b/c")).unwrap();
        std::fs::create_dir(&other).unwrap();
        for file in ["x", "a/y", "a/b/c/z"] {
            File::create(old.join(file)).unwrap();
        }
        File::create(other.join("kept")).unwrap();
        std::os::unix::fs::symlink(&other, old.join("a/link")).unwrap();
        let handle = OwnedFd::from(File::open(&old).unwrap());
        let device = fstat(&handle).unwrap().st_dev;
        delete_below(handle.try_clone().unwrap(), device + 1, DEPTH);
        assert!(old.join("a/b/c/z").exists(), "another file system was touched");
        delete_below(handle, device, DEPTH);
        assert_eq!(std::fs::read_dir(&old).unwrap().count(), 0);
        assert!(other.join("kept").exists());
    }

    #[test]
    fn a_program_that_is_missing_is_told_by_its_errno() {
        assert_eq!(exec("/no/such/init", Duration::ZERO), Errno::ENOENT);
        assert_eq!(exec("a\0b", Duration::ZERO), Errno::EINVAL);
    }
}
