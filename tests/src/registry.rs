//! A registry of images beside a machine: Debian's `docker-registry`.

use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::PATIENCE;
use crate::netns::Netns;

/// A registry without encryption, until it is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    /// What it keeps.
    _dir: tempfile::TempDir,
}

impl Registry {
    /// What it is called in its network namespace.
    pub const BESIDE: &str = "localhost:5000";
    /// What a machine there calls it.
    pub const FROM_A_MACHINE: &str = "10.0.2.2:5000";

    /// Starts one in `netns`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start(netns: &Netns) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("config.yml");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/storage}}}}\nhttp: {{addr: 127.0.0.1:5000}}\n",
            dir.path().display()
        );
        std::fs::write(&file, config).expect("writing the registry's configuration");
        let mut command = netns.command("docker-registry");
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("running docker-registry, which `make deps` installs");
        let registry = Self { process, _dir: dir };
        let begun = Instant::now();
        while netns.run(|| TcpStream::connect("127.0.0.1:5000")).is_err() {
            assert!(begun.elapsed() < PATIENCE, "docker-registry does not answer");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may only have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
