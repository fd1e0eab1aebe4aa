//! What is attached to an image in its repository: signatures, which are small.

use std::sync::atomic::AtomicBool;

use oci_spec::image::{ImageIndex, ImageManifest};

use super::download::download;
use super::error::Reason;
use super::manifest::{self, ANY, IMAGE, quoted};
use super::pull::{Top, keep, parse, top, unusable, wanted};
use super::session::Session;
use super::{Brought, Pulled};
use crate::image::document::is_index;
use crate::image::limits::{MAX_ATTACHED, MAX_DOCUMENT, MAX_MANIFESTS};
use crate::image::signature::{Attached, is_bundle};
use crate::image::{Cache, Digest, Reference};

/// What registries answer with that know referrers (OCI distribution-spec, "Listing Referrers").
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Brings the attachments of one digest into a cache.
pub(super) struct Attachments<'a> {
    pub(super) session: Session<'a>,
    pub(super) cache: &'a Cache,
}

impl Attachments<'_> {
    /// Brings everything but the name. The caller holds the lock for adding.
    pub(super) fn run(&self, name: &Reference, digest: Digest, attached: Attached) -> Brought {
        let (top, mut bytes) = match attached {
            Attached::Signatures => {
                let top = top(&self.session, self.cache, name, IMAGE)?;
                let received = self.blobs(&parse("manifest", &top.bytes)?)?;
                (top, received)
            }
            Attached::Referrers => {
                let top = self.referrers(name, digest)?;
                let index: ImageIndex = parse("index", &top.bytes)?;
                if !index.manifests().iter().any(is_bundle) {
                    return Err(Reason::NotFound);
                }
                let received = self.bundles(&index)?;
                (top, received)
            }
        };
        bytes += top.received;
        Ok((top.descriptor, Pulled { digest: Digest::of(&top.bytes), bytes }))
    }

    /// The index of what refers to a digest: by the interface for it, or from the tag where a registry has none.
    fn referrers(&self, name: &Reference, digest: Digest) -> Result<Top, Reason> {
        let top = match self.session.document(&format!("referrers/{digest}"), INDEX) {
            Ok(answer) => {
                keep(self.cache, manifest::kind(answer.kind.as_deref(), &answer.bytes)?, answer.bytes)?
            }
            Err(Reason::NotFound | Reason::Status { .. }) => top(&self.session, self.cache, name, ANY)?,
            Err(reason) => return Err(reason),
        };
        match is_index(top.descriptor.media_type()) {
            true => Ok(top),
            false => {
                let kind = quoted(top.descriptor.media_type().as_ref());
                Err(unusable("index", &format_args!("what refers to {digest} is listed in {kind}")))
            }
        }
    }

    fn bundles(&self, index: &ImageIndex) -> Result<u64, Reason> {
        if index.manifests().len() > MAX_MANIFESTS {
            return Err(unusable("index", &format_args!("it names more than {MAX_MANIFESTS} manifests")));
        }
        let mut bytes = 0;
        for child in index.manifests().iter().filter(|child| is_bundle(child)).take(MAX_ATTACHED) {
            let wanted = wanted("manifest", child, MAX_DOCUMENT)?;
            bytes += download(&self.session, &self.cache.dirs, &wanted, IMAGE, &AtomicBool::new(false))?;
            let path = self.cache.dirs.blob(wanted.digest);
            let document = std::fs::read(&path)
                .map_err(|error| Reason::from(crate::image::ImageError::io("read", &path)(error)))?;
            bytes += self.blobs(&parse("manifest", &document)?)?;
        }
        Ok(bytes)
    }

    fn blobs(&self, manifest: &ImageManifest) -> Result<u64, Reason> {
        if manifest.layers().len() > MAX_ATTACHED {
            return Err(unusable("manifest", &format_args!("it has more than {MAX_ATTACHED} signatures")));
        }
        let mut bytes = 0;
        for blob in [manifest.config()].into_iter().chain(manifest.layers()) {
            let wanted = wanted("signature", blob, MAX_DOCUMENT)?;
            bytes += download(&self.session, &self.cache.dirs, &wanted, "", &AtomicBool::new(false))?;
        }
        Ok(bytes)
    }
}
