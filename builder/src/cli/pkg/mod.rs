//! `lkb pkg`.

mod build;
mod builder;
mod manifest;
mod naming;
mod remote_tag;
mod show_tag;

use super::{Context, Outcome};
use naming::Naming;

/// Build packages, name them, and put them into registries
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    naming: Naming,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Build packages into the cache
    Build(build::Options),
    /// Build packages, unless somebody has, and put them into their registries
    ///
    /// The same as `lkb pkg build --push`.
    Push(build::Options),
    ShowTag(show_tag::Options),
    #[command(visible_alias = "index")]
    Manifest(manifest::Options),
    RemoteTag(remote_tag::Options),
    Builder(builder::Options),
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let naming = &options.naming;
    match &options.command {
        Command::Build(build) => build::run(build, naming, build.push, context),
        Command::Push(build) => build::run(build, naming, true, context),
        Command::ShowTag(show) => show_tag::run(show, naming, context),
        Command::Manifest(manifest) => manifest::run(manifest, naming, context),
        Command::RemoteTag(tag) => remote_tag::run(tag, context),
        Command::Builder(builder) => builder::run(builder, context),
    }
}
