//! What firmware looks for on a CD: "El Torito" Bootable CD-ROM Format Specification 1.0; UEFI specification 2.10, 13.3.2.1.

use super::SECTOR;
use super::layout::Place;

const BIOS: u8 = 0;
const EFI: u8 = 0xEF;
/// Firmware loads as many of these as an entry says.
const VIRTUAL_SECTOR: u64 = 512;
/// What BIOS loads of GRUB: a loader that loads the rest.
const LOADED_BY_BIOS: u16 = (SECTOR / VIRTUAL_SECTOR) as u16;

/// The volume descriptor that leads to the catalogue.
pub(super) fn boot_record(catalogue: u32) -> Vec<u8> {
    let mut record = b"\0CD001\x01EL TORITO SPECIFICATION".to_vec();
    record.resize(71, 0);
    record.extend(catalogue.to_le_bytes());
    record
}

/// The catalogue: the program for BIOS machines first, if there is one, and the system partition for EFI machines.
pub(super) fn catalogue(bios: Option<Place>, efi: Option<Place>) -> Vec<u8> {
    let mut catalogue = validation(if bios.is_some() { BIOS } else { EFI });
    if let Some(bios) = bios {
        catalogue.extend(entry(bios, LOADED_BY_BIOS));
    }
    if let Some(efi) = efi {
        // With 0, the partition goes on as far as its file system says.
        let sectors = u16::try_from(efi.len / VIRTUAL_SECTOR).unwrap_or(0);
        if bios.is_some() {
            let mut header = [0; 32];
            header[..3].copy_from_slice(&[0x91, EFI, 1]); // the last section, one entry
            catalogue.extend(header);
        }
        catalogue.extend(entry(efi, sectors));
    }
    catalogue
}

fn validation(platform: u8) -> Vec<u8> {
    let mut entry = vec![0; 32];
    entry[..2].copy_from_slice(&[1, platform]);
    entry[30..].copy_from_slice(&[0x55, 0xAA]);
    let words = entry.chunks_exact(2).map(|word| u16::from_le_bytes([word[0], word[1]]));
    let sum = words.fold(0_u16, u16::wrapping_add);
    entry[28..30].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    entry
}

/// A bootable entry without emulation of a disk.
fn entry(place: Place, sectors: u16) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[0] = 0x88;
    entry[6..8].copy_from_slice(&sectors.to_le_bytes());
    entry[8..12].copy_from_slice(&place.first.to_le_bytes());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_adds_up_and_names_both_programs() {
        let (bios, efi) = (Place { first: 40, len: 9000 }, Place { first: 512, len: 40 << 20 });
        let catalogue = catalogue(Some(bios), Some(efi));
        let sum = catalogue[..32]
            .chunks(2)
            .fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes([word[0], word[1]])));
        assert_eq!(sum, 0);
        assert_eq!((catalogue[32], catalogue[38], catalogue[40]), (0x88, 4, 40));
        assert_eq!(catalogue[64..67], [0x91, 0xEF, 1]);
        assert_eq!((catalogue[96], catalogue[102..104].to_vec(), catalogue[105]), (0x88, vec![0, 0], 2));
    }
}
