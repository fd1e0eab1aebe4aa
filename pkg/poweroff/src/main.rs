//! `poweroff`: powers the machine off after a while.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_poweroff::run::main(std::env::args_os().skip(1))
}
