//! Feeding the pool: once, or for as long as the machine runs.
//!
//! Before Linux 5.18, `/dev/random` polls writable whenever the pool is low; since then only until the generator is
//! seeded, and never again. So a service feeds when the pool asks, and once in a while without being asked: the
//! generator takes in what was mixed each time that it reseeds itself.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;

use crate::pool::PoolError;
use crate::source::{Draw, Source};

/// Between feeds that nobody asked for, and between looks for a device: the kernel reseeds itself once a minute
/// (`CRNG_RESEED_INTERVAL`, drivers/char/random.c).
const REFRESH: Duration = Duration::from_secs(60);
/// Feeds in a row that a hungry pool gets; one is enough with RDSEED, three with RDRAND. A pool that is hungry after
/// that isn't helped by more of the same,
const IN_A_ROW: u32 = 16;
/// and has to wait this long.
const PAUSE: Duration = Duration::from_secs(5);

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The pool wants entropy.
    Hungry,
    /// The time is over.
    Timeout,
    /// The service is to end.
    Stop,
}

/// The kernel as far as feeding goes.
pub trait Kernel {
    /// Mixes bytes in and credits them.
    ///
    /// # Errors
    /// [`PoolError::Add`], above all without `CAP_SYS_ADMIN`.
    fn add(&mut self, draw: &Draw) -> Result<(), PoolError>;

    /// Waits for a signal, for `longest`, and if `for_hunger` for the pool.
    ///
    /// # Errors
    /// [`PoolError::Wait`].
    fn wait(&mut self, for_hunger: bool, longest: Duration) -> Result<Event, PoolError>;
}

/// Why feeding ended.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Nothing to feed it with.
    #[error("{NO_SOURCE}")]
    NoSource,
}

const NO_SOURCE: &str = "no source of randomness: the processor has no usable RDSEED or RDRAND, and /dev/hwrng gives \
                         nothing (a virtio-rng device would do)";

/// All of it: sources, the way to find more, the pool, and who hears about it.
pub struct Feeder<'a, K> {
    kernel: K,
    sources: Vec<Box<dyn Source>>,
    find_device: &'a dyn Fn() -> Option<Box<dyn Source>>,
    say: &'a dyn Fn(&dyn Display),
}

impl<K: std::fmt::Debug> std::fmt::Debug for Feeder<'_, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

impl<'a, K: Kernel> Feeder<'a, K> {
    /// Feeds `kernel` from the processor, if it can, and from the device that `find_device` finds.
    pub fn new(
        kernel: K,
        processor: Option<Box<dyn Source>>,
        find_device: &'a dyn Fn() -> Option<Box<dyn Source>>,
        say: &'a dyn Fn(&dyn Display),
    ) -> Self {
        Self { kernel, sources: processor.into_iter().chain(find_device()).collect(), find_device, say }
    }

    /// Feeds the pool until it is no longer hungry.
    ///
    /// # Errors
    /// [`FeedError::NoSource`] when there is nothing to feed it with.
    pub fn once(mut self) -> Result<(), FeedError> {
        self.say_sources();
        let mut bits = 0;
        for _ in 0..IN_A_ROW {
            bits += self.feed()?;
            if self.sources.is_empty() {
                return Err(FeedError::NoSource);
            }
            if self.kernel.wait(true, Duration::ZERO)? != Event::Hungry {
                break;
            }
        }
        (self.say)(&format_args!("credited {bits} bits of entropy"));
        Ok(())
    }

    /// Feeds the pool until it is told to stop. Without a source it idles, and looks for a device from time to time.
    ///
    /// # Errors
    /// [`FeedError::Pool`] alone.
    pub fn serve(mut self) -> Result<(), FeedError> {
        self.say_sources();
        let mut in_a_row = 0;
        loop {
            let fed = self.feed()? > 0;
            in_a_row = if fed { in_a_row + 1 } else { IN_A_ROW };
            let event = if in_a_row < IN_A_ROW {
                self.kernel.wait(true, REFRESH)?
            } else {
                in_a_row = 0;
                self.kernel.wait(false, if fed { PAUSE } else { REFRESH })?
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Hungry => {}
                Event::Timeout => {
                    in_a_row = 0;
                    self.look_for_device();
                }
            }
        }
    }

    /// One draw from every source into the pool; returns the bits credited. Sources that fail are dropped.
    fn feed(&mut self) -> Result<u32, FeedError> {
        let mut bits = 0;
        let mut usable = Vec::new();
        for mut source in self.sources.drain(..) {
            match source.draw() {
                Ok(draw) => {
                    self.kernel.add(&draw)?;
                    bits += draw.credit;
                    usable.push(source);
                }
                Err(error) => (self.say)(&format_args!("{error}; it is not used any more")),
            }
        }
        self.sources = usable;
        Ok(bits)
    }

    fn look_for_device(&mut self) {
        if self.sources.is_empty() {
            self.sources.extend((self.find_device)());
            if !self.sources.is_empty() {
                self.say_sources();
            }
        }
    }

