//! `lkb pkg builder`.

use super::build::workers;
use crate::cli::{Context, Outcome, SUCCESS, host_arch};
use crate::pkg::driver::{self, Upkeep};

/// Look after what builders keep of earlier builds
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print how much disk space that takes
    Du(Of),
    /// Remove it
    Prune(Of),
}

/// Which builders.
#[derive(Debug, clap::Args)]
struct Of {
    #[command(flatten)]
    workers: workers::Builders,

    /// The platforms whose builders are meant [default: this machine's]
    #[arg(long, value_name = "linux/ARCH,…", value_delimiter = ',')]
    platforms: Vec<String>,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let (of, upkeep) = match &options.command {
        Command::Du(of) => (of, Upkeep::Measure),
        Command::Prune(of) => (of, Upkeep::Prune),
    };
    let workers = of.workers.choose()?;
    for arch in workers::arches(&of.platforms, &workers)? {
        context.terminal.print(driver::choose(&workers, &arch, host_arch()).keep_up(upkeep)?.trim_end())?;
    }
    SUCCESS
}
