//! A filter for the system calls of an added process.
//!
//! libcontainer loads a container's filter for its first process, and forgets it for those that are added.

use oci_spec::runtime::LinuxSeccomp;

/// Restricts the calling process, and with it the program that it will execute.
///
/// Without CAP_SYS_ADMIN the kernel takes a filter only from a process that gives up new privileges, which an added
/// process therefore does; the container's first process keeps them, as its filter is loaded before its capabilities go.
pub fn load(filter: &LinuxSeccomp) -> Result<(), String> {
    nix::sys::prctl::set_no_new_privs().map_err(|errno| format!("cannot give up new privileges: {errno}"))?;
    match libcontainer::seccomp::initialize_seccomp(filter) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => {
            Err("a filter that asks another process cannot be used for an added process".to_owned())
        }
        Err(error) => Err(format!("cannot restrict system calls: {}", super::chain(&error))),
    }
}
