//! What imported images are called.

use std::path::Path;

use oci_spec::image::Descriptor;

use super::super::{Digest, ImageError, Reference};
use super::{Held, Import};

/// Most names that an error lists.
const SHOWN: usize = 20;

impl Import<'_> {
    /// The names of all images of a source, or the given name of its only one.
    pub(super) fn name_all(
        &self,
        found: Vec<(Descriptor, Vec<String>)>,
        given: Option<&Reference>,
    ) -> Result<Vec<(Reference, Descriptor)>, ImageError> {
        if let Some(given) = given {
            let [(descriptor, _)] = found.as_slice() else {
                let count = found.len();
                return Err(self.refuse(&format!("it has {count} images, which cannot all be named {given}")));
            };
            if given.digest().is_some_and(|digest| digest.to_string() != descriptor.digest().as_ref()) {
                return Err(self.refuse(&format!("its image is {}, not {given}", descriptor.digest())));
            }
            return Ok(vec![(given.clone(), descriptor.clone())]);
        }
        let mut named = Vec::new();
        for (descriptor, names) in found {
            if names.is_empty() {
                return Err(self.nameless());
            }
            for name in names {
                // The annotation may be a tag alone (image-layout.md, "index.json file"): no name to find it by.
                if !is_full(&name) {
                    return Err(self.nameless());
                }
                let source = |source| ImageError::Name { path: self.path.to_owned(), source };
                named.push((name.parse().map_err(source)?, descriptor.clone()));
            }
        }
        Ok(named)
    }

    /// The image of this name, or the only one.
    pub(super) fn choose(&self, held: Vec<Held>, chosen: Option<&str>) -> Result<Held, ImageError> {
        let names = |all: &[Held]| {
            let names: Vec<&str> =
                all.iter().flat_map(|held| &held.names).map(String::as_str).take(SHOWN).collect();
            if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
        };
        let Some(chosen) = chosen else {
            let mut held = held;
            return match (held.len(), held.pop()) {
                (1, Some(only)) => Ok(only),
                (count, last) => {
                    held.extend(last);
                    let names = names(&held);
                    Err(self.refuse(&format!(
                        "it has {count} images ({names}); write the name of one behind the path: PATH:NAME"
                    )))
                }
            };
        };
        let wanted = full(chosen);
        let is_it = |name: &String| name == chosen || (wanted.is_some() && full(name) == wanted);
        match held.iter().position(|held| held.names.iter().any(is_it)) {
            Some(at) => held.into_iter().nth(at).ok_or_else(|| self.refuse("it changed while it was read")),
            None => Err(self.refuse(&format!("it has no image {chosen}; it has {}", names(&held)))),
        }
    }

    fn nameless(&self) -> ImageError {
        self.refuse("it does not say its image's name; give one")
    }
}

/// The name of an image in a file: the full one that it has there, else one of the file's, with the digest.
pub(super) fn pinned(path: &Path, names: &[String], chosen: Option<&str>, digest: Digest) -> Reference {
    let own = chosen.into_iter().chain(names.iter().map(String::as_str)).find_map(full);
    own.unwrap_or_else(|| Reference::of_file(path)).at(digest)
}

/// A name that says more than a tag.
fn full(name: &str) -> Option<Reference> {
    is_full(name).then(|| name.parse().ok()).flatten()
}

fn is_full(name: &str) -> bool {
    name.contains(['/', ':'])
}
