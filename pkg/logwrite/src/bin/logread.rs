//! `logread`: prints the logs of all services.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_logwrite::read::main(std::env::args_os().skip(1))
}
