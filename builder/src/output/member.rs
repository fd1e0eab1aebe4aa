//! Members of tar archives that the builder makes itself.

use std::io::{self, Read, Write};

use ::tar::{EntryType, Header};

use crate::tree::GENERATED_MTIME;

/// Tar archives are made of blocks of this many bytes.
const BLOCK: u64 = 512;
/// Two blocks of zeros end an archive.
pub(super) const END: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// Makes `header`, which decides between ustar and GNU tar, that of a file which root owns and everybody may read.
pub(super) fn header(mut header: Header, name: &str, size: u64) -> io::Result<Header> {
    header.set_entry_type(EntryType::Regular);
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_mtime(GENERATED_MTIME);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// The zeros behind a member of this size.
pub(super) fn padding(size: u64) -> &'static [u8] {
    let len = (BLOCK - size % BLOCK) % BLOCK;
    &END[..len as usize]
}

/// Writes a whole member; `content` must have `len` bytes.
pub(super) fn append(out: &mut dyn Write, name: &str, content: &mut dyn Read, len: u64) -> io::Result<()> {
    out.write_all(header(Header::new_ustar(), name, len)?.as_bytes())?;
    let copied = io::copy(&mut content.take(len), out)?;
    if copied != len {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("it was announced with {len} bytes, and {copied} came"),
        ));
    }
    out.write_all(padding(len))
}
