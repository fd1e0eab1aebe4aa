//! Where randomness comes from, and how much of it is believed.
//!
//! | source | bytes a draw | credit | reason |
//! | --- | --- | --- | --- |
//! | RDSEED | 128 | 512 bits | made for seeding; half is believed |
//! | RDRAND | 8192 | 128 bits | a generator's output: 512 samples of 128 bits hold one reseed for sure (Intel, DRNG Software Implementation Guide, 5.2.6) |
//! | /dev/hwrng | 128 | 512 bits | a device that we don't know; half is believed |

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use thiserror::Error;

use crate::raw;

/// Random bytes, and the entropy that they are credited with.
#[derive(Clone, PartialEq, Eq)]
pub struct Draw {
    /// At most 8192.
    pub bytes: Vec<u8>,
    /// In bits.
    pub credit: u32,
}

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Draw of {} bytes, {} bits", self.bytes.len(), self.credit)
    }
}

/// Why a source is not used any more.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It had nothing, again and again.
    #[error("{0} gives nothing")]
    Dry(&'static str),
    /// It repeats itself, as broken ones do (some processors' RDRAND after a suspend).
    #[error("{0} repeats itself: it is broken")]
    Stuck(&'static str),
    /// Reading it failed.
    #[error("{0}: {1}")]
    Read(&'static str, std::io::Error),
}

/// Something that random bytes can be drawn from.
pub trait Source {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// Draws some bytes.
    ///
    /// # Errors
    /// [`SourceError`]: it is not to be used any more.
    fn draw(&mut self) -> Result<Draw, SourceError>;
}

/// Which of the processor's instructions may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// RDSEED.
    pub rdseed: bool,
    /// RDRAND.
    pub rdrand: bool,
}

/// The processor's best instruction that is there and allowed.
#[must_use]
pub fn processor(allowed: Allowed) -> Option<Box<dyn Source>> {
    if allowed.rdseed && raw::has_rdseed() {
        Some(Box::new(Instruction { name: "RDSEED", words: 16, credit: 512, tries: 1000, step: raw::rdseed }))
    } else if allowed.rdrand && raw::has_rdrand() {
        // Ten tries: Intel's guide, 5.2.1.
        Some(Box::new(Instruction { name: "RDRAND", words: 1024, credit: 128, tries: 10, step: raw::rdrand }))
    } else {
        None
    }
}

/// The kernel's hardware generator, if it has one that gives something.
#[must_use]
pub fn device() -> Option<Box<dyn Source>> {
    HwRng::open(Path::new("/dev/hwrng")).map(|device| Box::new(device) as Box<dyn Source>)
}

struct Instruction {
    name: &'static str,
    words: usize,
    credit: u32,
    tries: u32,
    step: fn() -> Option<u64>,
}

impl Source for Instruction {
    fn name(&self) -> &'static str {
        self.name
    }

    fn draw(&mut self) -> Result<Draw, SourceError> {
        let mut bytes = Vec::with_capacity(self.words * 8);
        for _ in 0..self.words {
            let mut tries = (0..self.tries).map(|_| {
                std::hint::spin_loop();
                (self.step)()
            });
            let word = tries.find_map(|word| word).ok_or(SourceError::Dry(self.name))?;
            bytes.extend(word.to_ne_bytes());
        }
        checked(self.name, bytes, self.credit)
    }
}

struct HwRng {
    file: File,
}

impl HwRng {
    const NAME: &'static str = "/dev/hwrng";
    const BYTES: usize = 128;
    const CREDIT: u32 = 512;
    /// A virtio-rng without data answers EAGAIN and asks its host for some: as often as this,
    const TRIES: u32 = 20;
    /// and this long, is waited for. Short, for a signal to end the service is only looked for in between.
    const PAUSE: Duration = Duration::from_millis(10);

    /// The file is there even when no driver is: only reading tells. Never blocks.
    fn open(path: &Path) -> Option<Self> {
        let file =
            File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path).ok()?;
        let mut device = Self { file };
        device.draw().is_ok().then_some(device)
    }
}

