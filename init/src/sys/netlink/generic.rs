//! Generic netlink: families are found by name (kernel Documentation/networking/generic_netlink.rst).

use super::message::{attributes, request};

/// `GENL_ID_CTRL`: the family that knows all others.
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;
/// Bytes of `struct genlmsghdr`.
const HEADER: usize = 4;

/// A multicast group of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The family's number: the type of its messages.
    pub family: u16,
    /// The group's number, for [`super::Socket::join`].
    pub id: u32,
}

/// The request for a family's description.
#[must_use]
pub fn family_request(sequence: u32, family: &str) -> Vec<u8> {
    let mut name = family.as_bytes().to_vec();
    name.push(0);
    request(CONTROLLER, 0, sequence, &[CTRL_CMD_GETFAMILY, 1, 0, 0], &[(CTRL_ATTR_FAMILY_NAME, &name)])
}

/// Finds a multicast group in the answer to [`family_request`].
#[must_use]
pub fn multicast_group(payload: &[u8], name: &str) -> Option<Group> {
    let payload = payload.get(HEADER..)?;
    let find = |kind| attributes(payload).find(move |attribute| attribute.kind == kind);
    let family = find(CTRL_ATTR_FAMILY_ID)?.u16()?;
    let groups = find(CTRL_ATTR_MCAST_GROUPS)?;
    attributes(groups.value).find_map(|group| {
        let part = |kind| attributes(group.value).find(move |attribute| attribute.kind == kind);
        let called = part(CTRL_ATTR_MCAST_GRP_NAME)?.value;
        let is_it = called.strip_suffix(&[0]).unwrap_or(called) == name.as_bytes();
        is_it.then(|| part(CTRL_ATTR_MCAST_GRP_ID)?.u32()).flatten().map(|id| Group { family, id })
    })
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn description() -> Vec<u8> {
        let group = |name: &[u8], id: u32| [attribute(2, &id.to_ne_bytes()), attribute(1, name)].concat();
        let groups =
            [attribute(1, &group(b"other\0", 4)), attribute(2, &group(b"acpi_mc_group\0", 5))].concat();
        let parts =
            [vec![1, 2, 0, 0], attribute(2, b"acpi_event\0"), attribute(1, &[24, 0]), attribute(7, &groups)];
        parts.concat()
    }

    #[test]
    fn the_request_names_the_family_with_its_nul() {
        let bytes = family_request(1, "acpi_event");
        let message = messages(&bytes).next().unwrap();
        assert_eq!(attributes(&message.payload[HEADER..]).next().unwrap().value, b"acpi_event\0");
    }

    #[test]
    fn a_group_is_found_by_name() {
        assert_eq!(multicast_group(&description(), "acpi_mc_group"), Some(Group { family: 24, id: 5 }));
        assert_eq!(multicast_group(&description(), "acpi"), None);
    }

    proptest! {
        #[test]
        fn a_cut_description_is_no_panic(length in 0usize..90) {
            let whole = description();
            std::hint::black_box(multicast_group(&whole[..length.min(whole.len())], "acpi_mc_group"));
        }
    }
}
