//! `format`: partitions and formats a blank disk, and only a blank one.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_format::run::main(std::env::args_os().skip(1))
}
