//! Misbehaves inside the machines of the fault suite, and tells the test outside what it sees.

mod agent;
mod fork;
mod host;
mod memlogd;
mod notes;
mod port;
mod processes;
mod service;
mod terminal;
mod watch;
mod writer;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        _ if name.ends_with("containerd") => service::until_terminated(),
        _ if name.ends_with("operator") => host::start_agent(),
        ["serve", name, orders @ ..] => service::serve(name, orders),
        ["agent"] => agent::serve(),
        ["write", dir] => writer::write(dir.as_ref()),
        ["hang"] => service::until_terminated(),
        ["host", program, args @ ..] => host::exec(program, args),
        ["check", path] => return ExitCode::from(u8::from(!Path::new(path).exists())),
        ["fail", code] => return ExitCode::from(code.parse().unwrap_or(1)),
        ["say", text] => {
            println!("{text}");
            Ok(())
        }
        _ => Err(format!("unknown command {words:?}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("trouble: {reason}");
            ExitCode::FAILURE
        }
    }
}
