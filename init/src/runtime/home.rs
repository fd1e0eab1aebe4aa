//! Directories of a container that depend on its files: a user's home, the working directory.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use oci_spec::runtime::Spec;

use super::RuntimeError;
use super::prepare::{Host, Kernel};

/// No real list of users is near this size (bytes).
const LIMIT: u64 = 4 << 20;

/// The home directory of user `uid` as the container's own list of users has it (passwd(5)).
///
/// `None` when there is no such list or user: an image need not have any.
pub fn of(rootfs: &Path, uid: u32) -> Option<String> {
    let root: OwnedFd =
        nix::fcntl::open(rootfs, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .ok()?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let file = File::from(openat2(&root, "etc/passwd", how).ok()?);
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text).ok()?;
    find(&text, uid)
}

fn find(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let number: u32 = fields.nth(2)?.parse().ok()?;
        let home = fields.nth(2)?;
        (number == uid && !home.is_empty()).then(|| home.to_owned())
    })
}

/// Makes the working directory in the root filesystem, as runc does; not where something will be mounted on the way.
pub fn make_working_directory(rootfs: &Path, spec: &Spec) -> Result<(), RuntimeError> {
    let Some(cwd) = spec.process().as_ref().map(|process| process.cwd().clone()) else { return Ok(()) };
    let Some(relative) = cwd.strip_prefix("/").ok().filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mounted = spec.mounts().iter().flatten().any(|mount| cwd.starts_with(mount.destination()));
    if mounted || rootfs.join(relative).is_dir() {
        return Ok(());
    }
    Kernel
        .make_dirs_beneath(rootfs, relative)
        .map(drop)
        .map_err(RuntimeError::io("make working directory", &cwd))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbroken\nldap:x:55:55::/var/lib/ldap:/bin/false\nnone:x:7:7:::\n";

    #[test]
    fn homes_are_those_of_the_containers_users() {
        let cases = [(0, Some("/root")), (55, Some("/var/lib/ldap")), (7, None), (8, None)];
        for (uid, home) in cases {
            assert_eq!(find(PASSWD, uid).as_deref(), home, "{uid}");
        }
    }

    #[test]
    fn a_list_of_users_outside_the_container_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("etc/passwd")).unwrap();
        assert_eq!(of(dir.path(), 0), None);
        std::fs::remove_file(dir.path().join("etc/passwd")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), PASSWD).unwrap();
        assert_eq!(of(dir.path(), 0).as_deref(), Some("/root"));
    }

    #[test]
    fn a_working_directory_is_made_but_not_where_something_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let spec = |cwd: &str| -> Spec {
            serde_json::from_str(&format!(
                r#"{{"ociVersion":"1.2.1","root":{{"path":"rootfs"}},
                    "process":{{"user":{{"uid":0,"gid":0}},"args":["/a"],"cwd":"{cwd}"}},
                    "mounts":[{{"destination":"/data","type":"tmpfs","source":"tmpfs"}}]}}"#
            ))
            .unwrap()
        };
        for cwd in ["/srv/app", "/data/x", "/"] {
            make_working_directory(dir.path(), &spec(cwd)).unwrap();
        }
        assert!(dir.path().join("srv/app").is_dir());
        assert!(!dir.path().join("data").exists());
    }
}
