//! Commands for a shell on the other side of ssh.

/// The exit code that [`telling`] has in place of 255.
pub const INSTEAD: i32 = 254;

/// The same command, but never with the exit code 255: that is ssh's own, for "could not connect or log in", and who waits for a
/// server would take a command that fails so for a server that is not up yet.
#[must_use]
pub fn telling(command: &str) -> String {
    format!("({command}\n) || {{ code=$?; [ $code != 255 ] || code={INSTEAD}; exit $code; }}")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_command_that_fails_as_ssh_does_is_told_from_ssh() {
        for (command, wanted) in
            [("true # well", 0), ("exit 3", 3), ("exit 255", INSTEAD), ("sh -c 'exit 255'", INSTEAD)]
        {
            let status = Command::new("sh").args(["-c", &telling(command)]).status().expect("running sh");
            assert_eq!(status.code(), Some(wanted), "{command}");
        }
    }
}
