//! `runtime create`: from a bundle to a container whose program waits for its start.

use std::path::{Path, PathBuf};

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use oci_spec::runtime::Spec;

use super::bundle::Bundle;
use super::causes::{self, Heard};
use super::cgroup::{self, Cgroup};
use super::derive::{Derived, Machine, derive};
use super::executor::Program;
use super::known::{Known, Note, derived};
use super::prepare::{Host, Kernel};
use super::{RuntimeError, chain, delete, devices, home, inside, network, stdio};
use crate::watch::process::ProcessId;
use crate::whole;

/// What is created, and where it is told.
#[derive(Debug, Clone, Copy)]
pub struct Create<'a> {
    /// Directory of all containers' state.
    pub root: &'a Path,
    /// The container's id.
    pub id: &'a str,
    /// Socket that gets the terminal's master side.
    pub console_socket: Option<&'a Path>,
    /// File that gets the first process's id.
    pub pid_file: Option<&'a Path>,
}

/// A container that was created.
#[derive(Debug)]
pub struct Created {
    /// libcontainer's handle on it.
    pub container: Container,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Creates the container of `bundle`, with the calling process's standard files.
///
/// Clones without executing: the calling process must have one thread, and should end soon. The container's first
/// process is its child, and so becomes that of the next subreaper, or of PID 1.
pub fn create(request: Create<'_>, bundle: &Bundle) -> Result<Created, RuntimeError> {
    let Create { root, id, .. } = request;
    Kernel.make_dirs(root).map_err(RuntimeError::io("make directory", root))?;
    if root.join(id).exists() {
        return Err(RuntimeError::Exists);
    }
    let rootfs = bundle.rootfs();
    let machine = Machine {
        exists: &|path| path.exists(),
        home: &|uid| home::of(&rootfs, uid),
        unified: cgroup::is_unified(),
    };
    let derived = derive(bundle.spec.clone(), id, &bundle.path, machine)?;
    let cgroup = cgroup_of(&derived.spec);
    if cgroup.is_populated()? {
        return Err(RuntimeError::CgroupInUse(cgroup.dir()));
    }
    home::make_working_directory(&rootfs, &derived.spec)?;
    stdio::own(&derived.spec)?;
    let dir = write_derived(root, id, &derived.spec, &cgroup)?;
    let resources = derived.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    cgroup
        .make(resources)
        .and_then(|()| build(request, &dir))
        .and_then(|container| finish(request, bundle, derived, &cgroup, container))
        .inspect_err(|_| delete::after_failure(root, id))
}

fn cgroup_of(spec: &Spec) -> Cgroup {
    let path = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().clone());
    Cgroup::new(&path.unwrap_or_default())
}

/// Writes the configuration that libcontainer reads, now and when a process is added.
fn write_derived(root: &Path, id: &str, spec: &Spec, cgroup: &Cgroup) -> Result<PathBuf, RuntimeError> {
    let dir = derived(root, id);
    std::fs::create_dir_all(&dir).map_err(RuntimeError::io("make directory", &dir))?;
    cgroup.note(&dir)?;
    let config = dir.join(image_layout::CONFIG);
    let bytes =
        serde_json::to_vec(spec).map_err(|source| RuntimeError::Json { path: config.clone(), source })?;
    std::fs::write(&config, bytes).map_err(RuntimeError::io("write", &config))?;
    Ok(dir)
}

fn build(request: Create<'_>, dir: &Path) -> Result<Container, RuntimeError> {
    let mut heard = causes::collect()?;
    ContainerBuilder::new(request.id.to_owned(), SyscallType::default())
        .with_executor(Program::default())
        .with_root_path(request.root)
        .and_then(ContainerBuilder::validate_id)
        .map_err(RuntimeError::container("name"))?
        .with_console_socket(request.console_socket)
        .as_init(dir)
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|error| told("create", &error, &mut heard))
}

/// libcontainer's error with the cause that its processes did not pass on.
pub fn told(action: &'static str, error: &dyn std::error::Error, heard: &mut Heard) -> RuntimeError {
    RuntimeError::Told { action, reason: reason(&chain(error), heard.first().as_deref()) }
}

/// What libcontainer says before it says anything.
const EMPTY_WORDS: [&str; 3] =
    ["failed to create container: ", "exec process failed with error ", "error in executing process : "];

fn reason(outer: &str, cause: Option<&str>) -> String {
    let outer = EMPTY_WORDS.iter().fold(outer, |text, words| text.strip_prefix(words).unwrap_or(text));
    let said = |cause: &str| {
        outer.contains(cause) || cause.split_once(": ").is_some_and(|(_, why)| outer.contains(why))
    };
    match cause {
        Some(cause) if cause.contains(outer) && !cause.ends_with(outer) => cause.to_owned(),
        Some(cause) if !said(cause) => format!("{outer}: {cause}"),
        _ => outer.to_owned(),
    }
}

/// What libcontainer leaves to do, while the container's program waits.
fn finish(
    request: Create<'_>,
    bundle: &Bundle,
    derived: Derived,
    cgroup: &Cgroup,
    container: Container,
) -> Result<Created, RuntimeError> {
    let pid = container.pid().ok_or(RuntimeError::NoProcess)?.as_raw();
    let mut warnings = derived.warnings;
    warnings.extend(restrict_devices(cgroup, derived.devices.as_deref(), derived.must_restrict)?);
    if derived.new_network {
        network::loopback_up(pid)?;
    }
    inside::change(pid, &derived.inside)?;
    let process = u32::try_from(pid).ok().and_then(ProcessId::of).ok_or(RuntimeError::NoProcess)?;
    let note = Note { bundle: bundle.path.clone(), rootfs: bundle.rootfs(), started: process.started };
    Known::write_note(request.root, request.id, &note)?;
    if let Some(path) = request.pid_file {
        write_pid(path, pid)?;
    }
    Ok(Created { container, warnings })
}

/// The devices that the container may use; a warning when the kernel does not let us say so.
fn restrict_devices(
    cgroup: &Cgroup,
    rules: Option<&[devices::Rule]>,
    must: bool,
) -> Result<Option<String>, RuntimeError> {
    let Some(rules) = rules else { return Ok(None) };
    match devices::restrict(&cgroup.dir(), rules)? {
        true => Ok(None),
        false if must => Err(RuntimeError::DevicesUnrestricted),
        false => Ok(Some(
            "it may use every device: this kernel has no CONFIG_CGROUP_BPF to restrict that".to_owned(),
        )),
    }
}

/// Writes a process id whole, for one who waits for the file.
pub fn write_pid(path: &Path, pid: i32) -> Result<(), RuntimeError> {
    whole::write(path, pid.to_string().as_bytes()).map_err(RuntimeError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_with_its_innermost_cause() {
        let cases = [
            ("failed to create container: io error", None, "io error"),
            (
                "failed to create container: failed to prepare rootfs",
                Some("failed to mount (err: EPERM)"),
                "failed to prepare rootfs: failed to mount (err: EPERM)",
            ),
            (
                "exec process failed with error error in executing process : no such program",
                Some("failed to initialize container process: no such program"),
                "no such program",
            ),
            ("io error", Some("io error (path: /x)"), "io error (path: /x)"),
        ];
        for (outer, cause, text) in cases {
            assert_eq!(reason(outer, cause), text);
        }
    }
}
