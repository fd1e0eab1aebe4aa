//! `lkb diff`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Context, Outcome, SUCCESS, built, source};
use crate::contents::Listing;
use crate::diff;

/// Show what is different between two images
///
/// Each is a configuration (.yml, .yaml, or - for standard input), which is assembled as `lkb build` does it; something that
/// was built: a disk (raw, qcow2), a CD, an EFI program, an initrd, a file system, an uncompressed tar archive; or an image: by its
/// name with a tag or a digest, in an archive, or in a directory (an OCI layout). Images in files are taken into the cache, as
/// builds do it.
///
/// Lines start with + for what only the second has, - for what only the first has, ~ for what is different: type, mode, owner, size,
/// content, links and attributes, not times. What is beside the root on a disk has the name of its place: `partition 1:/PATH`.
///
/// The exit status is diff(1)'s: 0 when nothing is different, 1 when something is, 2 when that cannot be told;
/// with -q it is all that is said.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The architecture of configurations and images
    #[arg(long, default_value = super::host_arch())]
    pub arch: String,

    /// Ask the registries for images that the cache does not have
    #[arg(long)]
    pub pull: bool,

    /// The first
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
        let built = built::named(file)?.unwrap_or(built::Built::File);
        return built::list(file, &built, &options.arch, options.pull, context);
    }
    let mut config = context.load(&[source::read(file, &context.certificates)?])?;
    let machine = context.assemble(&mut config, &options.arch, options.pull)?;
    Ok(Listing::of_machine(&file.display().to_string(), &machine))
}
