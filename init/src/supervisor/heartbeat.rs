//! Tells PID 1 that the event loop goes round.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;

use tokio::time::{MissedTickBehavior, interval};

use super::console;
use crate::heartbeat::{EVERY, VARIABLE};
use crate::sys::inherited;

/// Beats for as long as it is polled; returns only when PID 1 does not listen.
///
/// To be called before the process opens anything: it takes over the descriptor that PID 1 left open.
pub fn beat() -> impl Future<Output = ()> {
    // Without the variable, or with something else in it, nobody listens.
    let pipe = number(std::env::var(VARIABLE).ok().as_deref()).and_then(inherited).map(File::from);
    async move {
        let Some(mut pipe) = pipe else { return };
        let mut ticks = interval(EVERY);
        // After a pause of the whole machine one beat is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match pipe.write(b".") {
                Ok(_) => {}
                // PID 1 has not read for hours; it knows that we live.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    console::say(&format!("supervisor: PID 1 does not hear it any more: {error}"));
                    return;
                }
            }
        }
    }
}

fn number(value: Option<&str>) -> Option<RawFd> {
    value?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_pipe_is_taken_over_from_the_parent() {
        let (mut reader, writer) = io::pipe().unwrap();
        let writer = writer.into_raw_fd();
        let mut pipe = File::from(inherited(writer).unwrap());
        assert_eq!(pipe.as_raw_fd(), writer);
        pipe.write_all(b".").unwrap();
        reader.read_exact(&mut [0]).unwrap();
        assert!(inherited(1).is_none() && inherited(1 << 20).is_none());
    }

    #[test]
    fn without_a_pipe_it_ends_and_disturbs_nobody() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), beat()).await });
        assert!(ended.is_ok());
    }

    #[test]
    fn only_a_number_names_a_pipe() {
        for (value, expected) in [(None, None), (Some(""), None), (Some("x"), None), (Some("7"), Some(7))] {
            assert_eq!(number(value), expected);
        }
    }
}
