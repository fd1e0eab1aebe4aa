//! From a name to an image in the cache.

use std::sync::atomic::AtomicBool;

use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use serde::de::DeserializeOwned;

use super::download::{Wanted, download};
use super::error::Reason;
use super::manifest::{self, ANY, IMAGE};
use super::session::Session;
use super::side_by_side::side_by_side;
use super::{Brought, Pulled};
use crate::image::document::{is_for, is_index, is_layer, is_manifest, platform_name};
use crate::image::limits::{MAX_DOCUMENT, MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use crate::image::{Cache, Digest, Reference, VerifiedFile};

/// Most platforms that are named in an error.
const NAMED: usize = 20;

/// Brings the blobs of one image for one architecture into a cache.
pub(super) struct Pull<'a> {
    pub(super) session: Session<'a>,
    pub(super) cache: &'a Cache,
    pub(super) arch: Arch,
}

impl Pull<'_> {
    /// Brings everything but the name. The caller holds the lock for adding.
    pub(super) fn run(&self, reference: &Reference) -> Brought {
        let Top { descriptor: top, bytes: document, received } =
            top(&self.session, self.cache, reference, ANY)?;
        let image = match is_index(top.media_type()) {
            true => self.choose(&parse("index", &document)?)?,
            false => match self.image(parse("manifest", &document)?)? {
                Ok(image) => image,
                Err(platform) => return Err(self.absent(vec![platform])),
            },
        };
        let bytes = image.bytes + self.layers(&image.manifest)? + received;
        let digest = Digest::of(&document);
        Ok((top, Pulled { digest, bytes }))
    }

    /// The image of an index that [`Cache::resolve`] will choose.
    fn choose(&self, index: &ImageIndex) -> Result<Chosen, Reason> {
        if index.manifests().len() > MAX_MANIFESTS {
            return Err(unusable("index", &format_args!("it names more than {MAX_MANIFESTS} manifests")));
        }
        let mut found = Vec::new();
        for child in index.manifests().iter().filter(|child| is_manifest(child.media_type())) {
            if let Some(platform) = child.platform()
                && !is_for(platform, &self.arch)
            {
                found.push(platform_name(platform.os(), platform.architecture()));
                continue;
            }
            let wanted = wanted("manifest", child, MAX_DOCUMENT)?;
            let received = self.fetch(&wanted, IMAGE)?;
            let bytes = self.read(&wanted)?;
            manifest::kind(Some(child.media_type().as_ref()), &bytes)?;
            match self.image(parse("manifest", &bytes)?)? {
                Ok(image) => return Ok(Chosen { bytes: image.bytes + received, ..image }),
                Err(platform) => found.push(platform),
            }
        }
        Err(self.absent(found))
    }

    /// A manifest with its configuration, if it is for the machine; else what it is for.
    fn image(&self, manifest: ImageManifest) -> Result<Result<Chosen, String>, Reason> {
        if manifest.layers().len() > MAX_LAYERS {
            return Err(unusable("manifest", &format_args!("it has more than {MAX_LAYERS} layers")));
        }
        manifest::check_configuration(manifest.config().media_type())?;
        let wanted = wanted("configuration", manifest.config(), MAX_DOCUMENT)?;
        let bytes = self.fetch(&wanted, "")?;
        let config: ImageConfiguration = parse("configuration", &self.read(&wanted)?)?;
        if *config.os() != Os::Linux || *config.architecture() != self.arch {
            return Ok(Err(platform_name(config.os(), config.architecture())));
        }
        Ok(Ok(Chosen { manifest, bytes }))
    }

    /// Brings the layers, several at a time. Says how many bytes came.
    fn layers(&self, manifest: &ImageManifest) -> Result<u64, Reason> {
        let mut layers: Vec<Wanted> = Vec::new();
        for layer in manifest.layers() {
            if !is_layer(layer.media_type().as_ref()) {
                let kind = manifest::quoted(layer.media_type().as_ref());
                return Err(unusable("layer", &format_args!("{kind} is not a kind of layer")));
            }
            let wanted = wanted("layer", layer, MAX_LAYER)?;
            if !layers.contains(&wanted) {
                layers.push(wanted);
            }
        }
        self.session.meter.expect(layers.iter().map(|layer| layer.size).sum());
        side_by_side(&layers, |layer, abandoned| {
            download(&self.session, &self.cache.dirs, layer, "", abandoned)
        })
    }

    fn fetch(&self, wanted: &Wanted, accept: &str) -> Result<u64, Reason> {
        download(&self.session, &self.cache.dirs, wanted, accept, &AtomicBool::new(false))
    }

    /// The bytes of a document that [`Self::fetch`] has brought.
    fn read(&self, wanted: &Wanted) -> Result<Vec<u8>, Reason> {
        let path = self.cache.dirs.blob(wanted.digest);
        let failed = |error| Reason::from(crate::image::ImageError::io("read", &path)(error));
        let bytes = std::fs::read(&path).map_err(failed)?;
        match Digest::of(&bytes) {
            actual if actual == wanted.digest => Ok(bytes),
            actual => Err(Reason::Digest { what: wanted.what, digest: wanted.digest, actual }),
        }
    }

    fn absent(&self, mut found: Vec<String>) -> Reason {
        found.sort();
        found.dedup();
        let more = found.len() > NAMED;
        found.truncate(NAMED);
        let found = match found.is_empty() {
            true => "no platform".into(),
            false => {
                manifest::quoted(&found.join(", ")).replace('"', "") + if more { " and others" } else { "" }
            }
        };
        Reason::Platform { wanted: self.arch.to_string(), found }
    }
}

