//! One open directory, and what can be done below it without leaving it.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, readlinkat, renameat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, linkat, symlinkat, unlinkat};

use super::compose::join;
use super::names::NEW_DATA;
use crate::tree::Owner;

/// Most entries that one directory is believed to have.
const MAX_ENTRIES: usize = 16 * 1024;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory, not a link to one.
    Directory,
    /// Anything else.
    Other,
}

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

    /// Permissions and owner; the owner last, because giving away takes the right to change permissions.
    pub(super) fn set_mode_and_owner(&self, mode: u32, owner: Option<Owner>) -> nix::Result<()> {
        self.set_mode(mode)?;
        match owner {
            Some(owner) if self.mode_and_owner()?.1 != owner => give(&self.0, owner),
            _ => Ok(()),
        }
    }

    pub(super) fn mode_and_owner(&self) -> nix::Result<(u32, Owner)> {
        let stat = fstat(&self.0)?;
        Ok((stat.st_mode & 0o7777, Owner { user: stat.st_uid, group: stat.st_gid }))
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
        if let Some(owner) = owner {
            give(&file, owner)?;
        }
        fsync(&file)
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
                None => self.kind(&join(path, name))?,
            };
            found.push((name.to_owned(), kind));
        }
        Ok(found)
    }

    /// What is there, links not followed.
    pub(super) fn kind(&self, path: &str) -> nix::Result<Kind> {
        let (parent, name) = self.parent(path)?;
        let stat = fstatat(parent.at(self), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let is_directory = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
        Ok(if is_directory { Kind::Directory } else { Kind::Other })
    }

    /// Where a link leads, which is text.
    pub(super) fn read_link(&self, path: &str) -> nix::Result<String> {
        let (parent, name) = self.parent(path)?;
        readlinkat(parent.at(self), name)?.into_string().map_err(|_| Errno::EILSEQ)
    }

    /// Makes a link that leads to `text`.
    pub(super) fn make_link(&self, text: &str, path: &str) -> nix::Result<()> {
        let (parent, name) = self.parent(path)?;
        symlinkat(text, parent.at(self), name)
    }

    /// Makes `name` in `to` another name of what is at `path`, which is no directory.
    pub(super) fn link(&self, path: &str, to: &Self, name: &str) -> nix::Result<()> {
        let (parent, old) = self.parent(path)?;
        linkat(parent.at(self), old, &to.0, name, AtFlags::empty())
    }

    /// Moves an entry over what is at `to`, in one step.
    pub(super) fn rename(&self, from: &str, to: &str) -> nix::Result<()> {
        self.rename_with(from, to, RenameFlags::empty())
    }

    /// Exchanges two entries. Where the file system cannot, the second moves aside first: for an instant there is nothing
    /// at its name, but never half of anything.
    pub(super) fn exchange(&self, a: &str, b: &str) -> nix::Result<()> {
        match self.rename_with(a, b, RenameFlags::RENAME_EXCHANGE) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => self.exchange_in_steps(a, b),
            result => result,
        }
    }

    pub(super) fn exchange_in_steps(&self, a: &str, b: &str) -> nix::Result<()> {
        self.rename_with(a, NEW_DATA, RenameFlags::RENAME_NOREPLACE)?;
        self.rename_with(b, a, RenameFlags::RENAME_NOREPLACE)?;
        self.rename_with(NEW_DATA, b, RenameFlags::RENAME_NOREPLACE)
    }

    fn rename_with(&self, from: &str, to: &str, flags: RenameFlags) -> nix::Result<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        renameat2(from_parent.at(self), from_name, to_parent.at(self), to_name, flags)?;
        fsync(from_parent.at(self))?;
        fsync(to_parent.at(self))
    }

    /// Removes what is at a path, and in it, if anything is.
    pub(super) fn remove_all(&self, path: &str) -> Result<(), (String, Errno)> {
        let kind = match self.kind(path) {
            Ok(kind) => kind,
            Err(Errno::ENOENT) => return Ok(()),
            Err(cause) => return Err((path.to_owned(), cause)),
        };
        let mut todo = vec![(path.to_owned(), kind)];
        let mut found = Vec::new();
        while let Some((path, kind)) = todo.pop() {
            if kind == Kind::Directory {
                let names = self.list(&path).map_err(|cause| (path.clone(), cause))?;
                todo.extend(names.into_iter().map(|(name, kind)| (join(&path, &name), kind)));
            }
            found.push((path, kind));
        }
        let remove = |(path, kind): (String, Kind)| self.remove(&path, kind).map_err(|cause| (path, cause));
        found.into_iter().rev().try_for_each(remove)
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

fn give(file: impl AsFd, owner: Owner) -> nix::Result<()> {
    fchown(file, Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(owner.group)))
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
