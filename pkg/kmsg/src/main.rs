//! `kmsg`: prints what the kernel logs, as it comes.

use std::process::ExitCode;

fn main() -> ExitCode {
    lk_kmsg::run::main(std::env::args_os().skip(1))
}
