//! What a container is given that neither the YAML nor its image's label speak of.

use std::sync::LazyLock;

use crate::config::{Memory, Overrides, Pids, Resources};

/// What a container is given that neither the YAML nor its image's label speak of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// What LinuxKit gives
    #[default]
    Compat,
    /// As little as most containers can do with; what a container needs beyond that, it asks for by name
    Hardened,
}

/// Most memory of a container, in bytes: half of a small machine.
const MEMORY: i64 = 512 << 20;
/// Most processes and threads of a container.
const PIDS: i64 = 512;

/// What tells too much of the machine (Moby's default).
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// What changes the machine, and not the container (Moby's default).
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

static NOTHING: LazyLock<Overrides> = LazyLock::new(Overrides::default);

static HARDENED: LazyLock<Overrides> = LazyLock::new(|| Overrides {
    masked_paths: Some(MASKED.map(str::to_owned).to_vec()),
    readonly_paths: Some(READ_ONLY.map(str::to_owned).to_vec()),
    no_new_privileges: Some(true),
    cgroupns: Some("new".to_owned()),
    seccomp: Some(super::SECCOMP_DEFAULT.to_owned()),
    ..Overrides::default()
});

impl Profile {
    /// The values of those keys that neither YAML nor label give.
    pub(super) fn defaults(self) -> &'static Overrides {
        match self {
            Profile::Compat => &NOTHING,
            Profile::Hardened => &HARDENED,
        }
    }

    /// Adds those limits that are not given; -1 is given, and none.
    pub(super) fn limit(self, resources: &mut Resources) {
        if self == Profile::Compat {
            return;
        }
        resources.memory.get_or_insert_with(Memory::default).limit.get_or_insert(MEMORY);
        resources.pids.get_or_insert(Pids { limit: PIDS });
    }
}
