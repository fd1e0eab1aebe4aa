//! The label `org.mobyproject.config` of an image from anywhere.
//!
//! Holds for every text: it is refused, with a reason, or read.

use lkb::config::Overrides;

/// Checks one label.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Overrides::from_label(text) {
        assert!(!error.to_string().is_empty());
    }
}
