//! Packages: a directory with a `build.yml` and a Dockerfile becomes an image in the cache.
//!
//! | module | duty |
//! |---|---|
//! | [`manifest`] | `build.yml` |
//! | [`hash`] | the tag: a hash of what git knows about the sources |
//! | [`recipe`] | the part of `Cargo.toml` and `Cargo.lock` that a tag covers |
//! | [`git`] | what git knows |
//! | [`graph`] | which package needs which, in what order, and that there is no cycle |
//! | [`cargo`] | static binaries of a Rust workspace for a package |
//! | [`context`] | the build context: the package's files, extra sources, binaries |
//! | [`driver`] | who runs the Dockerfile |
//! | [`build`] | all of it together |

pub mod build;
pub mod cargo;
pub mod context;
pub mod driver;
pub mod git;
pub mod graph;
pub mod hash;
pub mod manifest;
pub mod recipe;

mod error;
mod scratch;

pub use error::PkgError;
pub use graph::Resolver;
