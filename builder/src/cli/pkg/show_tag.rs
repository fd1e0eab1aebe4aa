//! `lkb pkg show-tag`.

use std::path::PathBuf;

use super::naming::Naming;
use crate::cli::{Context, Outcome, SUCCESS};
use crate::image::Reference;
use crate::pkg::graph;

/// Print the packages' image names
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print the name with its registry
    #[arg(long)]
    canonical: bool,

    /// The packages' directories
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
}

pub fn run(options: &Options, naming: &Naming, context: &Context) -> Outcome {
    let look = naming.look()?;
    for dir in &options.dirs {
        let packages = graph::resolve(std::slice::from_ref(dir), &look)?;
        // What a package needs comes before it.
        let Some(package) = packages.last() else { continue };
        if options.canonical {
            context.terminal.print(package.reference.parse::<Reference>()?)?;
        } else {
            context.terminal.print(&package.reference)?;
        }
    }
    SUCCESS
}
