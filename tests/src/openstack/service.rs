//! What Nova says of a machine, where that machine asks for it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::{Server, script, variable};
use crate::PATIENCE;
use crate::metadata::ADDRESS;
use crate::netns::Netns;

/// A running metadata service. Dropping it stops it.
#[derive(Debug)]
pub struct MetadataService {
    process: Child,
    netns: Netns,
    /// Holds the file that says that it listens.
    _dir: TempDir,
}

impl MetadataService {
    /// The service of the whole cloud, for this server: by the proxy that Neutron would run.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let nova = format!("http://127.0.0.1:{}", server.metadata_port);
        let args = [
            ["--nova", &nova],
            ["--instance", &server.id],
            ["--project", &server.project],
            ["--ip", &server.address],
        ];
        Self::start("metadata-proxy.py", &args.concat())
    }

    /// Nova's own code with a server that is described here (`nova-metadata-serve.py`), for what its interfaces do not
    /// let one ask for.
    #[must_use]
    pub fn described(args: &[&str]) -> Self {
        Self::start("nova-metadata-serve.py", args)
    }

    fn start(name: &str, args: &[&str]) -> Self {
        let netns = Netns::new(&[&format!("{ADDRESS}/32")]);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let listens = dir.path().join("port");
        let python = Path::new(&variable("OPENSTACK_VENV")).join("bin/python");
        // The namespace is left to the script: it must reach Nova from outside of it.
        let space = netns.path();
        let mut command = Command::new(python);
        command.arg(script(name)).args(["--listen", &format!("{ADDRESS}:80")]);
        command.arg("--netns").arg(&space).arg("--portfile").arg(&listens).args(args);
        let mut process = command.stdout(Stdio::null()).spawn().expect("starting the metadata service");
        let begun = Instant::now();
        while !listens.exists() {
            let ended = process.try_wait().expect("looking at the metadata service");
            assert!(ended.is_none(), "{name} has ended with {ended:?}: what it said is above");
            assert!(begun.elapsed() < PATIENCE, "{name} does not listen");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Self { process, netns, _dir: dir }
    }

    /// Where it answers.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// What it answers to a path.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn get(&self, path: &str) -> Vec<u8> {
        let mut curl = self.netns.command("curl");
        let out = curl.args(["--silent", "--show-error", "--fail"]).arg(format!("http://{ADDRESS}{path}"));
        let out = out.output().expect("running curl");
        assert!(out.status.success(), "GET {path}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }
}

impl Drop for MetadataService {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
