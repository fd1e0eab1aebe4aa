//! `runtime exec`: one more process in a running container.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::unistd::Pid;
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};

use super::args::Exec;
use super::create::{told, write_pid};
use super::derive::{Machine, normalise_process};
use super::executor::Program;
use super::known::{Known, Status, derived};
use super::run::Signals;
use super::{RuntimeError, causes, cgroup, home, read_bounded};

const LIMIT: u64 = 4 << 20;

/// Adds a process to a container; the exit code is 0 when it is detached, else the process's.
pub fn exec(root: &Path, exec: &Exec) -> Result<u8, RuntimeError> {
    let known = Known::load(root, &exec.id)?;
    let status = known.status();
    if status != Status::Running {
        return Err(RuntimeError::State { action: "add a process to", status });
    }
    let dir = derived(root, &exec.id);
    let spec: Spec = read_json(&dir.join(image_layout::CONFIG))?;
    if has_own_users(&spec) {
        return Err(RuntimeError::Unsupported(
            "a process cannot be added to a container with a user namespace of its own".to_owned(),
        ));
    }
    let rootfs = known.note.as_ref().map(|note| note.rootfs.clone()).unwrap_or_default();
    let process = process(exec, &spec, &rootfs)?;
    if process.terminal() == Some(true) && !(exec.detach && exec.console_socket.is_some()) {
        return Err(RuntimeError::Unsupported(
            "a terminal needs --detach and --console-socket: whoever listens there has the other side"
                .to_owned(),
        ));
    }
    let file = Temporary::write(&dir, &process)?;
    // Before the clone, so that no end is missed; the program gets an empty mask.
    let signals = if exec.detach { None } else { Some(Signals::block()?) };
    let pid = build(root, exec, &file.0, &spec)?;
    drop(file);
    if let Some(path) = &exec.pid_file {
        write_pid(path, pid.as_raw())?;
    }
    signals.map_or(Ok(0), |signals| signals.wait_for_exit(pid))
}

fn build(root: &Path, exec: &Exec, process: &Path, spec: &Spec) -> Result<Pid, RuntimeError> {
    let mut heard = causes::collect()?;
    let seccomp = spec.linux().as_ref().and_then(|linux| linux.seccomp().clone());
    ContainerBuilder::new(exec.id.clone(), SyscallType::default())
        .with_executor(Program::added(seccomp))
        .with_root_path(root)
        .map_err(RuntimeError::container("name"))?
        .with_console_socket(exec.console_socket.as_deref())
        .as_tenant()
        .with_detach(exec.detach)
        .with_process(Some(process))
        .build()
        .map(|pid| Pid::from_raw(pid.as_raw()))
        .map_err(|error| told("add a process to", &error, &mut heard))
}

/// libcontainer would leave the process in the host's user namespace, where the container's root is the machine's.
fn has_own_users(spec: &Spec) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    namespaces.unwrap_or_default().iter().any(|namespace| namespace.typ() == LinuxNamespaceType::User)
}

/// The process to add: the one in the file, or the container's own with another program.
fn process(exec: &Exec, spec: &Spec, rootfs: &Path) -> Result<Process, RuntimeError> {
    let own = spec.process().clone().unwrap_or_default();
    let mut process = match &exec.process {
        Some(path) => read_json(path)?,
        None => like(&own, exec),
    };
    if process.cwd().as_os_str().is_empty() {
        process.set_cwd(PathBuf::from("/"));
    }
    if process.oom_score_adj().is_none() {
        process.set_oom_score_adj(own.oom_score_adj());
    }
    let machine = Machine {
        exists: &|path| path.exists(),
        home: &|uid| home::of(rootfs, uid),
        unified: cgroup::is_unified(),
    };
    normalise_process(&mut process, machine);
    Ok(process)
}

