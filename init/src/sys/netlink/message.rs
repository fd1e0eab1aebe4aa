//! Netlink messages and their attributes, to and from bytes.

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct nlattr`.
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`, which are not part of an attribute's type.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// Bits of `nlmsg_flags` (linux/netlink.h).
pub(super) mod flags {
    pub const REQUEST: u16 = 0x1;
    pub const ACK: u16 = 0x4;
    pub const EXCL: u16 = 0x200;
    pub const CREATE: u16 = 0x400;
}

/// One message; the payload is everything after `struct nlmsghdr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// Family header and attributes.
    pub payload: &'a [u8],
}

/// One attribute of a message or of another attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// `nla_type` without its flag bits.
    pub kind: u16,
    /// Its value.
    pub value: &'a [u8],
}

impl Attribute<'_> {
    /// The value as a 16-bit number in the machine's byte order.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.value.first_chunk().copied()?))
    }

    /// The value as a 32-bit number in the machine's byte order.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.value.first_chunk().copied()?))
    }
}

/// The messages in one datagram; what is cut off or malformed ends the list.
pub fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = read_u32(datagram, 0)? as usize;
        let payload = datagram.get(HEADER..length)?;
        let message = Message { kind: read_u16(datagram, 4)?, sequence: read_u32(datagram, 8)?, payload };
        datagram = datagram.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in a payload; what is cut off or malformed ends the list.
pub fn attributes(mut payload: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let length = usize::from(read_u16(payload, 0)?);
        let value = payload.get(ATTRIBUTE_HEADER..length)?;
        let attribute = Attribute { kind: read_u16(payload, 2)? & ATTRIBUTE_TYPE_MASK, value };
        payload = payload.get(aligned(length)..).unwrap_or_default();
        Some(attribute)
    })
}

/// Writes a request: the header, a family header, and attributes.
pub(super) fn request(
    kind: u16,
    flags: u16,
    sequence: u32,
    family_header: &[u8],
    values: &[(u16, &[u8])],
) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | self::flags::REQUEST | self::flags::ACK).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(family_header);
    pad(&mut bytes);
    for (kind, value) in values {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*value);
        pad(&mut bytes);
    }
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_ne_bytes();
    bytes.splice(..4, length);
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(aligned(bytes.len()), 0);
}

/// Netlink pads everything to four bytes.
const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

pub(super) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let bytes = request(16, flags::CREATE, 7, &[3, 1, 0, 0], &[(2, b"acpi_event\0"), (1, &[9, 0])]);
        let all: Vec<_> = messages(&bytes).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].kind, all[0].sequence), (16, 7));
        let values: Vec<_> = attributes(&all[0].payload[4..]).collect();
        assert_eq!(values[0], Attribute { kind: 2, value: b"acpi_event\0" });
        assert_eq!(values[1].u16(), Some(9));
    }

    #[test]
    fn a_message_that_claims_too_much_or_too_little_ends_the_list() {
        for length in [0u32, 3, 15, 17, 9999, u32::MAX] {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend([0; 12]);
            assert_eq!(messages(&bytes).count(), 0, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_and_end(bytes: Vec<u8>) {
            for message in messages(&bytes) {
                prop_assert!(attributes(message.payload).count() <= message.payload.len());
            }
        }
    }
}
