//! A device with a file system from anywhere: the first byte says where the rest is, 0 at the device's beginning, any other
//! behind the 32 KiB that ISO 9660 leaves empty.
//!
//! Holds for every device: it is refused with a reason, or read, within the limit.

use metadata_agent::volume::Volume;

const LIMIT: usize = 64 * 1024;
const EMPTY: usize = 32 * 1024;

/// Checks one device.
pub fn check(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut image = if *first == 0 { Vec::new() } else { vec![0; EMPTY] };
    image.extend(rest);
    match Volume::open("/dev/fuzz", Box::new(image)) {
        Err(fault) => assert!(!fault.to_string().is_empty()),
        Ok(None) => {}
        Ok(Some(volume)) => {
            for path in ["meta-data", "user-data", "dir/long name with blanks", "none"] {
                match volume.read(path, LIMIT) {
                    Err(error) => assert!(!error.to_string().is_empty()),
                    Ok(found) => assert!(found.is_none_or(|bytes| bytes.len() <= LIMIT)),
                }
            }
        }
    }
}
