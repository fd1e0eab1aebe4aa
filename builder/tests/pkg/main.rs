//! `lkb pkg`, with real trees in git, a real buildah and a real registry.

mod bad_input;
mod build;
mod docker;
mod hash;
mod local;
mod login;
mod push;
#[path = "../registries/mod.rs"]
mod registries;
mod workshop;
