//! From a name in the cache to a name in a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use oci_spec::image::{
    Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, PlatformBuilder,
};
use ureq::http::Method;

use super::client::{Payload, Request, Upload};
use super::error::Reason;
use super::manifest::{self, ANY};
use super::merge::{self, Named, Plan};
use super::session::Session;
use super::side_by_side::side_by_side;
use super::upload::upload;
use super::{Pushed, Pushing};
use crate::http::retry::Attempts;
use crate::image::document::{Documents, is_index, is_manifest};
use crate::image::error::Fault;
use crate::image::{Cache, Digest, ImageError, Reference, VerifiedFile, VerifyError, index};

/// An image of the cache, with everything that it needs.
struct Local {
    descriptor: Descriptor,
    manifest: ImageManifest,
    arch: String,
}

/// Puts an image of the cache into one repository.
pub(super) struct Push<'a> {
    pub(super) session: Session<'a>,
    pub(super) cache: &'a Cache,
    /// Its name in the cache.
    pub(super) reference: &'a Reference,
    /// Repositories of the registry that may have its blobs.
    pub(super) sources: BTreeMap<Digest, Vec<String>>,
}

impl Push<'_> {
    pub(super) fn run(&self, tag: &str, how: Pushing) -> Result<Pushed, Reason> {
        let (here, images) = self.here()?;
        let there = self.there(tag)?;
        let (kind, bytes) = match merge::plan(&here, there.as_ref(), how.replace) {
            Plan::Keep => {
                let rival = there.as_ref().and_then(|there| merge::rival(&here, there));
                let kept = rival.unwrap_or_else(|| Digest::of(&here.bytes));
                return Ok(Pushed::Kept(kept));
            }
            Plan::Nothing if !how.arch_tags => return Ok(Pushed::Known(digest_of(&here.top)?)),
            Plan::Nothing => (None, here.bytes.clone()),
            Plan::Put { kind, bytes } => (Some(kind), bytes),
        };
        let sent = self.blobs(&images)?;
        for image in &images {
            let bytes = self.document(&image.descriptor)?;
            let kind = image.descriptor.media_type();
            self.put(image.descriptor.digest().as_ref(), kind, &bytes)?;
            if how.arch_tags {
                self.put(&format!("{tag}-{}", image.arch), kind, &bytes)?;
            }
        }
        let Some(kind) = kind else { return Ok(Pushed::Known(digest_of(&here.top)?)) };
        self.put(tag, &kind, &bytes)?;
        Ok(Pushed::Sent { digest: Digest::of(&bytes), bytes: sent })
    }

    /// What the cache has by the name.
    fn here(&self) -> Result<(Named, Vec<Local>), Reason> {
        let name = self.reference.to_string();
        let documents = Documents { dirs: &self.cache.dirs, image: &name };
        let entries = self.cache.candidates(self.reference, &documents)?;
        let mut images: Vec<Local> = Vec::new();
        let mut named = 0;
        for entry in &entries {
            for child in documents.manifests(entry)? {
                named += 1;
                let manifest = match documents.manifest(&child) {
                    // Of an index, only those platforms are there that were asked for.
                    Err(ImageError::Damaged { fault: Fault::Missing, .. }) => continue,
                    manifest => manifest?,
                };
                if !self.has(manifest.manifest.layers()) {
                    continue;
                }
                let (os, arch) = (manifest.config.os(), manifest.config.architecture());
                let mut descriptor = child.clone();
                if descriptor.platform().is_none() {
                    let platform =
                        PlatformBuilder::default().os(os.clone()).architecture(arch.clone()).build();
                    descriptor.set_platform(platform.ok());
                    descriptor.set_annotations(None);
                }
                images.push(Local { descriptor, manifest: manifest.manifest, arch: arch.to_string() });
            }
        }
        let Some(first) = entries.first().filter(|_| !images.is_empty()) else {
            return Err(ImageError::Absent { image: name }.into());
        };
        let here = Named {
            top: first.clone(),
            bytes: documents.bytes(first, "manifest")?,
            images: images.iter().map(|image| image.descriptor.clone()).collect(),
            whole: entries.len() == 1 && named == images.len(),
        };
        Ok((here, images))
    }

    fn has(&self, layers: &[Descriptor]) -> bool {
        layers.iter().all(|layer| {
            Digest::of_descriptor(layer.digest()).is_ok_and(|digest| {
                std::fs::metadata(self.cache.dirs.blob(digest))
                    .is_ok_and(|metadata| metadata.len() == layer.size())
            })
        })
    }

    /// What the registry has by the tag.
    fn there(&self, tag: &str) -> Result<Option<Named>, Reason> {
        let answer = match self.session.document(&format!("manifests/{tag}"), ANY) {
            Err(Reason::NotFound) => return Ok(None),
            answer => answer?,
        };
        let kind = manifest::kind(answer.kind.as_deref(), &answer.bytes)?;
        let digest: oci_spec::image::Digest =
            Digest::of(&answer.bytes).to_string().parse().map_err(|error| unusable(&error))?;
        let mut top = Descriptor::new(kind.clone(), answer.bytes.len() as u64, digest);
        let images = if is_index(&kind) {
            let index: ImageIndex =
                serde_json::from_slice(&answer.bytes).map_err(|error| unusable(&error))?;
            index.manifests().clone()
        } else {
            let manifest: ImageManifest =
                serde_json::from_slice(&answer.bytes).map_err(|error| unusable(&error))?;
            let config = self.session.document(&format!("blobs/{}", manifest.config().digest()), "")?;
            if Digest::of(&config.bytes).to_string() != manifest.config().digest().as_ref() {
                return Err(unusable(&"its configuration is another one"));
            }
            let config: ImageConfiguration =
                serde_json::from_slice(&config.bytes).map_err(|error| unusable(&error))?;
            let platform = PlatformBuilder::default()
                .os(config.os().clone())
                .architecture(config.architecture().clone())
                .build()
                .map_err(|error| unusable(&error))?;
            top.set_platform(Some(platform));
            vec![top.clone()]
        };
        Ok(Some(Named { top, bytes: answer.bytes, images, whole: true }))
    }

    /// Sends what the registry lacks, several blobs at a time. Says how many bytes went.
    fn blobs(&self, images: &[Local]) -> Result<u64, Reason> {
        let mut wanted: BTreeSet<(Digest, u64)> = BTreeSet::new();
        for image in images {
            for blob in std::iter::once(image.manifest.config()).chain(image.manifest.layers()) {
                wanted.insert((digest_of(blob)?, blob.size()));
            }
        }
        let wanted: Vec<(Digest, u64)> = wanted.into_iter().collect();
        self.session.meter.expect(wanted.iter().map(|(_, size)| size).sum());
        side_by_side(&wanted, |(digest, size), abandoned| {
            let sent = self.blob(*digest, *size, abandoned)?;
            self.session.meter.receive(*size);
            Ok(sent)
        })
    }

    fn blob(&self, digest: Digest, size: u64, abandoned: &AtomicBool) -> Result<u64, Reason> {
        let path = self.cache.dirs.blob(digest);
        let file = VerifiedFile::open(&path, digest, Some(size)).map_err(|error| match error {
            VerifyError::Io(error) => ImageError::io("read", &path)(error),
            VerifyError::Fault(fault) => {
                ImageError::Damaged { image: self.reference.to_string(), what: "blob", digest, fault }
            }
        })?;
        let sources = self.sources.get(&digest).map_or(&[][..], Vec::as_slice);
        upload(&self.session, &file, sources, abandoned)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Reason> {
        let name = self.reference.to_string();
        Ok(Documents { dirs: &self.cache.dirs, image: &name }.bytes(descriptor, "manifest")?)
    }

    /// Gives a document a name: a tag or its digest.
    fn put(&self, name: &str, kind: &MediaType, bytes: &[u8]) -> Result<(), Reason> {
        let url = self.session.at(&format!("manifests/{name}"));
        let mut attempts = Attempts::default();
        loop {
            let upload = Upload { kind: kind.as_ref(), begins: None, payload: Payload::Bytes(bytes) };
            let request = Request { method: Method::PUT, upload: Some(upload), ..Request::default() };
            match self.session.exchange(&url, request, &[200, 201]) {
                Err(trouble) if self.session.waits(&mut attempts, &trouble) => {}
                answer => return answer.map(drop).map_err(|trouble| trouble.reason),
            }
        }
    }
}

