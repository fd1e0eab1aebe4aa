//! A mapping without a header, as `cryptsetup --type plain` makes it with a key file.

use device_mapper::Mapping;
use nix::errno::Errno;

/// LinuxKit's cipher, and the bytes of its key, which are the first of the key file.
const CIPHER: &str = "aes-cbc-essiv:sha256";
/// Bytes of a key.
pub const KEY: usize = 32;
/// The unit of device-mapper's tables, in bytes.
const SECTOR: u64 = 512;

/// Makes the mapping `name` of a device, by its number and its size in bytes; returns the minor number.
///
/// # Errors
/// What the kernel says.
pub fn open(name: &str, device: (u64, u64), size: u64, key: &[u8; KEY]) -> Result<u32, Errno> {
    device_mapper::create(&mapping(name, device, size, key))
}

fn mapping(name: &str, device: (u64, u64), size: u64, key: &[u8; KEY]) -> Mapping {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    Mapping {
        name: name.to_owned(),
        // As cryptsetup calls it, so that its `status` and `close` know it.
        uuid: format!("CRYPT-PLAIN-{name}"),
        sectors: size / SECTOR,
        kind: "crypt",
        parameters: format!("{CIPHER} {key} 0 {}:{} 0", device.0, device.1),
        read_only: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_is_cryptsetups() {
        let mapping = mapping("secret", (253, 17), 1 << 20, &[0x0f; KEY]);
        assert_eq!((mapping.sectors, mapping.kind), (2048, "crypt"));
        assert_eq!(mapping.uuid, "CRYPT-PLAIN-secret");
        assert_eq!(mapping.parameters, format!("aes-cbc-essiv:sha256 {} 0 253:17 0", "0f".repeat(32)));
    }
}
