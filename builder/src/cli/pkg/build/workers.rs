//! Who builds, and for what.

use std::path::PathBuf;

use crate::cli::host_arch;
use crate::cli::setting::{SettingError, setting, variable};
use crate::pkg::driver::{Made, Workers, WorkersError};

/// The variable that names builders, as LinuxKit reads it.
const BUILDERS: &str = "LINUXKIT_BUILDERS";

/// Which builders build.
#[derive(Debug, clap::Args)]
pub struct Builders {
    /// Who builds for which platform, with BuildKit: a Docker context, a builder of `docker buildx`, or an address;
    /// the rest is built by buildah [env: LINUXKIT_BUILDERS]
    #[arg(long, value_name = "linux/ARCH=BUILDER,…")]
    builders: Option<String>,

    /// Build with this builder of `docker buildx`, which is made if it is not there [env: LINUXKIT_BUILDER_NAME]
    #[arg(long, value_name = "NAME")]
    builder_name: Option<String>,

    /// The image that a builder runs that is made [env: LINUXKIT_BUILDER_IMAGE]
    #[arg(long, value_name = "IMAGE")]
    builder_image: Option<String>,

    /// The configuration of a builder that is made: buildkitd.toml [env: LINUXKIT_BUILDER_CONFIG]
    #[arg(long, value_name = "FILE")]
    builder_config: Option<PathBuf>,

    /// Make the builder again even if it is there
    #[arg(long)]
    builder_restart: bool,
}

impl Builders {
    /// Who builds.
    pub fn choose(&self) -> Result<Workers, Error> {
        let mut workers = Workers::default();
        for list in [variable(BUILDERS).as_ref(), self.builders.as_ref()].into_iter().flatten() {
            workers.add(list)?;
        }
        let config: Option<PathBuf> = setting(self.builder_config.as_ref(), "LINUXKIT_BUILDER_CONFIG")?;
        if let Some(file) = config.as_ref().filter(|file| !file.is_file()) {
            return Err(Error::Config(file.clone()));
        }
        Ok(workers.making(Made {
            name: setting(self.builder_name.as_ref(), "LINUXKIT_BUILDER_NAME")?,
            image: setting(self.builder_image.as_ref(), "LINUXKIT_BUILDER_IMAGE")?,
            config,
            anew: self.builder_restart,
        }))
    }
}

/// The architectures of platforms (`linux/amd64`); without any, this machine's and those that a builder is named for.
pub fn arches(platforms: &[String], workers: &Workers) -> Result<Vec<String>, Error> {
    let mut arches: Vec<String> =
        platforms.iter().map(|platform| arch(platform)).collect::<Result<_, _>>()?;
    if arches.is_empty() {
        arches = [host_arch()].into_iter().chain(workers.arches()).map(String::from).collect();
    }
    arches.sort();
    arches.dedup();
    Ok(arches)
}

/// The architecture of a platform.
pub fn arch(platform: &str) -> Result<String, Error> {
    let arch = platform.trim().strip_prefix("linux/").filter(|arch| !arch.is_empty() && !arch.contains('/'));
    arch.map(String::from).ok_or_else(|| Error::Platform(platform.into()))
}

/// Why nobody can be chosen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Workers(#[from] WorkersError),
    #[error("{0:?} is no platform; write linux/ARCH, such as linux/arm64")]
    Platform(String),
    #[error("there is no file {} for --builder-config", .0.display())]
    Config(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_platforms_the_builders_and_this_machine_say_what_is_built() {
        let mut workers = Workers::default();
        workers.add("linux/s390x=z").unwrap();
        let mut expected = vec![host_arch().to_owned(), "s390x".to_owned()];
        expected.sort();
        assert_eq!(arches(&[], &workers).unwrap(), expected);
        let asked = ["linux/arm64".to_owned(), "linux/arm64".to_owned()];
        assert_eq!(arches(&asked, &workers).unwrap(), ["arm64"]);
        for wrong in ["arm64", "linux/", "windows/amd64", "linux/arm/v7"] {
            assert!(arch(wrong).is_err(), "{wrong}");
        }
    }
}
