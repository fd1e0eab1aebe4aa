//! rtnetlink(7) messages, as bytes. Pure.

use std::net::IpAddr;

use nix::libc;

use super::{Mac, Network, Route};

/// `struct nlmsghdr`, in bytes.
const HEADER: usize = 16;
/// `struct ifinfomsg`, in bytes.
const LINK: usize = 16;
/// An attribute's length and kind, in bytes.
const ATTRIBUTE: usize = 4;
/// What everything is padded to, in bytes.
const ALIGNMENT: usize = 4;

const ACKNOWLEDGE: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const CREATE: u16 = ACKNOWLEDGE | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REPLACE: u16 = ACKNOWLEDGE | (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
const DUMP: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;

// linux/if_link.h and linux/rtnetlink.h; not in `libc` for every target.
const IFLA_VLAN_ID: u16 = 1;
const IFLA_BOND_MODE: u16 = 1;
const IFLA_BOND_MIIMON: u16 = 3;
const IFLA_BOND_XMIT_HASH_POLICY: u16 = 14;
const RTPROT_STATIC: u8 = 4;
const RTNH_F_ONLINK: u32 = 4;

/// A request but for its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    /// The bytes of the request with this number.
    pub(super) fn bytes(&self, number: u32) -> Vec<u8> {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(number.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes()); // to the kernel
        bytes.extend(&self.body);
        bytes
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        push(&mut self.body, kind, value);
        self
    }
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// A request about a link; `up` says what becomes of its state.
fn link(kind: u16, flags: u16, index: u32, up: Option<bool>) -> Message {
    let up_flag = libc::IFF_UP.unsigned_abs();
    let (state, change) = match up {
        Some(up) => (if up { up_flag } else { 0 }, up_flag),
        None => (0, 0),
    };
    let mut body = vec![0; 4]; // family, padding, hardware's type
    body.extend(index.to_ne_bytes());
    body.extend(state.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    Message { kind, flags, body }
}

/// Asks for all links.
pub(super) fn list_links() -> Message {
    link(libc::RTM_GETLINK, DUMP, 0, None)
}

/// Brings a link up or down.
pub(super) fn set_state(index: u32, up: bool) -> Message {
    link(libc::RTM_NEWLINK, ACKNOWLEDGE, index, Some(up))
}

/// Sets the largest packet.
pub(super) fn set_mtu(index: u32, mtu: u32) -> Message {
    link(libc::RTM_NEWLINK, ACKNOWLEDGE, index, None).with(libc::IFLA_MTU, &mtu.to_ne_bytes())
}

/// Makes a link a member of another.
pub(super) fn set_master(index: u32, master: u32) -> Message {
    link(libc::RTM_NEWLINK, ACKNOWLEDGE, index, None).with(libc::IFLA_MASTER, &master.to_ne_bytes())
}

/// Makes a bond.
pub(super) fn make_bond(
    name: &str,
    mac: Option<Mac>,
    mode: u8,
    monitor: Option<u32>,
    hash: Option<u8>,
) -> Message {
    let mut data = Vec::new();
    push(&mut data, IFLA_BOND_MODE, &[mode]);
    if let Some(monitor) = monitor {
        push(&mut data, IFLA_BOND_MIIMON, &monitor.to_ne_bytes());
    }
    if let Some(hash) = hash {
        push(&mut data, IFLA_BOND_XMIT_HASH_POLICY, &[hash]);
    }
    make(name, mac, None, "bond", &data)
}

/// Makes a VLAN on the link `parent`.
pub(super) fn make_vlan(name: &str, mac: Option<Mac>, parent: u32, number: u16) -> Message {
    let mut data = Vec::new();
    push(&mut data, IFLA_VLAN_ID, &number.to_ne_bytes());
    make(name, mac, Some(parent), "vlan", &data)
}

fn make(name: &str, mac: Option<Mac>, parent: Option<u32>, kind: &str, data: &[u8]) -> Message {
    let mut info = Vec::new();
    push(&mut info, libc::IFLA_INFO_KIND, &text(kind));
    push(&mut info, libc::IFLA_INFO_DATA, data);
    let mut message = link(libc::RTM_NEWLINK, CREATE, 0, None).with(libc::IFLA_IFNAME, &text(name));
    if let Some(Mac(mac)) = mac {
        message = message.with(libc::IFLA_ADDRESS, &mac);
    }
    if let Some(parent) = parent {
        message = message.with(libc::IFLA_LINK, &parent.to_ne_bytes());
    }
    message.with(libc::IFLA_LINKINFO, &info)
}

/// Gives a link an address, or the same again.
pub(super) fn add_address(index: u32, address: Network) -> Message {
    let bytes = octets(address.address);
    let mut body = vec![family(address.address), address.length, 0, libc::RT_SCOPE_UNIVERSE];
    body.extend(index.to_ne_bytes());
    let message = Message { kind: libc::RTM_NEWADDR, flags: REPLACE, body };
    message.with(libc::IFA_LOCAL, &bytes).with(libc::IFA_ADDRESS, &bytes)
}

/// Adds a route, or puts it in place of one like it. With `on_link`, its gateway need not be in a network of the link.
pub(super) fn add_route(index: u32, route: &Route, on_link: bool) -> Message {
    let scope = if route.gateway.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let mut body = vec![family(route.to.address), route.to.length, 0, 0];
    body.extend([libc::RT_TABLE_MAIN, RTPROT_STATIC, scope, libc::RTN_UNICAST]);
    body.extend(if on_link { RTNH_F_ONLINK } else { 0 }.to_ne_bytes());
    let mut message = Message { kind: libc::RTM_NEWROUTE, flags: REPLACE, body };
    if route.to.length > 0 {
        message = message.with(libc::RTA_DST, &octets(masked(route.to)));
    }
    if let Some(gateway) = route.gateway {
        message = message.with(libc::RTA_GATEWAY, &octets(gateway));
    }
    message.with(libc::RTA_OIF, &index.to_ne_bytes())
}

/// The network's own address: the kernel refuses others as destinations.
fn masked(network: Network) -> IpAddr {
    let length = u32::from(network.length);
    match network.address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).unwrap_or_default()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A link that the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    /// As it is now, and as the hardware came.
    pub(super) macs: Vec<Mac>,
    /// The driver of what is made (`bond`, `vlan`, `veth`); none for hardware.
    pub(super) kind: Option<String>,
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 0, or an errno.
    Done(i32),
    Link(Interface),
    Other,
}

/// The answers to request `number` in what was received.
pub(super) fn answers(mut bytes: &[u8], number: u32) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let (Some(length), Some(kind), Some(of)) = (u32_at(bytes, 0), u16_at(bytes, 4), u32_at(bytes, 8)) {
        let length = length as usize;
        let Some(body) = bytes.get(HEADER..length) else { break };
        if of == number {
            answers.push(match i32::from(kind) {
                libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                    Answer::Done(u32_at(body, 0).unwrap_or_default().cast_signed().saturating_neg())
                }
                _ if kind == libc::RTM_NEWLINK => interface(body).map_or(Answer::Other, Answer::Link),
                _ => Answer::Other,
            });
        }
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    answers
}

fn interface(body: &[u8]) -> Option<Interface> {
    let mut found = Interface { index: u32_at(body, 4)?, name: String::new(), macs: Vec::new(), kind: None };
    for (kind, value) in attributes(body.get(LINK..)?) {
        match kind {
            libc::IFLA_IFNAME => found.name = string(value),
            libc::IFLA_ADDRESS | libc::IFLA_PERM_ADDRESS => found.macs.extend(value.try_into().ok().map(Mac)),
            libc::IFLA_LINKINFO => {
                let kinds = attributes(value).into_iter().filter(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                found.kind = kinds.map(|(_, value)| string(value)).next();
            }
            _ => {}
        }
    }
    Some(found)
}

/// Kinds and values; what is cut off ends them.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let Some(value) = bytes.get(ATTRIBUTE..usize::from(length)) else { break };
        found.push((kind, value));
        bytes = bytes.get(usize::from(length).next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    found
}

fn string(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..)?.first_chunk().copied()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..)?.first_chunk().copied()?))
}
