//! From the command line to parameters that are set, and warnings about those that are not.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::apply::apply;
use crate::cli::{self, Command};
use crate::tree::Tree;

/// The command for a tree: its arguments without its name, its exit code.
#[must_use]
pub fn main(tree: &Tree, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut warn = |message: &dyn std::fmt::Display| {
        // A console that can't be written to leaves nobody to tell.
        let _unwritten = writeln!(std::io::stderr(), "{}: {message}", tree.command);
    };
    match cli::parse(tree, arguments) {
        Ok(Command::Apply { config, parameters }) => match apply(tree, &config, &parameters, &mut warn) {
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
            let _unread = std::io::stdout().write_all(tree.usage.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            warn(&error);
            ExitCode::FAILURE
        }
    }
}
