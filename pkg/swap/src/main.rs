//! `swap`: makes a swap file on a disk, and swaps to it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_swap::run::main(std::env::args_os().skip(1))
}
