//! A shim is not what to kill when memory is short: it is small, and its container would have to be started again.

use std::path::Path;
use std::sync::OnceLock;

use super::say;

const FILE: &str = "/proc/self/oom_score_adj";
/// Almost never; containerd itself may be given -999.
const PROTECTED: &str = "-998";

/// What processes had that came before us, and the container is to have.
static INHERITED: OnceLock<String> = OnceLock::new();

/// Protects this process from now on.
pub fn protect() {
    match std::fs::read_to_string(FILE) {
        // A containerd that is protected itself has protected us, and asked for the same for its containers.
        Ok(score) if score.trim().parse::<i32>().is_ok_and(|score| score > -998) => {
            if set(PROTECTED) {
                INHERITED.get_or_init(|| score.trim().to_owned());
            }
        }
        Ok(_) => {}
        Err(error) => say(&format!("cannot read {FILE}: {error}")),
    }
}

/// Runs `spawn` as if unprotected: a child inherits, and a container is not to be spared.
pub fn lifted<T>(spawn: impl FnOnce() -> T) -> T {
    match INHERITED.get() {
        None => spawn(),
        Some(inherited) => {
            set(inherited);
            let result = spawn();
            set(PROTECTED);
            result
        }
    }
}

fn set(score: &str) -> bool {
    match std::fs::write(Path::new(FILE), score) {
        Ok(()) => true,
        Err(error) => {
            say(&format!("cannot write {score} to {FILE}: {error}"));
            false
        }
    }
}
