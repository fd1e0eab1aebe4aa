//! A machine that one logs in to by SSH, on this one: OpenSSH's server, on a port of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workshop::answer;

/// A server that runs for as long as this lives.
pub struct Login {
    process: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Login {
    /// Starts one where programs find `variable` (`NAME=VALUE`) in their environment.
    pub fn start(variable: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "user"] {
            answer(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\nSetEnv {variable}\n",
            path("host"),
            path("user.pub")
        );
        fs::write(path("config"), config).unwrap();
        let host = fs::read_to_string(path("host.pub")).unwrap();
        fs::write(path("known_hosts"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        // What a user's ~/.ssh says.
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F none -o BatchMode=yes -o UserKnownHostsFile={} -i {} \"$@\"\n",
            path("known_hosts"),
            path("user")
        );
        fs::create_dir(path("bin")).unwrap();
        fs::write(path("bin/ssh"), ssh).unwrap();
        fs::set_permissions(path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        // Its own directory, which whoever starts it at boot makes.
        fs::create_dir_all("/run/sshd").unwrap();
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("config")])
            .stdin(Stdio::null())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("sshd: {error}"));
        let login = Self { process, dir, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(login.dir.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "sshd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        login
    }

    /// What it is called.
    pub fn address(&self) -> String {
        format!("ssh://root@127.0.0.1:{}", self.port)
    }

    /// The search path of programs that may log in.
    pub fn path(&self) -> String {
        let bin: &Path = &self.dir.path().join("bin");
        format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
