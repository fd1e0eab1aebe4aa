//! From a name in a registry to another name, there or elsewhere.

use std::sync::atomic::AtomicBool;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};

use super::download::{Wanted, download};
use super::error::Reason;
use super::manifest::{self, ANY};
use super::session::{Answer, Session};
use super::tag::{has, put};
use super::upload::{mounted, upload};
use crate::image::blobs::Directories;
use crate::image::document::is_index;
use crate::image::limits::{MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use crate::image::{Digest, ImageError, VerifiedFile, VerifyError};

/// Deepest index in an index that is followed.
const MAX_DEPTH: usize = 2;

/// Copies from one repository to another.
pub(super) struct Copy<'a> {
    pub(super) from: Session<'a>,
    pub(super) to: Session<'a>,
    /// Whether both are the same repository.
    pub(super) same: bool,
    /// The repository that the other side can take blobs from itself.
    pub(super) mount: Option<&'a str>,
    /// Where blobs are kept on the way, when it cannot.
    pub(super) dirs: &'a Directories,
}

/// Why a copy was not made.
pub(super) enum Side {
    /// The first registry does not give it.
    From(Reason),
    /// The second does not take it.
    To(Reason),
}

impl Copy<'_> {
    /// Copies what `what`, a tag or a digest, means, and gives it `tag`. Says whether that has changed anything.
    pub(super) fn run(&self, what: &str, tag: &str) -> Result<(Digest, bool), Side> {
        let answer = self.document(what)?;
        let digest = Digest::of(&answer.bytes);
        let now = match self.to.document(&format!("manifests/{tag}"), ANY) {
            Err(Reason::NotFound) => None,
            other => Some(Digest::of(&other.map_err(Side::To)?.bytes)),
        };
        if now == Some(digest) {
            return Ok((digest, false));
        }
        self.put(tag, &answer, 0)?;
        Ok((digest, true))
    }

    fn document(&self, what: &str) -> Result<Answer, Side> {
        self.from.document(&format!("manifests/{what}"), ANY).map_err(Side::From)
    }

    /// Puts a document there, after what it names.
    fn put(&self, name: &str, answer: &Answer, depth: usize) -> Result<(), Side> {
        let kind = manifest::kind(answer.kind.as_deref(), &answer.bytes).map_err(Side::From)?;
        if is_index(&kind) {
            let index: ImageIndex = parse("index", &answer.bytes)?;
            if index.manifests().len() > MAX_MANIFESTS || depth > MAX_DEPTH {
                return Err(Side::From(unusable(
                    "index",
                    &"it names too many manifests, or is nested too deeply",
                )));
            }
            for child in index.manifests() {
                self.child(child, depth)?;
            }
        } else {
            let manifest: ImageManifest = parse("manifest", &answer.bytes)?;
            if manifest.layers().len() > MAX_LAYERS {
                return Err(Side::From(unusable(
                    "manifest",
                    &format_args!("it has more than {MAX_LAYERS} layers"),
                )));
            }
            if !self.same {
                for blob in [manifest.config()].into_iter().chain(manifest.layers()) {
                    self.blob(blob)?;
                }
            }
        }
        put(&self.to, name, &kind, &answer.bytes).map_err(Side::To)
    }

    fn child(&self, child: &Descriptor, depth: usize) -> Result<(), Side> {
        let digest = child.digest().to_string();
        if has(&self.to, &digest).map_err(Side::To)? {
            return Ok(());
        }
        let answer = match self.document(&digest) {
            Err(Side::From(Reason::NotFound)) => {
                let platform = child.platform().as_ref();
                let platform =
                    platform.map_or_else(|| "?".into(), |p| format!("{}/{}", p.os(), p.architecture()));
                return Err(Side::From(Reason::Gone { digest, platform }));
            }
            other => other?,
        };
        if Digest::of(&answer.bytes).to_string() != digest {
            return Err(Side::From(unusable("manifest", &format_args!("it is not {digest}"))));
        }
        self.put(&digest, &answer, depth + 1)
    }

    fn blob(&self, blob: &Descriptor) -> Result<(), Side> {
        let digest =
            Digest::of_descriptor(blob.digest()).map_err(|error| Side::From(unusable("manifest", &error)))?;
        if blob.size() > MAX_LAYER {
            return Err(Side::From(unusable("layer", &format_args!("it has more than {MAX_LAYER} bytes"))));
        }
        if mounted(&self.to, digest, self.mount).map_err(Side::To)? {
            return Ok(());
        }
        let (wanted, going) = (Wanted { what: "layer", digest, size: blob.size() }, AtomicBool::new(false));
        download(&self.from, self.dirs, &wanted, "", &going).map_err(Side::From)?;
        let path = self.dirs.blob(digest);
        let file = VerifiedFile::open(&path, digest, Some(blob.size())).map_err(|error| {
            Side::From(match error {
                VerifyError::Io(error) => ImageError::io("read", &path)(error).into(),
                VerifyError::Fault(fault) => unusable("layer", &fault),
            })
        })?;
        upload(&self.to, &file, &[], &going).map(drop).map_err(Side::To)
    }
}

fn parse<T: serde::de::DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Side> {
    serde_json::from_slice(bytes).map_err(|error| Side::From(unusable(what, &error)))
}

fn unusable(what: &'static str, reason: &dyn std::fmt::Display) -> Reason {
    Reason::Document { what, reason: reason.to_string() }
}
