//! A kernel that only remembers, for tests.

use nix::errno::Errno;

use crate::load::Kernel;

/// Remembers what was inserted; fails as told.
#[derive(Debug, Default)]
pub struct FakeKernel {
    /// File and parameters of each module, in order.
    pub inserted: Vec<String>,
    /// Files that the kernel refuses, and how.
    pub failing: Vec<(&'static str, Errno)>,
}

impl Kernel for FakeKernel {
    fn is_loaded(&self, name: &str) -> bool {
        self.inserted.iter().any(|line| line.starts_with(&format!("{name}.ko")))
    }

    fn insert(&mut self, file: &str, parameters: &str) -> Result<(), Errno> {
        if let Some((_, errno)) = self.failing.iter().find(|(name, _)| *name == file) {
            return Err(*errno);
        }
        self.inserted.push(format!("{file} {parameters}").trim().to_owned());
        Ok(())
    }
}
