//! What a shim answers.

use std::time::SystemTime;

use containerd_shim_protos::api::{
    ConnectResponse, CreateTaskResponse, DeleteResponse, Empty, PidsResponse, StateResponse, StatsResponse,
    WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;

use super::wire::{Fault, encode};

/// An answer; what has the same bytes on the wire is one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Done.
    Empty,
    /// Create, Start: the process.
    Pid(u32),
    /// Wait: how it ended.
    Ended(Ended),
    /// Delete: how it had ended.
    Deleted(Ended),
    /// State.
    State(Box<StateResponse>),
    /// Pids.
    Pids(PidsResponse),
    /// Stats.
    Stats(StatsResponse),
    /// Connect.
    Connect(ConnectResponse),
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which it was.
    pub pid: u32,
    /// Its exit code, or 128 + the signal that killed it.
    pub status: u32,
    /// When it was seen.
    pub at: SystemTime,
}

/// A time as protobuf has it.
#[must_use]
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut timestamp = Timestamp::new();
    timestamp.seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    timestamp.nanos = i32::try_from(since.subsec_nanos()).unwrap_or_default();
    timestamp
}

/// The answer to Delete, and what the shim's `delete` prints.
#[must_use]
pub fn deleted(ended: Ended) -> DeleteResponse {
    let mut message = DeleteResponse::new();
    message.pid = ended.pid;
    message.exit_status = ended.status;
    message.exited_at = Some(timestamp(ended.at)).into();
    message
}

impl Reply {
    /// The message's bytes.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Empty => encode(&Empty::new()),
            Self::Pid(pid) => {
                // StartResponse is the same: one number, field 1.
                let mut message = CreateTaskResponse::new();
                message.pid = *pid;
                encode(&message)
            }
            Self::Ended(ended) => {
                let mut message = WaitResponse::new();
                message.exit_status = ended.status;
                message.exited_at = Some(timestamp(ended.at)).into();
                encode(&message)
            }
            Self::Deleted(ended) => encode(&deleted(*ended)),
            Self::State(message) => encode(&**message),
            Self::Pids(message) => encode(message),
            Self::Stats(message) => encode(message),
            Self::Connect(message) => encode(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use containerd_shim_protos::api::StartResponse;
    use containerd_shim_protos::protobuf::Message;

    use super::*;

    #[test]
    fn start_and_create_answer_with_the_same_bytes() {
        let bytes = Reply::Pid(300).encode().unwrap();
        assert_eq!(StartResponse::parse_from_bytes(&bytes).unwrap().pid, 300);
        assert_eq!(CreateTaskResponse::parse_from_bytes(&bytes).unwrap().pid, 300);
    }

    #[test]
    fn the_end_of_a_process_has_its_time() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(5, 7);
        let bytes = Reply::Ended(Ended { pid: 1, status: 137, at }).encode().unwrap();
        let message = WaitResponse::parse_from_bytes(&bytes).unwrap();
        assert_eq!(message.exit_status, 137);
        assert_eq!((message.exited_at.seconds, message.exited_at.nanos), (5, 7));
    }
}
