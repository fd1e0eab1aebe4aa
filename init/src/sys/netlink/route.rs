//! The loopback interface (rtnetlink(7)).

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use super::message::{flags, request};
use super::socket::{Protocol, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Addresses that are valid inside this machine only (linux/rtnetlink.h).
const RT_SCOPE_HOST: u8 = 254;
const LOCALHOST: [u8; 4] = [127, 0, 0, 1];
const LOCALHOST_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Brings `lo` up with 127.0.0.1/8 and, where there is IPv6, ::1.
///
/// The kernel adds both addresses by itself when the link comes up; not every configuration does, and asking for
/// what is there is free.
///
/// # Errors
/// What the kernel answers to bringing the link up or to the IPv4 address.
pub fn loopback_up() -> Result<(), Errno> {
    let index = if_nametoindex("lo")?;
    let socket = Socket::open(Protocol::Route)?;
    socket.ask(&link_up(1, index), |_| {})?;
    accept(socket.ask(&add_address(2, index, AF_INET, 8, &LOCALHOST), |_| {}), &[Errno::EEXIST])?;
    let without_ipv6 = [Errno::EEXIST, Errno::EOPNOTSUPP, Errno::EAFNOSUPPORT, Errno::EACCES, Errno::EPERM];
    accept(socket.ask(&add_address(3, index, AF_INET6, 128, &LOCALHOST_V6), |_| {}), &without_ipv6)
}

fn accept(result: Result<(), Errno>, harmless: &[Errno]) -> Result<(), Errno> {
    match result {
        Err(errno) if harmless.contains(&errno) => Ok(()),
        other => other,
    }
}

/// `struct ifinfomsg`: family, padding, type, index, flags, and which flags to change.
fn link_up(sequence: u32, index: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    for word in [index, IFF_UP, IFF_UP] {
        header.extend(word.to_ne_bytes());
    }
    request(RTM_NEWLINK, 0, sequence, &header, &[])
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn add_address(sequence: u32, index: u32, family: u8, prefix: u8, address: &[u8]) -> Vec<u8> {
    let mut header = vec![family, prefix, 0, RT_SCOPE_HOST];
    header.extend(index.to_ne_bytes());
    let values = [(IFA_LOCAL, address), (IFA_ADDRESS, address)];
    request(RTM_NEWADDR, flags::CREATE | flags::EXCL, sequence, &header, &values)
}

#[cfg(test)]
mod tests {
    use super::super::message::{attributes, messages};
    use super::*;

    #[test]
    fn the_link_request_changes_the_up_flag_and_no_other() {
        let bytes = link_up(1, 1);
        let message = messages(&bytes).next().unwrap();
        assert_eq!(message.kind, RTM_NEWLINK);
        assert_eq!(message.payload[4..], [1u32, 1, 1].map(u32::to_ne_bytes).concat());
    }

    #[test]
    fn the_address_request_names_both_ends_of_the_loop() {
        let bytes = add_address(2, 1, AF_INET, 8, &LOCALHOST);
        let message = messages(&bytes).next().unwrap();
        assert_eq!(message.payload[..4], [AF_INET, 8, 0, RT_SCOPE_HOST]);
        let values: Vec<_> = attributes(&message.payload[8..]).map(|a| (a.kind, a.value.to_vec())).collect();
        assert_eq!(values, [(IFA_LOCAL, LOCALHOST.to_vec()), (IFA_ADDRESS, LOCALHOST.to_vec())]);
    }
}