/// What a name means, kept in the cache and not yet named there.
pub(super) struct Top {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    /// Bytes that came for it, if the cache did not have it.
    pub(super) received: u64,
}

/// Asks what a name means. The caller holds the lock for adding.
pub(super) fn top(
    session: &Session<'_>,
    cache: &Cache,
    reference: &Reference,
    accept: &str,
) -> Result<Top, Reason> {
    let wanted = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let answer = session.document(&format!("manifests/{wanted}"), accept)?;
    let actual = Digest::of(&answer.bytes);
    // Other digests than SHA-256 are not ours to check here; the name has none then.
    let said = answer.digest.as_deref().and_then(|digest| digest.parse::<Digest>().ok());
    for digest in reference.digest().into_iter().chain(said) {
        if digest != actual {
            return Err(Reason::Digest { what: "manifest", digest, actual });
        }
    }
    let kind = manifest::kind(answer.kind.as_deref(), &answer.bytes)?;
    keep(cache, kind, answer.bytes)
}

/// Keeps a document in the cache, unless it is there.
pub(super) fn keep(cache: &Cache, kind: MediaType, bytes: Vec<u8>) -> Result<Top, Reason> {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    let known = VerifiedFile::open(&cache.dirs.blob(digest), digest, Some(size)).is_ok();
    if !known {
        cache.dirs.add_blob_as(&mut bytes.as_slice(), digest, size)?;
    }
    let name: oci_spec::image::Digest =
        digest.to_string().parse().map_err(|error| unusable("manifest", &error))?;
    let received = if known { 0 } else { size };
    Ok(Top { descriptor: Descriptor::new(kind, size, name), bytes, received })
}

/// An image, all but its layers.
struct Chosen {
    manifest: ImageManifest,
    /// Bytes that came for it.
    bytes: u64,
}

pub(super) fn wanted(what: &'static str, descriptor: &Descriptor, most: u64) -> Result<Wanted, Reason> {
    let digest = Digest::of_descriptor(descriptor.digest()).map_err(|error| unusable(what, &error))?;
    match descriptor.size() {
        size if size <= most => Ok(Wanted { what, digest, size }),
        size => Err(unusable(what, &format_args!("{digest} has {size} bytes, more than {most}"))),
    }
}

pub(super) fn parse<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Reason> {
    serde_json::from_slice(bytes).map_err(|error| unusable(what, &error))
}

pub(super) fn unusable(what: &'static str, reason: &dyn std::fmt::Display) -> Reason {
    Reason::Document { what, reason: reason.to_string() }
}
