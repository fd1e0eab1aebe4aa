//! Images from registries (OCI distribution-spec; Docker's registry HTTP API v2).
//!
//! ```text
//! Registries::pull ─ Mirrors: whom to ask ─ Session: questions, with Keychain and tokens ─ Client: HTTP
//!                  └ Pull: manifest, configuration, layers ─ download: verified while it comes ─▶ the cache
//! Registries::push ─ Session ┬ merge: what the tag becomes
//!                            └ upload: blobs, in chunks where need be
//! Registries::publish ─ the same, a tag an architecture, and join: an index of all such tags
//! Registries::copy ─ from one repository to another
//! ```

mod attachments;
mod authorizations;
mod challenge;
mod client;
mod copy;
mod download;
mod error;
mod helper;
mod join;
mod keychain;
mod manifest;
mod merge;
mod meter;
mod mirror;
mod publish;
mod pull;
mod push;
mod session;
mod side_by_side;
mod tag;
mod text;
mod token;
mod upload;
mod url;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use oci_spec::image::{Arch, Descriptor};

use super::signature::attached;
use super::{Cache, Digest, ImageError, Reference};
use crate::event::{Event, Work};
use attachments::Attachments;
use authorizations::Authorizations;
use client::Client;
pub use error::{PullError, PushError, Reason, Refusal};
pub use keychain::{Keychain, KeychainError};
use meter::Meter;
pub use mirror::{MirrorError, Mirrors};
pub use publish::{Copied, Published, Publishing};
use pull::Pull;
use push::Push;
pub use session::Purpose;
use session::Session;
pub use text::{TextError, open_text};
pub use url::UrlError;

/// Most other repositories that a token for pushing is asked for.
const MAX_SOURCES: usize = 10;

/// Told what takes time, a sentence each.
type Tell = dyn Fn(Event<'_>) + Send + Sync;

/// Whom to ask for images, and how.
pub struct Registries {
    tell: Box<Tell>,
    mirrors: Mirrors,
    certificates: Vec<PathBuf>,
    keychain: Keychain,
    /// Made when it is needed first: the system has many certificates to read.
    client: Mutex<Option<Arc<Client>>>,
    known: Authorizations,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("mirrors", &self.mirrors).finish_non_exhaustive()
    }
}

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// What the name means: the digest of a manifest, or of an index of manifests.
    pub digest: Digest,
    /// Bytes that were transferred; none if the cache had everything.
    pub bytes: u64,
}

/// All but the name: what the name is to mean, and what has come for it.
type Brought = Result<(Descriptor, Pulled), Reason>;

/// What happens to an image of the same name in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// It loses the name.
    Replaced,
    /// It keeps it, because it is for another platform.
    Kept,
}

/// How an image is pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushing {
    /// Each architecture gets a tag of its own, too: `TAG-amd64`.
    pub arch_tags: bool,
    /// What the registry has for the same platforms is replaced.
    pub replace: bool,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The registry has all of it already; the digest of what the cache has.
    Known(Digest),
    /// The registry has another image for the same platform, with this digest, and keeps it.
    Kept(Digest),
    /// The tag is new.
    Sent {
        /// What it means now.
        digest: Digest,
        /// Bytes of blobs that were sent; none if the registry had them all.
        bytes: u64,
    },
}

