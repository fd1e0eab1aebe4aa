//! What LinuxKit has and this machine or this time has not: an error that says what to do instead.

use std::ffi::OsString;

use thiserror::Error;

use super::Outcome;

/// Whatever is said to it.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub arguments: Vec<OsString>,
}

/// Why it cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// Only macOS has it.
    #[error(
        "{0} runs on macOS only; `lkb run qemu` runs the same image here, and `lkb run vbox` does in VirtualBox"
    )]
    MacOs(&'static str),
    /// Only Windows has it.
    #[error(
        "hyperv runs on Windows only; `lkb run qemu` runs the same image here, and `lkb build --format dynamic-vhd` makes a \
         disk that Hyper-V boots there"
    )]
    Windows,
    /// The cloud has closed.
    #[error(
        "Equinix Metal has closed on 30 June 2026, so nothing can be pushed or run there; where machines boot over the \
         network elsewhere, `lkb build --format kernel+initrd` makes what they load, and `lkb serve` serves it"
    )]
    Closed,
}

impl Unavailable {
    /// The end of a subcommand.
    pub fn outcome(self) -> Outcome {
        Err(self.into())
    }
}
