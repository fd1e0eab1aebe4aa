//! Addresses of hardware and of networks, as the document writes them.

use std::fmt;
use std::net::IpAddr;

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads six pairs of hexadecimal digits with `:` or `-` between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut mac = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut mac {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(mac))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address and how many of its leading bits name the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address, of the network or in it.
    pub address: IpAddr,
    /// At most 32 for IPv4, 128 for IPv6.
    pub length: u8,
}

impl Network {
    /// Reads an address with its own `/LENGTH`, or with a mask beside it: `255.255.255.0`, `ffff:ffff::`, `24`. Without
    /// either it is a single address.
    #[must_use]
    pub fn parse(address: &str, mask: Option<&str>) -> Option<Self> {
        let (address, own) = match address.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (address, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match own.or(mask) {
            None => most,
            Some(text) => match text.parse::<IpAddr>() {
                Ok(mask) if mask.is_ipv4() == address.is_ipv4() => mask_length(mask)?,
                Ok(_) => return None,
                Err(_) => text.parse().ok().filter(|length| *length <= most)?,
            },
        };
        Some(Self { address, length })
    }
}

/// How many bits are set, if they are the leading ones.
fn mask_length(mask: IpAddr) -> Option<u8> {
    let (bits, width) = match mask {
        IpAddr::V4(mask) => (u128::from(mask.to_bits()) << 96, 32),
        IpAddr::V6(mask) => (mask.to_bits(), 128),
    };
    let length = bits.leading_ones();
    let whole = length == 128 || bits << length == 0;
    u8::try_from(length).ok().filter(|length| whole && *length <= width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_six_pairs_of_digits() {
        for text in ["fa:16:3e:9c:bf:3d", "FA-16-3E-9C-BF-3D"] {
            assert_eq!(Mac::parse(text).map(|mac| mac.to_string()).as_deref(), Some("fa:16:3e:9c:bf:3d"));
        }
        for text in ["", "fa:16:3e:9c:bf", "fa:16:3e:9c:bf:3d:00", "fa:16:3e:9c:bf:3", "fa:16:3e:9c:bf:+d"] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_network_is_an_address_with_a_length_or_a_mask() {
        for (address, mask, wanted) in [
            ("10.0.0.5", Some("255.255.252.0"), Some(22)),
            ("10.0.0.5", Some("24"), Some(24)),
            ("10.0.0.5/16", None, Some(16)),
            ("10.0.0.5/16", Some("255.0.0.0"), Some(16)),
            ("10.0.0.5", None, Some(32)),
            ("0.0.0.0", Some("0.0.0.0"), Some(0)),
            ("10.0.0.5", Some("255.255.255.255"), Some(32)),
            ("2001:db8::1", Some("ffff:ffff:ffff:ffff::"), Some(64)),
            ("2001:db8::1", Some("64"), Some(64)),
            ("2001:db8::1/48", None, Some(48)),
            ("::", Some("::"), Some(0)),
            ("10.0.0.5", Some("255.0.255.0"), None),
            ("10.0.0.5", Some("ffff::"), None),
            ("10.0.0.5", Some("33"), None),
            ("10.0.0.5/", None, None),
            ("10.0.0", Some("24"), None),
            ("", None, None),
        ] {
            let found = Network::parse(address, mask).map(|network| network.length);
            assert_eq!(found, wanted, "{address} {mask:?}");
        }
    }
}
