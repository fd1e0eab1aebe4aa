//! `mountie`: finds a file system and mounts it under `/var`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_mount::run::main(std::env::args_os().skip(1))
}
