//! mount(2) flags as the attributes that fsmount(2) and mount_setattr(2) take for one mount.

use nix::mount::MsFlags;
use rustix::mount::MountAttrFlags;

use super::plan::PROPAGATION;

const ATIME: MsFlags = MsFlags::MS_NOATIME
    .union(MsFlags::MS_NODIRATIME)
    .union(MsFlags::MS_RELATIME)
    .union(MsFlags::MS_STRICTATIME);
/// The flags that are a mount's own; all others are the file system's.
const OWN: MsFlags = MsFlags::MS_RDONLY
    .union(MsFlags::MS_NOSUID)
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC)
    .union(ATIME);

/// What one call of mount(2) without a source changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What the mount gets.
    pub set: MountAttrFlags,
    /// What it loses.
    pub clear: MountAttrFlags,
    /// One of `MS_PRIVATE`, `MS_SHARED`, `MS_SLAVE`, `MS_UNBINDABLE`, or nothing.
    pub propagation: MsFlags,
    /// Whether what is mounted below is changed too.
    pub recursive: bool,
}

/// Whether `flags` can all be given to a mount.
pub fn are_attributes(flags: MsFlags) -> bool {
    OWN.contains(flags)
}

/// The attributes of a new mount: relative access times where nothing else is asked for.
pub fn attributes(flags: MsFlags) -> MountAttrFlags {
    let mut attributes = MountAttrFlags::empty();
    for (flag, attribute) in [
        (MsFlags::MS_RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (MsFlags::MS_NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (MsFlags::MS_NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
        (MsFlags::MS_NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (MsFlags::MS_NODIRATIME, MountAttrFlags::MOUNT_ATTR_NODIRATIME),
    ] {
        attributes.set(attribute, flags.contains(flag));
    }
    // One of three, and the kernel's mount(2) prefers them in this order.
    if flags.contains(MsFlags::MS_STRICTATIME) {
        attributes |= MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    } else if flags.contains(MsFlags::MS_NOATIME) {
        attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME;
    }
    attributes
}

/// What mount(2) with `flags` changes: how mounts propagate, or, with `MS_REMOUNT`, all that is a mount's own. Access
/// times stay as they are where `flags` say nothing of them.
pub fn change(flags: MsFlags) -> Change {
    let propagation = flags & PROPAGATION;
    if !propagation.is_empty() {
        let none = MountAttrFlags::empty();
        let recursive = flags.contains(MsFlags::MS_REC);
        return Change { set: none, clear: none, propagation, recursive };
    }
    let mut clear = attributes(OWN - ATIME);
    if flags.intersects(ATIME) {
        clear |= MountAttrFlags::MOUNT_ATTR__ATIME | MountAttrFlags::MOUNT_ATTR_NODIRATIME;
    }
    Change { set: attributes(flags), clear, propagation, recursive: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remount_gives_all_that_it_names_and_takes_the_rest() {
        let cases = [
            (MsFlags::empty(), 0, 0xf),
            (MsFlags::MS_RDONLY | MsFlags::MS_NOSUID, 0x3, 0xf),
            (MsFlags::MS_RELATIME, 0, 0xff),
            (MsFlags::MS_NODIRATIME | MsFlags::MS_NOEXEC, 0x88, 0xff),
            (MsFlags::MS_NOATIME | MsFlags::MS_STRICTATIME, 0x20, 0xff),
        ];
        for (flags, set, clear) in cases {
            let change = change(flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND);
            assert_eq!((change.set.bits(), change.clear.bits()), (set, clear), "{flags:?}");
            assert_eq!((change.propagation, change.recursive), (MsFlags::empty(), false));
        }
    }

    #[test]
    fn a_change_of_propagation_is_nothing_else() {
        let change = change(MsFlags::MS_SLAVE | MsFlags::MS_REC);
        assert_eq!((change.propagation, change.recursive), (MsFlags::MS_SLAVE, true));
        assert!(change.set.is_empty() && change.clear.is_empty());
    }

    #[test]
    fn flags_of_a_file_system_are_no_attributes() {
        assert!(are_attributes(OWN));
        for flag in [MsFlags::MS_SYNCHRONOUS, MsFlags::MS_LAZYTIME, MsFlags::MS_SILENT] {
            assert!(!are_attributes(flag | MsFlags::MS_RDONLY), "{flag:?}");
        }
    }
}
