//! `lkb metadata`.

use std::path::PathBuf;

use super::{Context, Outcome, SUCCESS};
use crate::output::metadata_cd;

/// Make metadata for machines
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a CD image with metadata, as `lkb run --data` gives it to a machine
    ///
    /// The CD has one file, `config`, which the metadata package finds. An ISO that is there is replaced.
    Create {
        /// The CD image
        #[arg(value_name = "ISO")]
        iso: PathBuf,
        /// The metadata
        #[arg(value_name = "STRING", allow_hyphen_values = true)]
        metadata: String,
    },
}

pub fn run(options: &Options, _context: &Context) -> Outcome {
    let Command::Create { iso, metadata } = &options.command;
    metadata_cd::create(iso, metadata.as_bytes())?;
    SUCCESS
}
