//! From a name in the cache to a name in a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use oci_spec::image::{Descriptor, ImageManifest, MediaType, PlatformBuilder};

use super::error::Reason;
use super::join::join;
use super::merge::{self, Named, Plan};
use super::session::Session;
use super::side_by_side::side_by_side;
use super::tag::{put, there};
use super::upload::upload;
use super::{Published, Publishing, Pushed, Pushing};
use crate::image::document::{Documents, is_manifest};
use crate::image::error::Fault;
use crate::image::platforms::{self, about, is_image, same_platform};
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
        let there = there(&self.session, tag)?;
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
            if how.arch_tags && is_image(&image.descriptor) {
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

    fn put(&self, name: &str, kind: &MediaType, bytes: &[u8]) -> Result<(), Reason> {
        put(&self.session, name, kind, bytes)
    }

    /// Puts all platforms there, each by a tag of its own, `TAG-ARCH`, and then makes the tag an index of whatever has such
    /// tags. So several machines may push their platforms at once.
    pub(super) fn publish(&self, tag: &str, how: Publishing) -> Result<Published, Reason> {
        let (_, images) = self.here()?;
        let parts = parts_of(&images);
        if !how.replace
            && let Some((digest, arch)) = self.rival(tag, &parts)?
        {
            return Ok(Published::Kept { digest, arch });
        }
        let bytes = self.blobs(&images)?;
        for image in &images {
            let document = self.document(&image.descriptor)?;
            self.put(image.descriptor.digest().as_ref(), image.descriptor.media_type(), &document)?;
        }
        let mut digest = None;
        for (arch, part) in &parts {
            let (kind, document) = match part.as_slice() {
                [alone] => (alone.media_type().clone(), self.document(alone)?),
                several => (MediaType::ImageIndex, platforms::index_of(several)),
            };
            digest = Some(Digest::of(&document));
            self.put(&format!("{tag}-{arch}"), &kind, &document)?;
        }
        if how.index {
            digest = Some(join(&self.session, tag)?);
        }
        let digest = digest.ok_or_else(|| unusable(&"there is no image in it"))?;
        Ok(Published::Sent { digest, bytes })
    }

    /// The first image that the registry has in the place of one of the cache's.
    pub(super) fn rival_of(&self, tag: &str) -> Result<Option<(Digest, String)>, Reason> {
        self.rival(tag, &parts_of(&self.here()?.1))
    }

    /// The first image that the registry has in the place of one of these.
    fn rival(
        &self,
        tag: &str,
        parts: &[(String, Vec<Descriptor>)],
    ) -> Result<Option<(Digest, String)>, Reason> {
        let whole = there(&self.session, tag)?;
        for (arch, part) in parts {
            let own = there(&self.session, &format!("{tag}-{arch}"))?;
            let found = own.iter().chain(&whole).flat_map(|named| &named.images);
            for other in found.filter(|other| is_image(other)) {
                let replaced = part.iter().any(|image| {
                    is_image(image) && image.digest() != other.digest() && same_platform(image, other)
                });
                if replaced {
                    return Ok(Some((digest_of(other)?, arch.clone())));
                }
            }
        }
        Ok(None)
    }
}

/// Images by architecture, each with what is about it.
fn parts_of(images: &[Local]) -> Vec<(String, Vec<Descriptor>)> {
    let descriptors: Vec<Descriptor> = images.iter().map(|image| image.descriptor.clone()).collect();
    let mut parts: BTreeMap<&str, Vec<Descriptor>> = BTreeMap::new();
    for image in images.iter().filter(|image| is_image(&image.descriptor)) {
        parts.entry(&image.arch).or_default().push(image.descriptor.clone());
    }
    let with_statements = |part: Vec<Descriptor>| -> Vec<Descriptor> {
        let is_about = |other: &&Descriptor| {
            about(other).is_some_and(|about| part.iter().any(|image| image.digest().as_ref() == about))
        };
        let statements: Vec<Descriptor> = descriptors.iter().filter(is_about).cloned().collect();
        platforms::merged(&[], &[part, statements].concat())
    };
    parts.into_iter().map(|(arch, part)| (arch.to_owned(), with_statements(part))).collect()
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
