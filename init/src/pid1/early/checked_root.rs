//! A root that is checked block by block, opened before it is mounted ([`crate::stage`], `roothash=`).

use nix::errno::Errno;

use super::super::machine::Machine;
use super::super::system::System;
use super::settings;
use crate::device::block::BlockDevice;
use crate::stage::{RootHash, SUPERBLOCK, Superblock};

/// What the kernel calls it; a kernel that has it built in has no module.
const MODULE: &str = "dm-verity";

/// Has the kernel check `data` by the hash tree on `tree`, and returns the device to mount. There is no way around it: what
/// cannot be checked is not mounted.
pub fn open<S: System>(
    machine: &mut Machine<S>,
    hash: &RootHash,
    data: &BlockDevice,
    tree: &BlockDevice,
) -> Result<BlockDevice, String> {
    // A bad block is a panic, and that must not be for ever.
    settings::reboot_after_panic(machine);
    for problem in machine.system.load_modules(&machine.cmdline, &[MODULE.to_owned()]) {
        machine.say(problem);
    }
    let node = tree.node();
    let start = machine.system.read_start(&node, SUPERBLOCK);
    let start = start.map_err(|errno| format!("cannot read the hash tree on {tree}: {errno}"))?;
    let mapping = Superblock::parse(&start).and_then(|superblock| superblock.mapping(hash, data, tree));
    let mapping = mapping.map_err(|error| format!("cannot check {data} by {tree}: {error}"))?;
    let minor = machine.system.map_device(&mapping);
    let minor = minor.map_err(|errno| format!("cannot check {data} by {tree}: {}", explain(errno)))?;
    machine.info(format_args!("{} is checked block by block, by roothash={hash}", data.node()));
    Ok(BlockDevice {
        name: format!("dm-{minor}"),
        bytes: mapping.sectors.saturating_mul(512),
        content: data.content.clone(),
        ..BlockDevice::default()
    })
}

fn explain(errno: Errno) -> String {
    let meaning = match errno {
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => {
            "the kernel has no device-mapper, or the initrd lacks its module"
        }
        Errno::EINVAL | Errno::E2BIG => "dm-verity does not take them; the kernel's messages say why",
        other => return other.to_string(),
    };
    format!("{errno}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Fake, machine};
    use super::*;
    use crate::stage::superblock_for_tests;

    fn partition(number: u32) -> BlockDevice {
        BlockDevice {
            name: format!("vda{number}"),
            number: (253, number),
            bytes: 1 << 20,
            ..BlockDevice::default()
        }
    }

    fn opened(prepare: impl FnOnce(&mut Fake)) -> (Machine<Fake>, Result<BlockDevice, String>) {
        let mut machine = machine(|fake| {
            fake.file("/proc/sys/kernel/panic", "0\n");
            fake.starts.insert("/dev/vda3".into(), superblock_for_tests());
            prepare(fake);
        });
        let hash = RootHash::parse(&"0f".repeat(32)).unwrap();
        let opened = open(&mut machine, &hash, &partition(2), &partition(3));
        (machine, opened)
    }

    #[test]
    fn the_kernel_is_told_to_check_and_to_reboot_after_a_bad_block() {
        let (machine, device) = opened(|_| {});
        assert_eq!(device.unwrap().node(), "/dev/dm-0");
        let table =
            format!("1 253:2 253:3 4096 4096 10 1 sha256 {} 5a17 1 panic_on_corruption", "0f".repeat(32));
        let expected = [
            "write /proc/sys/kernel/panic 10".to_owned(),
            "load_modules dm-verity".to_owned(),
            format!("map_device root verity {table}"),
        ];
        assert_eq!(machine.system.calls, expected);
    }

    #[test]
    fn a_root_that_cannot_be_checked_says_why() {
        let refused = |prepare: fn(&mut Fake), expected: &str| {
            let (_, opened) = opened(prepare);
            let reason = opened.unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        };
        refused(|fake| fake.starts.values_mut().for_each(|start| start.fill(0)), "it holds no hash tree");
        refused(|fake| fake.starts.clear(), "cannot read the hash tree on /dev/vda3");
        refused(|fake| fake.fail("map_device", Errno::ENOENT), "the kernel has no device-mapper");
        refused(|fake| fake.fail("map_device", Errno::EINVAL), "dm-verity does not take them");
    }
}
