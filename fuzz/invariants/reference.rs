//! The name of an image.
//!
//! Holds for every text that is a name: written out in full it is a name again, of the same image.

use lkb::image::Reference;

/// Checks one text.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(reference) = text.parse::<Reference>() else { return };
    let full = reference.to_string();
    let again: Reference = full.parse().unwrap_or_else(|error| panic!("{full:?} of {text:?}: {error}"));
    assert_eq!(again.to_string(), full, "{text:?}");
}
