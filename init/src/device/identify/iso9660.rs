//! ISO 9660, with the label of Joliet where it has one.

use super::Content;
use super::field::{is_at, text};

const DESCRIPTORS: usize = 32 * 1024;
const DESCRIPTOR: usize = 2048;
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const TERMINATOR: u8 = 255;
/// What says that a supplementary descriptor is Joliet's.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];
/// Length of a label, in bytes.
const LABEL: usize = 32;

/// Reads the volume descriptors.
pub fn read(head: &[u8]) -> Option<Content> {
    let descriptors = head.get(DESCRIPTORS..)?.chunks_exact(DESCRIPTOR);
    let descriptors: Vec<&[u8]> = descriptors
        .take_while(|descriptor| is_at(descriptor, 1, b"CD001") && descriptor.first() != Some(&TERMINATOR))
        .collect();
    let of_kind = |kind| descriptors.iter().find(move |descriptor| descriptor.first() == Some(&kind));
    let primary = of_kind(PRIMARY)?;
    let joliet = of_kind(SUPPLEMENTARY)
        .filter(|descriptor| JOLIET.iter().any(|escape| is_at(descriptor, 88, escape)))
        .and_then(|descriptor| utf16_text(descriptor.get(40..40 + LABEL)?));
    Some(Content {
        kind: "iso9660",
        label: joliet.or_else(|| text(primary, 40, LABEL)),
        // Changed, or else made.
        uuid: time(primary, 830).or_else(|| time(primary, 813)),
    })
}

/// 17 bytes of time as blkid writes it: `2026-01-31-12-00-00-00`; `None` when it is not set.
fn time(descriptor: &[u8], at: usize) -> Option<String> {
    let digits = std::str::from_utf8(descriptor.get(at..at + 16)?).ok()?;
    let set = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0');
    let (year, rest) = digits.split_at_checked(4).filter(|_| set)?;
    let pairs = rest.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned());
    Some(std::iter::once(year.to_owned()).chain(pairs).collect::<Vec<_>>().join("-"))
}

fn utf16_text(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let units = units.take_while(|unit| *unit != 0);
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}
