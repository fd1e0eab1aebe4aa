//! The OCI runtime: runc's command line over libcontainer, and what LinuxKit's `runtime.json` asks for around a container.
//!
//! libcontainer clones without exec, which is only sound in a process with one thread. So this is a face of the
//! binary that is executed of its own, and nothing in here starts a thread.
//!
//! | module | duty |
//! | --- | --- |
//! | [`args`] | the command line as a value |
//! | `bundle`, `derive` | the configuration, divided between libcontainer and us |
//! | `create`, `inside`, `devices`, `stdio`, `home` | from a bundle to a process that waits for its start |
//! | `life`, `delete`, `exec`, `list`, `stats` | all that is done to it later |
//! | `run`, `runner` | the whole life at once, for `onboot`: of one container, of one after another |
//! | `prepare`, `network`, `namespaces`, `volumes` | `runtime.json` |

mod args;
mod bound_dev;
mod bundle;
mod causes;
mod cgroup;
mod create;
mod delete;
mod derive;
mod devices;
mod error;
mod exec;
mod executor;
mod home;
mod inside;
mod known;
mod life;
mod list;
mod log;
mod namespaces;
mod network;
mod prepare;
mod run;
pub mod runner;
mod seccomp;
mod stats;
mod stdio;
mod volumes;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

pub use args::{Command, DEFAULT_ROOT, Global, Line, ParseError, USAGE, valid_id};
pub use bundle::{Bundle, read_bounded, read_runtime, read_spec_value};
pub use cgroup::Cgroup;
pub use delete::{delete, has_remains};
pub use error::{RuntimeError, chain};
pub use known::{Known, Note, Status};
pub use life::{kill, pause, resume, start, start_known, update};
pub use prepare::mount_options;
pub use stats::stats;
pub use volumes::has_volumes;

use create::{Create, create};
use log::{Level, Log};

use crate::whole;

/// Exit code of `run` when the runtime itself failed, as opposed to the container it ran.
pub const RUNTIME_FAILED: u8 = 125;
/// Exit code of every other command that failed, as runc's.
const FAILED: u8 = 1;
/// Exit code of `exec` when there is no program's to pass on, as runc's.
pub const EXEC_FAILED: u8 = 255;
/// Where what init knows about running things is kept; a tmpfs.
pub const STATE_ROOT: &str = "/run/lkb";

/// Runs `init runtime …`; `args` are the words after `runtime`.
///
/// The exit code of `run` and `exec` is the program's (128 + signal when a signal ended it).
pub fn main<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let Line { global, command } = match Line::parse(args) {
        Ok(line) => line,
        Err(error) => {
            eprintln!("runtime: {error}\n{USAGE}");
            return ExitCode::from(FAILED);
        }
    };
    let log = Log::new(&global);
    let failed = match command {
        Command::Run { .. } => RUNTIME_FAILED,
        Command::Exec(_) => EXEC_FAILED,
        _ => FAILED,
    };
    match carry_out(&global.root, &command, &log) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let reason = chain(&error);
            log.write(Level::Error, &reason);
            eprintln!("{}: {reason}", command.subject());
            ExitCode::from(failed)
        }
    }
}

fn carry_out(root: &Path, command: &Command, log: &Log) -> Result<u8, RuntimeError> {
    match command {
        Command::Create { bundle, id, console_socket, pid_file, prepare } => {
            let bundle = Bundle::read(bundle)?;
            if *prepare {
                run::prepare_with(&bundle.path, id, &bundle.runtime, bundle.read_only())?;
            }
            let request =
                Create { root, id, console_socket: console_socket.as_deref(), pid_file: pid_file.as_deref() };
            let created = create(request, &bundle)?;
            if *prepare
                && let Some(pid) = created.container.pid()
                && let Err(error) = run::attach_to(id, pid.as_raw(), &bundle.runtime)
            {
                delete::after_failure(root, id);
                return Err(error);
            }
            for warning in &created.warnings {
                // Standard error is the container's; its log is for what it says itself.
                if log.is_given() {
                    log.write(Level::Warning, warning);
                } else {
                    eprintln!("{id}: {warning}");
                }
            }
        }
        Command::Start { id } => start(root, id)?,
        Command::State { id } => print(&list::json(&list::state(root, id)?))?,
        Command::Kill { id, signal, all } => kill(root, id, *signal, *all)?,
        Command::Delete { id, force } => delete(root, id, *force)?,
        Command::Ps { id, format } => print(&list::processes(root, id, *format)?)?,
        Command::Pause { id } => pause(root, id)?,
        Command::Resume { id } => resume(root, id)?,
        Command::List { format, quiet } => print(&list::print(&list::containers(root)?, *format, *quiet))?,
        Command::Version => {
            print(concat!("runc version lkb-", env!("CARGO_PKG_VERSION"), "\nspec: 1.2.1\n"))?
        }
        Command::Run { bundle, id, exit_file } => return run::run(root, bundle, id, exit_file.as_deref()),
        Command::Runner => return runner::serve(root),
        Command::Prepare { bundle, id } => run::prepare(bundle, id)?,
        Command::Attach { bundle, pid, id } => run::attach(bundle, id, *pid)?,
        Command::Volumes => volumes::prepare(&volumes::all())?,
        Command::Release { ids } => run::release(ids)?,
        Command::Exec(exec) => return exec::exec(root, exec),
        Command::Update { id, resources } => update(root, id, &life::read_resources(resources)?)?,
        Command::Events { id } => print(&stats::stats(root, id)?)?,
    }
    Ok(0)
}

fn print(text: &str) -> Result<(), RuntimeError> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(RuntimeError::io("write", Path::new("standard output")))
}

/// Writes `value` as JSON, whole or not at all.
fn write_whole(path: &Path, value: &impl serde::Serialize) -> Result<(), RuntimeError> {
    let bytes =
        serde_json::to_vec(value).map_err(|source| RuntimeError::Json { path: path.to_owned(), source })?;
    whole::write(path, &bytes).map_err(RuntimeError::io("write", path))
}
