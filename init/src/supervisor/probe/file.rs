//! Whether a file exists in a service's root filesystem.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Asks for `path` in the root filesystem of the process `pid`.
///
/// # Errors
/// Why it is not there.
pub fn ask(pid: u32, path: &str) -> Result<(), String> {
    exists(&Path::new("/proc").join(pid.to_string()).join("root"), path)
}

/// Links lead no further than `root`, whatever the service makes of them.
fn exists(root: &Path, path: &str) -> Result<(), String> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let result = openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty()).and_then(|root| {
        openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    });
    match result {
        Ok(_) => Ok(()),
        Err(Errno::NOENT) => Err(format!("there is no {path}")),
        Err(error) => Err(format!("cannot look for {path}: {}", std::io::Error::from(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_root_only() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "").unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        std::fs::write(root.path().join("run/ready"), "").unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
        link(Path::new("/run/ready"), "absolute");
        link(&outside.path().join("secret"), "escape");
        for path in ["/run/ready", "run/ready", "/run", "/absolute", "/../run/ready"] {
            assert_eq!(exists(root.path(), path), Ok(()), "{path}");
        }
        for path in ["/run/none", "/escape"] {
            assert_eq!(exists(root.path(), path), Err(format!("there is no {path}")));
        }
        assert!(exists(&root.path().join("none"), "/run").is_err());
    }

    #[test]
    fn a_process_that_is_gone_has_no_files() {
        assert_eq!(ask(std::process::id(), "/proc"), Ok(()));
        assert!(ask(u32::MAX, "/proc").is_err());
    }
}
