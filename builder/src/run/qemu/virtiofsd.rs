//! Directories of the host that a machine can mount: a virtiofsd for each, as long as the machine runs.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use thiserror::Error;

use super::launch;
use super::plan::Share;
use super::state::State;

/// Where distributions put it besides `PATH`: Debian from 13 on and Fedora, Arch Linux, Debian 12.
const PLACES: [&str; 3] = ["/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"];

/// Why a directory cannot be shared.
#[derive(Debug, Error)]
pub enum ShareError {
    /// The program is nowhere.
    #[error(
        "found no virtiofsd, which shares directories with machines: install the Debian package virtiofsd, or name its \
         file with --virtiofsd"
    )]
    NoProgram,
    /// The program that was asked for is none.
    #[error("{} cannot be executed: it is not there, or no program", .0.display())]
    NotExecutable(PathBuf),
    /// It is not there, or something else.
    #[error("cannot share {}: it is no directory", .0.display())]
    NoDirectory(PathBuf),
    /// virtiofsd cannot be told such a name.
    #[error("cannot share {}: virtiofsd takes no path with a comma; share the directory above it", .0.display())]
    Comma(PathBuf),
    /// The state directory's name is too long for a socket.
    #[error("cannot share {}: the path of the state directory is too long for a socket; give a shorter --state", .0.display())]
    Socket(PathBuf),
    /// virtiofsd could not be started.
    #[error("cannot start {} for {}: {source}", program.display(), dir.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The directory.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The program that was asked for, or the distribution's.
