//! `sysctl`: applies every setting it can, and says which it can't. See [`lk_sysctl::cli::USAGE`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write;
use std::process::ExitCode;

use lk_sysctl::apply::apply;
use lk_sysctl::cli::{self, Command};

fn main() -> ExitCode {
    let mut warn = |message: &dyn std::fmt::Display| {
        // A console that can't be written to leaves nobody to tell.
        let _unwritten = writeln!(std::io::stderr(), "sysctl: {message}");
    };
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Apply { config, sysctl }) => match apply(&config, &sysctl, &mut warn) {
            Ok(done) => {
                warn(&done);
                ExitCode::SUCCESS
            }
            Err(error) => {
                warn(&error);
                ExitCode::FAILURE
            }
        },
        Ok(Command::Help) => {
            // Whoever closed the output does not want the text.
            let _unread = std::io::stdout().write_all(cli::USAGE.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            warn(&error);
            ExitCode::FAILURE
        }
    }
}
