//! The command line, which is LinuxKit's. Pure.

use thiserror::Error;

use crate::source::Allowed;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: rngd [-1] [-disable-rdseed] [-disable-rdrand]

Feeds the kernel's entropy pool from RDSEED or RDRAND and from /dev/hwrng. Needs CAP_SYS_ADMIN.

  -1                fill the pool once and exit; without a source exit status 1
  -disable-rdseed   don't use RDSEED
  -disable-rdrand   don't use RDRAND

Without -1 it runs until SIGTERM; without a source it waits for a device to appear.
";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Feed.
    Feed {
        /// Once.
        once: bool,
        /// From the processor.
        allowed: Allowed,
    },
    /// Print [`USAGE`].
    Help,
}

/// No such option.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown argument {0:?}: see rngd --help")]
pub struct UsageError(String);

/// Reads the arguments after the program's name. Options may have one dash or two.
///
/// # Errors
/// [`UsageError`] for what is not an option.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let (mut once, mut allowed) = (false, Allowed { rdseed: true, rdrand: true });
    for argument in arguments {
        match argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) {
            Some("1") => once = true,
            Some("disable-rdseed") => allowed.rdseed = false,
            Some("disable-rdrand") => allowed.rdrand = false,
            Some("h" | "help") => return Ok(Command::Help),
            _ => return Err(UsageError(argument)),
        }
    }
    Ok(Command::Feed { once, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Command, UsageError> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    fn feed(once: bool, rdseed: bool, rdrand: bool) -> Result<Command, UsageError> {
        Ok(Command::Feed { once, allowed: Allowed { rdseed, rdrand } })
    }

    #[test]
    fn options_are_linuxkits_with_one_dash_or_two() {
        assert_eq!(line(""), feed(false, true, true));
        assert_eq!(line("-1"), feed(true, true, true));
        assert_eq!(line("-disable-rdrand --1"), feed(true, true, false));
        assert_eq!(line("--disable-rdseed -disable-rdrand"), feed(false, false, false));
        assert_eq!(line("-h"), Ok(Command::Help));
        for text in ["1", "-2", "-disable", "--"] {
            assert_eq!(line(text), Err(UsageError(text.to_owned())), "{text}");
        }
    }
}
