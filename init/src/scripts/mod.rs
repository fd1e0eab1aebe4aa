//! Scripts of other people's packages: `/etc/init.d` and `/etc/shutdown.d`, as LinuxKit's init runs them.
//!
//! LinuxKit's own packages put links to `service` there, whose names say what to do: `010-onboot`, `020-containerd`. PID 1
//! and the supervisor do all that by themselves, so links to this binary are passed over; the numbers stay the moments
//! by which other scripts are placed (see [`Phase`]). They run one after another in the order of their names, each once in
//! the life of the machine, with a deadline, and what became of it is told.
//!
//! A short-lived process runs them: neither PID 1 nor the supervisor waits for a program that somebody else wrote.

mod phase;
mod script;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::fcntl::{Flock, FlockArg};

pub use phase::Phase;

use crate::runtime::STATE_ROOT;

/// The most that is read of the names of those that have run, in bytes.
const LIMIT: u64 = 1 << 20;

/// The scripts of a phase that are not this binary's own links, by name.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn of(phase: Phase) -> io::Result<Vec<PathBuf>> {
    // PID 1 mounts /proc before anyone looks for scripts; were it missing, none would count as ours.
    let ours = fs::metadata("/proc/self/exe").map(|exe| (exe.dev(), exe.ino())).ok();
    below(Path::new(phase.directory()), phase, ours)
}

fn below(directory: &Path, phase: Phase, ours: Option<(u64, u64)>) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut scripts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let belongs = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| phase.has(name));
        // Links are followed; one that leads nowhere, as those to a `service` that was replaced, is nobody's script.
        let Some(found) = belongs.then(|| fs::metadata(&path).ok()).flatten() else { continue };
        if found.is_file() && ours != Some((found.dev(), found.ino())) {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// Runs `init scripts PHASE`; `args` are those after the name.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let [word] = args else { return usage() };
    let Some(phase) = word.to_str().and_then(Phase::from_name) else { return usage() };
    match of(phase).and_then(|scripts| run(&scripts, phase, &Path::new(STATE_ROOT).join("scripts"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}: scripts may not have run", phase.directory());
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: scripts {}", Phase::ALL.map(Phase::name).join("|"));
    ExitCode::from(2)
}

/// Runs those that have not run yet. Whoever came first is waited for: a supervisor that died left it running.
fn run(scripts: &[PathBuf], phase: Phase, state: &Path) -> io::Result<()> {
    fs::create_dir_all(state)?;
    let path = state.join(phase.name());
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
    let done = names(&file)?;
    for script in scripts {
        let name = script.to_string_lossy();
        if done.iter().any(|done| *done == name) {
            continue;
        }
        // Noted before it can have any effect: better not run at all than run twice.
        writeln!(file, "{name}")?;
        eprintln!("{name}: {}", script::run(script, phase.deadline()));
    }
    Ok(())
}

fn names(file: &File) -> io::Result<Vec<String>> {
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn scripts_are_the_regular_files_of_a_phase_by_name_but_for_links_to_ourselves() {
        let dir = tempfile::tempdir().unwrap();
        let ours = script(dir.path(), "service", "");
        let etc = dir.path().join("init.d");
        fs::create_dir_all(etc.join("003-directory")).unwrap();
        script(&etc, "004-late", "");
        script(&etc, "002-early", "");
        script(&etc, "030-after", "");
        symlink(&ours, etc.join("005-volumes")).unwrap();
        symlink("nowhere", etc.join("006-gone")).unwrap();
        symlink(etc.join("002-early"), etc.join("007-link")).unwrap();
        let found = fs::metadata(&ours).unwrap();
        let scripts = below(&etc, Phase::BeforeOnboot, Some((found.dev(), found.ino()))).unwrap();
        assert_eq!(scripts, ["002-early", "004-late", "007-link"].map(|name| etc.join(name)));
        assert!(below(&dir.path().join("none"), Phase::BeforeOnboot, None).unwrap().is_empty());
    }

    #[test]
    fn each_runs_once_whoever_asks_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let make =
            |name: &str| script(dir.path(), name, &format!("#!/bin/sh\necho {name} >>{}\n", log.display()));
        let scripts = [make("001-a"), make("002-b")];
        let state = dir.path().join("state");
        run(&scripts[..1], Phase::BeforeOnboot, &state).unwrap();
        run(&scripts, Phase::BeforeOnboot, &state).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "001-a\n002-b\n");
    }
}
