//! The bill of materials: which packages the images of a machine hold, as SPDX 2.3 in JSON.
//!
//! ```text
//! dpkg's and apk's databases in an image ─┐
//! SPDX attestations in its index ─────────┴▶ Packages (kept in the cache, by the image's digest) ─ document ─▶ SPDX
//! ```

mod apk;
mod attested;
mod dpkg;
mod package;
mod spdx;

use crate::image::{Cache, Digest, Image, ImageError};
use crate::tree::{Content, Tree, TreePath, display};

pub use package::Package;
pub use spdx::document;

/// The name of the file in the image, unless it is given another.
pub const NAME: &str = "sbom.spdx.json";

/// Largest database of packages, in bytes.
const MAX_DATABASE: u64 = 64 << 20;
/// Most packages of one image.
const MAX_PACKAGES: usize = 50_000;
/// Where dpkg keeps what is installed, and where images without dpkg have one file a package.
const DPKG: (&[u8], &[u8]) = (b"var/lib/dpkg/status", b"var/lib/dpkg/status.d");
/// Where apk does, before and after Alpine has moved it.
const APK: [&[u8]; 2] = [b"lib/apk/db/installed", b"usr/lib/apk/db/installed"];
/// Where a distribution says which one it is (os-release(5)).
const OS_RELEASE: [&[u8]; 2] = [b"etc/os-release", b"usr/lib/os-release"];

/// What the bill says beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file in the image.
    pub path: String,
    /// When it says that it was made, in seconds since the epoch.
    pub created: u64,
}

/// An image, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contained {
    /// The canonical reference.
    pub image: String,
    /// Registry and repository.
    pub name: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Sorted, each once.
    pub packages: Vec<Package>,
}

/// Why no bill can be made.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// A database of packages is not what one is.
    #[error(
        "image {image}: cannot list the packages in /{path}: {reason}; leave the list out with --no-sbom"
    )]
    Database {
        /// The image.
        image: String,
        /// The file in it.
        path: String,
        /// Why.
        reason: String,
    },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Cache(#[from] ImageError),
    /// JSON could not be written.
    #[error("cannot write the bill of materials: {0}")]
    Json(#[from] serde_json::Error),
}

/// The packages of an image: those that the cache remembers, or those that `unpack` brings to light.
///
/// # Errors
/// When a database of packages or the cache cannot be read, or `unpack` fails.
pub fn contained<E: From<SbomError>>(
    cache: &Cache,
    image: &Image,
    unpack: impl FnOnce() -> Result<Tree, E>,
) -> Result<Contained, E> {
    let attestations = cache.attestations(image).map_err(SbomError::from)?;
    let key = key(image, &attestations);
    let known = cache.segment(key).map_err(SbomError::from)?;
    // What an older version has written is made anew.
    let packages = match known.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        Some(packages) => packages,
        None => {
            let mut packages = installed(&unpack()?, image)?;
            packages.extend(attestations.iter().flat_map(|statement| attested::packages(statement)));
            packages.sort();
            packages.dedup_by(|a, b| a.purl == b.purl);
            let text = serde_json::to_vec(&packages).map_err(SbomError::from)?;
            cache.store_segment(key, &text).map_err(SbomError::from)?;
            packages
        }
    };
    let (name, digest) = (image.reference.name(), image.digest);
    Ok(Contained { image: image.reference.to_string(), name, digest, packages })
}

/// By what the list of an image's packages is found again.
fn key(image: &Image, attestations: &[Vec<u8>]) -> Digest {
    let mut text = format!("packages of an image, 1\n{}\n", image.digest);
    for attestation in attestations {
        text += &Digest::of(attestation).to_string();
    }
    Digest::of(text.as_bytes())
}

/// What the databases in an image list.
fn installed(tree: &Tree, image: &Image) -> Result<Vec<Package>, SbomError> {
    let failed = |path: &[u8], reason: String| SbomError::Database {
        image: image.reference.to_string(),
        path: display(path),
        reason,
    };
    let text = |path: &[u8], content: &Content| match content.read_all(MAX_DATABASE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(failed(path, error.to_string())),
    };
    let mut release = String::new();
    if let Some((path, content)) = OS_RELEASE.iter().find_map(|path| Some((path, tree.file(path)?))) {
        release = text(path, content)?;
    }
    let distribution = package::Distribution::read(&release);

    let (status, directory) = DPKG;
    let beside: Vec<&TreePath> = tree.below(directory).map(|(path, _)| path).collect();
    let files = std::iter::once(status).chain(beside.into_iter().map(Vec::as_slice));
    let mut packages = Vec::new();
    for (path, content) in files.filter_map(|path| Some((path, tree.file(path)?))) {
        packages.extend(dpkg::packages(&text(path, content)?, &distribution));
        if packages.len() > MAX_PACKAGES {
            return Err(failed(path, format!("it lists more than {MAX_PACKAGES} packages")));
        }
    }
    // Where one is a link to the other, there is one database.
    if let Some((path, content)) = APK.iter().find_map(|path| Some((*path, tree.file(path)?))) {
        packages.extend(apk::packages(&text(path, content)?, &distribution));
        if packages.len() > MAX_PACKAGES {
            return Err(failed(path, format!("it lists more than {MAX_PACKAGES} packages")));
        }
    }
    Ok(packages)
}
