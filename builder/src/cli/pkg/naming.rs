//! What a package's image name depends on, and what a build may do whatever its manifest says.

use std::error::Error;
use std::path::PathBuf;

use crate::cli::setting::{not_on_the_command_line, variable};
use crate::pkg::graph;
use crate::pkg::hash::State;

/// The variable that has an organisation, as LinuxKit reads it.
const ORG: &str = "LINUXKIT_PKG_ORG";
/// What packages are called while they are developed.
const DEVELOPED: &str = "dev";

/// Options of all commands for packages.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of all pkg commands")]
pub struct Naming {
    /// The organisation in the image name, instead of that in build.yml [env: LINUXKIT_PKG_ORG]
    #[arg(long, global = true)]
    org: Option<String>,

    /// The name of the package's configuration
    #[arg(long, global = true, default_value = "build.yml", value_name = "FILE")]
    build_yml: String,

    /// The content hash, instead of that of the directory
    #[arg(long, global = true)]
    hash: Option<String>,

    /// The tag, instead of that in build.yml; {{.Hash}} in it is the content hash
    #[arg(long, global = true, value_name = "TEMPLATE")]
    tag: Option<String>,

    /// The commit whose sources are hashed
    #[arg(long, global = true, value_name = "COMMIT", default_value = "HEAD")]
    hash_commit: String,

    /// The directory that is hashed, instead of the package: one that holds it
    #[arg(long, global = true, value_name = "DIR")]
    hash_path: Option<PathBuf>,

    /// Hash the sources as if they were changed since the commit
    #[arg(long, global = true)]
    force_dirty: bool,

    /// The organisation is $USER, and the hash is `dev`
    #[arg(long, global = true)]
    dev: bool,

    /// Run every step again, whatever build.yml says
    #[arg(long, global = true, conflicts_with = "enable_cache")]
    disable_cache: bool,

    /// Use steps that were run before, whatever build.yml says
    #[arg(long, global = true)]
    enable_cache: bool,

    /// Let builds use the network, whatever build.yml says
    #[arg(long, global = true, conflicts_with = "nonetwork")]
    network: bool,

    /// Let no build use the network, whatever build.yml says
    #[arg(long, global = true)]
    nonetwork: bool,

    /// Refused: `docker login`, or `auths` in ~/.docker/config.json, is where logins for registries are
    #[arg(long, global = true, value_name = "REGISTRY=LOGIN", value_parser = not_on_the_command_line("DOCKER_CONFIG"))]
    registry_creds: Vec<String>,
}

impl Naming {
    /// How packages are looked at.
    pub fn look(&self) -> Result<graph::Options, Box<dyn Error + Send + Sync>> {
        let mut org = self.org.clone().or_else(|| variable(ORG));
        let mut hash = self.hash.clone();
        if self.dev {
            let user = || variable("USER").ok_or("--dev takes the organisation from USER, which is not set");
            org = Some(self.org.clone().map_or_else(user, Ok)?);
            hash = hash.or(Some(DEVELOPED.into()));
        }
        let (commit, path, dirty) = (self.hash_commit.clone(), self.hash_path.clone(), self.force_dirty);
        Ok(graph::Options {
            build_yml: Some(self.build_yml.clone()),
            org,
            hash,
            tag: self.tag.clone(),
            state: State { commit, path, dirty },
            ..graph::Options::default()
        })
    }

    /// Whether builds may use the network, if that is said.
    pub fn network(&self) -> Option<bool> {
        one_of(self.network, self.nonetwork)
    }

    /// Whether builds may use earlier steps, if that is said.
    pub fn cache(&self) -> Option<bool> {
        one_of(self.enable_cache, self.disable_cache)
    }
}

fn one_of(yes: bool, no: bool) -> Option<bool> {
    (yes || no).then_some(yes)
}
