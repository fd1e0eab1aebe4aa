//! The names that `trust` is about.

use std::fmt;

use super::error::TrustError;
use crate::image::{Digest, Reference};

/// Images of one name, or of one organisation.
#[derive(Debug)]
pub(super) struct Rule {
    key: &'static str,
    written: String,
    about: About,
}

#[derive(Debug)]
enum About {
    /// Where no tag is written, all of them; where a digest is, no other.
    Image { name: String, tag: Option<String>, digest: Option<Digest> },
    /// Of all registries, unless one is written.
    Organisation { registry: Option<String>, path: String },
}

impl Rule {
    /// An entry of `trust.image`.
    pub(super) fn image(text: &str) -> Result<Self, TrustError> {
        let key = "trust.image";
        let reference = parse(key, text, text)?;
        let tag = has_tag(text).then(|| reference.tag().map(str::to_owned)).flatten();
        let about = About::Image { name: reference.name(), tag, digest: reference.digest() };
        Ok(Self { key, written: text.to_owned(), about })
    }

    /// An entry of `trust.org`: the beginning of a repository's path, with or without a registry before it.
    pub(super) fn organisation(text: &str) -> Result<Self, TrustError> {
        let key = "trust.org";
        // A name in it is an image's name; this one tells what is wrong with the organisation, too.
        let inside = parse(key, text, &format!("{text}/x"))?;
        let (first, rest) = text.split_once('/').unwrap_or((text, ""));
        let about = match first.contains(['.', ':']) || first == "localhost" {
            true => {
                About::Organisation { registry: Some(inside.registry().to_owned()), path: rest.to_owned() }
            }
            false => About::Organisation { registry: None, path: text.to_owned() },
        };
        Ok(Self { key, written: text.to_owned(), about })
    }

    pub(super) fn concerns(&self, reference: &Reference) -> bool {
        match &self.about {
            About::Image { name, tag, digest } => {
                *name == reference.name()
                    && tag.as_deref().is_none_or(|tag| reference.tag().is_none_or(|other| other == tag))
                    && digest.is_none_or(|digest| reference.digest().is_none_or(|other| other == digest))
            }
            About::Organisation { registry, path } => {
                registry.as_deref().is_none_or(|registry| registry == reference.registry())
                    && (path.is_empty()
                        || reference
                            .repository()
                            .strip_prefix(path.as_str())
                            .is_some_and(|rest| rest.starts_with('/')))
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.written)
    }
}

fn parse(key: &'static str, written: &str, text: &str) -> Result<Reference, TrustError> {
    text.parse().map_err(|source| TrustError::Name { key, written: written.to_owned(), source })
}

/// Whether a tag is written, and not only implied.
pub(super) fn has_tag(text: &str) -> bool {
    let name = text.split('@').next().unwrap_or(text);
    name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_rule_concerns_what_it_names_and_nothing_else() {
        let by_digest = format!("acme/app@{SHA}");
        for (rule, concerned, others) in [
            (
                Rule::image("alpine"),
                &["alpine", "alpine:3", "docker.io/library/alpine"][..],
                &["a/alpine"][..],
            ),
            (Rule::image("acme/app:1"), &["acme/app:1", &by_digest], &["acme/app:2", "ghcr.io/acme/app:1"]),
            (Rule::image(&by_digest), &[&by_digest, "acme/app:1"], &["acme/other"]),
            (Rule::image("r:5000/a/b"), &["r:5000/a/b:7"], &["a/b:7"]),
            (
                Rule::organisation("acme"),
                &["acme/app", "ghcr.io/acme/app", "r:5000/acme/a/b"],
                &["acme2/app", "x/acme", "library/acme"],
            ),
            (Rule::organisation("library"), &["alpine", "r:5000/library/x"], &["acme/library"]),
            (Rule::organisation("ghcr.io/acme"), &["ghcr.io/acme/app"], &["acme/app", "ghcr.io/b/app"]),
            (Rule::organisation("docker.io"), &["alpine", "acme/app", "index.docker.io/a/b"], &["r:5/a/b"]),
            (Rule::organisation("index.docker.io/acme"), &["acme/app"], &["ghcr.io/acme/app"]),
            (Rule::organisation("localhost:5000"), &["localhost:5000/x"], &["localhost/x"]),
            (Rule::organisation("acme/team"), &["acme/team/app"], &["acme/app", "acme/team"]),
        ] {
            let rule = rule.unwrap();
            for name in concerned {
                assert!(rule.concerns(&name.parse().unwrap()), "{rule} should concern {name}");
            }
            for name in others {
                assert!(!rule.concerns(&name.parse().unwrap()), "{rule} should not concern {name}");
            }
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "ACME", "a//b", "acme/", "@pkg:x", "*"] {
            assert!(Rule::organisation(bad).is_err(), "{bad:?}");
            assert!(Rule::image(bad).is_err(), "{bad:?}");
        }
    }
}
