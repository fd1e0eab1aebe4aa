//! cpio archives in the "newc" format, the kernel's own for initrds
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::{self, Write};

/// Bytes of a header: magic and 13 numbers of 8 hexadecimal digits.
const HEADER: u64 = 110;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Sizes have 32 bits.
pub(super) const MAX_SIZE: u64 = u32::MAX as u64;

/// What a header says, but for sizes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header {
    pub(super) inode: u32,
    /// File type and permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) mtime: u32,
    /// Of a device: major, minor.
    pub(super) device: (u32, u32),
}

/// Writes one header and name. `size` bytes of content follow, then [`pad`].
pub(super) fn header(
    out: &mut (impl Write + ?Sized),
    header: &Header,
    name: &[u8],
    size: u32,
) -> io::Result<()> {
    let name_size = name.len() as u64 + 1;
    let Header { inode, mode, uid, gid, links, mtime, device: (major, minor) } = header;
    write!(
        out,
        "070701{inode:08x}{mode:08x}{uid:08x}{gid:08x}{links:08x}{mtime:08x}{size:08x}\
         {:08x}{:08x}{major:08x}{minor:08x}{name_size:08x}{:08x}",
        0, 0, 0
    )?;
    out.write_all(name)?;
    out.write_all(&[0])?;
    pad(out, HEADER + name_size)
}

/// Ends the archive.
pub(super) fn trailer(out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    header(out, &Header { links: 1, ..Header::default() }, TRAILER, 0)
}

/// Fills up with zeros to a multiple of four after this many bytes.
pub(super) fn pad(out: &mut (impl Write + ?Sized), written: u64) -> io::Result<()> {
    out.write_all(&[0; 3][..padding(written)])
}

fn padding(written: u64) -> usize {
    (written.next_multiple_of(4) - written) as usize
}

/// Bytes that an entry takes, all padding included.
pub(super) fn size(name: &[u8], content: u64) -> u64 {
    (HEADER + name.len() as u64 + 1).next_multiple_of(4) + content.next_multiple_of(4)
}

/// Bytes that the end takes.
pub(super) fn trailer_size() -> u64 {
    size(TRAILER, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_these_bytes() {
        let mut archive = Vec::new();
        let entry = Header {
            inode: 1,
            mode: 0o100_644,
            uid: 0,
            gid: 5,
            links: 1,
            mtime: 0x58f6_3f48,
            device: (0, 0),
        };
        header(&mut archive, &entry, b"etc/x", 3).unwrap();
        archive.extend(b"hi\n");
        pad(&mut archive, 3).unwrap();
        trailer(&mut archive).unwrap();
        let expected = concat!(
            "07070100000001000081a400000000000000050000000158f63f4800000003",
            "00000000000000000000000000000000",
            "00000006",
            "00000000",
            "etc/x\0",
            "hi\n\0",
            "0707010000000000000000000000000000000000000001000000000000000000000000000000000000000000000000",
            "0000000b",
            "00000000",
            "TRAILER!!!\0",
            "\0\0\0"
        );
        assert_eq!(String::from_utf8(archive.clone()).unwrap(), expected);
        assert_eq!(archive.len() as u64, size(b"etc/x", 3) + trailer_size());
    }
}
