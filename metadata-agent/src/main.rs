//! `metadata`: asks the cloud, writes `/var/config`, sets the host name. See [`metadata_agent::cli::USAGE`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write;
use std::process::ExitCode;

use metadata_agent::cli::{self, Command};
use metadata_agent::console::Console;
use metadata_agent::fetch::Times;
use metadata_agent::provider;
use metadata_agent::run::{Machine, run};

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> = std::env::args_os().skip(1).map(|a| a.into_string()).collect();
    let console = Console::new(std::io::stderr(), false);
    let options = match arguments.map_err(|_| cli::UsageError::NotText).and_then(|a| cli::parse(&a)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Print(text)) => {
            // Whoever closed the output does not want the text.
            let _unread = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            console.say(error);
            return ExitCode::FAILURE;
        }
    };
    let providers = match provider::by_names(&options.providers) {
        Ok(providers) => providers,
        Err(unknown) => {
            console.say(unknown);
            return ExitCode::FAILURE;
        }
    };
    let console = Console::new(std::io::stderr(), options.verbose);
    let times = Times { deadline: options.deadline, ..Times::default() };
    if run(&providers, times, &Machine::this(), &console) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
