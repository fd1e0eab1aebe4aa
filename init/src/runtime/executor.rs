//! The last step inside the container: from libcontainer's cloned process to the container's own program.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use nix::sys::signal::SigSet;
use oci_spec::runtime::{LinuxSeccomp, Spec};

use super::exec::set_terminal_size;
use super::seccomp;

/// Where programs are looked for when the container has no PATH; LinuxKit's images often have none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Executes `process.args` with an empty signal mask and default signal dispositions.
///
/// libcontainer's own executor refuses a container without PATH, and would hand on our blocked signals and ignored
/// SIGPIPE.
#[derive(Debug, Clone, Default)]
pub struct Program {
    envs: RefCell<HashMap<String, String>>,
    seccomp: Option<LinuxSeccomp>,
}

impl Program {
    /// The program of an added process, whose system calls libcontainer would not restrict.
    pub fn added(seccomp: Option<LinuxSeccomp>) -> Self {
        Self { seccomp, ..Self::default() }
    }
}

impl Executor for Program {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        find(spec).map(|_| ()).map_err(ExecutorValidationError::ArgValidationError)
    }

    fn setup_envs(&self, envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        self.envs.replace(envs);
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let program = find(spec).map_err(ExecutorError::Other)?;
        let mut words = args(spec).iter();
        let mut command = Command::new(&program);
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        // std's exec resets SIGPIPE, but hands on the signal mask.
        SigSet::empty().thread_set_mask().map_err(|errno| ExecutorError::Execution(Box::new(errno)))?;
        if let Some(process) = spec.process() {
            set_terminal_size(process);
        }
        if let Some(filter) = &self.seccomp {
            // The last thing before the program: the filter need not allow what we do.
            seccomp::load(filter).map_err(ExecutorError::Other)?;
        }
        let error = command.args(words).env_clear().envs(self.envs.borrow().iter()).exec();
        // Nobody listens to our result any more; the container's stderr is the one way to be heard.
        eprintln!("cannot execute {}: {error}", program.display());
        Err(ExecutorError::Execution(Box::new(error)))
    }
}

fn args(spec: &Spec) -> &[String] {
    spec.process().as_ref().and_then(|process| process.args().as_deref()).unwrap_or_default()
}

fn find(spec: &Spec) -> Result<PathBuf, String> {
    let name = args(spec).first().ok_or("process.args in config.json is empty")?;
    let env = spec.process().as_ref().and_then(|process| process.env().as_deref()).unwrap_or_default();
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    lookup(name, path, is_executable)
}

/// The file that `name` stands for; as execvp(3) does it, without its fall-back to a shell.
fn lookup(name: &str, path: &str, executable: impl Fn(&Path) -> bool) -> Result<PathBuf, String> {
    if name.contains('/') {
        let file = PathBuf::from(name);
        return if executable(&file) {
            Ok(file)
        } else {
            Err(format!("{name} is not an executable file in the container"))
        };
    }
    path.split(':')
        .map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name))
        .find(|file| executable(file))
        .ok_or_else(|| format!("program {name:?} is not in the container's PATH ({path})"))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_along_path_in_order() {
        let here =
            |file: &Path| [Path::new("/usr/bin/a"), Path::new("/bin/a"), Path::new("/bin/b")].contains(&file);
        assert_eq!(lookup("a", "/sbin:/usr/bin:/bin", here), Ok("/usr/bin/a".into()));
        assert_eq!(lookup("b", DEFAULT_PATH, here), Ok("/bin/b".into()));
        assert_eq!(lookup("/bin/b", "/nowhere", here), Ok("/bin/b".into()));
        assert!(lookup("c", "/bin", here).unwrap_err().contains("not in the container's PATH (/bin)"));
        assert!(lookup("./b", "/bin", here).is_err());
    }
}