impl Source for HwRng {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn draw(&mut self) -> Result<Draw, SourceError> {
        let mut bytes = [0; Self::BYTES];
        let (mut got, mut tries) = (0, 0);
        while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) => return Err(SourceError::Dry(Self::NAME)),
                Ok(count) => got += count,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    tries += 1;
                    if tries > Self::TRIES {
                        return Err(SourceError::Dry(Self::NAME));
                    }
                    std::thread::sleep(Self::PAUSE);
                }
                Err(e) => return Err(SourceError::Read(Self::NAME, e)),
            }
        }
        checked(Self::NAME, bytes.to_vec(), Self::CREDIT)
    }
}

/// Refuses bytes in which a 64-bit word follows itself: by chance that is one in 2⁶⁴ (FIPS 140-2, 4.9.2, the continuous
/// test).
fn checked(name: &'static str, bytes: Vec<u8>, credit: u32) -> Result<Draw, SourceError> {
    let mut words = bytes.chunks_exact(8);
    let mut before = words.next();
    for word in words {
        if before.replace(word) == Some(word) {
            return Err(SourceError::Stuck(name));
        }
    }
    Ok(Draw { bytes, credit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }

    fn counting() -> Option<u64> {
        NEXT.set(NEXT.get() + 1);
        Some(NEXT.get())
    }

    /// Has nothing two times out of three.
    fn hesitant() -> Option<u64> {
        counting().filter(|n| n % 3 == 0)
    }

    fn source(step: fn() -> Option<u64>) -> Instruction {
        Instruction { name: "TEST", words: 16, credit: 100, tries: 10, step }
    }

    #[test]
    fn a_draw_has_all_its_bytes_and_its_credit_even_from_a_hesitant_source() {
        for step in [counting, hesitant] {
            let draw = source(step).draw().unwrap();
            assert_eq!((draw.bytes.len(), draw.credit), (128, 100));
        }
    }

    #[test]
    fn a_source_that_is_dry_or_repeats_itself_is_an_error() {
        assert!(matches!(source(|| None).draw(), Err(SourceError::Dry("TEST"))));
        assert!(matches!(source(|| Some(u64::MAX)).draw(), Err(SourceError::Stuck("TEST"))));
        assert!(matches!(source(|| Some(0)).draw(), Err(SourceError::Stuck("TEST"))));
    }

    #[test]
    fn instructions_that_are_not_allowed_are_not_used() {
        assert!(processor(Allowed { rdseed: false, rdrand: false }).is_none());
        if let Some(source) = processor(Allowed { rdseed: false, rdrand: true }) {
            assert_eq!(source.name(), "RDRAND");
        }
    }

    #[test]
    fn what_the_processor_has_gives_draws_that_the_pool_can_take() {
        for allowed in [Allowed { rdseed: true, rdrand: false }, Allowed { rdseed: false, rdrand: true }] {
            let has = if allowed.rdseed { raw::has_rdseed() } else { raw::has_rdrand() };
            let Some(mut source) = processor(allowed) else {
                assert!(!has, "{allowed:?} is there and not used");
                continue;
            };
            let (first, second) = (source.draw().unwrap(), source.draw().unwrap());
            assert_ne!(first.bytes, second.bytes);
            assert!(first.bytes.len() <= raw::MAX_BYTES);
            assert!(first.credit as usize <= first.bytes.len() * 4, "more than half is believed");
        }
    }

    #[test]
    fn a_device_that_is_not_there_or_gives_nothing_is_no_source() {
        assert!(HwRng::open(Path::new("/nonexistent")).is_none());
        assert!(HwRng::open(Path::new("/dev/null")).is_none());
        assert!(HwRng::open(Path::new("/dev/zero")).is_none());
        assert!(HwRng::open(Path::new("/dev/urandom")).is_some());
    }

    #[test]
    fn random_bytes_are_never_shown() {
        let draw = Draw { bytes: vec![0xab; 8], credit: 1 };
        assert_eq!(format!("{draw:?}"), "Draw of 8 bytes, 1 bits");
    }
}
