//! `loopy`: makes a block device of a file.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_losetup::run::main(std::env::args_os().skip(1))
}
