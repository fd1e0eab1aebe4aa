//! What can go wrong with a package.

use std::path::PathBuf;

/// An error that names the package it is about.
#[derive(Debug, thiserror::Error)]
pub enum PkgError {
    /// The directory has no readable `build.yml`.
    #[error("no package in {dir}: can't read {file}: {source}", dir = dir.display(), file = file.display())]
    NoManifest {
        /// The package directory.
        dir: PathBuf,
        /// The manifest that was tried.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `build.yml` is not what it should be.
    #[error("{file}: {message}", file = file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// What is wrong, with line and column where known.
        message: String,
    },
    /// Packages need each other in a circle.
    #[error("packages need each other in a circle: {}", .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" → "))]
    Cycle(Vec<PathBuf>),
    /// An outside program failed.
    #[error("{doing}: `{command}` {outcome}{}", if output.is_empty() { String::new() } else { format!(":\n{output}") })]
    Command {
        /// What it was run for.
        doing: String,
        /// The command line.
        command: String,
        /// How it ended.
        outcome: String,
        /// The last lines that it printed.
        output: String,
    },
    /// An outside program is not there.
    #[error("{doing}: `{program}` is not installed; {remedy}")]
    Missing {
        /// What it was wanted for.
        doing: String,
        /// Its name.
        program: String,
        /// How to get it.
        remedy: String,
    },
    /// A file operation failed.
    #[error("{doing} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A name and tag that make no image reference.
    #[error(transparent)]
    Reference(#[from] crate::image::ReferenceError),
    /// The cache refused.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
}

impl PkgError {
    /// For `map_err`: an I/O error with what was tried on which path.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
