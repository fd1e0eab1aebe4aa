//! What every root filesystem gets, and what of its image it does not keep.

use std::sync::Arc;

use crate::tree::{Node, Origin, Tree, TreeError};

/// Left behind by whoever built the image, or made anew below.
const DROPPED: [&str; 9] = [
    ".dockerenv",
    "Dockerfile",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
];

/// Made where they are missing; existing ones keep their mode and owner.
const DIRECTORIES: [&str; 6] = ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"];

/// What a machine's init mounts over; a root on a disk is read-only, and init cannot make them there.
const MOUNT_POINTS: [&str; 3] = ["run", "tmp", "var"];

const HOSTS: &str = "\
127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
";

/// A container sees another file when `/etc/resolv.conf` is bound over this one.
const NO_RESOLV_CONF: &str = "\n# no resolv.conf configured\n";
/// Where the machine's own DHCP client leaves what it learned.
const RESOLV_CONF: &[u8] = b"/run/resolvconf/resolv.conf";

/// Whose root filesystem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Machine,
    Volume,
    Container,
}

/// Removes what an image's files do not keep.
pub(super) fn strip(tree: &mut Tree) {
    for path in DROPPED {
        // Where a parent is a link or a file, the path itself has nothing to be dropped.
        tree.remove(path.as_bytes());
    }
}

/// Adds what is the same in every root filesystem.
pub(super) fn furnish(tree: &mut Tree, role: Role, origin: &Arc<Origin>) -> Result<(), TreeError> {
    for path in DIRECTORIES {
        tree.ensure_directory(path.as_bytes(), origin)?;
    }
    if role == Role::Machine {
        for path in MOUNT_POINTS {
            tree.ensure_directory(path.as_bytes(), origin)?;
        }
    }
    let resolv_conf = match role {
        Role::Container => Node::file(NO_RESOLV_CONF.as_bytes(), 0o644, origin),
        Role::Machine | Role::Volume => Node::symlink(RESOLV_CONF, origin),
    };
    tree.insert(b"etc/hosts", Node::file(HOSTS.as_bytes(), 0o644, origin))?;
    tree.insert(b"etc/mtab", Node::symlink(b"/proc/mounts", origin))?;
    tree.insert(b"etc/resolv.conf", resolv_conf)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_linuxkits() {
        assert_eq!(HOSTS.len(), 160);
    }
}
