//! The mounts that make a container's root filesystem, when containerd gives any.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::Mount;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount as mount_call, umount2};

use crate::runtime::mount_options;

/// More mounts than this are stacked on no root filesystem.
const LIMIT: usize = 64;

/// Makes the mounts on `<bundle>/rootfs`; undoes them when one fails.
///
/// # Errors
/// In words: which one failed, and why.
pub fn mount(bundle: &Path, mounts: &[Mount]) -> Result<(), String> {
    if mounts.is_empty() {
        return Ok(());
    }
    if mounts.len() > LIMIT {
        return Err(format!("{} mounts are more than the {LIMIT} a root filesystem may have", mounts.len()));
    }
    let target = target(bundle);
    std::fs::create_dir_all(&target).map_err(|error| format!("cannot make {}: {error}", target.display()))?;
    for one in mounts {
        if let Err(reason) = mount_one(&target, one) {
            // The first failure is what is told.
            unmount(bundle).ok();
            return Err(format!("cannot mount {} on {}: {reason}", one.source, target.display()));
        }
    }
    Ok(())
}

fn mount_one(target: &Path, one: &Mount) -> Result<(), String> {
    if !matches!(one.target.as_str(), "" | "/") {
        return Err(format!("mounts below the root filesystem, as on {}, are not made here", one.target));
    }
    let options = mount_options(&one.options).map_err(|error| error.to_string())?;
    let kind = (!one.type_.is_empty() && options.bind.is_none()).then_some(one.type_.as_str());
    let data = (!options.data.is_empty()).then_some(options.data.as_str());
    let bind = options.bind.unwrap_or(MsFlags::empty());
    let call = |source, kind, flags, data| {
        mount_call::<str, Path, str, str>(source, target, kind, flags, data)
            .map_err(|errno| errno.to_string())
    };
    if options.bind.is_some() {
        call(Some(&one.source), None, bind, None)?;
        if !options.flags.is_empty() {
            // A bind mount takes its flags only when it is mounted again.
            call(None, None, options.flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT, None)?;
        }
    } else {
        call(Some(&one.source), kind, options.flags, data)?;
    }
    options.propagation.iter().try_for_each(|flags| call(None, None, *flags, None))
}

/// Takes down whatever is mounted on `<bundle>/rootfs`.
///
/// # Errors
/// What umount(2) says; nothing mounted is no error.
pub fn unmount(bundle: &Path) -> Result<(), Errno> {
    let target = target(bundle);
    // As many as could have been mounted, and one to see that none is left.
    for _ in 0..=LIMIT {
        match umount2(&target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EBUSY)
}

fn target(bundle: &Path) -> PathBuf {
    bundle.join(image_layout::ROOTFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_are_not_for_the_root_are_refused() {
        let mut one = Mount::new();
        one.target = "/etc".into();
        let reason = mount_one(Path::new("/b/rootfs"), &one).unwrap_err();
        assert!(reason.contains("/etc"), "{reason}");
        let reason = mount(Path::new("/b"), &vec![one; LIMIT + 1]).unwrap_err();
        assert!(reason.starts_with("65 mounts"), "{reason}");
    }
}