impl Registries {
    /// `certificates` are files in PEM form, trusted beside the system's. `tell` is told what takes time.
    #[must_use]
    pub fn new(
        mirrors: Mirrors,
        certificates: Vec<PathBuf>,
        keychain: Keychain,
        tell: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            tell: Box::new(tell),
            mirrors,
            certificates,
            keychain,
            client: Mutex::default(),
            known: Authorizations::default(),
        }
    }

    /// Brings an image for one architecture, in Go's words (`amd64`), into the cache and names it there. Every byte
    /// of it is verified before it has a name.
    ///
    /// # Errors
    /// When nobody who is asked has it, what comes is not what was asked for, or the cache cannot be changed.
    /// Nothing is named then.
    pub fn pull(
        &self,
        cache: &Cache,
        reference: &Reference,
        arch: &str,
        former: Former,
    ) -> Result<Pulled, PullError> {
        let name = reference.to_string();
        (self.tell)(Event::Started { work: Work::Pull, name: &name });
        let pulled = self.bring(cache, reference, former, &|session| {
            Pull { session, cache, arch: Arch::from(arch) }.run(reference)
        })?;
        let (bytes, digest) = (Some(pulled.bytes), Some(pulled.digest));
        (self.tell)(Event::Finished { work: Work::Pull, name: &name, bytes, digest });
        Ok(pulled)
    }

    /// Brings the signatures of what has this digest in the image's repository into the cache: cosign's tag, and
    /// the bundles that refer to the digest. Whether there are any is seen there; what they are worth, too.
    ///
    /// # Errors
    /// When nobody who is asked answers that there are some or none, or the cache cannot be changed.
    pub fn pull_signatures(&self, cache: &Cache, image: &Reference, digest: Digest) -> Result<(), PullError> {
        let names =
            attached(image, digest).map_err(|source| PullError::Name { image: image.to_string(), source })?;
        let whose = image.to_string();
        (self.tell)(Event::Started { work: Work::Verify, name: &whose });
        let (mut came, mut failed) = (false, None);
        for (name, attached) in names {
            let pulled = self.bring(cache, &name, Former::Replaced, &|session| {
                Attachments { session, cache }.run(&name, digest, attached)
            });
            match pulled {
                Ok(_) => came = true,
                // Most images have none; whom it matters for misses it later.
                Err(error) if error.is_absence() => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        (self.tell)(Event::Finished { work: Work::Verify, name: &whose, bytes: None, digest: None });
        match failed {
            // Either of both may be the one that counts.
            Some(error) if !came => Err(error),
            _ => Ok(()),
        }
    }

    /// Has each endpoint in turn do it, until one can; what it brought has this name then.
    fn bring(
        &self,
        cache: &Cache,
        reference: &Reference,
        former: Former,
        job: &dyn Fn(Session<'_>) -> Brought,
    ) -> Result<Pulled, PullError> {
        let image = || reference.to_string();
        let failed = |source: ImageError| PullError::Cache { image: image(), source: Box::new(source) };
        let client = self.client()?;
        let endpoints = self
            .mirrors
            .endpoints(reference.registry())
            .map_err(|source| PullError::Registry { image: image(), source })?;
        // Held until the name is stored: nobody removes blobs that no name leads to yet.
        let _adding = cache.dirs.lock_adding().map_err(failed)?;
        let name = image();
        let mut refusals = Vec::new();
        for endpoint in endpoints {
            let meter = Meter::new(Work::Pull, &name, &*self.tell);
            let session =
                Session::open(&client, &self.keychain, &endpoint, reference.repository(), meter, &self.known);
            let whom = session.base.to_string();
            match job(session) {
                Ok((descriptor, pulled)) => {
                    cache.give_name(reference, &descriptor, former == Former::Kept).map_err(failed)?;
                    return Ok(pulled);
                }
                Err(Reason::Cache(source)) => return Err(failed(*source)),
                Err(why) => refusals.push(Refusal { whom, why }),
            }
        }
        Err(PullError::Refused { image: image(), refusals })
    }

    /// Puts an image of the cache into its registry, by another name if `remote` is one: all platforms that the cache
    /// has, beside those that the registry has by this tag.
    ///
    /// The registry itself is asked, and no mirror: what is on a mirror is not there for others.
    ///
    /// # Errors
    /// When the cache does not have the image, it is damaged, or the registry does not take it. The tag is as it was
    /// then.
    pub fn push(
        &self,
        cache: &Cache,
        reference: &Reference,
        remote: &Reference,
        how: Pushing,
    ) -> Result<Pushed, PushError> {
        let image = || remote.to_string();
        let failed = |source: ImageError| PushError::Cache { image: image(), source: Box::new(source) };
        let tag = remote.tag().ok_or_else(|| PushError::NoTag(image()))?;
        let client = self.client()?;
        let endpoint = Mirrors::own(remote.registry())
            .map_err(|source| PullError::Registry { image: image(), source })?;
        let sources = push::sources(cache, remote).map_err(failed)?;
        let all: BTreeSet<&String> = sources.values().flatten().collect();
        let read = all.into_iter().take(MAX_SOURCES).cloned().collect();
        let name = image();
        let meter = Meter::new(Work::Push, &name, &*self.tell);
        let session =
            Session::open(&client, &self.keychain, &endpoint, remote.repository(), meter, &self.known);
        let session = session.for_push(read);
        let whom = session.base.to_string();
        // Nobody removes what is being read.
        let _reading = cache.dirs.lock_adding().map_err(failed)?;
        (self.tell)(Event::Started { work: Work::Push, name: &name });
        match (Push { session, cache, reference, sources }).run(tag, how) {
            Ok(pushed) => {
                let (bytes, digest) = match pushed {
                    Pushed::Sent { digest, bytes } => (Some(bytes), Some(digest)),
                    Pushed::Known(digest) | Pushed::Kept(digest) => (None, Some(digest)),
                };
                (self.tell)(Event::Finished { work: Work::Push, name: &name, bytes, digest });
                Ok(pushed)
            }
            Err(Reason::Cache(source)) => Err(failed(*source)),
            Err(why) => Err(PushError::Refused { image: image(), refusal: Box::new(Refusal { whom, why }) }),
        }
    }

    /// The digest of what a registry has by this name.
    ///
    /// # Errors
    /// When nobody who is asked has it.
    pub fn digest_of(&self, reference: &Reference) -> Result<Digest, PullError> {
        let image = || reference.to_string();
        let client = self.client()?;
        let endpoints = self
            .mirrors
            .endpoints(reference.registry())
            .map_err(|source| PullError::Registry { image: image(), source })?;
        let what = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let mut refusals = Vec::new();
        for endpoint in endpoints {
            let name = image();
            let meter = Meter::new(Work::Pull, &name, &*self.tell);
            let session =
                Session::open(&client, &self.keychain, &endpoint, reference.repository(), meter, &self.known);
            match session.document(&format!("manifests/{what}"), manifest::ANY) {
                Ok(answer) => return Ok(Digest::of(&answer.bytes)),
                Err(why) => refusals.push(Refusal { whom: session.base.to_string(), why }),
            }
        }
        Err(PullError::Refused { image: image(), refusals })
    }

    fn client(&self) -> Result<Arc<Client>, PullError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        Ok(Arc::clone(client.insert(Arc::new(Client::new(&self.certificates)?))))
    }
}
