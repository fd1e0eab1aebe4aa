//! How the root is mounted, and what it means when it cannot be.

use nix::errno::Errno;

use super::Request;
use crate::device::block::BlockDevice;

/// The file system types to try for a device, in order; empty when nothing is known.
///
/// `filesystems` is `/proc/filesystems`, for what has a superblock that only the kernel knows.
#[must_use]
pub fn kinds(request: &Request, device: &BlockDevice, filesystems: &str) -> Vec<String> {
    if !request.kinds.is_empty() {
        return request.kinds.clone();
    }
    match device.content.as_ref().map(|content| content.kind) {
        // ext4 mounts its ancestors, and most kernels have nothing else for them.
        Some(kind @ ("ext2" | "ext3")) => vec!["ext4".to_owned(), kind.to_owned()],
        Some(kind) => vec![kind.to_owned()],
        None => {
            let needs_device = filesystems.lines().filter_map(|line| line.strip_prefix('\t'));
            needs_device.map(|kind| kind.trim().to_owned()).collect()
        }
    }
}

/// What a failure to mount means here.
#[must_use]
pub fn explain(errno: Errno) -> String {
    let meaning = match errno {
        Errno::ENODEV => "the kernel cannot read this type: its module is missing from the initrd",
        Errno::EINVAL => {
            "it is damaged or not of this type, or rootflags= is wrong; the kernel's messages say which"
        }
        Errno::EROFS => {
            "its journal must be replayed, and the disk is read-only; rootflags=noload leaves that out"
        }
        Errno::EBUSY => "somebody else has it mounted, or it is part of another device",
        other => return other.to_string(),
    };
    format!("{errno}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::identify::Content;
    use kmod::cmdline::Cmdline;

    #[test]
    fn the_type_is_the_asked_for_or_the_superblocks_or_any_that_the_kernel_has() {
        let filesystems = "nodev\tsysfs\nnodev\ttmpfs\n\text4\n\tf2fs\n";
        let cases = [
            ("rootfstype=a,b", Some("ext4"), &["a", "b"][..]),
            ("", Some("squashfs"), &["squashfs"]),
            ("", Some("ext2"), &["ext4", "ext2"]),
            ("", None, &["ext4", "f2fs"]),
        ];
        for (line, kind, expected) in cases {
            let request = Request::read(&Cmdline::parse(&format!("root=/dev/vda {line}"))).unwrap().unwrap();
            let content = kind.map(|kind| Content { kind, label: None, uuid: None });
            let device = BlockDevice { content, ..BlockDevice::default() };
            assert_eq!(kinds(&request, &device, filesystems), expected, "{line}");
        }
    }
}
