//! The unsafe part: two processor instructions and one ioctl.
#![allow(unsafe_code)]

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc::c_int;

/// Most bytes that [`add_entropy`] takes at once.
pub(crate) const MAX_BYTES: usize = 8192;

/// `struct rand_pool_info` (linux/random.h) with room for [`MAX_BYTES`].
#[repr(C)]
struct PoolInfo {
    entropy_count: c_int,
    buf_size: c_int,
    buf: [u8; MAX_BYTES],
}

mod ioctl {
    use nix::libc::c_int;
    // The number is that of `int[2]`, the structure without its flexible array.
    nix::ioctl_write_ptr!(rnd_add_entropy, b'R', 0x03, [c_int; 2]);
}

/// Mixes `bytes` (at most [`MAX_BYTES`]) into the pool of `random` and credits `bits` of entropy.
pub(crate) fn add_entropy(random: &impl AsRawFd, bytes: &[u8], bits: u32) -> nix::Result<()> {
    let mut info = PoolInfo { entropy_count: 0, buf_size: 0, buf: [0; MAX_BYTES] };
    let Some(room) = info.buf.get_mut(..bytes.len()) else { return Err(Errno::E2BIG) };
    room.copy_from_slice(bytes);
    info.buf_size = c_int::try_from(bytes.len()).map_err(|_| Errno::E2BIG)?;
    info.entropy_count = c_int::try_from(bits).map_err(|_| Errno::E2BIG)?;
    // SAFETY: the kernel reads two ints and then `buf_size` bytes, all within `info`, which outlives the call.
    unsafe { ioctl::rnd_add_entropy(random.as_raw_fd(), (&raw const info).cast()) }.map(drop)
}

#[cfg(target_arch = "x86_64")]
mod instruction {
    use std::arch::x86_64::{_rdrand64_step, _rdseed64_step};

    /// Whether cpuid says that the processor has RDSEED.
    pub(crate) fn has_rdseed() -> bool {
        is_x86_feature_detected!("rdseed")
    }

    /// Whether cpuid says that the processor has RDRAND.
    pub(crate) fn has_rdrand() -> bool {
        is_x86_feature_detected!("rdrand")
    }

    /// One word from RDSEED; none if it has none at the moment, or there is no such instruction.
    pub(crate) fn rdseed() -> Option<u64> {
        let mut word = 0;
        // SAFETY: only executed where cpuid has the instruction.
        (has_rdseed() && unsafe { _rdseed64_step(&mut word) } == 1).then_some(word)
    }

    /// One word from RDRAND; likewise.
    pub(crate) fn rdrand() -> Option<u64> {
        let mut word = 0;
        // SAFETY: only executed where cpuid has the instruction.
        (has_rdrand() && unsafe { _rdrand64_step(&mut word) } == 1).then_some(word)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod instruction {
    pub(crate) fn has_rdseed() -> bool {
        false
    }

    pub(crate) fn has_rdrand() -> bool {
        false
    }

    pub(crate) fn rdseed() -> Option<u64> {
        None
    }

    pub(crate) fn rdrand() -> Option<u64> {
        None
    }
}

pub(crate) use instruction::{has_rdrand, has_rdseed, rdrand, rdseed};
