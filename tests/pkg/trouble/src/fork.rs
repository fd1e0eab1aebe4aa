//! Children by the thousand. The only unsafe code.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pause};

/// Makes `count` children that wait for a signal; returns how many there are when no more could be made.
pub fn children(count: usize) -> usize {
    for made in 0..count {
        // SAFETY: the child makes no call but pause(2), so it needs nothing that another thread may have locked.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => loop {
                pause();
            },
            Ok(ForkResult::Parent { .. }) => {}
            Err(_) => return made,
        }
    }
    count
}

/// Leaves `count` dead processes to the machine's PID 1, all at the same moment.
///
/// A child makes them. It does not wait for them, and so they are its zombies until it ends.
///
/// # Errors
/// When no child can be made.
pub fn orphans(count: usize) -> Result<(), Errno> {
    // SAFETY: the child and its children make system calls only.
    match unsafe { fork() }? {
        ForkResult::Child => {
            for _ in 0..count {
                // SAFETY: as above.
                match unsafe { fork() } {
                    // SAFETY: `_exit` runs nothing of this program.
                    Ok(ForkResult::Child) => unsafe { nix::libc::_exit(0) },
                    Ok(ForkResult::Parent { .. }) => {}
                    Err(_) => break,
                }
            }
            // SAFETY: as above.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => wait(child),
    }
}

fn wait(child: Pid) -> Result<(), Errno> {
    waitpid(child, None).map(drop)
}
