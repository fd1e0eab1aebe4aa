//! The boot time-line: what took how long. The format is [`image_layout::timeline`]'s; PID 1 and the supervisor write it.

mod text;

pub use image_layout::timeline::{Kind, Outcome, PATH, PORT, Phase, STEPS_LIMIT, Step, Timeline, phases};
pub use text::table;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The time since the kernel started (CLOCK_BOOTTIME).
#[must_use]
pub fn now() -> Duration {
    // The clock cannot fail on any kernel since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