fn like(own: &Process, exec: &Exec) -> Process {
    let mut process = own.clone();
    process.set_args(Some(exec.args.clone()));
    process.set_terminal(Some(exec.tty));
    let name = |entry: &String| entry.split('=').next().unwrap_or_default().to_owned();
    let given: Vec<String> = exec.env.iter().map(name).collect();
    let mut env = own.env().clone().unwrap_or_default();
    env.retain(|entry| !given.contains(&name(entry)));
    env.extend(exec.env.iter().cloned());
    if let Some((uid, gid)) = exec.user {
        if uid != own.user().uid() {
            // The home of another user is looked up anew.
            env.retain(|entry| given.contains(&name(entry)) || !entry.starts_with("HOME="));
        }
        process.user_mut().set_uid(uid);
        if let Some(gid) = gid {
            process.user_mut().set_gid(gid);
        }
    }
    process.set_env(Some(env));
    if let Some(cwd) = &exec.cwd {
        process.set_cwd(cwd.clone());
    }
    process
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RuntimeError> {
    let bytes = read_bounded(path, LIMIT)?;
    serde_json::from_slice(&bytes).map_err(|source| RuntimeError::Json { path: path.to_owned(), source })
}

/// The file that libcontainer reads the process from; removed when it has done so.
struct Temporary(PathBuf);

impl Temporary {
    fn write(dir: &Path, process: &Process) -> Result<Self, RuntimeError> {
        // One process of ours adds one process to a container.
        let path = dir.join(format!("process-{}.json", std::process::id()));
        super::write_whole(&path, process)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It goes with the container's directory at the latest.
        drop(std::fs::remove_file(&self.0));
    }
}

/// Sets a terminal's size, when the process asks for one.
pub fn set_terminal_size(process: &Process) {
    let (Some(true), Some(size)) = (process.terminal(), process.console_size()) else { return };
    let cells = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    let size = rustix::termios::Winsize {
        ws_row: cells(size.height()),
        ws_col: cells(size.width()),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // A terminal of another size is better than none.
    let _ = rustix::termios::tcsetwinsize(std::io::stdin().as_fd(), size);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        serde_json::from_str(
            r#"{"ociVersion":"1.2.1","root":{"path":"rootfs"},
                "process":{"user":{"uid":5,"gid":6,"additionalGids":[7]},"args":["/a"],"cwd":"/w","oomScoreAdj":-5,
                "noNewPrivileges":true,"env":["A=1","HOME=/five"],"capabilities":{"bounding":["CAP_KILL"]}},
                "linux":{"namespaces":[{"type":"mount"}]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn an_added_program_is_the_containers_own_in_all_but_its_words() {
        let exec = Exec { args: vec!["ls".into()], env: vec!["A=2".into()], ..Exec::default() };
        let process = process(&exec, &spec(), Path::new("/nonexistent")).unwrap();
        assert_eq!(process.args().as_deref(), Some(["ls".to_owned()].as_slice()));
        assert_eq!(process.env().as_deref(), Some(["HOME=/five".to_owned(), "A=2".to_owned()].as_slice()));
        assert_eq!((process.user().uid(), process.user().gid()), (5, 6));
        assert_eq!(process.user().additional_gids().as_deref(), Some([7].as_slice()));
        assert_eq!(process.cwd(), Path::new("/w"));
        assert_eq!(process.no_new_privileges(), Some(true));
        assert_eq!(process.oom_score_adj(), Some(-5));
        assert_eq!(process.capabilities().as_ref().unwrap().bounding().as_ref().unwrap().len(), 1);
    }

    #[test]
    fn another_user_has_another_home() {
        let exec = Exec { args: vec!["ls".into()], user: Some((0, Some(0))), ..Exec::default() };
        let process = process(&exec, &spec(), Path::new("/nonexistent")).unwrap();
        assert_eq!(process.env().as_deref(), Some(["A=1".to_owned(), "HOME=/".to_owned()].as_slice()));
    }

    #[test]
    fn a_process_from_a_file_has_the_capabilities_it_names_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("process");
        std::fs::write(&file, r#"{"user":{"uid":0,"gid":0},"args":["/b"],"cwd":"/"}"#).unwrap();
        let exec = Exec { process: Some(file), ..Exec::default() };
        let process = process(&exec, &spec(), Path::new("/nonexistent")).unwrap();
        assert!(process.capabilities().as_ref().unwrap().permitted().as_ref().unwrap().is_empty());
        assert_eq!(process.env().as_deref(), Some(["HOME=/".to_owned()].as_slice()));
        assert_eq!(process.oom_score_adj(), Some(-5));
    }

    #[test]
    fn containers_with_users_of_their_own_are_recognised() {
        assert!(!has_own_users(&spec()));
        let mut with = spec();
        let text = r#"{"namespaces":[{"type":"user"}]}"#;
        with.set_linux(Some(serde_json::from_str(text).unwrap()));
        assert!(has_own_users(&with));
    }
}