    fn say_sources(&self) {
        let names: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
        if names.is_empty() {
            (self.say)(&NO_SOURCE);
        } else {
            (self.say)(&format_args!("feeding the kernel from {}", names.join(" and ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceError;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    /// Plays these events, then stops; notes what was asked of it.
    #[derive(Debug, Clone, Default)]
    struct FakeKernel {
        events: Rc<RefCell<Vec<Event>>>,
        added: Rc<Cell<u32>>,
        waits: Rc<RefCell<Vec<(bool, Duration)>>>,
        forbidden: bool,
    }

    impl FakeKernel {
        fn playing(events: &[Event]) -> Self {
            Self { events: Rc::new(RefCell::new(events.to_vec())), ..Self::default() }
        }
    }

    impl Kernel for FakeKernel {
        fn add(&mut self, draw: &Draw) -> Result<(), PoolError> {
            if self.forbidden {
                return Err(PoolError::Add(nix::errno::Errno::EPERM));
            }
            self.added.set(self.added.get() + draw.credit);
            Ok(())
        }

        fn wait(&mut self, for_hunger: bool, longest: Duration) -> Result<Event, PoolError> {
            self.waits.borrow_mut().push((for_hunger, longest));
            let mut events = self.events.borrow_mut();
            Ok(if events.is_empty() { Event::Stop } else { events.remove(0) })
        }
    }

    /// Gives this many draws.
    struct FakeSource(u32);

    impl Source for FakeSource {
        fn name(&self) -> &'static str {
            "FAKE"
        }

        fn draw(&mut self) -> Result<Draw, SourceError> {
            self.0 = self.0.checked_sub(1).ok_or(SourceError::Dry("FAKE"))?;
            Ok(Draw { bytes: vec![0; 8], credit: 100 })
        }
    }

    fn source(draws: u32) -> Option<Box<dyn Source>> {
        Some(Box::new(FakeSource(draws)))
    }

    struct Heard(RefCell<Vec<String>>);

    impl Heard {
        fn new() -> Self {
            Self(RefCell::new(Vec::new()))
        }

        fn hear(&self) -> impl Fn(&dyn Display) {
            |message| self.0.borrow_mut().push(message.to_string())
        }
    }

    #[test]
    fn one_shot_feeds_until_the_pool_has_enough() {
        let kernel = FakeKernel::playing(&[Event::Hungry, Event::Hungry, Event::Timeout]);
        let heard = Heard::new();
        Feeder::new(kernel.clone(), source(99), &|| None, &heard.hear()).once().unwrap();
        assert_eq!(kernel.added.get(), 300);
        assert_eq!(*heard.0.borrow(), ["feeding the kernel from FAKE", "credited 300 bits of entropy"]);
    }

    #[test]
    fn one_shot_without_a_source_is_an_error_that_says_what_would_help() {
        let error = Feeder::new(FakeKernel::default(), None, &|| None, &|_| {}).once().unwrap_err();
        assert!(error.to_string().contains("virtio-rng"), "{error}");
        assert!(Feeder::new(FakeKernel::default(), source(0), &|| None, &|_| {}).once().is_err());
    }

    #[test]
    fn one_shot_ends_even_if_the_pool_never_has_enough() {
        let kernel = FakeKernel::playing(&[Event::Hungry; 1000]);
        Feeder::new(kernel.clone(), source(9999), &|| None, &|_| {}).once().unwrap();
        assert_eq!(kernel.added.get(), 100 * IN_A_ROW);
    }

    #[test]
    fn a_service_feeds_at_once_when_asked_and_once_in_a_while() {
        let kernel = FakeKernel::playing(&[Event::Hungry, Event::Timeout, Event::Timeout]);
        Feeder::new(kernel.clone(), source(99), &|| None, &|_| {}).serve().unwrap();
        assert_eq!(kernel.added.get(), 400);
        assert_eq!(*kernel.waits.borrow(), [(true, REFRESH); 4]);
    }

    #[test]
    fn a_pool_that_is_always_hungry_does_not_make_the_service_spin() {
        let kernel = FakeKernel::playing(&[Event::Hungry; 100]);
        Feeder::new(kernel.clone(), source(9999), &|| None, &|_| {}).serve().unwrap();
        let waits = kernel.waits.borrow();
        for window in waits.windows(IN_A_ROW as usize) {
            assert!(window.contains(&(false, PAUSE)), "{window:?}");
        }
    }

    #[test]
    fn a_source_that_fails_is_dropped_and_the_service_idles_until_a_device_appears() {
        let kernel = FakeKernel::playing(&[Event::Timeout, Event::Timeout, Event::Timeout]);
        let looks = Cell::new(0);
        let find = || {
            looks.set(looks.get() + 1);
            if looks.get() == 3 { source(99) } else { None }
        };
        let heard = Heard::new();
        Feeder::new(kernel.clone(), source(1), &find, &heard.hear()).serve().unwrap();
        assert_eq!(
            *heard.0.borrow(),
            [
                "feeding the kernel from FAKE",
                "FAKE gives nothing; it is not used any more",
                "feeding the kernel from FAKE"
            ]
        );
        assert_eq!(kernel.waits.borrow()[1..3], [(false, REFRESH); 2], "an idle service polls a hungry pool");
        assert_eq!(kernel.added.get(), 200);
    }

    #[test]
    fn without_the_capability_feeding_ends_and_says_why() {
        let kernel = FakeKernel { forbidden: true, ..FakeKernel::default() };
        let error = Feeder::new(kernel, source(9), &|| None, &|_| {}).serve().unwrap_err();
        assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
    }
}
