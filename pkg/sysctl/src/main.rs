//! `sysctl`: applies every setting it can, and says which it can't. See [`lk_sysctl::tree::SYSCTL`].

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_sysctl::run::main(&lk_sysctl::tree::SYSCTL, std::env::args_os().skip(1))
}
