//! The binary: argv0 → one of the programs in [`lk_init::face`], nothing else.
//!
//! The C entry point is ours because std's aborts when a standard descriptor is closed and `/dev/null` cannot be
//! opened. PID 1 starts exactly so on a root without `/dev/console` (LinuxKit's builder drops that node, and its
//! kernels do not mount devtmpfs), and an abort of PID 1 is a kernel panic.
#![no_main]

use std::ffi::{c_char, c_int};

// SAFETY: `main` is the name the C runtime calls, with this signature; nothing else in the binary defines it.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    lk_init::face::main()
}
