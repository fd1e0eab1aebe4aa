//! `lkb diff`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Context, Outcome, SUCCESS, source};
use crate::diff::{self, Listing};

/// Show what is different between two images
///
/// Each is a configuration (.yml, .yaml, or - for standard input), which is assembled as `lkb build` does it, a tar
/// archive, such as `lkb build --format tar` writes, or an initrd. Lines start with + for what only the second has, - for what
/// only the first has, ~ for what is different: type, mode, owner, size, content, links and attributes, not times.
///
/// The exit status is diff(1)'s: 0 when nothing is different, 1 when something is, 2 when that cannot be told;
/// with -q it is all that is said.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The architecture that configurations are assembled for
    #[arg(long, default_value = super::host_arch())]
    pub arch: String,

    /// Ask the registries for images that the cache does not have
    #[arg(long)]
    pub pull: bool,

    /// The first: a configuration, a tar archive or an initrd
    #[arg(value_name = "A")]
    pub before: PathBuf,

    /// The second
    #[arg(value_name = "B")]
    pub after: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    compare(options, context).or_else(|error| {
        context.terminal.report(error.as_ref());
        Ok(ExitCode::from(2))
    })
}

fn compare(options: &Options, context: &Context) -> Outcome {
    if [&options.before, &options.after].iter().all(|file| *file == Path::new("-")) {
        return Err("only one of the two can be standard input".into());
    }
    let (before, after) =
        (listing(&options.before, options, context)?, listing(&options.after, options, context)?);
    let changes = diff::compare(&before, &after)?;
    if context.terminal.is_json() {
        context.terminal.print(serde_json::to_string_pretty(&changes)?)?;
    } else if !context.terminal.is_quiet() {
        changes.iter().try_for_each(|change| context.terminal.print(change))?;
    }
    if changes.is_empty() { SUCCESS } else { Ok(ExitCode::FAILURE) }
}

fn listing(
    file: &Path,
    options: &Options,
    context: &Context,
) -> Result<Listing, Box<dyn Error + Send + Sync>> {
    let yaml =
        |extension: &std::ffi::OsStr| ["yml", "yaml"].iter().any(|y| extension.eq_ignore_ascii_case(y));
    if file != Path::new("-") && !source::is_url(file) && !file.extension().is_some_and(yaml) {
        return Ok(Listing::of_file(file)?);
    }
    let mut config = context.load(&[source::read(file, &context.certificates)?])?;
    let machine = context.assemble(&mut config, &options.arch, options.pull)?;
    Ok(Listing::of_machine(&file.display().to_string(), &machine))
}
