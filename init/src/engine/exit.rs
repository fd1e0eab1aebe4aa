//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a container's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// By itself, with this code.
    Code(u32),
    /// By this signal.
    Signal(u32),
    /// Nobody saw it.
    Unknown,
}

impl Exit {
    /// From a runtime's exit status, where 128 + n means signal n.
    #[must_use]
    pub fn from_status(status: u32) -> Self {
        match status {
            129..=192 => Self::Signal(status - 128),
            code => Self::Code(code),
        }
    }

    /// Whether the process said that all is well.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Unknown => f.write_str("ended unseen"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_above_128_is_a_signal() {
        let cases = [
            (0, "exited with code 0"),
            (1, "exited with code 1"),
            (128, "exited with code 128"),
            (137, "killed by signal 9"),
            (192, "killed by signal 64"),
            (193, "exited with code 193"),
            (255, "exited with code 255"),
        ];
        for (status, text) in cases {
            assert_eq!(Exit::from_status(status).to_string(), text);
        }
        assert!(Exit::from_status(0).is_success());
        assert!(!Exit::Unknown.is_success());
    }
}
