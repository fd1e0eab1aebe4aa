//! Why a configuration cannot become a machine.

use std::fmt;
use std::io;

use crate::config::Spot;
use crate::image::engine::EngineError;
use crate::image::registry::PullError;
use crate::image::{Digest, ImageError, ReferenceError};
use crate::sbom::SbomError;
use crate::spec::{Fault, SpecError};
use crate::tree::{LayerError, TreeError};
use crate::trust::Untrusted;

/// Why a configuration cannot become a machine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A name of an image is none.
    #[error("{spot}: {source}")]
    Reference {
        /// Where it is written.
        spot: Spot,
        /// Why.
        source: ReferenceError,
    },
    /// Images are not in the cache.
    #[error("{}", missing(.0))]
    Missing(Vec<MissingImage>),
    /// Images are not in the cache, and registries do not give them.
    #[error("{}", unpulled(.0))]
    Pull(Vec<UnpulledImage>),
    /// An image is in the cache, but cannot be used.
    #[error("{spot}: {source}")]
    Image {
        /// Where it is named.
        spot: Spot,
        /// Why.
        source: Box<ImageError>,
    },
    /// An image is not signed as it must be.
    #[error("{spot}: {source}")]
    Untrusted {
        /// Where it is named.
        spot: Spot,
        /// Why.
        source: Box<Untrusted>,
    },
    /// The signatures of an image that must be signed cannot be brought.
    #[error("{spot}: {doubt}\n  and its registry cannot be asked for one: {source}")]
    Signatures {
        /// Where it is named.
        spot: Spot,
        /// What is wrong with what the cache has.
        doubt: Box<Untrusted>,
        /// Why there is nothing else.
        source: Box<PullError>,
    },
    /// The Docker engine does not help.
    #[error("{spot}: {source}")]
    Engine {
        /// Where the image is named.
        spot: Spot,
        /// Why.
        source: Box<EngineError>,
    },
    /// A layer cannot be verified.
    #[error(transparent)]
    Verify(Box<ImageError>),
    /// A layer cannot be unpacked.
    #[error("image {image}: layer {layer}: {source}")]
    Layer {
        /// The image.
        image: String,
        /// The blob.
        layer: Digest,
        /// Why.
        source: Box<LayerError>,
    },
    /// The kernel's modules cannot be unpacked.
    #[error("image {image}: {path}: {source}")]
    Modules {
        /// The kernel image.
        image: String,
        /// The archive in it.
        path: String,
        /// Why.
        source: Box<LayerError>,
    },
    /// The kernel image lacks a file.
    #[error("{spot}: did not find {what} in kernel image {image}: it has no file /{path}; {remedy}")]
    Kernel {
        /// Where the image is named.
        spot: Spot,
        /// The image.
        image: String,
        /// `kernel`, `kernel tar`, `microcode`.
        what: &'static str,
        /// The path in the image.
        path: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// Two images, or an image and a file, do not go together.
    #[error("{origin}: {source}")]
    Tree {
        /// Who could not be added.
        origin: String,
        /// Why.
        source: TreeError,
    },
    /// A file of an image cannot be read.
    #[error("image {image}: cannot read {path}: {source}")]
    Read {
        /// The image.
        image: String,
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A container's configuration cannot be made.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A container's `runtime.json` cannot be made.
    #[error("container {name}: {source}")]
    Runtime {
        /// The container.
        name: String,
        /// Why.
        source: Fault,
    },
    /// The bill of materials cannot be made.
    #[error(transparent)]
    Sbom(#[from] SbomError),
    /// A file cannot be made.
    #[error("{spot}: file {path}: {fault}")]
    File {
        /// Where it is asked for.
        spot: Spot,
        /// Its path in the machine.
        path: String,
        /// Why.
        fault: Box<FileFault>,
    },
}

/// Why a file of the configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// Its source on the host cannot be read.
    #[error("cannot read {path}: {source}; give another source, or `optional: true`")]
    Source {
        /// The host's file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Its source starts with `~/`, and there is no home.
    #[error("its source {0} is in the home directory, and HOME is not set")]
    NoHome(String),
    /// Its owner or group is nobody's name.
    #[error(transparent)]
    Id(Fault),
    /// It has no place in the machine.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The configuration cannot be written.
    #[error("cannot write the configuration: {0}")]
    Metadata(String),
}

/// An image that no registry gives.
#[derive(Debug)]
pub struct UnpulledImage {
    /// Where it is named first.
    pub spot: Spot,
    /// Who was asked, and what they said.
    pub why: PullError,
    /// Whether the cache has one of this name.
    pub is_cached: bool,
}

/// An image that the cache does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// Its canonical name.
    pub image: String,
    /// Where it is named first.
    pub spot: Spot,
}

impl fmt::Display for MissingImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: image {} is not in the cache", self.spot, self.image)
    }
}

fn missing(images: &[MissingImage]) -> String {
    let mut text: Vec<String> = images.iter().map(ToString::to_string).collect();
    text.push(
        "build a package with `lkb pkg build DIR`, or bring an image with `lkb cache import FILE`".into(),
    );
    text.join("\n")
}

fn unpulled(images: &[UnpulledImage]) -> String {
    let mut text: Vec<String> = images.iter().map(|image| format!("{}: {}", image.spot, image.why)).collect();
    text.push(match images.iter().all(|image| image.is_cached) {
        true => "without --pull, the image in the cache is used".into(),
        false => {
            "what no registry has is built with `lkb pkg build DIR`, or brought with `lkb cache import FILE`"
                .into()
        }
    });
    text.join("\n")
}
