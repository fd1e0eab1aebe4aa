//! `logwrite`: writes the logs of all services to files that are put aside.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_logwrite::write::main(std::env::args_os().skip(1))
}
