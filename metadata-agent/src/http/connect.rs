//! A TCP connection to the first of several addresses that takes one: they are tried at the same time.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, socket, sockopt,
};

use super::client::TryError;

/// Ports that only the superuser may send from, without those below 512, which are services' own.
const PRIVILEGED: Range<u16> = 512..1024;

/// Connects to one of `addresses` within `time`, and says to which.
///
/// # Errors
/// [`TryError::NoRoute`] if any has none, because that can change; otherwise the first one's failure.
pub fn first(
    addresses: &[SocketAddr],
    privileged_port: bool,
    time: Duration,
) -> Result<(TcpStream, SocketAddr), TryError> {
    let until = Instant::now() + time;
    let mut race = Race::default();
    for &address in addresses {
        match begin(address, privileged_port) {
            Ok(socket) => race.pending.push((address, socket)),
            Err(errno) => race.lost(address, errno),
        }
    }
    while !race.pending.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            race.pending.drain(..).for_each(drop);
            race.failure.get_or_insert(TryError::Connect(Errno::ETIMEDOUT.into()));
        } else if let Some((address, socket)) = race.wait(left) {
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(false).map_err(TryError::Connect)?;
            return Ok((stream, address));
        }
    }
    Err(race.failure.unwrap_or(TryError::NoRoute))
}

/// Connections under way.
#[derive(Default)]
struct Race {
    pending: Vec<(SocketAddr, OwnedFd)>,
    failure: Option<TryError>,
}

impl Race {
    /// Waits for news and takes in one piece of it: a connection, or a failure.
    fn wait(&mut self, left: Duration) -> Option<(SocketAddr, OwnedFd)> {
        let mut polled: Vec<_> =
            self.pending.iter().map(|(_, fd)| PollFd::new(fd.as_fd(), PollFlags::POLLOUT)).collect();
        // An interrupted or failed poll has no news; the caller's deadline ends the waiting.
        poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)).ok()?;
        let ready = polled.iter().position(|fd| fd.any().unwrap_or(false))?;
        let (address, socket) = self.pending.remove(ready);
        match getsockopt(&socket, sockopt::SocketError) {
            Ok(0) => return Some((address, socket)),
            Ok(errno) => self.lost(address, Errno::from_raw(errno)),
            Err(errno) => self.lost(address, errno),
        }
        None
    }

    fn lost(&mut self, address: SocketAddr, errno: Errno) {
        let unsent = matches!(errno, Errno::ENETUNREACH | Errno::ENETDOWN | Errno::EADDRNOTAVAIL);
        if unsent && !has_route(address) {
            self.failure = Some(TryError::NoRoute);
        } else {
            self.failure.get_or_insert(TryError::Connect(errno.into()));
        }
    }
}

/// Starts a connection; it is there when the socket can be written to.
fn begin(address: SocketAddr, privileged_port: bool) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if privileged_port {
        bind_privileged(&socket, address)?;
    }
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Takes the next free privileged port, beginning somewhere else each time: the last one may still be in TIME_WAIT.
fn bind_privileged(socket: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let span = u32::from(PRIVILEGED.end - PRIVILEGED.start);
    let start = u16::try_from(clock.subsec_micros() % span).unwrap_or(0);
    let mut last = Errno::EADDRINUSE;
    for port in turns(PRIVILEGED, start) {
        match bind(socket.as_raw_fd(), &SockaddrStorage::from(any(address, port))) {
            Err(errno @ Errno::EADDRINUSE) => last = errno,
            result => return result,
        }
    }
    Err(last)
}

/// Every port of `range` once, beginning `start` after its first.
fn turns(range: Range<u16>, start: u16) -> impl Iterator<Item = u16> {
    let middle = range.start + start;
    (middle..range.end).chain(range.start..middle)
}

fn any(like: SocketAddr, port: u16) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    }
}

/// Whether the kernel knows how to send to `address`. A router's "network unreachable" (qemu's user-mode network sends
/// one) is the same error to connect(2) as having no route; connecting a datagram socket looks the route up and sends
/// nothing, which tells the two apart.
fn has_route(address: SocketAddr) -> bool {
    UdpSocket::bind(any(address, 0)).and_then(|socket| socket.connect(address)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    fn nobody(ip: &str) -> SocketAddr {
        TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
    }

    #[test]
    fn a_route_is_there_for_loopback_and_not_for_an_address_that_cannot_be_sent_to() {
        assert!(has_route("127.0.0.1:80".parse().unwrap()));
        // Broadcast needs a permission that a plain socket does not have.
        assert!(!has_route("255.255.255.255:80".parse().unwrap()));
    }

    #[test]
    fn whoever_takes_the_connection_wins_whatever_the_others_do() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let there = listener.local_addr().unwrap();
        for addresses in [vec![there], vec![nobody("127.0.0.1"), there], vec![there, nobody("127.0.0.1")]] {
            assert_eq!(first(&addresses, false, TIME).unwrap().1, there, "{addresses:?}");
        }
    }

    #[test]
    fn where_nobody_is_the_failure_says_whether_the_network_could_still_come() {
        let unroutable: SocketAddr = "[fe80::a9fe:a9fe%4000]:80".parse().unwrap();
        for (addresses, wanted) in [
            (vec![nobody("127.0.0.1")], "connection refused"),
            (vec![nobody("127.0.0.1"), nobody("127.0.0.1")], "connection refused"),
            (vec![], "no route to host"),
        ] {
            assert_eq!(first(&addresses, false, TIME).unwrap_err().to_string(), wanted);
        }
        assert!(first(&[unroutable], false, TIME).is_err());
    }

    #[test]
    fn every_privileged_port_has_its_turn_once() {
        let ports: Vec<u16> = turns(10..14, 2).collect();
        assert_eq!(ports, [12, 13, 10, 11]);
    }
}
