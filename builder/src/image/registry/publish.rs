//! Packages in registries: an image for each architecture by a tag of its own, and an index of all of them.

use std::collections::BTreeMap;

use super::copy::{Copy, Side};
use super::error::{PullError, PushError, Reason, Refusal};
use super::join::join;
use super::meter::Meter;
use super::mirror::Mirrors;
use super::push::{self, Push};
use super::session::Session;
use super::tag::there;
use super::{MAX_SOURCES, Registries};
use crate::event::{Event, Work};
use crate::image::platforms::is_image;
use crate::image::{Cache, Digest, ImageError, Reference};

/// How a package is put into a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publishing {
    /// Whether its tag becomes an index of all architectures.
    pub index: bool,
    /// Whether other images for the same platforms give way.
    pub replace: bool,
}

/// What became of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is there.
    Sent {
        /// What the tag means; without an index, what the last architecture's tag means.
        digest: Digest,
        /// Bytes of blobs that were sent; none if the registry had them all.
        bytes: u64,
    },
    /// The registry has another image for the same platform, and keeps it.
    Kept {
        /// What it has.
        digest: Digest,
        /// Its architecture.
        arch: String,
    },
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// What both names mean.
    pub digest: Digest,
    /// Whether the second one meant something else before.
    pub changed: bool,
}

impl Registries {
    /// Puts an image of the cache into a registry by the name `remote`: each platform by the tag `TAG-ARCH`, and an index of
    /// all that are there by the tag. Others may push other platforms at the same time.
    ///
    /// # Errors
    /// When the cache does not have the image, it is damaged, or the registry does not take it. The tag is as it was then.
    pub fn publish(
        &self,
        cache: &Cache,
        reference: &Reference,
        remote: &Reference,
        how: Publishing,
    ) -> Result<Published, PushError> {
        let failed =
            |source: ImageError| PushError::Cache { image: remote.to_string(), source: Box::new(source) };
        let tag = remote.tag().ok_or_else(|| PushError::NoTag(remote.to_string()))?;
        let sources = push::sources(cache, remote).map_err(failed)?;
        let mut read: Vec<String> = sources.values().flatten().cloned().collect();
        read.sort();
        read.dedup();
        read.truncate(MAX_SOURCES);
        // Nobody removes what is being read.
        let _reading = cache.dirs.lock_adding().map_err(failed)?;
        self.pushing(remote, read, |session| {
            let published = Push { session, cache, reference, sources }.publish(tag, how)?;
            let (digest, bytes) = match &published {
                Published::Sent { digest, bytes } => (*digest, Some(*bytes)),
                Published::Kept { digest, .. } => (*digest, None),
            };
            Ok((published, digest, bytes))
        })
    }

    /// The first image that a registry has by the name `remote` in the place of one that the cache has by `reference`: its
    /// digest and its architecture.
    ///
    /// # Errors
    /// When the cache does not have the image, or the registry gives no answer that can be used.
    pub fn rival(
        &self,
        cache: &Cache,
        reference: &Reference,
        remote: &Reference,
    ) -> Result<Option<(Digest, String)>, PushError> {
        let tag = remote.tag().ok_or_else(|| PushError::NoTag(remote.to_string()))?;
        self.session_for(remote, Vec::new(), |session| {
            Push { session, cache, reference, sources: BTreeMap::new() }.rival_of(tag)
        })
    }

    /// Makes a tag the index of all images that the registry has by tags `TAG-ARCH`; returns the index's digest.
    ///
    /// # Errors
    /// When there are none, something that the index would name is gone, or the registry does not take it.
    pub fn join(&self, remote: &Reference) -> Result<Digest, PushError> {
        let tag = remote.tag().ok_or_else(|| PushError::NoTag(remote.to_string()))?;
        self.pushing(remote, Vec::new(), |session| {
            let digest = join(&session, tag)?;
            Ok((digest, digest, None))
        })
    }

