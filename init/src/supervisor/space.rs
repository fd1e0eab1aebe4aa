//! Tells when a file system that everybody writes to is full: what fails then fails somewhere else, with other words.

use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::time::{MissedTickBehavior, interval};

use super::console;

/// Where containers and the machine write, whatever is mounted there.
const WATCHED: [&str; 2] = ["/run", "/var"];
/// How often is looked.
const EVERY: Duration = Duration::from_secs(2);
/// Full is when less than this is left, in percent.
const FULL: u64 = 1;
/// No longer full is when as much as this is free again, in percent: between the two nothing is said.
const FREE_AGAIN: u64 = 10;

/// What was said last about a file system.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Space {
    is_full: bool,
}

impl Space {
    /// Takes what is free of `total` and says what has changed.
    fn look(&mut self, free: u64, total: u64) -> Option<String> {
        let of_total = |percent: u64| u128::from(total) * u128::from(percent);
        let free_of_total = u128::from(free) * 100;
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        if !self.is_full && total > 0 && free_of_total < of_total(FULL) {
            self.is_full = true;
            return Some(format!("is full: {} of {} MiB are free", free >> 20, mib(total)));
        }
        if self.is_full && free_of_total >= of_total(FREE_AGAIN) {
            self.is_full = false;
            return Some(format!("is not full any more: {} of {} MiB are free", free >> 20, mib(total)));
        }
        None
    }
}

/// Looks for as long as it is polled.
pub async fn watch() {
    let mut spaces = WATCHED.map(|path| (path, Space::default()));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (path, space) in &mut spaces {
            // What cannot be asked now is asked again.
            let Ok(found) = statvfs(Path::new(path)) else { continue };
            let unit = found.fragment_size();
            let bytes = |blocks: u64| blocks.saturating_mul(unit);
            if let Some(change) = space.look(bytes(found.blocks_available()), bytes(found.blocks())) {
                console::say(&format!("supervisor: {path} {change}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_full_file_system_is_told_once_and_so_is_its_end() {
        let mut space = Space::default();
        let steps = [
            (50, None),
            (1, None),
            (0, Some("is full: 0 of 100 MiB are free")),
            (0, None),
            (9, None),
            (10, Some("is not full any more: 10 of 100 MiB are free")),
            (0, Some("is full: 0 of 100 MiB are free")),
        ];
        for (free, said) in steps {
            assert_eq!(space.look(free * MIB, 100 * MIB).as_deref(), said, "{free}");
        }
    }

    #[test]
    fn a_file_system_without_a_size_is_never_full() {
        assert_eq!(Space::default().look(0, 0), None);
    }
}
