//! `modprobe`: loads kernel modules, as PID 1 does. See [`kmod::modprobe`].

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    kmod::modprobe::main(&arguments)
}
