//! The beat between the supervisor and PID 1: a byte in a pipe, which a supervisor that hangs cannot send.

use std::time::Duration;

/// The environment variable with the number of the supervisor's end of the pipe.
pub const VARIABLE: &str = "LKB_HEARTBEAT_FD";
/// How often the supervisor sends a byte.
pub const EVERY: Duration = Duration::from_secs(2);
/// A supervisor that has been silent for so long hangs.
pub const LIMIT: Duration = Duration::from_secs(20);
