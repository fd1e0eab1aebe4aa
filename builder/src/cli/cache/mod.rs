//! `lkb cache`.

mod export;
mod pull;
mod push;
mod remove;

use std::path::{Path, PathBuf};

use super::{Context, Outcome, SUCCESS};
use crate::image::Reference;

/// Look after the image cache
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the images
    Ls,
    /// Take in the images of an OCI layout or of an archive (OCI or Docker)
    Import {
        /// The directory or archive; - is an archive on standard input
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Name the one image that it holds
        #[arg(long)]
        name: Option<String>,
    },
    Export(export::Options),
    Pull(pull::Options),
    Push(push::Options),
    /// Remove images, and what no other image needs
    Rm {
        /// Only those that the registry has, too
        #[arg(long)]
        published_only: bool,
        /// The images' names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove everything
    Clean {
        /// Only images that the registry has, too
        #[arg(long)]
        published_only: bool,
    },
    /// Remove what no image needs: what was replaced, and what killed pulls and imports left
    Gc,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let cache = context.cache()?;
    match &options.command {
        Command::Ls => {
            for image in cache.list()? {
                context.terminal.print(format_args!("{} {}", image.name, image.digest))?;
            }
        }
        Command::Import { path, name } => {
            let name = name.as_deref().map(str::parse::<Reference>).transpose()?;
            let imported = match path == Path::new("-") {
                true => cache.import_stream(&mut std::io::stdin().lock(), path, name.as_ref())?,
                false => cache.import(path, name.as_ref())?,
            };
            for reference in imported {
                context.terminal.print(reference)?;
            }
        }
        Command::Export(options) => return export::run(options, &cache),
        Command::Pull(options) => return pull::run(options, &cache, context),
        Command::Push(options) => return push::run(options, &cache, context),
        Command::Rm { published_only, names } => {
            return remove::remove(names, *published_only, &cache, context);
        }
        Command::Clean { published_only } => return remove::clean(*published_only, &cache, context),
        Command::Gc => return remove::collect_garbage(&cache, context),
    }
    SUCCESS
}

/// The architecture of a platform: `linux/arm64`, or `linux/arm64/v8`, where the architecture decides.
fn arch(platform: &str) -> Result<&str, String> {
    let arch = platform.strip_prefix("linux/").and_then(|rest| rest.split('/').next());
    arch.filter(|arch| !arch.is_empty()).ok_or_else(|| {
        format!("platform {platform:?} is not of the form linux/ARCH, for example linux/arm64")
    })
}
