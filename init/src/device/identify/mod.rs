//! What is on a block device, by its superblock: kind, label and UUID, in blkid's words.
//!
//! | module | what | where | format from |
//! | --- | --- | --- | --- |
//! | [`squashfs`] | squashfs | 0 | kernel Documentation/filesystems/squashfs.rst |
//! | [`xfs`] | XFS | 0 | xfsprogs, xfs_dsb(5) |
//! | [`luks`] | LUKS 1 and 2 | 0 | cryptsetup's on-disk format specifications |
//! | [`ext`] | ext2, ext3, ext4 | 1 KiB | kernel Documentation/filesystems/ext4/super.rst |
//! | [`erofs`] | EROFS | 1 KiB | kernel fs/erofs/erofs_fs.h |
//! | [`swap`] | swap space | end of the first page | kernel include/linux/swap.h |
//! | [`iso9660`] | ISO 9660 | 32 KiB | ECMA-119 |
//! | [`btrfs`] | Btrfs | 64 KiB | btrfs-progs, on-disk format |
//! | [`fat`] | FAT12, FAT16, FAT32 | 0, root directory | Microsoft's FAT specification 1.03 |
//!
//! All of it is pure: bytes in, a value out. The bytes are whoever's who could write to the disk: every offset is
//! checked, and nothing loops on what they say.

mod btrfs;
mod erofs;
mod ext;
mod fat;
mod field;
mod iso9660;
mod luks;
mod squashfs;
mod swap;
mod xfs;

pub(super) use field::{le16, le32, le64, uuid_text};

/// Bytes at the start of a device that hold all superblocks but one (FAT's label is in its root directory).
pub const HEAD: usize = 68 * 1024;

/// Reads from the device: at most that many bytes from an offset, fewer at its end or when it cannot be read.
pub type Read<'r> = dyn FnMut(u64, usize) -> Vec<u8> + 'r;

/// What is on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// blkid's name for it: `ext4`, `vfat`, `crypto_LUKS`, …
    pub kind: &'static str,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// What blkid calls UUID: of FAT the serial number, of ISO 9660 the time it was made.
    pub uuid: Option<String>,
}

/// Looks at the first [`HEAD`] bytes of a device, and at what they point to.
///
/// Where several superblocks are found the one that is least likely to be left over from an earlier use wins: a new file
/// system starts at 0, or wipes what is before its superblock.
#[must_use]
pub fn identify(head: &[u8], read: &mut Read<'_>) -> Option<Content> {
    squashfs::read(head)
        .or_else(|| xfs::read(head))
        .or_else(|| luks::read(head))
        .or_else(|| ext::read(head))
        .or_else(|| erofs::read(head))
        .or_else(|| btrfs::read(head))
        .or_else(|| iso9660::read(head))
        .or_else(|| swap::read(head))
        .or_else(|| fat::read(head, read))
}

#[cfg(test)]
mod tests;
