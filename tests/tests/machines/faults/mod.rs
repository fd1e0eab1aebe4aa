//! The fault suite: what goes wrong in machines is made to go wrong, and nothing may be lost.
//!
//! | file | what goes wrong |
//! |---|---|
//! | `kills` | processes are killed, alone and together, under load |
//! | `services` | services misbehave |
//! | `tended` | services are stopped that others require; run and do not serve; speak to LinuxKit's log daemon |
//! | `ctr` | containerd's client has its way with services |
//! | `hang` | the supervisor hangs, and PID 1 |
//! | `steps` | onboot steps and services that cannot work |
//! | `full` | file systems are full |
//! | `without` | the machine lacks something: console, cgroup v2, controllers, the time |
//! | `mute` | containerd never answers |
//! | `power_cut` | the power is cut during writes |
//! | `metadata_cut` | the power is cut while metadata is written |
//!
//! `make test` runs a short form of each; `LK_FAULTS=full`, which `make faults` sets, the whole. `LK_FAULTS_SEED` is what
//! the order of random faults comes from (1 unless set).

mod ctr;
mod dice;
mod full;
mod hang;
mod kills;
mod metadata_cut;
mod mute;
mod power_cut;
mod services;
mod steps;
mod tended;
mod without;

/// How much is done: `full` with `LK_FAULTS=full`, else `short`.
fn scaled(short: usize, full: usize) -> usize {
    if std::env::var_os("LK_FAULTS").is_some_and(|value| value == "full") { full } else { short }
}
