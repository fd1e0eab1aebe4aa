//! A server in Scaleway, from an image that is there already.

use serde_json::json;
use thiserror::Error;

use crate::scaleway::{Cloud, ScalewayError, Server, addresses};

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image's name.
    pub image: String,
    /// The server's name.
    pub name: String,
    /// The type of instance.
    pub instance_type: String,
    /// Delete the server and its volumes when it has turned itself off.
    pub clean: bool,
}

/// Why no server runs.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Scaleway does not do it.
    #[error(transparent)]
    Cloud(#[from] ScalewayError),
    /// There is no such image, or there are several.
    #[error(
        "the zone has {found} images of the name {name}, and was to have one: push it with `lkb push scaleway`, to the same zone"
    )]
    Image {
        /// Its name.
        name: String,
        /// How many there are.
        found: usize,
    },
    /// What was begun is still there.
    #[error("{failure}; server {id} could not be deleted either: {why}")]
    Left {
        /// The server.
        id: String,
        /// Why it does not run.
        failure: ScalewayError,
        /// Why it is still there.
        why: Box<ScalewayError>,
    },
}

/// Starts a server, and returns its id. `running` is told that and the addresses when it runs.
///
/// # Errors
/// When there is no such image, or Scaleway refuses.
pub fn run(
    options: &Options,
    log_in: impl FnOnce() -> Result<Cloud, ScalewayError>,
    running: &dyn Fn(&str, &[String]),
) -> Result<String, ServerError> {
    let cloud = log_in()?;
    let images = cloud.images(&options.image)?;
    let [image] = images.as_slice() else {
        return Err(ServerError::Image { name: options.image.clone(), found: images.len() });
    };
    let server = Server::make(
        &cloud,
        json!({
            "name": options.name, "commercial_type": options.instance_type, "image": image["id"],
            "dynamic_ip_required": true, "boot_type": "local",
        }),
    )?;
    let started = server.start().map_err(|failure| match server.delete() {
        Ok(()) => failure.into(),
        Err(why) => ServerError::Left { id: server.id.clone(), failure, why: Box::new(why) },
    })?;
    running(&server.id, &addresses(&started));
    if options.clean {
        server.ended()?;
        server.delete()?;
    }
    Ok(server.id)
}
