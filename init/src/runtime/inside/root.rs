//! Mount points in a container, found without following what its image or its other processes put in the way.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat, openat2};
use rustix::io::Errno;

use crate::runtime::RuntimeError;

/// Inside the root, where links of the kernel's own (`/proc/PID/root`) lead out.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// Nobody but the one who made the path has a say in where it leads.
const NO_LINKS: ResolveFlags = INSIDE.union(ResolveFlags::NO_SYMLINKS);

/// A directory that nothing is found above: the root of the mount namespace that the calling process is in.
#[derive(Debug)]
pub struct Root(OwnedFd);

/// What a mount point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

impl Root {
    /// Opens `/`.
    pub fn open() -> Result<Self, RuntimeError> {
        Self::at(Path::new("/"))
    }

    fn at(path: &Path) -> Result<Self, RuntimeError> {
        open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(Self)
            .map_err(|errno| RuntimeError::io("open", path)(errno.into()))
    }

    /// A mount point, made with its parents (0755, a file 0644) when it is missing; no part of its path may be a link.
    pub fn mount_point(&self, path: &Path, kind: Kind) -> Result<OwnedFd, RuntimeError> {
        self.found_or_made(path, kind).map_err(|errno| refused("make mount point", path, errno))
    }

    /// Something that is there; links lead to places in this root.
    pub fn existing(&self, path: &Path) -> Result<OwnedFd, RuntimeError> {
        self.find(path, INSIDE).map_err(|errno| refused("open", path, errno))
    }

    fn found_or_made(&self, path: &Path, kind: Kind) -> Result<OwnedFd, Errno> {
        match self.find(path, NO_LINKS) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        // A path that ends in `..`, or the root itself.
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let parent = Self(self.found_or_made(parent, Kind::Directory)?);
        match kind {
            Kind::Directory => mkdirat(&parent.0, name, Mode::from_raw_mode(0o755))?,
            Kind::File => {
                let new = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(&parent.0, name, new, Mode::from_raw_mode(0o644)).map(drop)?;
            }
        }
        parent.find(Path::new(name), NO_LINKS)
    }

    fn find(&self, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        openat2(&self.0, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}

fn refused(action: &'static str, path: &Path, errno: Errno) -> RuntimeError {
    match errno {
        Errno::LOOP => RuntimeError::LinkedMountPoint(path.to_owned()),
        errno => RuntimeError::io(action, path)(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A root, and a directory beside it.
    fn machine() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let [root, outside] = ["root", "outside"].map(|name| dir.path().join(name));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(&outside).unwrap();
        (dir, root, outside)
    }

    #[test]
    fn what_is_missing_is_made_as_what_it_has_to_be() {
        let (_dir, root, _) = machine();
        let opened = Root::at(&root).unwrap();
        for _ in ["made", "found"] {
            opened.mount_point(Path::new("/sys/fs/cgroup"), Kind::Directory).unwrap();
            opened.mount_point(Path::new("/dev/console"), Kind::File).unwrap();
        }
        assert!(root.join("sys/fs/cgroup").is_dir());
        assert!(root.join("dev/console").is_file());
    }

    #[test]
    fn no_link_leads_to_a_mount_point() {
        let (_dir, root, outside) = machine();
        std::fs::create_dir(root.join("etc")).unwrap();
        symlink(&outside, root.join("away")).unwrap();
        symlink("etc", root.join("near")).unwrap();
        symlink("../../outside", root.join("up")).unwrap();
        symlink(outside.join("x"), root.join("nothing")).unwrap();
        let opened = Root::at(&root).unwrap();
        for path in ["/away", "/away/fs/cgroup", "/near", "/near/x", "/up/x", "/nothing", "/nothing/y"] {
            for kind in [Kind::Directory, Kind::File] {
                let refused = opened.mount_point(Path::new(path), kind);
                assert!(
                    matches!(&refused, Err(RuntimeError::LinkedMountPoint(at)) if at == Path::new(path)),
                    "{path}: {refused:?}"
                );
            }
        }
        for directory in [outside, root.join("etc")] {
            assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_exists_is_found_through_links_that_stay_inside() {
        let (_dir, root, outside) = machine();
        std::fs::create_dir(root.join("run")).unwrap();
        symlink("/run", root.join("var")).unwrap();
        symlink("/proc/self/root", root.join("away")).unwrap();
        symlink(&outside, root.join("out")).unwrap();
        let opened = Root::at(&root).unwrap();
        opened.existing(Path::new("/var")).unwrap();
        for path in ["/out", "/away", "/nothing"] {
            assert!(opened.existing(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn links_of_the_kernel_lead_nowhere() {
        let opened = Root::open().unwrap();
        for path in ["/proc/self/cwd", "/proc/self/root/tmp"] {
            assert!(
                matches!(opened.existing(Path::new(path)), Err(RuntimeError::LinkedMountPoint(_))),
                "{path}"
            );
        }
        // Without the rule this one can be opened.
        openat2(rustix::fs::CWD, "/proc/self/root/tmp", OFlags::PATH, Mode::empty(), ResolveFlags::empty())
            .unwrap();
    }
}
