//! The program `disk-links`, which PID 1 starts when disks come, go or change.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::{apply::apply, wanted};
use crate::device::block::Sysfs;

/// Where the links are.
const DISK: &str = "/dev/disk";
/// Events come in crowds: a disk, its partitions, what is made of them. This long after the first, one look sees them all.
const SETTLE: Duration = Duration::from_millis(50);

/// Runs the program: waits for the crowd to pass, then brings the links up to date.
#[must_use]
pub fn main() -> ExitCode {
    sleep(SETTLE);
    match update() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("disk-links: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Looks at all disks, and brings the links up to date; one process at a time.
///
/// # Errors
/// What could not be made, in words.
pub fn update() -> Result<(), String> {
    let disk = Path::new(DISK);
    let say = |error: io::Error| format!("cannot lock {DISK}: {error}");
    std::fs::create_dir_all(disk).map_err(|error| format!("cannot make {DISK}: {error}"))?;
    let lock = Flock::lock(File::open(disk).map_err(say)?, FlockArg::LockExclusive);
    let _lock = lock.map_err(|(_, errno)| say(errno.into()))?;
    let devices = Sysfs::default().devices();
    apply(disk, &wanted(&devices)).map(drop).map_err(|error| error.to_string())
}
