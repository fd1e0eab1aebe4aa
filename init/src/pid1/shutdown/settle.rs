//! Waits until the disks of file systems that were unmounted are written.
//!
//! A file system lives on below its last mount while the kernel has a file of it open: under encrypted swap, a loop device
//! has, until the kernel has taken it away, which is a moment after the end of the swap.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::machine::Machine;
use super::super::mountinfo::MountPoint;
use super::super::system::System;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(2);
/// Between two looks: nothing tells when a file system ends.
const PAUSE: Duration = Duration::from_millis(10);

/// The disks of all mounts, without those of the mounts that stay.
pub(super) fn disks_without<'m>(
    all: &'m [MountPoint],
    stay: impl Iterator<Item = &'m MountPoint>,
) -> BTreeSet<String> {
    let is_disk = |mount: &&MountPoint| mount.source.starts_with("/dev/");
    let mut disks: BTreeSet<&str> = all.iter().filter(is_disk).map(|mount| mount.source.as_str()).collect();
    for mount in stay {
        disks.remove(mount.source.as_str());
    }
    disks.into_iter().map(str::to_owned).collect()
}

/// Waits until none of them is in use, and says which still are in the end.
pub(super) fn await_disks<S: System>(machine: &mut Machine<S>, mut disks: BTreeSet<String>) {
    let deadline = machine.system.now() + LIMIT;
    loop {
        // One that cannot be looked at is not there any more.
        disks.retain(|disk| machine.system.is_in_use(disk).unwrap_or(false));
        if disks.is_empty() {
            return;
        }
        if machine.system.now() >= deadline {
            break;
        }
        machine.system.sleep(PAUSE);
    }
    for disk in disks {
        machine.say(format_args!("{disk} is still in use: it may have to be checked at the next boot"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::machine;
    use super::super::super::mountinfo;
    use super::*;

    #[test]
    fn disks_of_mounts_that_stay_are_not_waited_for() {
        let all = mountinfo::parse(
            "1 0 8:1 / / ro - ext4 /dev/sda1 ro\n\
             2 1 8:1 /c /c ro - ext4 /dev/sda1 ro\n\
             3 1 8:2 / /var rw - xfs /dev/sda2 rw\n\
             4 1 0:4 / /tmp rw - tmpfs tmpfs rw\n",
        );
        let disks = disks_without(&all, all.iter().filter(|mount| mount.target == "/"));
        assert_eq!(disks, BTreeSet::from(["/dev/sda2".to_owned()]));
    }

    #[test]
    fn a_disk_that_stays_in_use_is_named_and_waited_for_no_longer() {
        let mut machine = machine(|fake| {
            fake.busy = vec![("/dev/sda".into(), Duration::MAX), ("/dev/sdb".into(), Duration::ZERO)];
        });
        let disks = ["/dev/sda", "/dev/sdb", "/dev/gone"].map(str::to_owned);
        await_disks(&mut machine, BTreeSet::from(disks));
        assert_eq!(machine.system.now(), LIMIT);
        let said = "/dev/sda is still in use: it may have to be checked at the next boot";
        assert!(machine.system.has_said(said) && machine.system.log.len() == 1, "{:?}", machine.system.log);
    }
}
