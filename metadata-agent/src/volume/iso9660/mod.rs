//! ISO 9660 (ECMA-119), with names by Rock Ridge (IEEE P1282), by Joliet, or plain ones.
//!
//! | names | taken when |
//! | --- | --- |
//! | Rock Ridge | the root directory says so (SUSP's `SP`) |
//! | Joliet | there is a supplementary descriptor with one of its escape sequences |
//! | plain | otherwise; without version and final dot |

mod directory;
mod rock_ridge;

use super::field::{u8_at, u16_at, u32_at};
use super::image::{Image, read};
use super::{Fault, FileSystem, named};
use directory::{Entry, Extent, Names};

/// In bytes. The standard allows others for logical blocks; nobody writes them.
const SECTOR: u64 = 2048;
const SECTOR_LENGTH: usize = 2048;
/// Where descriptors begin, in sectors.
const FIRST_DESCRIPTOR: u64 = 16;
/// Descriptors that are looked at.
const MAX_DESCRIPTORS: u64 = 32;
/// Largest directory, in bytes: some ten thousand names.
const MAX_DIRECTORY: usize = 1024 * 1024;

const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const TERMINATOR: u8 = 255;
/// Joliet's levels 1 to 3, at their place in a supplementary descriptor.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];

/// One volume.
#[derive(Debug)]
struct Iso9660 {
    label: String,
    root: Extent,
    names: Names,
}

/// Recognises an ISO 9660 volume.
///
/// # Errors
/// [`Fault`] if there is one that can't be read.
pub fn open(image: &dyn Image) -> Result<Option<Box<dyn FileSystem>>, Fault> {
    let mut primary = None;
    let mut joliet = None;
    for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
        let Some(descriptor) = read(image, sector * SECTOR, SECTOR_LENGTH)? else { break };
        if descriptor.get(1..6) != Some(b"CD001".as_slice()) {
            break;
        }
        match u8_at(&descriptor, 0) {
            Some(PRIMARY) if primary.is_none() => primary = Some(descriptor),
            Some(SUPPLEMENTARY) if is_joliet(&descriptor) && joliet.is_none() => joliet = Some(descriptor),
            Some(TERMINATOR) => break,
            _ => {}
        }
    }
    let Some(primary) = primary else { return Ok(None) };
    let label = String::from_utf8_lossy(primary.get(40..72).unwrap_or_default());
    let label = label.trim_end_matches([' ', '\0']).to_owned();
    let mut volume = Iso9660 { label, root: root(&primary)?, names: Names::Plain };
    if let Some(skip) = rock_ridge::skip(&volume.root.read(image, MAX_DIRECTORY)?) {
        volume.names = Names::RockRidge { skip };
    } else if let Some(joliet) = joliet {
        volume = Iso9660 { root: root(&joliet)?, names: Names::Joliet, ..volume };
    }
    Ok(Some(Box::new(volume)))
}

fn is_joliet(descriptor: &[u8]) -> bool {
    let escapes = descriptor.get(88..120).unwrap_or_default();
    JOLIET.iter().any(|level| escapes.starts_with(level))
}

/// The root directory that a descriptor names.
fn root(descriptor: &[u8]) -> Result<Extent, Fault> {
    if u16_at(descriptor, 128).map(u64::from) != Some(SECTOR) {
        return Err(Fault::Unsupported("logical blocks of another size than 2048 bytes"));
    }
    let extent = || Some(Extent { block: u32_at(descriptor, 158)?, length: u32_at(descriptor, 166)? });
    extent().ok_or(Fault::Damaged("the volume descriptor is short"))
}

impl FileSystem for Iso9660 {
    fn label(&self) -> &str {
        &self.label
    }

    fn read(&self, image: &dyn Image, path: &[&str], limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut at = Entry { name: String::new(), extent: self.root, directory: true };
        for component in path {
            if !at.directory {
                return Err(Fault::Kind);
            }
            let bytes = at.extent.read(image, MAX_DIRECTORY)?;
            let entries = directory::entries(image, &bytes, self.names)?;
            let Some(entry) = named(&entries, component, |entry| &entry.name) else { return Ok(None) };
            at = entry.clone();
        }
        if at.directory { Err(Fault::Kind) } else { at.extent.read(image, limit).map(Some) }
    }
}
