//! Mounts that are held by a descriptor: made or copied first, and then put in their place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libcontainer::syscall::Syscall;
use libcontainer::syscall::SyscallError;
use libcontainer::syscall::linux::{LinuxSyscall, MountAttr};
use nix::errno::Errno;
use nix::mount::MsFlags;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::runtime::RuntimeError;
use crate::runtime::prepare::{self, Call, Change};

/// A mount; it is gone when it is dropped before it has a place.
#[derive(Debug)]
pub struct Tree(OwnedFd);

impl Tree {
    /// A new file system of the kernel's own, in the namespaces of the calling process.
    pub fn new(kind: &str, call: &Call) -> Result<Self, rustix::io::Errno> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        if let Some(source) = &call.source {
            fsconfig_set_string(&context, "source", source.as_str())?;
        }
        for word in call.data.iter().flat_map(|data| data.split(',')) {
            match word.split_once('=') {
                Some((key, value)) => fsconfig_set_string(&context, key, value)?,
                None => fsconfig_set_flag(&context, word)?,
            }
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, prepare::attributes(call.flags)).map(Self)
    }

    /// A copy of what is at `source`, with what is mounted below it where `flags` have `MS_REC`.
    pub fn of(source: &Path, flags: MsFlags) -> Result<Self, RuntimeError> {
        let mut how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if flags.contains(MsFlags::MS_REC) {
            how |= OpenTreeFlags::AT_RECURSIVE;
        }
        open_tree(rustix::fs::CWD, source, how)
            .map(Self)
            .map_err(|errno| RuntimeError::io("open", source)(errno.into()))
    }

    /// Puts it on what `place` is open on, with whatever path leads there by now.
    pub fn put(&self, place: &OwnedFd) -> Result<(), rustix::io::Errno> {
        let by_descriptors =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.0, "", place, "", by_descriptors)
    }

    /// Changes the mount as mount(2) with `flags` would.
    pub fn change(&self, flags: MsFlags) -> Result<(), Errno> {
        change(self.0.as_fd(), flags)
    }
}

/// mount_setattr(2): the descriptor itself.
const AT_EMPTY_PATH: u32 = 0x1000;
/// mount_setattr(2): and what is mounted below.
const AT_RECURSIVE: u32 = 0x8000;

/// Changes the mount that `mount` is open on the root of, as mount(2) with `flags` would.
pub fn change(mount: BorrowedFd<'_>, flags: MsFlags) -> Result<(), Errno> {
    let Change { set, clear, propagation, recursive } = prepare::change(flags);
    let attributes = MountAttr {
        attr_set: set.bits().into(),
        attr_clr: clear.bits().into(),
        propagation: propagation.bits(),
        userns_fd: 0,
    };
    let how = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    LinuxSyscall.mount_setattr(mount, Path::new(""), how, &attributes, size).map_err(|error| match error {
        SyscallError::Nix(errno) => Errno::from_raw(errno as i32),
        _ => Errno::EIO,
    })
}
