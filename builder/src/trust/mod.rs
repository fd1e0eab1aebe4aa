//! Which images must be signed, and by whom: `trust` of the YAML, with the keys of `lkb build --trust-key`.
//!
//! ```text
//! trust.org, trust.image ─▶ Rule ─┐
//! trust.key, --trust-key ─▶ Key ──┼─▶ Policy::check ◀─ signatures in the cache: simple signing, or a bundle
//! ```
//!
//! A signature counts that one of the keys has made over the digest that the image's name means: of its manifest, or
//! of the index that names its manifest.

mod bundle;
mod error;
mod key;
mod rule;
mod simple;

use std::path::PathBuf;

use crate::config::Trust;
use crate::image::{Cache, Digest, Reference, Signed};

use error::Refused;
pub use error::{Doubt, TrustError, Untrusted};
use key::Key;
use rule::Rule;

/// Most kinds of refusal that are told of one image.
const TOLD: usize = 5;

/// Which images must be signed, and by whose key.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    keys: Vec<Key>,
}

/// An image whose signature matters.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The name that it was found by.
    pub reference: &'a Reference,
    /// What the name means, and the manifest that it leads to.
    pub digests: [Digest; 2],
}

impl Policy {
    /// Reads the rules and the keys. Names of files are relative to the working directory.
    ///
    /// # Errors
    /// When a rule is no name, or a key is none or cannot be read.
    pub fn new(trust: &Trust, key_files: &[PathBuf]) -> Result<Self, TrustError> {
        let images = trust.image.iter().map(|text| Rule::image(text));
        let organisations = trust.org.iter().map(|text| Rule::organisation(text));
        let rules = images.chain(organisations).collect::<Result<_, _>>()?;
        let mut keys = Vec::new();
        for text in &trust.key {
            keys.extend(Key::of_yaml(text)?);
        }
        for file in key_files {
            keys.extend(Key::of_file(file)?);
        }
        Ok(Self { rules, keys })
    }

    /// Whether an image of this name must be signed.
    #[must_use]
    pub fn concerns(&self, reference: &Reference) -> bool {
        self.rule(reference).is_some()
    }

    /// Checks an image that is in the cache, if it must be signed.
    ///
    /// # Errors
    /// When there is no key, the cache has no signature of it, or none of the signatures counts.
    pub fn check(&self, cache: &Cache, subject: Subject<'_>) -> Result<(), Box<Untrusted>> {
        let Some(rule) = self.rule(subject.reference) else { return Ok(()) };
        let image = subject.reference.to_string();
        self.verify(cache, subject)
            .map_err(|doubt| Box::new(Untrusted { image, rule: rule.to_string(), doubt }))
    }

    fn rule(&self, reference: &Reference) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.concerns(reference))
    }

    fn verify(&self, cache: &Cache, subject: Subject<'_>) -> Result<(), Doubt> {
        if self.keys.is_empty() {
            return Err(Doubt::NoKey);
        }
        let [named, manifest] = subject.digests;
        let mut refusals: Vec<Refused> = Vec::new();
        let both = [Some(named), (manifest != named).then_some(manifest)];
        for digest in both.into_iter().flatten() {
            let found = cache
                .signatures(subject.reference, digest)
                .map_err(|source| Doubt::Cache(Box::new(source)))?;
            for signed in found {
                match self.judge(&signed, subject.reference, digest) {
                    Ok(()) => return Ok(()),
                    Err(refused) if refusals.contains(&refused) => {}
                    Err(refused) => refusals.push(refused),
                }
            }
        }
        refusals.truncate(TOLD);
        match refusals.is_empty() {
            true => Err(Doubt::Unsigned { name: subject.reference.name(), digest: named }),
            false => Err(Doubt::Refused { name: subject.reference.name(), digest: named, refusals }),
        }
    }

    fn judge(&self, signed: &Signed, reference: &Reference, digest: Digest) -> Result<(), Refused> {
        match signed {
            Signed::Simple { payload, signature } => {
                simple::judge(&self.keys, payload, signature, reference, digest)
            }
            Signed::Bundle(bundle) => bundle::judge(&self.keys, bundle, digest),
        }
    }
}
