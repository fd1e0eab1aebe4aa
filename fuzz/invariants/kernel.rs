//! The headers of a kernel from anywhere, and an EFI program made of it.
//!
//! Holds for every file: it is refused, or what is made of it has the length that was announced.

use std::io::Read;

use lkb::output::bzimage::Header;
use lkb::output::efi::Uki;

/// Checks one file.
pub fn check(data: &[u8]) {
    drop(Header::parse(data));
    let Ok(mut uki) = Uki::new(data) else { return };
    if uki.add(".cmdline", 5, Box::new(&b"quiet"[..])).is_err() {
        return;
    }
    let len = uki.len();
    let mut image = Vec::new();
    uki.into_reader().read_to_end(&mut image).expect("memory can be read");
    assert_eq!(image.len() as u64, len);
}
