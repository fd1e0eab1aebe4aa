//! The operator's command: `service list|status|start|stop|restart|logs|events|boot|poweroff|reboot|help`.

mod args;
mod client;
pub mod nearest;
pub mod protocol;
mod show;
mod since;
mod table;
mod usage;

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use args::{Command, Format};
use client::{AskError, Conversation};
use protocol::{Answer, LogQuery, Request, ServiceStatus, State};

use crate::runtime::chain;
use crate::{power, terminal, timeline};

/// How many lines `status` shows.
const STATUS_LINES: usize = 10;
/// A terminal that nobody asked.
const USUAL_WIDTH: usize = 100;

/// How the command ends; the numbers are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done = 0,
    Failed = 1,
    NotUnderstood = 2,
    NoAnswer = 3,
    NoSuchService = 4,
}

/// Runs `service …`; `args` are the words after the program's name.
pub fn main<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let result = match Command::parse(args, SystemTime::now()) {
        Ok(command) => run(&command),
        Err(error) => {
            eprintln!("service: {error}; see `service help`");
            return ExitCode::from(End::NotUnderstood as u8);
        }
    };
    let end = match result {
        Ok(end) => end,
        // Whoever read has read enough.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => End::Done,
        Err(failure) => {
            eprintln!("service: {}", chain(&failure));
            match failure {
                Failure::Ask(_) => End::NoAnswer,
                Failure::Unknown(_) => End::NoSuchService,
                _ => End::Failed,
            }
        }
    };
    ExitCode::from(end as u8)
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    Refused(String),
    #[error("the machine cannot be taken down; are you root, outside of a container?")]
    Power(#[source] nix::errno::Errno),
    #[error("cannot print")]
    Output(#[from] io::Error),
    #[error("the supervisor gave the answer to another question")]
    Astray,
}

fn run(command: &Command) -> Result<End, Failure> {
    match command {
        Command::Help(None) => print(&usage::all())?,
        Command::Help(Some(about)) => print(&usage::one(about))?,
        Command::Nothing => {}
        Command::Power(action) => power::request(*action).map_err(Failure::Power)?,
        Command::Ask { request: request @ (Request::Logs(_) | Request::Events { .. }), format } => {
            return tell(request, *format);
        }
        Command::Ask { request: Request::Boot, format } => return boot(*format),
        Command::Ask { request, format } => return services(request, *format),
    }
    Ok(End::Done)
}

/// Answers about the state of services.
fn services(request: &Request, format: Format) -> Result<End, Failure> {
    let Answer::Services { services } = understood(client::ask(request)?)? else {
        return Err(Failure::Astray);
    };
    match (format, request) {
        (Format::Json, Request::List) => print(&json(&services)?)?,
        (Format::Json, _) => {
            for service in &services {
                print(&json(service)?)?;
            }
        }
        (Format::Table, Request::Status { .. }) => {
            for service in &services {
                print(&show::service(service, client::now()))?;
                last_lines(&service.name)?;
            }
        }
        (Format::Table, _) => {
            print(&table::render(&services, client::now(), terminal::width(io::stdout())))?;
            if *request != Request::List {
                for problem in services.iter().filter_map(|service| service.problem.as_deref()) {
                    print(&format!("last problem: {}\n", terminal::harmless(problem)))?;
                }
            }
        }
        (Format::Quiet | Format::Svg, _) => {}
    }
    Ok(outcome(request, &services))
}

/// What a service said last.
fn last_lines(name: &str) -> Result<(), Failure> {
    let query = LogQuery { name: Some(name.to_owned()), lines: Some(STATUS_LINES), ..LogQuery::default() };
    let mut conversation = Conversation::begin(&Request::Logs(query))?;
    let mut first = true;
    loop {
        match understood(conversation.next()?)? {
            Answer::Line(line) => {
                if std::mem::take(&mut first) {
                    print("\n")?;
                }
                print(&format!("{}\n", show::line(&line, io::stdout().is_terminal())))?;
            }
            Answer::End => return Ok(()),
            _ => return Err(Failure::Astray),
        }
    }
}

/// Lines and events, one after another.
fn tell(request: &Request, format: Format) -> Result<End, Failure> {
    let mut conversation = Conversation::begin(request)?;
    let (width, is_terminal) = (terminal::width(io::stdout()), io::stdout().is_terminal());
    loop {
        let text = match (understood(conversation.next()?)?, format) {
            (Answer::End, _) => return Ok(End::Done),
            (_, Format::Quiet) => continue,
            (Answer::Line(line), Format::Json) => json(&line)?,
            (Answer::Line(line), _) => show::line(&line, is_terminal) + "\n",
            (Answer::Event(event), Format::Json) => json(&event)?,
            (Answer::Event(event), _) => show::event(&event, width) + "\n",
            (Answer::Lost { count }, _) => {
                eprintln!("service: {count} more were lost: this was read too slowly");
                continue;
            }
            _ => return Err(Failure::Astray),
        };
        print(&text)?;
    }
}

/// The boot time-line.
fn boot(format: Format) -> Result<End, Failure> {
    let Answer::Boot { timeline } = understood(client::ask(&Request::Boot)?)? else {
        return Err(Failure::Astray);
    };
    match format {
        Format::Json => print(&json(&timeline)?)?,
        Format::Svg => print(&timeline.svg())?,
        Format::Table => {
            let width = terminal::width(io::stdout()).unwrap_or(USUAL_WIDTH);
            print(&timeline::table(&timeline, width))?;
        }
        Format::Quiet => {}
    }
    Ok(End::Done)
}

/// An answer that is not a refusal.
fn understood(answer: Answer) -> Result<Answer, Failure> {
    match answer {
        Answer::Error { message } => Err(Failure::Refused(message)),
        Answer::Unknown { message } => Err(Failure::Unknown(message)),
        answer => Ok(answer),
    }
}

fn outcome(request: &Request, services: &[ServiceStatus]) -> End {
    let reached = |service: &ServiceStatus| match request {
        Request::Start { .. } | Request::Restart { .. } => service.ready,
        Request::Stop { .. } => service.state == State::Stopped,
        _ => true,
    };
    if services.iter().all(reached) { End::Done } else { End::Failed }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(text + "\n")
}

/// Not `print!`, which panics when nobody reads any more.
fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
