//! The command line: what is asked for, who does it, and how it is told.
//!
//! One file a subcommand; each has its options, and a `run` that hands them to the library. Nothing here decides
//! more than how to say it.

mod build;
mod built;
mod cache;
mod completion;
mod diff;
mod inspect;
mod man;
mod metadata;
mod one_dash;
mod pkg;
mod push;
mod run;
mod sbom;
mod schema;
mod serve;
mod setting;
mod source;
mod stop;
mod terminal;
mod unavailable;
mod validate;
mod version;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::build::{self as build_images, When};
use crate::config::{self, Config, ConfigError, Loaded, Source};
use crate::event::{Event, Work};
use crate::image::Cache;
use crate::image::registry::{Keychain, Mirrors, Registries};
use crate::output::Machine;
use crate::pkg::Resolver;

use terminal::{Terminal, Verbosity};

/// What a subcommand ends with: the exit status, or an error for [`Terminal::report`].
type Outcome = Result<ExitCode, Box<dyn Error + Send + Sync>>;

/// Builds, runs and ships bootable images from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "lkb", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Long options work with one dash, too: -format qcow2-bios.")]
struct Cli {
    /// The image cache [env: LKB_CACHE, LINUXKIT_CACHE; default: ~/.lkb/cache]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Ask this mirror instead of a registry, or of all; repeatable [env: LINUXKIT_MIRROR]
    #[arg(long, global = true, value_name = "[REGISTRY=]URL")]
    mirror: Vec<String>,

    /// Trust the certificates in this file, too, when registries are asked; repeatable
    #[arg(long, global = true, value_name = "PEM")]
    cert_file: Vec<PathBuf>,

    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Say more; LEVEL is 0 (errors only), 1 (the default), 2 or 3
    #[arg(short, long, global = true, value_name = "LEVEL", num_args = 0..=1, require_equals = true,
          default_missing_value = "+", value_parser = level, action = clap::ArgAction::Append)]
    verbose: Vec<Level>,

    /// For programs: tell what happens in JSON, an object a line on standard error; answers are JSON where they can be
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Options),
    Validate(validate::Options),
    Schema(schema::Options),
    Inspect(inspect::Options),
    Diff(diff::Options),
    Run(run::Options),
    Stop(stop::Options),
    Push(push::Options),
    Metadata(metadata::Options),
    Serve(serve::Options),
    Pkg(Box<pkg::Options>),
    Cache(cache::Options),
    Completion(completion::Options),
    Man(man::Options),
    Version(version::Options),
}

/// The usual end of a subcommand.
const SUCCESS: Outcome = Ok(ExitCode::SUCCESS);

/// What a `-v` says: a level, or one more.
type Level = Option<u8>;

fn level(text: &str) -> Result<Level, String> {
    match text {
        "+" => Ok(None),
        "0" | "1" | "2" | "3" => Ok(text.parse().ok()),
        _ => Err("levels are 0 to 3".into()),
    }
}

/// The host's architecture as OCI images and LinuxKit name it.
fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What every subcommand may need.
#[derive(Debug)]
struct Context {
    /// Where to say things.
    terminal: Terminal,
    /// The image cache, if the command line names it.
    cache_dir: Option<PathBuf>,
    /// Mirrors of registries, as the command line has them.
    mirrors: Vec<String>,
    /// Files of certificates.
    certificates: Vec<PathBuf>,
}

/// Runs the command that the process was started with.
///
/// The exit status is 0, 1 for an error, 2 for a command line that is not understood; `run` ends with QEMU's, and `diff`
/// with diff(1)'s.
#[must_use]
pub fn main() -> ExitCode {
    let mut definition = Cli::command();
    definition.build();
    let cli = match Cli::try_parse_from(one_dash::normalise(std::env::args_os(), &definition)) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let terminal = Terminal::new(Verbosity::from_flags(cli.quiet, &cli.verbose), cli.json);
    let context =
        Context { terminal, cache_dir: cli.cache, mirrors: cli.mirror, certificates: cli.cert_file };
    let outcome = match cli.command {
        Command::Build(options) => build::run(&options, &context),
        Command::Validate(options) => validate::run(&options, &context),
        Command::Schema(options) => schema::run(&options, &context),
        Command::Inspect(options) => inspect::run(&options, &context),
        Command::Diff(options) => diff::run(&options, &context),
        Command::Run(options) => run::run(&options, &context),
        Command::Stop(options) => stop::run(&options, &context),
        Command::Push(options) => push::run(&options, &context),
        Command::Metadata(options) => metadata::run(&options, &context),
        Command::Serve(options) => serve::run(&options, &context),
        Command::Pkg(options) => pkg::run(&options, &context),
        Command::Cache(options) => cache::run(&options, &context),
        Command::Completion(options) => completion::run(&options, &context),
        Command::Man(options) => man::run(&options, &context),
        Command::Version(options) => version::run(&options, &context),
    };
    outcome.unwrap_or_else(|error| {
        context.terminal.report(error.as_ref());
        ExitCode::FAILURE
    })
}

impl Context {
    /// The configuration that these sources make together, with the tags of packages; warnings are told.
    fn load(&self, sources: &[Source]) -> Result<Config, ConfigError> {
        let Loaded { config, warnings } = config::load(sources, &Resolver::default())?;
        warnings.iter().for_each(|warning| self.terminal.warn_of(warning));
        Ok(config)
    }

    /// Does long work, which is shown while it goes on.
    fn working<T, E>(&self, work: Work, name: &str, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.terminal.tell(Event::Started { work, name });
        let done = run()?;
        self.terminal.tell(Event::Finished { work, name, bytes: None, digest: None });
        Ok(done)
    }

    /// The machine of a configuration; with `pull`, images are brought that the cache does not have.
    fn assemble(
        &self,
        config: &mut Config,
        arch: &str,
        pull: bool,
    ) -> Result<Machine, Box<dyn Error + Send + Sync>> {
        let cache = self.cache()?;
        build_images::take_local(config, &cache)?;
        let choices = sbom::plain_build()?;
        if pull {
            let registries = self.registries()?;
            build_images::fetch(config, &cache, arch, &registries, When::Missing, &choices.trust)?;
        }
        Ok(build_images::assemble(config, &cache, arch, &choices)?)
    }

    /// The image cache, opened.
    fn cache(&self) -> Result<Cache, Box<dyn Error + Send + Sync>> {
        let dir = self.cache_dir.clone().map_or_else(Cache::default_dir, Ok)?;
        self.terminal.detail(format_args!("image cache: {}", dir.display()));
        Ok(Cache::open(&dir)?)
    }

    /// Where images come from that the cache does not have.
    fn registries(&self) -> Result<Registries, Box<dyn Error + Send + Sync>> {
        let environment = match std::env::var("LINUXKIT_MIRROR") {
            Err(std::env::VarError::NotUnicode(_)) => return Err("LINUXKIT_MIRROR is not in UTF-8".into()),
            value => value.ok(),
        };
        let mirrors = Mirrors::parse(&self.mirrors, environment.as_deref())?;
        let terminal = self.terminal.clone();
        Ok(Registries::new(mirrors, self.certificates.clone(), Keychain::of_user(), move |event| {
            terminal.tell(event);
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
