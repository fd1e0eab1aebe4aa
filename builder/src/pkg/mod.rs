//! Packages: a directory with a `build.yml` and a Dockerfile becomes an image in the cache.
//!
//! | module | duty |
//! |---|---|
//! | [`manifest`] | `build.yml` |
//! | [`argument`] | build arguments, and the packages that they name |
//! | [`dockerfile`] | what a Dockerfile does with them |
//! | [`hash`] | the tag: a hash of what git knows about the sources |
//! | [`recipe`] | the part of `Cargo.toml` and `Cargo.lock` that a tag covers |
//! | [`git`] | what git knows |
//! | [`graph`] | which package needs which, in what order, and that there is no cycle |
//! | [`cargo`] | static binaries of a Rust workspace for a package |
//! | [`context`] | the build context: the package's files, extra sources, binaries |
//! | [`depends`] | images of others in the build context |
//! | `local` | images that this machine alone has |
//! | [`facts`] | what every build is told about the package: arguments and labels |
//! | [`driver`] | who runs the Dockerfile |
//! | [`statement`] | which software an image has, as a statement about it |
//! | `steps` | what waits for what, and several of them at the same time |
//! | [`job`] | one package for one architecture: context, driver, cache |
//! | [`build`] | all of it together |
//! | [`publish`] | from the cache to a registry, and releases |

pub mod argument;
pub mod build;
pub mod cargo;
pub mod context;
pub mod depends;
pub mod dockerfile;
pub mod driver;
pub mod facts;
pub mod git;
pub mod graph;
pub mod hash;
pub mod job;
pub mod manifest;
pub mod publish;
pub mod recipe;
pub mod statement;

mod error;
mod local;
mod scratch;
mod steps;

pub use error::PkgError;
pub use graph::Resolver;
