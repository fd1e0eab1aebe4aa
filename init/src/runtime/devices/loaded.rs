//! Programs that the kernel has already checked and compiled, by what is in them.
//!
//! Most containers of a machine have the same rules. The first pins its program on the `bpf` file system, and the others
//! attach the same one: neither is it checked again, which takes as long as all of a container's mounts, nor does it take
//! memory again, nor does the kernel clear 2 MiB for compiled programs whenever the last container has ended.

use std::ffi::CString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::{load_device_program, pin_program, pinned_program};

/// Where the kernel keeps what has a name; only root gets in.
const DIRECTORY: &str = "/sys/fs/bpf/lkb-devices";

/// The program of these instructions.
///
/// # Errors
/// As [`load_device_program`].
pub fn load(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    let name = CString::new(format!("{DIRECTORY}/{}", name(instructions))).map_err(|_| Errno::EINVAL)?;
    if let Ok(program) = pinned_program(&name) {
        return Ok(program);
    }
    let program = load_device_program(instructions)?;
    let directory = std::fs::create_dir(DIRECTORY);
    if directory.is_ok() || directory.is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
        // Another may have been faster: then the container has a program of its own, as where there is no such file system.
        let _ = pin_program(program.as_fd(), &name);
    }
    Ok(program)
}

/// 128 bits of digest, and the length: programs that are different by accident do not share a name. One that is made to
/// would have to be in the same image, where asking for the devices is easier.
fn name(instructions: &[u64]) -> String {
    let digest = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, instructions).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:x}-{:016x}{:016x}", instructions.len(), digest(0), digest(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_the_instructions() {
        assert_eq!(name(&[1, 2]), name(&[1, 2]));
        let others: [&[u64]; 4] = [&[1], &[2, 1], &[1, 2, 0], &[]];
        for other in others {
            assert_ne!(name(&[1, 2]), name(other), "{other:?}");
        }
        assert!(name(&[1, 2]).bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}
