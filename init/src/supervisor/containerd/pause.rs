//! containerd held still while something is done that must not wait for it.
//!
//! On one processor the kernel runs containerd, which starts meanwhile, up to the next tick (4 ms) whenever whoever makes a
//! container waits for a moment or has just forked, whatever containerd's niceness. Making a container takes less than that.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use rustix::process::Signal;

use super::NAME;
use crate::supervisor::console;
use crate::watch::process::{Handle, ProcessId};

/// A pause of a process, which ends when this is dropped.
#[derive(Debug)]
pub struct Pause(Handle);

impl Pause {
    /// Stops `process`, where it would be in the way: on a machine with one processor.
    ///
    /// `None` when it is not, or is gone.
    #[must_use]
    pub fn of(process: ProcessId) -> Option<Self> {
        // Asked once: the answer is read from files.
        static IS_ONE: LazyLock<bool> =
            LazyLock::new(|| available_parallelism().is_ok_and(|processors| processors.get() == 1));
        if *IS_ONE { Self::begin(process) } else { None }
    }

    fn begin(process: ProcessId) -> Option<Self> {
        let pause = Self(Handle::open(process)?);
        pause.send(Signal::STOP);
        Some(pause)
    }

    fn send(&self, signal: Signal) {
        if let Err(error) = self.0.signal(signal) {
            console::say(&format!("{NAME}: cannot be paused or resumed: {error}"));
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.send(Signal::CONT);
    }
}

/// Resumes a process that a supervisor paused that has died since.
pub fn resume(handle: &Handle) -> std::io::Result<()> {
    handle.signal(Signal::CONT)
}

#[cfg(test)]
mod tests {
    use std::process::Child;
    use std::time::{Duration, Instant};

    use super::*;

    /// A process that runs until it is killed.
    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Sleeper {
        fn new() -> Self {
            Self(std::process::Command::new("sleep").arg("1000").spawn().unwrap())
        }

        fn id(&self) -> ProcessId {
            ProcessId::of(self.0.id()).unwrap()
        }

        /// Waits until the kernel has it stopped (`T`), or going on.
        fn until_stopped(&self, stopped: bool) {
            let stat = format!("/proc/{}/stat", self.0.id());
            let deadline = Instant::now() + Duration::from_secs(20);
            while std::fs::read_to_string(&stat).unwrap().contains(") T ") != stopped {
                assert!(Instant::now() < deadline, "it should be stopped: {stopped}");
                std::thread::yield_now();
            }
        }
    }

    fn in_runtime(test: impl FnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _entered = runtime.enter();
        test();
    }

    #[test]
    fn a_process_stands_still_until_the_pause_is_over() {
        in_runtime(|| {
            let sleeper = Sleeper::new();
            let pause = Pause::begin(sleeper.id()).unwrap();
            sleeper.until_stopped(true);
            drop(pause);
            sleeper.until_stopped(false);
        });
    }

    #[test]
    fn a_pause_that_nobody_ends_any_more_is_ended_by_the_successor() {
        in_runtime(|| {
            let sleeper = Sleeper::new();
            std::mem::forget(Pause::begin(sleeper.id()).unwrap());
            sleeper.until_stopped(true);
            resume(&Handle::open(sleeper.id()).unwrap()).unwrap();
            sleeper.until_stopped(false);
        });
    }

    #[test]
    fn a_process_that_is_gone_is_not_paused() {
        in_runtime(|| {
            let sleeper = Sleeper::new();
            let id = sleeper.id();
            drop(sleeper);
            assert!(Pause::begin(id).is_none());
        });
    }
}
