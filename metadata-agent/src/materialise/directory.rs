//! One open directory, and what can be done below it without leaving it.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, renameat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, unlinkat};

use super::plan::Kind;
use crate::tree::Owner;

/// Most entries that one directory is believed to have.
const MAX_ENTRIES: usize = 16 * 1024;

/// An open directory. Paths are relative to it, of components that are [`crate::tree::Name`]s; the empty path is itself.
pub(super) struct Directory(OwnedFd);

impl Directory {
    /// Opens `path`, which is made (0755) if need be. Its parents are trusted, itself must not be a link.
    pub(super) fn make_and_open(path: &Path) -> nix::Result<Self> {
        match nix::unistd::mkdir(path, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(cause) => return Err(cause),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match nix::fcntl::open(path, flags, Mode::empty()) {
            // With O_DIRECTORY the kernel calls a link ENOTDIR.
            Err(Errno::ENOTDIR) if path.is_symlink() => Err(Errno::ELOOP),
            opened => opened.map(Self),
        }
    }

    /// Locks it for as long as the result lives; none if another process has.
    pub(super) fn lock(&self) -> nix::Result<Option<File>> {
        let file = File::from(self.0.try_clone().map_err(errno)?);
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(errno(error)),
        }
    }

    /// Opens a directory below.
    pub(super) fn open(&self, path: &str) -> nix::Result<Self> {
        self.beneath(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0).map(Self)
    }

    /// Makes a directory with these permissions, whatever the umask.
    pub(super) fn make(&self, name: &str, mode: u32) -> nix::Result<()> {
        mkdirat(&self.0, name, Mode::from_bits_truncate(mode))?;
        self.open(name)?.set_mode(mode)
    }

    pub(super) fn set_mode(&self, mode: u32) -> nix::Result<()> {
        fchmod(&self.0, Mode::from_bits_truncate(mode))
    }

    /// Writes a file that is not there yet, synced, with these permissions, whatever the umask, and gives it away.
    pub(super) fn write_new(
        &self,
        name: &str,
        mode: u32,
        owner: Option<Owner>,
        content: &[u8],
    ) -> nix::Result<()> {
        let mut file =
            File::from(self.beneath(name, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL, 0o600)?);
        file.write_all(content).map_err(errno)?;
        fchmod(&file, Mode::from_bits_truncate(mode))?;
        if let Some(Owner { user, group }) = owner {
            fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        fsync(&file)
    }

    /// Reads a regular file of at most `limit` bytes.
    pub(super) fn read(&self, path: &str, limit: usize) -> nix::Result<Vec<u8>> {
        let file = File::from(self.beneath(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0)?);
        if !file.metadata().map_err(errno)?.is_file() {
            return Err(Errno::EINVAL);
        }
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(errno)?;
        if bytes.len() > limit { Err(Errno::EFBIG) } else { Ok(bytes) }
    }

    /// Names and kinds of what is in a directory. A name that is not UTF-8 can't be ours: it is listed with a NUL, which
    /// no name of ours has and no system call takes.
    pub(super) fn list(&self, path: &str) -> nix::Result<Vec<(String, Kind)>> {
        let opened = if path.is_empty() { self.open(".")? } else { self.open(path)? };
        let mut directory = Dir::from_fd(opened.0)?;
        let mut found = Vec::new();
        for entry in directory.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if found.len() >= MAX_ENTRIES {
                return Err(Errno::EOVERFLOW);
            }
            let Ok(name) = std::str::from_utf8(name) else {
                found.push((format!("{}\0", String::from_utf8_lossy(name)), Kind::Other));
                continue;
            };
            let kind = match entry.file_type() {
                Some(Type::Directory) => Kind::Directory,
                Some(_) => Kind::Other,
                None => self.kind(&super::join(path, name))?,
            };
            found.push((name.to_owned(), kind));
        }
        Ok(found)
    }

    /// For file systems whose listings don't say.
    fn kind(&self, path: &str) -> nix::Result<Kind> {
        let (parent, name) = self.parent(path)?;
        let stat = fstatat(parent.at(self), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let is_directory = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
        Ok(if is_directory { Kind::Directory } else { Kind::Other })
    }

    /// Moves `path` to the same path below `to`, over anything but a directory.
    pub(super) fn rename_to(&self, to: &Self, path: &str) -> nix::Result<()> {
        self.rename(to, path, RenameFlags::empty())
    }

    /// Exchanges `path` with the same path below `to`. Where the file system cannot, the old one moves aside first, to
    /// the name `aside` here.
    pub(super) fn exchange_with(&self, to: &Self, path: &str, aside: &str) -> nix::Result<()> {
        match self.rename(to, path, RenameFlags::RENAME_EXCHANGE) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => self.move_aside(to, path, aside),
            result => result,
        }
    }

    /// Two renames: for an instant there is nothing at `path`, but never half of anything.
    pub(super) fn move_aside(&self, to: &Self, path: &str, aside: &str) -> nix::Result<()> {
        let (there, name) = to.parent(path)?;
        renameat2(there.at(to), name, &self.0, aside, RenameFlags::RENAME_NOREPLACE)?;
        self.rename_to(to, path)
    }

    fn rename(&self, to: &Self, path: &str, flags: RenameFlags) -> nix::Result<()> {
        let (from_parent, name) = self.parent(path)?;
        let (to_parent, _) = to.parent(path)?;
        renameat2(from_parent.at(self), name, to_parent.at(to), name, flags)?;
        fsync(to_parent.at(to))
    }

    /// Removes a file, or a directory that is empty.
    pub(super) fn remove(&self, path: &str, kind: Kind) -> nix::Result<()> {
        let (parent, name) = self.parent(path)?;
        let flags = match kind {
            Kind::Directory => UnlinkatFlags::RemoveDir,
            Kind::Other => UnlinkatFlags::NoRemoveDir,
        };
        unlinkat(parent.at(self), name, flags)
    }

    pub(super) fn sync(&self) -> nix::Result<()> {
        fsync(&self.0)
    }

    /// The open directory that holds `path`'s last component, and that component.
    fn parent<'p>(&self, path: &'p str) -> nix::Result<(Parent, &'p str)> {
        match path.rsplit_once('/') {
            None => Ok((Parent::Itself, path)),
            Some((parent, name)) => Ok((Parent::Below(self.open(parent)?), name)),
        }
    }

    fn beneath(&self, path: &str, flags: OFlag, mode: u32) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .mode(Mode::from_bits_truncate(mode))
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        openat2(self.0.as_fd(), path, how)
    }
}

enum Parent {
    Itself,
    Below(Directory),
}

impl Parent {
    fn at<'a>(&'a self, itself: &'a Directory) -> &'a OwnedFd {
        match self {
            Self::Itself => &itself.0,
            Self::Below(directory) => &directory.0,
        }
    }
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
