//! What is asked of a machine from beside it, as its clients do.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::vm::Vm;

impl Vm {
    /// Runs a command beside the machine until it succeeds, which is when the machine serves; returns what it printed.
    ///
    /// # Panics
    /// When it does not succeed in time.
    #[must_use]
    pub fn ask(&self, program: &str, args: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let out = self.netns().command(program).args(args).stdin(Stdio::null()).output();
            let out = out.unwrap_or_else(|e| panic!("running {program}: {e}"));
            if out.status.success() {
                return String::from_utf8_lossy(&out.stdout).into_owned();
            }
            let errors = String::from_utf8_lossy(&out.stderr);
            assert!(start.elapsed() < PATIENCE, "{program} {args:?}: {}: {errors}", out.status);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Fetches `path` from a web server of the machine, on a published port, once it serves.
    ///
    /// # Panics
    /// When it does not serve in time.
    #[must_use]
    pub fn fetch(&self, port: u16, path: &str) -> String {
        let url = format!("http://127.0.0.1:{port}{path}");
        self.ask("curl", &["--silent", "--show-error", "--fail", "--include", "--max-time", "20", &url])
    }
}