    /// The architectures, in Go's words, for which a registry has an image by this name; none if it has no such name.
    ///
    /// # Errors
    /// When nobody can be asked, or who has it gives no answer that can be used.
    pub fn arches_of(&self, reference: &Reference) -> Result<Vec<String>, PullError> {
        let image = || reference.to_string();
        let client = self.client()?;
        let tag = reference.tag().unwrap_or("latest");
        let endpoints = self.mirrors.endpoints(reference.registry());
        let endpoints = endpoints.map_err(|source| PullError::Registry { image: image(), source })?;
        let (name, mut refusals) = (image(), Vec::new());
        for endpoint in endpoints {
            let meter = Meter::new(Work::Pull, &name, &*self.tell);
            let session =
                Session::open(&client, &self.keychain, &endpoint, reference.repository(), meter, &self.known);
            match there(&session, tag) {
                Ok(None) | Err(Reason::Login { .. }) => {}
                Ok(Some(named)) => {
                    let images = named.images.iter().filter(|image| is_image(image));
                    let platforms = images.filter_map(|image| image.platform().as_ref());
                    return Ok(platforms.map(|platform| platform.architecture().to_string()).collect());
                }
                Err(why) => refusals.push(Refusal { whom: session.base.to_string(), why }),
            }
        }
        match refusals.is_empty() {
            true => Ok(Vec::new()),
            false => Err(PullError::Refused { image: image(), refusals }),
        }
    }

    /// Gives what a registry has by the name `from` the name `to`, which may be in another repository or registry. Blobs
    /// that the other side cannot take from there itself go through the cache's directory.
    ///
    /// # Errors
    /// When the first registry does not give it, or the second does not take it. The name is as it was then.
    pub fn copy(&self, cache: &Cache, from: &Reference, to: &Reference) -> Result<Copied, PushError> {
        let failed =
            |source: ImageError| PushError::Cache { image: to.to_string(), source: Box::new(source) };
        let tag = to.tag().ok_or_else(|| PushError::NoTag(to.to_string()))?;
        let what = match (from.digest(), from.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let client = self.client()?;
        let endpoint = Mirrors::own(from.registry())
            .map_err(|source| PullError::Registry { image: from.to_string(), source })?;
        let name = from.to_string();
        let _adding = cache.dirs.lock_adding().map_err(failed)?;
        let same_registry = from.registry() == to.registry();
        let mount = same_registry.then(|| from.repository());
        let meter = Meter::new(Work::Pull, &name, &*self.tell);
        let reading =
            Session::open(&client, &self.keychain, &endpoint, from.repository(), meter, &self.known);
        let whom = reading.base.to_string();
        let mut unread = None;
        let copied = self.pushing(to, mount.map(String::from).into_iter().collect(), |session| {
            let same = same_registry && from.repository() == to.repository();
            let copy = Copy { from: reading, to: session, same, mount, dirs: &cache.dirs };
            match copy.run(&what, tag) {
                Ok((digest, changed)) => Ok((Copied { digest, changed }, digest, None)),
                Err(Side::To(why)) => Err(why),
                Err(Side::From(why)) => {
                    unread = Some(Refusal { whom, why });
                    Err(Reason::NotFound)
                }
            }
        });
        match (unread, copied) {
            (Some(refusal), _) => {
                Err(PullError::Refused { image: from.to_string(), refusals: vec![refusal] }.into())
            }
            (None, copied) => copied,
        }
    }

    /// Pushes, and tells of it. The job returns a result, and of that what is told.
    fn pushing<T>(
        &self,
        remote: &Reference,
        read: Vec<String>,
        job: impl FnOnce(Session<'_>) -> Result<(T, Digest, Option<u64>), Reason>,
    ) -> Result<T, PushError> {
        let name = remote.to_string();
        (self.tell)(Event::Started { work: Work::Push, name: &name });
        let (result, digest, bytes) = self.session_for(remote, read, job)?;
        (self.tell)(Event::Finished { work: Work::Push, name: &name, bytes, digest: Some(digest) });
        Ok(result)
    }

    /// Opens the registry itself, and no mirror, for pushing; `read` are other repositories of it that are read.
    fn session_for<T>(
        &self,
        remote: &Reference,
        read: Vec<String>,
        job: impl FnOnce(Session<'_>) -> Result<T, Reason>,
    ) -> Result<T, PushError> {
        let name = remote.to_string();
        let client = self.client()?;
        let endpoint = Mirrors::own(remote.registry())
            .map_err(|source| PullError::Registry { image: name.clone(), source })?;
        let meter = Meter::new(Work::Push, &name, &*self.tell);
        let session =
            Session::open(&client, &self.keychain, &endpoint, remote.repository(), meter, &self.known);
        let session = session.for_push(read);
        let whom = session.base.to_string();
        job(session).map_err(|why| match why {
            Reason::Cache(source) => PushError::Cache { image: name.clone(), source },
            why => PushError::Refused { image: name.clone(), refusal: Box::new(Refusal { whom, why }) },
        })
    }
}
