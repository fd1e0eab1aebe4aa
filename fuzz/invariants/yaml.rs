//! A configuration from anywhere.
//!
//! Holds for every text: it is refused with a reason, or it loads; and what has loaded, printed as YAML, loads again and
//! is printed the same.

use std::path::Path;

use lkb::config::{PackageResolver, Source, load};

struct Anything;

impl PackageResolver for Anything {
    fn tag(&self, _dir: &Path) -> Result<String, String> {
        Ok("lkb/anything:1".to_owned())
    }
}

fn source(text: &str) -> Source {
    Source { name: "fuzz.yml".to_owned(), text: text.to_owned(), dir: None }
}

/// Checks one text.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let loaded = match load(&[source(text)], &Anything) {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let printed = loaded.config.to_yaml().expect("what has loaded can be printed");
    let again = load(&[source(&printed)], &Anything).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again.config.to_yaml().expect("as before"), printed);
}
