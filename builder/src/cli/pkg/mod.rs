//! `lkb pkg`.

use std::path::PathBuf;

use super::{Context, Outcome as Result, SUCCESS};
use crate::event::{Event, Work};
use crate::image::Reference;
use crate::pkg::build::Outcome;
use crate::pkg::{self, graph};

/// Build packages, and name them
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Build(Build),
    ShowTag(ShowTag),
}

/// Build packages into the cache
#[derive(Debug, clap::Args)]
pub struct Build {
    #[command(flatten)]
    pub naming: Naming,

    /// Build even what the cache has
    #[arg(long)]
    pub force: bool,

    /// The packages' directories
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
}

/// Print the packages' image names
#[derive(Debug, clap::Args)]
pub struct ShowTag {
    #[command(flatten)]
    pub naming: Naming,

    /// Print the name with its registry
    #[arg(long)]
    pub canonical: bool,

    /// The packages' directories
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
}

/// What a package's image name depends on.
#[derive(Debug, clap::Args)]
pub struct Naming {
    /// The organisation in the image name, instead of that in build.yml
    #[arg(long)]
    pub org: Option<String>,

    /// The name of the package's configuration
    #[arg(long, default_value = "build.yml", value_name = "FILE")]
    pub build_yml: String,

    /// The content hash, instead of that of the directory
    #[arg(long)]
    pub hash: Option<String>,
}

pub fn run(options: &Options, context: &Context) -> Result {
    match &options.command {
        Command::Build(build) => {
            let how = pkg::build::BuildOptions { package: build.naming.look(), force: build.force };
            let mut said = Ok(());
            pkg::build::build(
                &build.dirs,
                &how,
                &context.cache()?,
                super::host_arch(),
                &mut |package, outcome| match outcome {
                    // What builds it says so on the terminal itself.
                    Outcome::Building => {
                        context
                            .terminal
                            .tell(Event::Started { work: Work::Package, name: &package.reference });
                        context.terminal.clear();
                    }
                    Outcome::Cached => {
                        context.terminal.detail(format_args!("{} is in the cache", package.reference))
                    }
                    Outcome::Built => {
                        let name = &package.reference;
                        context.terminal.tell(Event::Finished {
                            work: Work::Package,
                            name,
                            bytes: None,
                            digest: None,
                        });
                        said = context.terminal.print(name);
                    }
                },
            )?;
            said?;
        }
        Command::ShowTag(show) => {
            for dir in &show.dirs {
                let packages = graph::resolve(std::slice::from_ref(dir), &show.naming.look())?;
                // What a package needs comes before it.
                let Some(package) = packages.last() else { continue };
                if show.canonical {
                    context.terminal.print(package.reference.parse::<Reference>()?)?;
                } else {
                    context.terminal.print(&package.reference)?;
                }
            }
        }
    }
    SUCCESS
}

impl Naming {
    fn look(&self) -> graph::Options {
        graph::Options {
            build_yml: Some(self.build_yml.clone()),
            org: self.org.clone(),
            hash: self.hash.clone(),
        }
    }
}
