//! swapon(2), which nix does not have. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

/// Swaps to a file or device from now on.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `EBUSY` when it is swapped to already, `EINVAL` when it is no swap area, has holes, or is on a
/// file system that cannot hold one.
pub fn swap_on(path: &Path) -> Result<(), Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path ends with a zero and lives until the call returns; 0 is no flag.
    Errno::result(unsafe { libc::swapon(path.as_ptr(), 0) }).map(drop)
}
