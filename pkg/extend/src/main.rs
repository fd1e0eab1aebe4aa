//! `extend`: gives a partition and its file system the rest of a disk that has grown.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_extend::run::main(std::env::args_os().skip(1))
}
