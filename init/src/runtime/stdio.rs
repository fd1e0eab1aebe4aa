//! Standard input, output and error: what a container is given.

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown};
use oci_spec::runtime::{LinuxIdMapping, Spec};

use super::RuntimeError;

/// Gives them to the container's user, as runc does, so that the program may open `/dev/stdout` again.
///
/// Not those that are devices others use too, and not on a file system that has no owners.
pub fn own(spec: &Spec) -> Result<(), RuntimeError> {
    let Some(user) = spec.process().as_ref().map(|process| process.user()) else { return Ok(()) };
    let mappings = spec.linux().as_ref().and_then(|linux| linux.uid_mappings().as_deref());
    let uid = on_host(mappings.unwrap_or_default(), user.uid());
    if uid == 0 {
        return Ok(());
    }
    let own = |stat: &nix::libc::stat| {
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        (kind == SFlag::S_IFIFO || kind == SFlag::S_IFREG) && stat.st_uid != uid
    };
    let give = |file: &dyn std::os::fd::AsFd| -> Result<(), Errno> {
        let file = file.as_fd();
        if !own(&fstat(file)?) {
            return Ok(());
        }
        match fchown(file, Some(Uid::from_raw(uid)), None::<Gid>) {
            Err(Errno::EINVAL | Errno::EPERM | Errno::EROFS) | Ok(()) => Ok(()),
            Err(errno) => Err(errno),
        }
    };
    for file in [&std::io::stdin() as &dyn std::os::fd::AsFd, &std::io::stdout(), &std::io::stderr()] {
        give(file).map_err(RuntimeError::system("give the standard files to the container's user"))?;
    }
    Ok(())
}

/// What a user of the container is on the host; itself where users are not mapped.
fn on_host(mappings: &[LinuxIdMapping], uid: u32) -> u32 {
    mappings
        .iter()
        .find_map(|mapping| {
            let offset = uid.checked_sub(mapping.container_id())?;
            (offset < mapping.size()).then(|| mapping.host_id().checked_add(offset))?
        })
        .unwrap_or(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_mapped() {
        let mappings: Vec<LinuxIdMapping> = serde_json::from_str(
            r#"[{"containerID":0,"hostID":100000,"size":10},{"containerID":20,"hostID":7,"size":1}]"#,
        )
        .unwrap();
        for (inside, outside) in [(0, 100_000), (9, 100_009), (20, 7), (10, 10)] {
            assert_eq!(on_host(&mappings, inside), outside);
        }
        assert_eq!(on_host(&[], 5), 5);
    }
}
