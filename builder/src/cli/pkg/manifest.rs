//! `lkb pkg manifest`.

use std::path::PathBuf;

use super::naming::Naming;
use crate::cli::{Context, Outcome, SUCCESS};
use crate::pkg::{graph, publish};

/// Make a package's tag in its registry an index of all architectures that are there
///
/// Those are the images by the tags TAG-amd64, TAG-arm64 and so on, which `lkb pkg push` makes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Do the same for this release
    #[arg(long, value_name = "TAG")]
    release: Option<String>,

    /// The package's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub fn run(options: &Options, naming: &Naming, context: &Context) -> Outcome {
    let packages = graph::resolve(std::slice::from_ref(&options.dir), &naming.look()?)?;
    let Some(package) = packages.last() else { return SUCCESS };
    for (name, digest) in publish::join(package, options.release.as_deref(), &context.registries()?)? {
        context.terminal.print(format_args!("{name} {digest}"))?;
    }
    SUCCESS
}
