//! The operator's command: `service list|status|start|stop|restart`.

mod args;
mod client;
pub mod protocol;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

use args::Command;
use protocol::{Answer, Request, ServiceStatus, State};

/// Runs `service …`; `args` are the words after the program's name.
pub fn main<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let asked = match Command::parse(args) {
        Ok(Command::Ask { request, quiet }) => (request, quiet),
        Ok(Command::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Nothing) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let (request, quiet) = asked;
    match client::ask(&request) {
        Ok(Answer::Services { services }) => {
            if !quiet {
                print!("{}", table::render(&services, client::now()));
                explain(&request, &services);
            }
            outcome(&request, &services)
        }
        Ok(Answer::Error { message }) => fail(&message),
        Err(error) => fail(&crate::runtime::chain(&error)),
    }
}

fn explain(request: &Request, services: &[ServiceStatus]) {
    if *request != Request::List {
        for problem in services.iter().filter_map(|service| service.problem.as_deref()) {
            println!("last problem: {problem}");
        }
    }
}

fn outcome(request: &Request, services: &[ServiceStatus]) -> ExitCode {
    let reached = |service: &ServiceStatus| match request {
        Request::Start { .. } | Request::Restart { .. } => service.state == State::Running,
        Request::Stop { .. } => service.state == State::Stopped,
        Request::List | Request::Status { .. } => true,
    };
    if services.iter().all(reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("service: {message}");
    ExitCode::FAILURE
}
