//! containerd's shim: between containerd and one container, so that each can live without the other's process.
//!
//! | module | duty |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`bootstrap`] | `start`: a socket, and a server that listens on it |
//! | [`cleanup`] | `delete`: what a server that died has left |
//! | [`wire`] | ttrpc: frames, calls, connections |
//! | [`request`], [`reply`], [`event`] | what is asked, answered, told |
//! | [`task`] | the container's state machine: pure |
//! | [`publisher`] | events on their way to containerd |
//! | [`host`] | processes, cgroups, terminals, behind a trait |
//! | [`server`] | the loop around all of them |
//!
//! One process serves one container: when it dies, one container is started again. It has one thread, because a shim
//! idles for months and a thread for each caller is what a shim's memory is spent on. It runs no container code itself:
//! libcontainer, or whatever runtime the image brings, is executed for each step.

mod args;
mod bootstrap;
mod cleanup;
mod event;
mod host;
mod protection;
mod publisher;
mod reply;
mod request;
mod server;
mod task;
mod wire;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use args::Command;

/// The name containerd looks for, of the runtime `io.containerd.runc.v2`.
pub const NAME: &str = "containerd-shim-runc-v2";

/// Runs the shim; `args` are the words after the program's name.
#[must_use]
pub fn main<I: IntoIterator<Item = OsString>>(args: I) -> ExitCode {
    let result = Command::parse(args).map_err(|error| error.to_string()).and_then(|command| match command {
        Command::Start(identity) => bootstrap::start(&identity),
        Command::Serve(identity) => bootstrap::serve(identity),
        Command::Delete { identity, bundle } => cleanup::delete(&identity, bundle),
        Command::Version => print(format!("{NAME}:\n  Version: {}\n", env!("CARGO_PKG_VERSION")).as_bytes()),
        Command::Info => bootstrap::info().and_then(|bytes| print(&bytes)),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say(&reason);
            ExitCode::FAILURE
        }
    }
}

/// To whoever reads our standard error: containerd's log.
fn say(line: &str) {
    // Nobody may read it any more, or slowly: no reason to stop serving.
    writeln!(std::io::stderr(), "{NAME}: {line}").ok();
}

/// To whoever called us.
fn print(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| format!("cannot answer: {error}"))
}
