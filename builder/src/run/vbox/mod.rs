//! VirtualBox: a machine is registered with `VBoxManage`, shown on the terminal, and removed.
//!
//! | file | duty |
//! |---|---|
//! | `network.rs` | `--networking` |
//! | `plan.rs` | what `VBoxManage` is told |
//! | `manage.rs` | `VBoxManage` itself |
//! | `console.rs` | the serial console on the terminal |
//!
//! Source: the VirtualBox user manual, chapter "VBoxManage".

mod console;
mod manage;
mod network;
mod plan;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::disk::DiskRequest;
use console::{Console, Ended};
use manage::Manage;
pub use network::{Network, NetworkError};
use plan::Plan;

/// What is run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The disk or CD image.
    pub path: PathBuf,
    /// It is a CD image, whatever its name.
    pub iso: bool,
    /// Boot by EFI firmware, whatever its name.
    pub uefi: bool,
    /// The machine's name; the image's without its extension, if there is none.
    pub name: Option<String>,
    /// Where the machine keeps its state; `PATH-state`, the path being without extension, if nothing is said.
    pub state: Option<PathBuf>,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// Data disks.
    pub disks: Vec<DiskRequest>,
    /// Network cards; VirtualBox's own one with NAT, if there is none.
    pub networks: Vec<Network>,
    /// Show the screen in a window.
    pub gui: bool,
    /// Leave the machine registered.
    pub keep: bool,
    /// `VBoxManage`.
    pub program: PathBuf,
}

/// Why VirtualBox does not run it.
#[derive(Debug, Error)]
pub enum VboxError {
    /// VirtualBox has no reader for it.
    #[error(
        "VirtualBox cannot boot {}: it boots .iso, .vmdk, .vhd and .vdi files; build one with `lkb build --format iso-bios` \
         or `--format dynamic-vhd`", .0.display()
    )]
    Format(PathBuf),
    /// A data disk cannot be had like this.
    #[error("cannot give the machine a disk: {0}")]
    Disk(String),
    /// Something of ours cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Path {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `VBoxManage` is not there.
    #[error(
        "cannot start {}: {source}; install VirtualBox, or name its VBoxManage with --vboxmanage", program.display()
    )]
    Program {
        /// What was tried.
        program: PathBuf,
        /// Why it does not start.
        source: io::Error,
    },
    /// `VBoxManage` refuses.
    #[error("`VBoxManage {command}` fails: {complaint}")]
    Refused {
        /// What it was told.
        command: String,
        /// What it says.
        complaint: String,
    },
    /// There is a machine of this name, and it is somebody's.
    #[error(
        "VirtualBox has a machine {name} already, which does not lie in {}: give another name with --name", state.display()
    )]
    Taken {
        /// The name.
        name: String,
        /// Where ours would lie.
        state: PathBuf,
    },
    /// Nobody has opened the console.
    #[error("machine {name} runs, and has not opened its console {} within 10 s", socket.display())]
    Silent {
        /// The machine.
        name: String,
        /// The console's socket.
        socket: PathBuf,
    },
}

/// Runs a machine until it is off or a signal ends it, and removes it. A signal's number is returned.
///
/// # Errors
/// When VirtualBox is not there or refuses.
pub fn run(options: &Options) -> Result<Option<i32>, VboxError> {
    let state = options.state.clone().unwrap_or_else(|| default_state(&options.path));
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| VboxError::Path { path, source }
    };
    std::fs::create_dir_all(&state).map_err(failed(&state))?;
    let state = state.canonicalize().map_err(failed(&state))?;
    let image = options.path.canonicalize().map_err(failed(&options.path))?;
    let plan = Plan::new(options, &image, &state)?;
    let manage = Manage::new(&options.program);
    remove_former(&manage, &plan, &state)?;

    let console = Console::listen(&plan.socket).map_err(failed(&plan.socket))?;
    let ended = begin(&manage, &plan, console);
    let removed = end(&manage, &plan, options.keep);
    // What went wrong first is what matters.
    let ended = ended?;
    removed?;
    Ok(match ended {
        Ended::Off => None,
        Ended::Signal(number) => Some(number),
    })
}

fn begin(manage: &Manage, plan: &Plan, console: Console) -> Result<Ended, VboxError> {
    for (file, command) in &plan.disks {
        if !file.exists() {
            manage.run(command)?;
        }
    }
    for command in &plan.make {
        manage.run(command)?;
    }
    manage.run(&plan.start)?;
    let silent = || VboxError::Silent { name: plan.name.clone(), socket: plan.socket.clone() };
    console.attend()?.ok_or_else(silent)
}

/// Removes what a run that was killed has left; never somebody else's machine.
fn remove_former(manage: &Manage, plan: &Plan, state: &Path) -> Result<(), VboxError> {
    let known = manage.run(&["list".into(), "vms".into()])?;
    if !known.lines().any(|line| line.starts_with(&format!("\"{}\" ", plan.name))) {
        return Ok(());
    }
    let info = manage.run(&["showvminfo".into(), plan.name.clone(), "--machinereadable".into()])?;
    let ours = format!("CfgFile=\"{}", state.join(&plan.name).display());
    if !info.lines().any(|line| line.starts_with(&ours)) {
        return Err(VboxError::Taken { name: plan.name.clone(), state: state.to_owned() });
    }
    end(manage, plan, false)
}

/// Turns the machine off, and forgets it.
fn end(manage: &Manage, plan: &Plan, keep: bool) -> Result<(), VboxError> {
    // It may be off already, or never have been made: what matters is whether it can be removed.
    let _off = manage.run(&plan.power_off);
    if keep {
        return Ok(());
    }
    for command in &plan.detach {
        // A controller that is not there needs no removal; one that is there makes the last step fail.
        let _gone = manage.insist(command);
    }
    manage.insist(&plan.forget).map(drop)
}

fn default_state(path: &Path) -> PathBuf {
    let mut state = path.with_extension("").into_os_string();
    state.push("-state");
    state.into()
}
