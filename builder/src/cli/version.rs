//! `lkb version`.

use std::process::ExitCode;

use super::{Context, Outcome};

/// Print the version
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print the number only
    #[arg(long)]
    pub short: bool,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    context.terminal.print(if options.short { version.to_owned() } else { format!("lkb {version}") })?;
    Ok(ExitCode::SUCCESS)
}
