//! A time server that is wrong on purpose: a machine that believes it shows that it has asked.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::netns::Netns;

/// Bytes of a packet without extensions (RFC 5905, figure 8).
const LENGTH: usize = 48;
/// No leap second, version 4, mode 4: server.
const SERVER: u8 = 0x24;
/// Where a client has put the time at which it asked, and where an answer repeats it (RFC 5905, section 7.3).
const TRANSMIT: std::ops::Range<usize> = 40..48;
const ORIGIN: std::ops::Range<usize> = 24..32;

/// A time server on UDP port 123, until it is dropped.
#[derive(Debug)]
pub struct TimeServer {
    over: Arc<AtomicBool>,
}

impl TimeServer {
    /// Starts one on 127.0.0.1 in `netns`, which a machine there knows as 10.0.2.2; its time begins `seconds` after 1900.
    ///
    /// # Panics
    /// When the port can't be bound.
    #[must_use]
    pub fn start(netns: &Netns, seconds: u32) -> Self {
        let socket = netns.run(|| UdpSocket::bind("127.0.0.1:123").expect("binding the time server's port"));
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit for waiting");
        let began = std::time::Instant::now();
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut packet = [0; LENGTH];
            while !ended.load(Ordering::Relaxed) {
                // Nothing comes within the limit most of the time.
                let Ok((LENGTH, from)) = socket.recv_from(&mut packet) else { continue };
                let now = began.elapsed();
                let whole = u64::from(seconds) + now.as_secs();
                let time = (whole << 32) | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000);
                // A client that is gone asks no more.
                drop(socket.send_to(&answer(&packet, time), from));
            }
        });
        Self { over }
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The answer at `time`, in units of 2⁻³² s since 1900.
fn answer(question: &[u8; LENGTH], time: u64) -> [u8; LENGTH] {
    let mut answer = [0; LENGTH];
    // A server that has its own clock (stratum 1), asked every 64 s, precise to a microsecond.
    answer[..4].copy_from_slice(&[SERVER, 1, 6, 0xec]);
    answer[12..16].copy_from_slice(b"TEST");
    // When it was set, when the question came, when the answer went: now.
    for at in [16, 32, 40] {
        answer[at..at + 8].copy_from_slice(&time.to_be_bytes());
    }
    answer[ORIGIN].copy_from_slice(&question[TRANSMIT]);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_when_it_was_asked_and_says_what_time_it_is() {
        let mut question = [0; LENGTH];
        question[TRANSMIT].copy_from_slice(b"asked at");
        let answer = answer(&question, 7 << 32);
        assert_eq!(&answer[ORIGIN], b"asked at");
        assert_eq!(answer[TRANSMIT], [0, 0, 0, 7, 0, 0, 0, 0]);
        assert_eq!(answer[0], SERVER);
    }
}