pub fn program(asked: Option<&Path>) -> Result<PathBuf, ShareError> {
    if let Some(path) = asked {
        let found = launch::is_program(path).then(|| path.to_owned());
        return found.ok_or_else(|| ShareError::NotExecutable(path.to_owned()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|dir| dir.join("virtiofsd"));
    in_path
        .chain(PLACES.map(PathBuf::from))
        .find(|file| launch::is_program(file))
        .ok_or(ShareError::NoProgram)
}

/// The directories with the names that they have in the machine.
pub fn shares(dirs: &[PathBuf], state: &State) -> Result<Vec<Share>, ShareError> {
    let share = |(index, dir): (usize, &PathBuf)| {
        let dir = fs::canonicalize(dir)
            .ok()
            .filter(|dir| dir.is_dir())
            .ok_or_else(|| ShareError::NoDirectory(dir.clone()))?;
        if dir.as_os_str().as_encoded_bytes().contains(&b',') {
            return Err(ShareError::Comma(dir));
        }
        let tag = format!("virtiofs{index}");
        let socket = state.socket(&format!("{tag}.sock"));
        let socket = socket.ok_or_else(|| ShareError::Socket(dir.clone()))?;
        let log = state.file(&format!("{tag}.log"));
        Ok(Share { dir, tag, socket, log })
    };
    dirs.iter().enumerate().map(share).collect()
}

/// A virtiofsd that ended before its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Which directory the machine has lost.
    pub share: Share,
    /// How it ended; `None` when that cannot be known.
    pub status: Option<ExitStatus>,
}

/// The processes of a machine's shares. Dropping them ends them; [`Self::leave`] does not.
#[derive(Debug, Default)]
pub struct Servers {
    running: Vec<(Share, Child)>,
}

impl Servers {
    /// Starts one process for each share. QEMU can connect when this returns.
    pub fn start(program: Option<&Path>, shares: &[Share]) -> Result<Self, ShareError> {
        let mut servers = Self::default();
        for (program, share) in
            program.into_iter().flat_map(|program| shares.iter().map(move |s| (program, s)))
        {
            let child = start(program, share).map_err(|source| ShareError::Start {
                program: program.to_owned(),
                dir: share.dir.clone(),
                source,
            })?;
            servers.running.push((share.clone(), child));
        }
        Ok(servers)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// Watches them: `tell` hears of each that ends. The machine's own end closes the sockets, and so ends them all.
    pub fn watch(&self, tell: impl Fn(Share) + Clone + Send + 'static) {
        for (share, child) in &self.running {
            let (tell, share) = (tell.clone(), share.clone());
            let Ok(pid) = i32::try_from(child.id()).map(Pid::from_raw) else { continue };
            thread::spawn(move || {
                // Its number stays its own until `child` is waited for.
                if waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).is_ok() {
                    tell(share);
                }
            });
        }
    }

    /// How the process of a share ended.
    pub fn lost(&mut self, share: &Share) -> Lost {
        let child = self.running.iter_mut().find(|(other, _)| other == share);
        let status = child.and_then(|(_, child)| child.try_wait().ok().flatten());
        Lost { share: share.clone(), status }
    }

    /// Leaves them to the machine, whose end is theirs.
    pub fn leave(mut self) {
        self.running.clear();
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (share, child) in &mut self.running {
            // It may have ended; what is left then is to wait for it.
            child.kill().ok();
            child.wait().ok();
            fs::remove_file(&share.socket).ok();
        }
    }
}

fn start(program: &Path, share: &Share) -> io::Result<Child> {
    match fs::remove_file(&share.socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // It listens before anybody can connect, and connections wait until virtiofsd takes them.
    let listener = UnixListener::bind(&share.socket)?;
    // Inherited by the next process, and closed here after that.
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let log = File::create(&share.log)?;
    Command::new(program)
        .arg(format!("--fd={}", listener.as_fd().as_raw_fd()))
        // The older virtiofsd in C knows this spelling alone, the one in Rust knows it, too.
        .arg("-o")
        .arg({
            let mut source = std::ffi::OsString::from("source=");
            source.push(&share.dir);
            source
        })
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Keys that interrupt the machine do not pull its disks.
        .process_group(0)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shared_is_told_before_anything_starts() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("m-state")).unwrap();
        let comma = dir.path().join("a,b");
        fs::create_dir(&comma).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for (path, says) in [
            (dir.path().join("none"), "it is no directory"),
            (dir.path().join("file"), "it is no directory"),
            (comma, "no path with a comma"),
        ] {
            let error = shares(std::slice::from_ref(&path), &state).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(path.to_str().unwrap()), "{error}");
        }
        let deep = State::open(&dir.path().join("x".repeat(100))).unwrap();
        let error = shares(&[dir.path().to_owned()], &deep).unwrap_err().to_string();
        assert!(error.contains("give a shorter --state"), "{error}");
        let error = program(Some(&dir.path().join("file"))).unwrap_err().to_string();
        assert!(error.ends_with("cannot be executed: it is not there, or no program"), "{error}");
    }

    #[test]
    fn a_server_listens_at_once_and_ends_when_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("m-state")).unwrap();
        let shares = shares(&[dir.path().to_owned()], &state).unwrap();
        assert_eq!(shares[0].tag, "virtiofs0");
        let program = dir.path().join("virtiofsd");
        fs::write(&program, "#!/bin/sh\necho \"$@\"\nexec sleep 1000\n").unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let servers = Servers::start(Some(&program), &shares).unwrap();
        std::os::unix::net::UnixStream::connect(&shares[0].socket).unwrap();
        let pid = servers.running[0].1.id();
        drop(servers);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!shares[0].socket.exists());
    }

    #[test]
    fn a_server_that_ends_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("m-state")).unwrap();
        let shares = shares(&[dir.path().to_owned()], &state).unwrap();
        let mut servers = Servers::start(Some(Path::new("/bin/false")), &shares).unwrap();
        let (sender, ended) = std::sync::mpsc::channel();
        servers.watch(move |share| sender.send(share).unwrap());
        let share = ended.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(share, shares[0]);
        assert_eq!(servers.lost(&share).status.and_then(|status| status.code()), Some(1));
    }
}
