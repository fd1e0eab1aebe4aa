//! Image references: `x`, `org/x:tag`, `registry:5000/org/x@sha256:…`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::digest::{Digest, DigestError};

/// The registry that a name without one means.
const DEFAULT_REGISTRY: &str = "docker.io";
/// What comes before a one-part name on the default registry.
const DEFAULT_ORGANISATION: &str = "library";
/// The tag of a reference that has neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest name (registry and repository), in bytes (distribution/reference, `NameTotalLengthMax`).
const MAX_NAME: usize = 255;
/// How much of a file's name becomes part of an image's, in characters.
const MAX_FILE_NAME: usize = 100;
/// Longest tag, in bytes (OCI distribution-spec, "Pulling manifests").
const MAX_TAG: usize = 128;

/// The name of an image, in canonical form.
///
/// | written | means |
/// |---|---|
/// | `x` | `docker.io/library/x:latest` |
/// | `a/b:1` | `docker.io/a/b:1` |
/// | `a.example/b`, `a:5000/b`, `localhost/b` | another registry, because the first part has `.` or `:` or is `localhost` |
/// | `x@sha256:…` | exactly that manifest; no tag is added |
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was written, or a part of it is empty.
    #[error("image reference {0:?} has an empty part")]
    Empty(String),
    /// The registry is not a host name with an optional port.
    #[error("image reference {0:?}: {1:?} is not a registry's host name and port")]
    Registry(String, String),
    /// A part of the repository has characters that it may not have.
    #[error(
        "image reference {0:?}: {1:?} is not a repository name (lower-case letters and digits, joined by . _ __ or -)"
    )]
    Repository(String, String),
    /// The tag has characters that it may not have, or is too long.
    #[error(
        "image reference {0:?}: {1:?} is not a tag (at most {MAX_TAG} letters, digits, _ . or -, starting with neither . nor -)"
    )]
    Tag(String, String),
    /// The name is too long.
    #[error("image reference {0:?}: the name is longer than {MAX_NAME} bytes")]
    Long(String),
    /// The digest is not one.
    #[error("image reference {0:?}: {1}")]
    Digest(String, DigestError),
}

impl Reference {
    /// Host name and port, `docker.io` when none was written.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path on the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Tag; present unless the reference is by digest alone.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the manifest or index must have.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What an image in a file is called that does not say its name: `localhost/` and the file's name.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = stem.chars().map(kept).take(MAX_FILE_NAME).collect();
        let name = name.trim_matches('-');
        Self {
            registry: "localhost".into(),
            repository: if name.is_empty() { "image".into() } else { name.into() },
            tag: None,
            digest: None,
        }
    }

    /// The same name for exactly this manifest or index.
    #[must_use]
    pub fn at(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// Registry and repository.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Another tag of the same repository.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn sibling(&self, tag: &str) -> Result<Self, ReferenceError> {
        format!("{}:{tag}", self.name()).parse()
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let whole = || text.to_owned();
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|error| ReferenceError::Digest(whole(), error))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            // A colon before the last slash is the registry's port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(ReferenceError::Tag(whole(), tag.into()));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
            _ => (DEFAULT_REGISTRY, name),
        };
        if !is_registry(registry) {
            return Err(ReferenceError::Registry(whole(), registry.into()));
        }
        for part in path.split('/') {
            if part.is_empty() {
                return Err(ReferenceError::Empty(whole()));
            }
            if !is_repository_part(part) {
                return Err(ReferenceError::Repository(whole(), part.into()));
            }
        }
        let registry = same_registry(registry);
        let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("{DEFAULT_ORGANISATION}/{path}")
        } else {
            path.to_owned()
        };
        if registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(ReferenceError::Long(whole()));
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The one name of a registry that has several.
fn same_registry(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        other => other,
    }
}

/// The name of a registry as [`Reference::registry`] has it, if it is one.
pub(super) fn canonical_registry(text: &str) -> Option<&str> {
    is_registry(text).then(|| same_registry(text))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI distribution-spec, "Pulling manifests").
fn is_repository_part(text: &str) -> bool {
    let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well =
        bytes.first().is_some_and(|&c| alphanumeric(c)) && bytes.last().is_some_and(|&c| alphanumeric(c));
    ends_well
        && text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|c| c == b'-')
        })
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (OCI distribution-spec, "Pulling manifests").
fn is_tag(text: &str) -> bool {
    (1..=MAX_TAG).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references_become_canonical() {
        let by_digest = format!("docker.io/library/x@{SHA}");
        let by_both = format!("docker.io/a/b:1@{SHA}");
        for (written, canonical) in [
            ("x", "docker.io/library/x:latest"),
            ("x:3.20", "docker.io/library/x:3.20"),
            ("a/b", "docker.io/a/b:latest"),
            ("a/b/c:Tag_1.2-3", "docker.io/a/b/c:Tag_1.2-3"),
            ("docker.io/x", "docker.io/library/x:latest"),
            ("index.docker.io/a/b", "docker.io/a/b:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("registry:5000/a/b:1", "registry:5000/a/b:1"),
            ("ghcr.example/a/b", "ghcr.example/a/b:latest"),
            ("linuxkit/init:b5506cc7", "docker.io/linuxkit/init:b5506cc7"),
            ("a__b/c---d.e_f", "docker.io/a__b/c---d.e_f:latest"),
            (&format!("x@{SHA}"), &by_digest),
            (&format!("a/b:1@{SHA}"), &by_both),
        ] {
            let reference: Reference = written.parse().unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(reference.to_string(), canonical, "{written}");
            assert_eq!(canonical.parse(), Ok(reference), "{canonical} is its own canonical form");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_part_that_is_wrong() {
        let long = format!("a/{}", "b".repeat(300));
        let long_tag = format!("a:{}", "1".repeat(129));
        for bad in [
            "",
            "/",
            "a/",
            "a//b",
            "A",
            "a/B",
            "x:",
            "x:-1",
            "x:a b",
            "x@",
            "x@sha256:12",
            "x@sha512:12",
            "../x",
            "a/../b",
            "a.b:99999/x",
            "-a.b/x",
            "a___b",
            "a-",
            "x y",
            "x:\u{e9}",
            &long,
            &long_tag,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?} was taken for a reference");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_what_is_parsed_is_stable(text in "[a-zA-Z0-9./:@_-]{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                proptest::prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }
    }
}
