//! An initramfs that the kernel cut off.
//!
//! The kernel unpacks it into a tmpfs that may take half of the memory. What does not fit is left out, with a line in the
//! kernel's log that `quiet` hides, and the machine would boot with half of its files. The builder puts two marks into
//! every initrd: the first tells how much all of it takes, and is unpacked before anything large; the second is the very
//! last file. Where there are no marks, in images of other builders, the kernel's log is asked.

use image_layout::initrd::{FIRST_MARK, LAST_MARK, Unpacked};

use super::super::machine::Machine;
use super::super::system::System;

const MIB: u64 = 1024 * 1024;
/// What is asked for is a multiple of this.
const STEP: u64 = 8 * MIB;
/// Of this many bytes of memory the kernel takes one for what it knows about each page.
const OVERHEAD: u64 = 60;
/// What a kernel says that did not unpack all (init/initramfs.c, of all ages).
const COMPLAINTS: [&str; 2] = ["Initramfs unpacking failed", "rootfs image is not initramfs"];

/// What is missing from the root, and what to do about it; `None` when it is whole, or was not an initramfs.
pub fn what_is_missing<S: System>(machine: &Machine<S>) -> Option<String> {
    if machine.contained || !machine.root_in_memory {
        return None;
    }
    let system = &machine.system;
    let mark = |path| system.read(&format!("/{path}")).ok();
    let unpacked = mark(FIRST_MARK).and_then(|text| Unpacked::parse(&text));
    if unpacked.is_some() && mark(LAST_MARK).is_some() {
        return None;
    }
    // Without the kernel's log there is nothing to say about an image without marks.
    let log = system.kernel_log().unwrap_or_default();
    let complaint = log.iter().find_map(|line| {
        let found = COMPLAINTS.iter().find_map(|complaint| line.find(complaint))?;
        line.get(found..).map(str::to_owned)
    });
    if unpacked.is_none() && complaint.is_none() {
        return None;
    }
    let advice = advice(system, unpacked.map(|unpacked| unpacked.bytes));
    Some(format!(
        "the initramfs was cut off ({}): {advice}",
        complaint.unwrap_or_else(|| "its last file is missing".to_owned())
    ))
}

fn advice<S: System>(system: &S, needed: Option<u64>) -> String {
    let present = system.read("/proc/iomem").map(|text| memory(&text)).unwrap_or_default();
    let room = system.root_room().unwrap_or_default();
    let has = format!("{} MiB of memory", present.div_ceil(MIB));
    match needed {
        Some(needed) if needed > room.total && room.total > 0 && present > 0 => format!(
            "its files take {} MiB, and may take {} MiB, half of what is free at the start, on a machine with {has}; \
             give it {} MiB at least (qemu: -m {2}), or boot it from a disk",
            needed.div_ceil(MIB),
            room.total / MIB,
            enough(needed, room.total, present) / MIB,
        ),
        Some(needed) => format!(
            "its files take {} MiB; either the machine, with {has}, has too little to unpack them, or the boot loader \
             has read them wrong",
            needed.div_ceil(MIB),
        ),
        None => format!(
            "the machine has {has}, and the files of the root may take half of what is free at the start; give it more, or \
             boot it from a disk",
        ),
    }
}

/// How much memory a machine needs so that half of what is free at the start is `needed`, when half of that is `room` on a
/// machine that has `present`.
fn enough(needed: u64, room: u64, present: u64) -> u64 {
    let missing = 2 * needed.saturating_sub(room);
    (present + missing + missing / OVERHEAD + MIB).next_multiple_of(STEP)
}

/// The memory in `/proc/iomem`, in bytes: ranges without their parts, which are indented.
fn memory(text: &str) -> u64 {
    let ranges = text.lines().filter_map(|line| {
        let (start, end) = line.strip_suffix(" : System RAM")?.split_once('-')?;
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16));
        end.ok()?.checked_sub(start.ok()?)?.checked_add(1)
    });
    ranges.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::fake::{Fake, machine};
    use super::super::super::system::Room;
    use super::*;

    /// A machine of 128 MiB, as qemu makes it.
    const IOMEM: &str = "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n000a0000-000bffff : PCI Bus\n\
        00100000-07fddfff : System RAM\n  01000000-02001d67 : Kernel code\n  03000000-033fffff : System RAM\n";
    const COMPLAINT: &str = "Initramfs unpacking failed: write error";

    fn missing(prepare: impl FnOnce(&mut Fake)) -> Option<String> {
        let mut machine = machine(|fake| {
            fake.file("/proc/iomem", IOMEM);
            fake.root_room = Room { total: 50 * MIB, used: 50 * MIB };
            prepare(fake);
        });
        machine.root_in_memory = true;
        what_is_missing(&machine)
    }

    fn mark(fake: &mut Fake, mib: u64) {
        fake.file(&format!("/{FIRST_MARK}"), &Unpacked { bytes: mib * MIB }.to_string());
    }

    #[test]
    fn a_root_with_both_marks_is_whole_whatever_the_log_says() {
        let found = missing(|fake| {
            mark(fake, 40);
            fake.file(&format!("/{LAST_MARK}"), "");
            fake.kernel_log = vec![COMPLAINT.into()];
        });
        assert_eq!(found, None);
    }

    #[test]
    fn a_root_without_its_last_file_is_told_with_what_it_needs() {
        let found = missing(|fake| {
            mark(fake, 90);
            fake.kernel_log = vec!["Trying to unpack rootfs image as initramfs...".into(), COMPLAINT.into()];
        })
        .unwrap();
        for words in [COMPLAINT, "take 90 MiB", "may take 50 MiB", "128 MiB of memory", "-m 216"] {
            assert!(found.contains(words), "{words} is missing in: {found}");
        }
    }

    #[test]
    fn a_missing_last_file_is_enough_without_the_kernels_log() {
        let found = missing(|fake| mark(fake, 90)).unwrap();
        assert!(found.contains("cut off (its last file is missing)"), "{found}");
    }

    #[test]
    fn files_that_would_have_fitted_were_read_wrong_or_could_not_be_unpacked() {
        let found = missing(|fake| {
            mark(fake, 40);
            fake.kernel_log = vec!["x: Initramfs unpacking failed: ZSTD-compressed data is corrupt".into()];
        })
        .unwrap();
        assert!(
            found.contains("corrupt") && found.contains("read them wrong") && !found.contains("-m"),
            "{found}"
        );
    }

    #[test]
    fn without_marks_the_kernels_log_decides() {
        assert_eq!(missing(|fake| fake.kernel_log = vec!["Run /init as init process".into()]), None);
        let found = missing(|fake| {
            fake.kernel_log =
                vec!["rootfs image is not initramfs (write error); looks like an initrd".into()];
        });
        assert!(found.is_some_and(|found| found.contains("give it more")));
    }

    #[test]
    fn a_disk_root_and_a_container_have_no_initramfs() {
        for (in_memory, contained) in [(false, false), (true, true)] {
            let mut machine = machine(|fake| fake.kernel_log = vec![COMPLAINT.into()]);
            (machine.root_in_memory, machine.contained) = (in_memory, contained);
            assert_eq!(what_is_missing(&machine), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_always_more_than_there_is(needed in 1..1_u64 << 40, room in 1..1_u64 << 40) {
            prop_assume!(needed > room);
            prop_assert!(enough(needed, room, 2 * room) > 2 * needed);
        }

        #[test]
        fn any_text_is_a_memory_map(text in ".*|([0-9a-f]{0,17}-[0-9a-f]{0,17} : System RAM\n){0,3}") {
            std::hint::black_box(memory(&text));
        }
    }
}
