//! Scripts: kept as they are, for an image that wants to run them. Nothing here does.

use super::{Form, Gathering, Why};
use crate::tree::{Name, Node};

pub(super) const FORM: Form = Form { fits: |bytes| bytes.starts_with(b"#!"), read };

/// The directory of all scripts.
const DIRECTORY: &str = "scripts";
/// The script that is the whole user-data.
const WHOLE: &str = "user-data";
/// Scripts hold passwords as often as not.
const MODE: u32 = 0o700;

fn read(bytes: &[u8], gathering: &mut Gathering) {
    keep(bytes, WHOLE, gathering);
}

/// Keeps a script under a name of its own.
pub(super) fn keep(bytes: &[u8], name: &str, gathering: &mut Gathering) {
    let path = || Ok::<_, Why>([Name::new(DIRECTORY)?, Name::new(name)?]);
    let kept = path().and_then(|path| gathering.add_file(&path, Node::file(MODE, bytes), false));
    if let Err(why) = kept {
        gathering.refuse(&[name], why);
    }
}
