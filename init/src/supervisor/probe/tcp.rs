//! Whether a service accepts connections.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

/// The most that is read of a table of sockets, in bytes: some 100,000 of them.
const TABLE_LIMIT: u64 = 16 << 20;
/// `TCP_LISTEN` (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Asks the service whose first process is `pid`.
///
/// One on the machine's network is connected to. To connect inside another network namespace would take a thread that
/// enters it, and a loopback interface that is up there; so its table of sockets is read instead.
///
/// # Errors
/// Why not.
pub async fn ask(pid: u32, port: u16, limit: Duration) -> Result<(), String> {
    if shares_our_network(pid) {
        return connect(port, limit).await;
    }
    let tables = ["tcp", "tcp6"].map(|name| table(&format!("/proc/{pid}/net/{name}")));
    match tables.iter().flatten().any(|text| listens(text, port)) {
        true => Ok(()),
        false => Err(format!("nobody listens on port {port} of its network")),
    }
}

fn shares_our_network(pid: u32) -> bool {
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    match (network("self"), network(&pid.to_string())) {
        (Ok(ours), Ok(its)) => ours == its,
        // It has just ended, or may not be looked at: connecting tells as much.
        _ => true,
    }
}

async fn connect(port: u16, limit: Duration) -> Result<(), String> {
    let to = |address: SocketAddr| tokio::time::timeout(limit, TcpStream::connect(address));
    let (v4, v6) = (to((Ipv4Addr::LOCALHOST, port).into()), to((Ipv6Addr::LOCALHOST, port).into()));
    tokio::pin!(v4, v6);
    // The first to succeed is enough; what is told is what IPv4 said, which everybody has.
    let (first, other_is_v4) = tokio::select! {
        answer = &mut v4 => (answer, false),
        answer = &mut v6 => (answer, true),
    };
    if matches!(first, Ok(Ok(_))) {
        return Ok(());
    }
    let second = if other_is_v4 { v4.await } else { v6.await };
    match if other_is_v4 { (second, first) } else { (first, second) } {
        (Ok(Ok(_)), _) | (_, Ok(Ok(_))) => Ok(()),
        (Ok(Err(error)), _) if error.kind() == ErrorKind::ConnectionRefused => {
            Err(format!("nobody listens on port {port}"))
        }
        (Ok(Err(error)), _) => Err(format!("cannot connect to port {port}: {error}")),
        (Err(_), _) => Err(format!("no connection to port {port} within {:.1} s", limit.as_secs_f64())),
    }
}

/// A table that cannot be read, because the process has just ended or IPv6 is off, has nobody in it.
fn table(path: &str) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(TABLE_LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether a socket of `/proc/PID/net/tcp` or `tcp6` listens on `port` (proc_pid_net(5)).
fn listens(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1).and_then(|address| address.rsplit_once(':')).map(|(_, port)| port);
        let state = fields.nth(1);
        state == Some(LISTEN) && local.and_then(|hex| u16::from_str_radix(hex, 16).ok()) == Some(port)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0185 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:0016 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
";
    const TABLE6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
";

    fn local<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn only_listening_sockets_count() {
        assert!(listens(TABLE, 389) && listens(TABLE6, 8080));
        assert!(!listens(TABLE, 22) && !listens(TABLE, 8080) && !listens("", 389));
    }

    #[test]
    fn a_port_that_somebody_listens_on_accepts_and_another_does_not() {
        let limit = Duration::from_secs(5);
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert_eq!(local(ask(std::process::id(), port, limit)), Ok(()), "{address}");
            drop(listener);
            assert_eq!(
                local(ask(std::process::id(), port, limit)),
                Err(format!("nobody listens on port {port}")),
                "{address}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_table_or_not(text in "[ 0-9A-F:\\n]{0,200}", port: u16) {
            listens(&text, port);
        }
    }
}
