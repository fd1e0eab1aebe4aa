//! How initrds are compressed: whatever the kernel unpacks (Linux, lib/decompress*.c).

use std::io::{self, Write};

use flate2::{Compression as Level, GzBuilder};

use super::lz4;

/// How an initrd is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// Every kernel unpacks it, but for those that were told not to.
    Gzip,
    /// Smaller than gzip's and unpacked faster; Linux 5.9 and later.
    Zstd,
    /// A tenth smaller than zstd's, unpacked as fast, and made in fifteen times the time.
    Zstd19,
    /// Larger than gzip's, and unpacked fastest.
    Lz4,
    /// Not at all.
    None,
}

/// Beyond this level bytes are dear. The LDAP example: 9 makes 60.5 MB and 11 makes 60.1 MB; containerd's 54 MB alone become 16.6 MB in
/// 2.0 s of one core and 16.4 MB in 4.1 s.
pub(super) const ZSTD_LEVEL: i32 = 9;
/// The highest that takes no more memory to unpack. init's 7.1 MB: 9 makes 2.85 MB in 0.2 s, 15 2.81 MB in 1.7 s, 19 2.57 MB in 3.7 s.
const ZSTD_HIGH_LEVEL: i32 = 19;
/// The same for gzip, from 0 to 9.
const GZIP_LEVEL: u32 = 5;
/// How far back zstd looks for repetitions, as a power of two: half of the segment, but at most 64 MiB. While it unpacks, the
/// kernel needs so much memory beside the files, which decides how little a machine can boot with; it allows 128 MiB (Linux,
/// lib/decompress_unzstd.c, `ZSTD_WINDOWSIZE_MAX`). The LDAP example: all of the segment makes 55.6 MB, half of it
/// 57.3 MB, a quarter 60.0 MB, with one segment for each image.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 20..=26;

impl Compression {
    /// What comes before the first segment.
    pub(super) fn start(self) -> &'static [u8] {
        match self {
            Self::Lz4 => &lz4::MAGIC,
            Self::Gzip | Self::Zstd | Self::Zstd19 | Self::None => &[],
        }
    }

    /// Whether each segment stands for itself and is aligned; else they are one stream.
    pub(super) fn pads(self) -> bool {
        self != Self::Lz4
    }

    /// All that the compressed bytes of `size` bytes follow from, beside these bytes.
    pub(super) fn settings(self, size: u64) -> [u32; 4] {
        match self {
            Self::Zstd => zstd_settings(ZSTD_LEVEL, size),
            Self::Zstd19 => zstd_settings(ZSTD_HIGH_LEVEL, size),
            Self::Gzip => [2, GZIP_LEVEL, 0, 0],
            Self::Lz4 => [3, 0, 0, 0],
            Self::None => [4, 0, 0, 0],
        }
    }

    /// What `write` writes, which is `size` bytes, compressed.
    pub(super) fn compress<E: From<io::Error>>(
        self,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        match self {
            Self::Zstd => zstd(ZSTD_LEVEL, size, write),
            Self::Zstd19 => zstd(ZSTD_HIGH_LEVEL, size, write),
            Self::Gzip => {
                let mut encoder = GzBuilder::new().write(Vec::new(), Level::new(GZIP_LEVEL));
                write(&mut encoder)?;
                Ok(encoder.finish()?)
            }
            Self::Lz4 => {
                let mut encoder = lz4::Encoder::new(Vec::new());
                write(&mut encoder)?;
                Ok(encoder.finish()?)
            }
            Self::None => {
                let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                write(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

fn zstd_settings(level: i32, size: u64) -> [u32; 4] {
    [1, level.unsigned_abs(), window_log(size), zstd::zstd_safe::version_number()]
}

fn zstd<E: From<io::Error>>(
    level: i32,
    size: u64,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
    encoder.window_log(window_log(size))?;
    encoder.long_distance_matching(true)?;
    // The kernel then sees when a boot loader has read it wrong.
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(size))?;
    write(&mut encoder)?;
    Ok(encoder.finish()?)
}

fn window_log(size: u64) -> u32 {
    let half = size.next_power_of_two().trailing_zeros().saturating_sub(1);
    half.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end())
}
