//! The `lkb` command: a shim over the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    lkb::cli::main()
}
