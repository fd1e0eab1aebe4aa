//! `sysfs`: writes attributes of the kernel from `/etc/sysfs.d` to `/sys`, as `sysctl` does for its own. See
//! [`lk_sysctl::tree::SYSFS`].

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_sysctl::run::main(&lk_sysctl::tree::SYSFS, std::env::args_os().skip(1))
}
