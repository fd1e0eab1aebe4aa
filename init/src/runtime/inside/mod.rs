//! What is changed in a container's mount namespace once libcontainer has made it, before the program is executed.

mod root;
mod tree;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use self::root::{Kind, Root};
use self::tree::Tree;
use super::RuntimeError;
use super::derive::Inside;
use super::prepare::{self, Call, Step};

/// A mount, and how it is changed once it is in its place.
#[derive(Debug)]
struct Planned {
    target: PathBuf,
    call: Call,
    after: Vec<Call>,
}

/// A mount that was taken hold of on the host.
struct Late {
    tree: Tree,
    kind: Kind,
    planned: Planned,
}

/// Carries `inside` out for the container whose first process is `pid`.
///
/// The calling process enters the container's namespaces and comes back, so it must have one thread.
pub fn change(pid: i32, inside: &Inside) -> Result<(), RuntimeError> {
    if inside.is_nothing() {
        return Ok(());
    }
    let file_systems = planned(&inside.file_systems)?;
    let late = take_hold(planned(&inside.dev)?)?;
    within(pid, || {
        let root = Root::open()?;
        for planned in &file_systems {
            let kind = planned.call.kind.as_deref().unwrap_or_default();
            let tree = Tree::new(kind, &planned.call).map_err(|errno| planned.refused(errno))?;
            planned.put(&tree, &root, Kind::Directory)?;
        }
        for late in late {
            late.planned.put(&late.tree, &root, late.kind)?;
        }
        if let Some(flags) = inside.read_only_dev {
            remount(&root, Path::new("/dev"), flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND)?;
        }
        for (target, changes) in &inside.propagation {
            for flags in changes {
                remount(&root, target, *flags)?;
            }
        }
        Ok(())
    })
}

/// Mounts in the container, in order.
fn planned(mounts: &[image_layout::Mount]) -> Result<Vec<Planned>, RuntimeError> {
    let runtime = image_layout::Runtime { mounts: mounts.to_vec(), ..image_layout::Runtime::default() };
    let steps = prepare::plan(&runtime)?.into_iter().zip(mounts);
    Ok(steps
        .filter_map(|(step, mount)| {
            let Step::Mount { calls, .. } = step else { return None };
            let mut calls = calls.into_iter();
            let call = calls.next()?;
            Some(Planned { target: Path::new("/").join(&mount.destination), call, after: calls.collect() })
        })
        .collect())
}

/// Opens what will be mounted while its source can still be seen.
fn take_hold(mounts: Vec<Planned>) -> Result<Vec<Late>, RuntimeError> {
    let mut late = Vec::new();
    for planned in mounts {
        let Some(source) = planned.call.source.as_deref().map(Path::new) else { continue };
        let kind = if source.is_dir() { Kind::Directory } else { Kind::File };
        late.push(Late { tree: Tree::of(source, planned.call.flags)?, kind, planned });
    }
    Ok(late)
}

impl Planned {
    fn put(&self, tree: &Tree, root: &Root, kind: Kind) -> Result<(), RuntimeError> {
        let place = root.mount_point(&self.target, kind)?;
        tree.put(&place).map_err(|errno| self.refused(errno))?;
        for call in &self.after {
            tree.change(call.flags).map_err(|source| refused(call.what(), &self.target, source))?;
        }
        Ok(())
    }

    fn refused(&self, errno: rustix::io::Errno) -> RuntimeError {
        refused(self.call.what(), &self.target, Errno::from_raw(errno.raw_os_error()))
    }
}

fn refused(what: String, target: &Path, source: Errno) -> RuntimeError {
    RuntimeError::Mount { what, target: target.to_owned(), source }
}

fn remount(root: &Root, target: &Path, flags: MsFlags) -> Result<(), RuntimeError> {
    let call = Call { source: None, kind: None, flags, data: None };
    let mount = root.existing(target)?;
    tree::change(mount.as_fd(), flags).map_err(|source| refused(call.what(), target, source))
}

/// What a file system shows may depend on: its mount's place, the interfaces in sysfs, the root of cgroups.
const ENTERED: CloneFlags =
    CloneFlags::CLONE_NEWNS.union(CloneFlags::CLONE_NEWNET).union(CloneFlags::CLONE_NEWCGROUP);

/// Does `work` in the namespaces of process `pid` that mounting depends on, with that mount namespace's root as `/`.
fn within(pid: i32, work: impl FnOnce() -> Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    let enter = || RuntimeError::system("enter the container's namespaces");
    let open = |path: &str| std::fs::File::open(path).map_err(RuntimeError::io("open", Path::new(path)));
    let them = pidfd_open(Pid::from_raw(pid).ok_or(RuntimeError::NoProcess)?, PidfdFlags::empty())
        .map_err(|errno| enter()(Errno::from_raw(errno.raw_os_error())))?;
    // Not a pidfd of our own: it would lead to where we are by then.
    let ours = [open("/proc/self/ns/net")?, open("/proc/self/ns/cgroup")?, open("/proc/self/ns/mnt")?];
    let (root, here) = (open("/")?, open(".")?);
    setns(them.as_fd(), ENTERED).map_err(enter())?;
    let result = work();
    // Entering a namespace changes root and working directory too.
    let back = ours
        .iter()
        .try_for_each(|namespace| setns(namespace.as_fd(), CloneFlags::empty()))
        .and_then(|()| nix::unistd::fchdir(&root))
        .and_then(|()| nix::unistd::chroot("."))
        .and_then(|()| nix::unistd::fchdir(&here));
    result.and(back.map_err(RuntimeError::system("leave the container's namespaces")))
}
