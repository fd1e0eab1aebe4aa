//! `lkb pkg remote-tag`.

use crate::cli::{Context, Outcome, SUCCESS};
use crate::image::Reference;

/// Give an image in a registry another name, there or in another repository or registry
///
/// All platforms come along. Within one registry nothing is transferred.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Its name
    from: String,

    /// Its other name
    to: String,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let (from, to): (Reference, Reference) = (options.from.parse()?, options.to.parse()?);
    let copied = context.registries()?.copy(&context.cache()?, &from, &to)?;
    if !copied.changed {
        context.terminal.note(format_args!("{to} is the same image already"));
    }
    context.terminal.print(format_args!("{to} {}", copied.digest))?;
    SUCCESS
}
