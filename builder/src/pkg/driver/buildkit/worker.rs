//! Which BuildKit a builder's name means.

use std::process::Command;

use sha2::{Digest, Sha256};

use super::engine::Engine;
use super::{BUILDX, DOCKER, docker};
use crate::pkg::PkgError;
use crate::pkg::driver::Builder;
use crate::pkg::driver::workers::{DEFAULT_NAME, Made};

/// Somebody who builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Worker {
    /// A Docker engine.
    Engine(Engine),
    /// A builder that `docker buildx` knows by this name.
    Buildx(String),
}

/// Finds a builder, and makes it where lkb is to.
pub(super) fn find(builder: &Builder) -> Result<Worker, PkgError> {
    if let Some(engine) = engine(builder)? {
        return Ok(Worker::Engine(engine));
    }
    match builder {
        Builder::Named(name, made) if address(name).is_some() => {
            let known = known_as(name);
            let create = ["buildx", "create", "--name", &known, "--driver", "remote", name];
            ensure(&known, create.map(String::from).into(), made.anew)
        }
        Builder::Named(name, _) => named(name),
        Builder::Buildah | Builder::Engine => Ok(Worker::Engine(Engine::default())),
        Builder::Made(made) => {
            let name = made.name.as_deref().unwrap_or(DEFAULT_NAME);
            ensure(name, container(name, made), made.anew)
        }
    }
}

/// The Docker engine that a builder is, if it is one. Makes nothing.
pub(super) fn engine(builder: &Builder) -> Result<Option<Engine>, PkgError> {
    Ok(match builder {
        Builder::Buildah | Builder::Engine => Some(Engine::default()),
        Builder::Made(_) => None,
        Builder::Named(name, _) => match address(name) {
            Some(Address::Engine) => Some(Engine { host: Some(name.clone()), ..Engine::default() }),
            Some(Address::BuildKit) => None,
            // A Docker context is asked for its engine; what is none, is a builder's name.
            None => {
                let mut inspect = docker();
                inspect.args(["context", "inspect", name]);
                let is_context = DOCKER.succeeds(inspect, &looking_for(name))?;
                is_context.then(|| Engine { context: Some(name.into()), ..Engine::default() })
            }
        },
    })
}

/// What listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    /// A Docker engine, by SSH.
    Engine,
    /// A `buildkitd`.
    BuildKit,
}

fn address(name: &str) -> Option<Address> {
    let (scheme, _) = name.split_once("://")?;
    Some(if scheme == "ssh" { Address::Engine } else { Address::BuildKit })
}

/// What `docker buildx` calls a `buildkitd` at an address.
fn known_as(address: &str) -> String {
    let digest = Sha256::digest(address);
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{DEFAULT_NAME}-{hex}")
}

/// A builder that `docker buildx` knows.
fn named(name: &str) -> Result<Worker, PkgError> {
    let doing = looking_for(name);
    require_buildx(&doing)?;
    let mut inspect = docker();
    inspect.args(["buildx", "inspect", name]);
    match BUILDX.succeeds(inspect, &doing)? {
        true => Ok(Worker::Buildx(name.into())),
        false => Err(PkgError::NoBuilder(name.into())),
    }
}

fn looking_for(name: &str) -> String {
    format!("looking for the builder {name}")
}

/// The command that makes a builder in a container of the current engine.
fn container(name: &str, made: &Made) -> Vec<String> {
    let mut args: Vec<String> =
        ["buildx", "create", "--name", name, "--driver", "docker-container"].map(String::from).into();
    if let Some(image) = &made.image {
        args.extend(["--driver-opt".into(), format!("image={image}")]);
    }
    if let Some(config) = &made.config {
        args.extend(["--config".into(), config.display().to_string()]);
    }
    args
}

fn ensure(name: &str, create: Vec<String>, anew: bool) -> Result<Worker, PkgError> {
    let doing = format!("making the builder {name}");
    require_buildx(&doing)?;
    let inspect = |mut command: Command| {
        command.args(["buildx", "inspect", name]);
        BUILDX.succeeds(command, &doing)
    };
    let mut is_there = inspect(docker())?;
    if is_there && anew {
        let mut remove = docker();
        remove.args(["buildx", "rm", "--keep-state", name]);
        BUILDX.answer(remove, &doing)?;
        is_there = false;
    }
    if !is_there {
        let mut command = docker();
        command.args(create);
        // Somebody else may have made it just now.
        if let Err(error) = BUILDX.answer(command, &doing)
            && !inspect(docker())?
        {
            return Err(error);
        }
    }
    Ok(Worker::Buildx(name.into()))
}

fn require_buildx(doing: &str) -> Result<(), PkgError> {
    let mut version = docker();
    version.args(["buildx", "version"]);
    match DOCKER.succeeds(version, doing)? {
        true => Ok(()),
        false => Err(PkgError::Missing {
            doing: doing.into(),
            program: BUILDX.name.into(),
            remedy: BUILDX.remedy.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_listens_there() {
        for (name, kind) in [
            ("arm-box", None),
            ("ssh://me@arm", Some(Address::Engine)),
            ("tcp://10.0.0.1:1234", Some(Address::BuildKit)),
            ("unix:///run/buildkit/buildkitd.sock", Some(Address::BuildKit)),
            ("docker-container://buildkitd", Some(Address::BuildKit)),
        ] {
            assert_eq!(address(name), kind, "{name}");
        }
        assert_ne!(known_as("tcp://a:1"), known_as("tcp://b:1"));
    }

    #[test]
    fn a_builder_is_made_by_this_command_line() {
        assert_eq!(
            container("b", &Made::default()).join(" "),
            "buildx create --name b --driver docker-container"
        );
        let made =
            Made { image: Some("moby/buildkit:1".into()), config: Some("c.toml".into()), ..Made::default() };
        let expected = "buildx create --name b --driver docker-container --driver-opt image=moby/buildkit:1 --config c.toml";
        assert_eq!(container("b", &made).join(" "), expected);
    }
}
