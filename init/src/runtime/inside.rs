//! What is changed in a container's mount namespace once libcontainer has made it, before the program is executed.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

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
/// The calling process enters the container's namespaces and comes back, so it must have one thread.
pub fn change(pid: i32, inside: &Inside) -> Result<(), RuntimeError> {
    if inside.is_nothing() {
        return Ok(());
    }
    let file_systems = planned(&inside.file_systems)?;
    let late = take_hold(&inside.dev)?;
    within(pid, || {
        for (target, calls) in &file_systems {
            mount_all(target, calls)?;
        }
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

/// Mount points in the container, and the calls of mount(2) for each.
fn planned(mounts: &[image_layout::Mount]) -> Result<Vec<(PathBuf, Vec<Call>)>, RuntimeError> {
    let runtime = image_layout::Runtime { mounts: mounts.to_vec(), ..image_layout::Runtime::default() };
    let steps = prepare::plan(&runtime)?.into_iter().zip(mounts);
    Ok(steps
        .filter_map(|(step, mount)| match step {
            Step::Mount { calls, .. } => Some((Path::new("/").join(&mount.destination), calls)),
            _ => None,
        })
        .collect())
}

/// Makes the calls on `target`, and `target` when it is missing.
fn mount_all(target: &Path, calls: &[Call]) -> Result<(), RuntimeError> {
    for call in calls {
        let mounted = match Kernel.mount(target, call) {
            Err(Errno::ENOENT) => {
                std::fs::create_dir_all(target).map_err(RuntimeError::io("make mount point", target))?;
                Kernel.mount(target, call)
            }
            other => other,
        };
        mounted.map_err(|source| RuntimeError::Mount {
            what: call.what(),
            target: target.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// Opens what will be mounted while its source can still be seen.
fn take_hold(mounts: &[image_layout::Mount]) -> Result<Vec<Late>, RuntimeError> {
    let mut late = Vec::new();
    for (target, calls) in planned(mounts)? {
        let mut calls = calls.into_iter();
        let Some(Call { source: Some(source), flags, .. }) = calls.next() else { continue };
        let mut how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if flags.contains(MsFlags::MS_REC) {
            how |= OpenTreeFlags::AT_RECURSIVE;
        }
        let tree = open_tree(rustix::fs::CWD, source.as_str(), how)
            .map_err(|errno| RuntimeError::io("open", Path::new(&source))(errno.into()))?;
        late.push(Late { tree, is_dir: Path::new(&source).is_dir(), target, after: calls.collect() });
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
        mount_all(target, &self.after)
    }
}

fn remount(target: &Path, flags: MsFlags) -> Result<(), RuntimeError> {
    mount_all(target, &[Call { source: None, kind: None, flags, data: None }])
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
