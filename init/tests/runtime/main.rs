//! `init runtime` as runc is called, with containers on the machine that builds: the host's `/usr` in an empty root.
//!
//! Needs root and cgroups; without them the tests say so and check nothing.
//!
//! | module | duty |
//! | --- | --- |
//! | [`container`] | a container of a test |
//! | [`life`] | from created to deleted |
//! | [`process`] | what the first process has, and added ones |
//! | [`terminal`] | terminals that are handed over |
//! | [`mounts`] | what is mounted, and what must not be |
//! | [`runner`] | one process for many containers |
//! | [`shim`] | containerd's shim, which runs them for containerd |

mod container;
mod life;
mod mounts;
mod process;
mod runner;
mod shim;
mod terminal;
