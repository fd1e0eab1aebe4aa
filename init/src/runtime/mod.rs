//! The OCI runtime: prepares what `runtime.json` asks for, runs one container to its end, and takes everything down again.
//!
//! libcontainer clones without exec, which is only sound in a process with one thread. So this is a face of the
//! binary that is executed anew for each container, and nothing in here starts a thread.

mod args;
mod bound_dev;
mod bundle;
mod error;
mod executor;
mod lifecycle;
mod namespaces;
mod network;
mod prepare;
mod volumes;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub use args::{Command, ParseError, USAGE, valid_id};
pub use bundle::{Bundle, read_bounded, read_runtime, read_spec_value};
pub use error::{RuntimeError, chain};

/// Exit code when the runtime itself failed, as opposed to the container it ran.
pub const RUNTIME_FAILED: u8 = 125;
/// Where what init knows about running things is kept; a tmpfs.
pub const STATE_ROOT: &str = "/run/lkb";

/// Runs `init runtime …`; `args` are the words after `runtime`.
///
/// The exit code is the container's (128 + signal when a signal ended it), or [`RUNTIME_FAILED`].
pub fn main<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let command = match Command::parse(args) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("runtime: {error}\n{USAGE}");
            return ExitCode::from(RUNTIME_FAILED);
        }
    };
    let subject = command.subject();
    let result = match command {
        Command::Run { bundle, id, exit_file } => lifecycle::run(&bundle, &id, exit_file.as_deref()),
        Command::Prepare { bundle, id } => lifecycle::prepare(&bundle, &id).map(|()| 0),
        Command::Attach { bundle, pid, id } => lifecycle::attach(&bundle, &id, pid).map(|()| 0),
        Command::CoverDev { bundle, id } => bound_dev::cover(&bundle, &id).map(|()| 0),
        Command::Volumes => volumes::prepare(&Path::new("/").join(image_layout::VOLUMES)).map(|()| 0),
        Command::Release { ids } => lifecycle::release(&ids).map(|()| 0),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{subject}: {}", chain(&error));
            ExitCode::from(RUNTIME_FAILED)
        }
    }
}