/// The other repositories of a registry that have blobs of this cache, as its names say: a blob is taken from there
/// without being sent.
pub(super) fn sources(
    cache: &Cache,
    remote: &Reference,
) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
    let mut sources: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for entry in index::load(&cache.dirs)? {
        let Some(other) = index::reference(&entry) else { continue };
        if other.registry() != remote.registry() || other.repository() == remote.repository() {
            continue;
        }
        let name = other.to_string();
        let documents = Documents { dirs: &cache.dirs, image: &name };
        // Only a hint: what cannot be read has no blobs to be found.
        for child in documents.manifests(&entry).unwrap_or_default() {
            if !is_manifest(child.media_type()) {
                continue;
            }
            let Ok(manifest) = documents.manifest_alone(&child) else { continue };
            for blob in std::iter::once(manifest.config()).chain(manifest.layers()) {
                let Ok(digest) = Digest::of_descriptor(blob.digest()) else { continue };
                let known = sources.entry(digest).or_default();
                if !known.iter().any(|known| known == other.repository()) {
                    known.push(other.repository().to_owned());
                }
            }
        }
    }
    Ok(sources)
}

fn digest_of(descriptor: &Descriptor) -> Result<Digest, Reason> {
    Digest::of_descriptor(descriptor.digest()).map_err(|error| unusable(&error))
}

fn unusable(reason: &dyn std::fmt::Display) -> Reason {
    Reason::Document { what: "manifest", reason: reason.to_string() }
}
