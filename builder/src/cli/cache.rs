//! `lkb cache`.

use std::path::PathBuf;

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
        /// The directory or archive
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Name the one image that it holds
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove images, and what no other image needs
    Rm {
        /// The images' names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove everything
    Clean,
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
            for reference in cache.import(path, name.as_ref())? {
                context.terminal.print(reference)?;
            }
        }
        Command::Rm { names } => {
            for name in names {
                if !cache.remove(&name.parse()?)? {
                    return Err(
                        format!("the cache has no image {name}; `lkb cache ls` shows what it has").into()
                    );
                }
            }
        }
        Command::Clean => cache.clean()?,
    }
    SUCCESS
}
