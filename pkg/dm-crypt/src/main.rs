//! `crypto`: opens an encrypted device, and makes one of a blank one.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_dm_crypt::run::main(std::env::args_os().skip(1))
}
