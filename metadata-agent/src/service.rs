//! Where metadata services are: link-local addresses, and the few names that are asked for by name alone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::path::Path;

use crate::local::read_text;

/// Where every cloud but a few has its service.
const IPV4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same four bytes on IPv6 (nova, "Metadata service", since Victoria).
const IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
/// The kernel's list of IPv6 addresses.
const IF_INET6: &str = "/proc/net/if_inet6";
/// Largest such list that is read, in bytes.
const MAX_IF_INET6: usize = 64 * 1024;
/// Interfaces that are asked on.
const MAX_INTERFACES: usize = 16;
const HTTP: u16 = 80;

/// Where a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// There.
    At(SocketAddr),
    /// 169.254.169.254.
    Common,
    /// 169.254.169.254, and `fe80::a9fe:a9fe` on every interface that has an IPv6 address.
    Both,
    /// Wherever the name server says. For those who were asked for by name: whoever answers for the name server
    /// decides what becomes of the machine.
    Named(&'static str),
}

impl Service {
    /// Every address at which it may be at the moment; none if that can't be said yet.
    #[must_use]
    pub fn addresses(self) -> Vec<SocketAddr> {
        match self {
            Self::At(address) => vec![address],
            Self::Common => vec![(IPV4, HTTP).into()],
            Self::Both => {
                let list = read_text(Path::new(IF_INET6), MAX_IF_INET6).unwrap_or_default();
                let mut addresses = vec![(IPV4, HTTP).into()];
                addresses.extend(
                    link_local(&list).map(|index| SocketAddr::V6(SocketAddrV6::new(IPV6, HTTP, 0, index))),
                );
                addresses
            }
            // A name server that can't be asked yet, or does not know the name yet, is asked again.
            Self::Named(name) => (name, HTTP).to_socket_addrs().map(Iterator::collect).unwrap_or_default(),
        }
    }

    /// Whether nobody beyond this machine's own link can answer.
    #[must_use]
    pub fn is_link_local(self) -> bool {
        match self {
            Self::At(address) => match address.ip() {
                IpAddr::V4(ip) => ip.is_link_local(),
                IpAddr::V6(ip) => ip.is_unicast_link_local(),
            },
            Self::Common | Self::Both => true,
            Self::Named(_) => false,
        }
    }

    /// The name that requests bear, if the service has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Named(name) => Some(name),
            Self::At(_) | Self::Common | Self::Both => None,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "{}", address.ip()),
            Self::Common | Self::Both => write!(f, "{IPV4}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// The indices of interfaces with a usable link-local address, from lines `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, all
/// but the name hexadecimal.
fn link_local(list: &str) -> impl Iterator<Item = u32> {
    const SCOPE_LINK: u32 = 0x20;
    const TENTATIVE: u32 = 0x40;
    let line = |line: &str| {
        let mut fields = line.split_whitespace().skip(1).map(|field| u32::from_str_radix(field, 16));
        let (index, scope, flags) = (fields.next()?.ok()?, fields.nth(1)?.ok()?, fields.next()?.ok()?);
        (scope == SCOPE_LINK && flags & TENTATIVE == 0).then_some(index)
    };
    list.lines().filter_map(line).take(MAX_INTERFACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_asked_on_once_its_link_local_address_is_its_own() {
        let list = "\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000505400fffe123456 02 40 20 80     eth0
fe80000000000000505400fffe123457 0a 40 20 c0     eth1
20010db8000000000000000000000005 02 40 00 80     eth0
fe80000000000000505400fffe123458 0b 40 20 80     eth2
nonsense
";
        assert_eq!(link_local(list).collect::<Vec<_>>(), [2, 11]);
    }

    #[test]
    fn the_common_address_is_always_asked() {
        let common: SocketAddr = "169.254.169.254:80".parse().unwrap();
        assert_eq!(Service::Common.addresses(), [common]);
        assert_eq!(Service::Both.addresses().first(), Some(&common));
        assert!(Service::Both.addresses().iter().all(|a| Service::At(*a).is_link_local()));
    }
}
