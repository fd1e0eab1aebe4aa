//! Registries of a test's own: a real one, and one that misbehaves.

#![allow(dead_code, reason = "every test takes what it needs")]

pub mod fake;
pub mod images;
pub mod real;
mod signed;
pub mod uploads;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with an empty cache and an empty home.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("docker")).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Docker's `config.json`.
    pub fn write_docker_config(&self, json: &serde_json::Value) {
        std::fs::write(self.path("docker/config.json"), json.to_string()).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
        command.current_dir(self.dir.path()).arg("--cache").arg(self.path("cache")).args(args);
        command.env("HOME", self.dir.path()).env("DOCKER_CONFIG", self.path("docker"));
        command.env_remove("LINUXKIT_MIRROR");
        command
    }

    /// What `lkb` says when it works: standard error, standard output.
    pub fn works(&self, args: &[&str]) -> (String, String) {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        (stderr(&output), String::from_utf8(output.stdout).unwrap())
    }

    /// What `lkb` says when it fails.
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        stderr(&output)
    }

    /// The names of the blobs in the cache.
    pub fn blobs(&self) -> Vec<String> {
        names(&self.path("cache/blobs/sha256"))
    }

    /// Asserts that nothing of an image has a name, nor lies about half done.
    pub fn assert_no_image(&self) {
        assert_eq!(self.works(&["cache", "ls"]).1, "");
        assert_eq!(names(&self.path("cache/tmp")), [""; 0]);
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
