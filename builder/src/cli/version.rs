//! `lkb version`.

use std::process::ExitCode;

use super::{Context, Outcome};

/// Print the version
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print the number only
    #[arg(long)]
    pub short: bool,

    /// Print the commit that it was built from, too
    #[arg(long)]
    pub commit: bool,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    context.terminal.print(if options.short { version.to_owned() } else { format!("lkb {version}") })?;
    if options.commit {
        // `make` sets it.
        context.terminal.print(format_args!("commit: {}", option_env!("LKB_COMMIT").unwrap_or("unknown")))?;
    }
    Ok(ExitCode::SUCCESS)
}
