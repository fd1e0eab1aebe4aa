//! A machine in a temporary directory, and runs of the agent on it.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metadata_agent::console::Console;
use metadata_agent::local::Local;
use metadata_agent::provider::Provider;
use metadata_agent::run::{Machine, Settings, run};
use tempfile::TempDir;

thread_local! {
    static HOSTNAME: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One machine, and what came of a run on it.
pub struct Try {
    pub root: TempDir,
    pub clean: bool,
    pub log: String,
    pub hostname: Option<String>,
    pub took: Duration,
}

impl Try {
    /// Asks `providers` on the machine in `root`, which is made if there is none yet.
    pub fn on(root: TempDir, providers: &[Arc<dyn Provider>], settings: Settings) -> Self {
        let machine = Machine {
            config: root.path().join("config"),
            run_config: root.path().join("run"),
            set_hostname: |name| {
                HOSTNAME.with_borrow_mut(|slot| *slot = Some(name.to_owned()));
                Ok(())
            },
            local: Local::below(root.path()),
        };
        if !machine.config.exists() {
            fs::create_dir(&machine.config).unwrap();
            symlink(&machine.config, &machine.run_config).unwrap();
        }
        HOSTNAME.set(None);
        let log = Log::default();
        let began = Instant::now();
        let clean = run(providers, settings, &machine, &Arc::new(Console::new(log.clone(), true)));
        let took = began.elapsed();
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.lines().all(|line| line.starts_with("metadata: ")), "{log}");
        Self { root, clean, log, hostname: HOSTNAME.take(), took }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("config").join(name)
    }

    pub fn read(&self, name: &str) -> Option<String> {
        fs::read(self.path(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    pub fn says(&self, wanted: &str) {
        assert!(self.log.contains(wanted), "{wanted:?} is missing in:\n{}", self.log);
    }

    /// All names but those that lead to others, relative to the directory.
    pub fn names(&self) -> Vec<String> {
        fn walk(root: &Path, at: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(root).unwrap().display().to_string());
                if path.is_dir() {
                    walk(root, &path, found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(""), &self.path(""), &mut found);
        found.retain(|name| !name.starts_with('.'));
        found.sort();
        found
    }
}
