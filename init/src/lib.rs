//! PID 1, supervisor, OCI runtime and service command of an appliance, in one static binary.
//!
//! | module | duty |
//! | --- | --- |
//! | [`face`] | which of the binary's programs was asked for |
//! | [`pid1`] | boot, reap, shut down: a table of states |
//! | [`device`] | device events, kernel modules, disks and their links |
//! | [`stage`] | the boot in two stages: which disk is the root |
//! | [`power`] | asking PID 1 to go down, the power button |
//! | [`supervisor`] | the plan of containers and the life of each |
//! | [`engine`], [`runtime`], [`shim`] | what runs a container |
//! | [`scripts`] | `/etc/init.d` and `/etc/shutdown.d` |
//! | [`service`] | the operator's command |
//! | [`watch`] | files that grow, processes that end |
//! | [`heartbeat`] | how PID 1 knows that the supervisor does not hang |
//! | [`timeline`] | what took how long while the machine booted |
//! | [`cgroup`] | cgroups of either version: which, who is in them, what they count |
//! | [`sys`] | what nix does not offer |
//! | [`rcu`] | how much the kernel hurries |
//! | [`rfc3339`], [`terminal`] | times as text; what may be shown to people |
//! | [`whole`] | files that are there whole or not at all |
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod cgroup;
pub mod device;
pub mod engine;
pub mod face;
pub mod heartbeat;
pub mod pid1;
pub mod power;
pub mod rcu;
pub mod rfc3339;
pub mod runtime;
pub mod scripts;
pub mod service;
pub mod shim;
pub mod stage;
pub mod supervisor;
pub mod sys;
pub mod terminal;
pub mod timeline;
pub mod watch;
pub mod whole;
