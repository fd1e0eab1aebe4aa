//! `metadata`: asks the cloud, writes `/var/config`, sets the host name. See [`metadata_agent::cli::USAGE`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use metadata_agent::choose::{CommandLine, Dmi, choose};
use metadata_agent::cli::{self, Command};
use metadata_agent::console::Console;
use metadata_agent::fetch::Times;
use metadata_agent::network_data;
use metadata_agent::run::{Machine, Settings, run};

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
    let machine = Machine::this();
    let line = CommandLine::parse(&machine.local.command_line());
    let choice = match choose(&options.providers, &line, &Dmi::read(&machine.local)) {
        Ok(choice) => choice,
        Err(unknown) => {
            console.say(unknown);
            return ExitCode::FAILURE;
        }
    };
    let console = Arc::new(Console::new(std::io::stderr(), options.verbose));
    let names: Vec<_> = choice.providers.iter().map(|provider| provider.name()).collect();
    console.detail(format_args!("asking {}: {}", names.join(", "), choice.reason));
    let times = Times { deadline: options.deadline, ..Times::default() };
    let settings = Settings { times, imdsv1: options.imdsv1, again: options.again };
    let written = run(&choice.providers, settings, &machine, &console);
    let asked = line.wants_network();
    if let Err(unknown) = &asked {
        console.say(unknown);
    }
    let configured = !(options.network || asked == Ok(true))
        || network_data::configure(
            &machine.config.join("network_data.json"),
            Path::new("/etc/resolv.conf"),
            &console,
        );
    if written && configured && asked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
