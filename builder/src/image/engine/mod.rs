//! The Docker engine's own image store, asked through its socket (Docker Engine API: `ImageInspect`, `ImageGet`).

mod transport;

use std::env;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::{Cache, ImageError, Reference};

/// Where the engine listens, unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// Largest answer about an image, in bytes.
const MAX_ANSWER: u64 = 4 << 20;
/// How much of an error is shown, in characters.
const SHOWN: usize = 200;

/// A Docker engine on this machine.
pub struct Engine {
    agent: Agent,
    socket: PathBuf,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What the engine says about an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Stored {
    /// What the engine knows it by: a digest that is another one for another image.
    pub id: String,
    /// In Go's words.
    pub architecture: String,
    /// `linux`, normally.
    pub os: String,
}

/// Why the engine does not help.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It is not on this machine.
    #[error("cannot ask the Docker engine: DOCKER_HOST is {0:?}, and only unix://PATH is supported")]
    Host(String),
    /// It does not answer.
    #[error(
        "cannot ask the Docker engine at {}: {reason}; start it, set DOCKER_HOST=unix://PATH, or build without --docker",
        socket.display()
    )]
    Unreachable {
        /// Where it should be.
        socket: PathBuf,
        /// Why.
        reason: String,
    },
    /// It answers something else.
    #[error("the Docker engine at {} does not give {image}: {reason}", socket.display())]
    Answer {
        /// Where it is.
        socket: PathBuf,
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// What it gives is no image.
    #[error("the Docker engine gives {image}, but: {source}")]
    Image {
        /// The image.
        image: String,
        /// Why.
        source: Box<ImageError>,
    },
}

impl Engine {
    /// The engine that `DOCKER_HOST` names, or the one at its usual place. It is not asked yet.
    ///
    /// # Errors
    /// When `DOCKER_HOST` names none on this machine.
    pub fn of_environment() -> Result<Self, EngineError> {
        Self::at(env::var("DOCKER_HOST").ok().as_deref())
    }

    fn at(host: Option<&str>) -> Result<Self, EngineError> {
        let socket = match host.filter(|host| !host.is_empty()) {
            None => SOCKET.into(),
            Some(host) => match host.strip_prefix("unix://").filter(|path| !path.is_empty()) {
                Some(path) => PathBuf::from(path),
                None => return Err(EngineError::Host(host.to_owned())),
            },
        };
        Ok(Self { agent: transport::agent(&socket), socket })
    }

    /// Whether the engine has an image of this name, and which.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn find(&self, reference: &Reference) -> Result<Option<Stored>, EngineError> {
        let Some(response) = self.get(reference, "json")? else { return Ok(None) };
        let mut text = Vec::new();
        let read = response.into_body().into_reader().take(MAX_ANSWER).read_to_end(&mut text);
        read.map_err(|error| self.answer(reference, &error))?;
        serde_json::from_slice(&text).map(Some).map_err(|error| self.answer(reference, &error))
    }

    /// The name under which a cache has an image that [`Self::take`] has brought, if it is still the same.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn taken(
        &self,
        cache: &Cache,
        reference: &Reference,
        stored: &Stored,
    ) -> Result<Option<Reference>, EngineError> {
        cache
            .pinned_from(&source_name(reference), &stored.id, &stored.architecture)
            .map_err(|source| EngineError::Image { image: reference.to_string(), source: source.into() })
    }

    /// Brings an image of the engine into a cache, under a name that has its digest. What came from the engine by this
    /// name before loses its name.
    ///
    /// # Errors
    /// When the engine does not give it, or what it gives is no image.
    pub fn take(
        &self,
        cache: &Cache,
        reference: &Reference,
        stored: &Stored,
    ) -> Result<Reference, EngineError> {
        let response = self.get(reference, "get")?;
        let response = response.ok_or_else(|| self.answer(reference, &"it is not there any more"))?;
        let mut stream = response.into_body().into_reader();
        cache
            .import_pinned_stream(&mut stream, Path::new(&source_name(reference)), &stored.id, reference)
            .map_err(|source| EngineError::Image { image: reference.to_string(), source: source.into() })
    }

    /// Asks about an image; `None` when there is none of this name.
    fn get(&self, reference: &Reference, what: &str) -> Result<Option<Response<Body>>, EngineError> {
        // The host is not looked at: the socket is the engine's.
        let response =
            self.agent.get(format!("http://docker/images/{reference}/{what}")).call().map_err(|error| {
                EngineError::Unreachable { socket: self.socket.clone(), reason: error.to_string() }
            })?;
        match response.status().as_u16() {
            200 => Ok(Some(response)),
            404 => Ok(None),
            status => {
                let reason = format!("HTTP {status}{}", complaint(response));
                Err(self.answer(reference, &reason))
            }
        }
    }

    fn answer(&self, reference: &Reference, reason: &dyn fmt::Display) -> EngineError {
        EngineError::Answer {
            socket: self.socket.clone(),
            image: reference.to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Where an image of the engine is from, in the cache.
fn source_name(reference: &Reference) -> String {
    format!("docker-engine:{reference}")
}

/// What the engine says about an error, fit to be shown.
fn complaint(response: Response<Body>) -> String {
    let mut text = Vec::new();
    // Half of a complaint, or none, is no reason to hide the status.
    let _cut = response.into_body().into_reader().take(MAX_ANSWER).read_to_end(&mut text);
    let error: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default();
    let shown: String = message.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if shown.is_empty() { shown } else { format!(": {shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_of_this_machine_are_asked() {
        for (host, socket) in
            [(None, SOCKET), (Some(""), SOCKET), (Some("unix:///run/x.sock"), "/run/x.sock")]
        {
            assert_eq!(Engine::at(host).unwrap().socket, Path::new(socket));
        }
        for host in ["tcp://10.0.0.1:2375", "ssh://a", "unix://", "/run/x.sock"] {
            assert!(matches!(Engine::at(Some(host)), Err(EngineError::Host(_))), "{host}");
        }
    }
}
