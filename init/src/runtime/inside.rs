//! What is changed in a container's mount namespace once libcontainer has made it, before the program is executed.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::RuntimeError;
use super::derive::Inside;
use super::prepare::{self, Call, Host, Kernel, Step};

/// A mount that was taken hold of on the host, and what is done with it in the container.
struct Late {
    tree: OwnedFd,
    is_dir: bool,
    target: PathBuf,
    after: Vec<Call>,
}

/// Carries `inside` out for the container whose first process is `pid`.
///
/// The calling process enters the container's mount namespace and comes back, so it must have one thread.
pub fn change(pid: i32, inside: &Inside) -> Result<(), RuntimeError> {
    if inside.dev.is_empty() && inside.propagation.is_empty() && inside.read_only_dev.is_none() {
        return Ok(());
    }
    let late = take_hold(&inside.dev)?;
    within(pid, || {
        for mount in late {
            mount.place()?;
        }
        if let Some(flags) = inside.read_only_dev {
            remount(Path::new("/dev"), flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND)?;
        }
        for (target, changes) in &inside.propagation {
            for flags in changes {
                remount(target, *flags)?;
            }
        }
        Ok(())
    })
}

/// Opens what will be mounted while its source can still be seen.
fn take_hold(mounts: &[image_layout::Mount]) -> Result<Vec<Late>, RuntimeError> {
    let runtime = image_layout::Runtime { mounts: mounts.to_vec(), ..image_layout::Runtime::default() };
    let mut late = Vec::new();
    for (step, mount) in prepare::plan(&runtime)?.into_iter().zip(mounts) {
        let Step::Mount { calls, .. } = step else { continue };
        let mut calls = calls.into_iter();
        let Some(Call { source: Some(source), flags, .. }) = calls.next() else { continue };
        let mut how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if flags.contains(MsFlags::MS_REC) {
            how |= OpenTreeFlags::AT_RECURSIVE;
        }
        let tree = open_tree(rustix::fs::CWD, source.as_str(), how)
            .map_err(|errno| RuntimeError::io("open", Path::new(&source))(errno.into()))?;
        late.push(Late {
            tree,
            is_dir: Path::new(&source).is_dir(),
            target: Path::new("/").join(&mount.destination),
            after: calls.collect(),
        });
    }
    Ok(late)
}

impl Late {
    fn place(self) -> Result<(), RuntimeError> {
        let target = &self.target;
        if !target.exists() {
            if self.is_dir {
                std::fs::create_dir_all(target)
            } else {
                std::fs::File::create(target).map(drop)
            }
            .map_err(RuntimeError::io("make mount point", target))?;
        }
        move_mount(
            &self.tree,
            "",
            rustix::fs::CWD,
            target.as_path(),
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(|errno| RuntimeError::Mount {
            what: "the host's".to_owned(),
            target: target.clone(),
            source: Errno::from_raw(errno.raw_os_error()),
        })?;
        for call in &self.after {
            Kernel.mount(target, call).map_err(|source| RuntimeError::Mount {
                what: call.what(),
                target: target.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn remount(target: &Path, flags: MsFlags) -> Result<(), RuntimeError> {
    let call = Call { source: None, kind: None, flags, data: None };
    Kernel.mount(target, &call).map_err(|source| RuntimeError::Mount {
        what: call.what(),
        target: target.to_owned(),
        source,
    })
}

/// Does `work` in the mount namespace of process `pid`, with that namespace's root as `/`.
fn within(pid: i32, work: impl FnOnce() -> Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    let open = |path: &str| std::fs::File::open(path).map_err(RuntimeError::io("open", Path::new(path)));
    let (ours, theirs) = (open("/proc/self/ns/mnt")?, open(&format!("/proc/{pid}/ns/mnt"))?);
    let (root, here) = (open("/")?, open(".")?);
    let enter = RuntimeError::system("enter the container's mount namespace");
    setns(theirs.as_fd(), CloneFlags::CLONE_NEWNS).map_err(enter)?;
    let result = work();
    // Entering a namespace changes root and working directory too.
    let back = setns(ours.as_fd(), CloneFlags::CLONE_NEWNS)
        .and_then(|()| nix::unistd::fchdir(&root))
        .and_then(|()| nix::unistd::chroot("."))
        .and_then(|()| nix::unistd::fchdir(&here));
    result.and(back.map_err(RuntimeError::system("leave the container's mount namespace")))
}
