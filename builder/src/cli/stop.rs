//! `lkb stop`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Context, Outcome, SUCCESS};
use crate::run::qemu::{How, stop};

/// Press a machine's power button, and wait until it is off
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Pull the plug instead
    #[arg(long)]
    pub force: bool,

    /// How long the machine has, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,

    /// Where the machine keeps its state [default: PATH-state]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// What the machine was started from
    pub path: PathBuf,
}

pub fn run(options: &Options, _context: &Context) -> Outcome {
    let how =
        if options.force { How::PullThePlug } else { How::PowerButton(Duration::from_secs(options.timeout)) };
    stop(&options.path, options.state.as_deref(), how)?;
    SUCCESS
}
