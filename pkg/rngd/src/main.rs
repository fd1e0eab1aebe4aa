//! `rngd`: feeds the kernel's entropy pool. See [`lk_rngd::cli::USAGE`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use lk_rngd::cli::{self, Command};
use lk_rngd::feed::{FeedError, Feeder};
use lk_rngd::pool::Pool;
use lk_rngd::source::{self, Allowed};

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    let result = match cli::parse(arguments) {
        Ok(Command::Help) => {
            // Whoever closed the output does not want the text.
            let _unread = std::io::stdout().write_all(cli::USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(Command::Feed { once, allowed }) => feed(once, allowed).map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&message);
            ExitCode::FAILURE
        }
    }
}

fn feed(once: bool, allowed: Allowed) -> Result<(), FeedError> {
    let feeder = Feeder::new(Pool::open()?, source::processor(allowed), &source::device, &say);
    if once { feeder.once() } else { feeder.serve() }
}

fn say(message: &dyn Display) {
    // A log that can't be written to leaves nobody to tell.
    let _unwritten = writeln!(std::io::stderr(), "rngd: {message}");
}
