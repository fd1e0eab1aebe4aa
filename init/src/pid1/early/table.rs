//! The mount table, and what is made on the mounts: data. Flags, sizes and modes are LinuxKit's (rc.init).

use nix::mount::MsFlags;

/// How much the machine depends on a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing works without it.
    Essential,
    /// Something will not work without it: its absence is said.
    Expected,
    /// A feature of some kernels: its absence is normal.
    Feature,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub target: &'static str,
    pub kind: &'static str,
    pub flags: MsFlags,
    pub data: &'static str,
    pub need: Need,
}

const RELATIME: MsFlags = MsFlags::MS_RELATIME;
const NODEV: MsFlags = MsFlags::MS_NODEV;
const NOSUID: MsFlags = MsFlags::MS_NOSUID;
const NOEXEC: MsFlags = MsFlags::MS_NOEXEC;
/// Neither devices nor programs.
const DATA: MsFlags = NODEV.union(NOSUID).union(NOEXEC).union(RELATIME);
/// Devices, but no programs.
const DEVICES: MsFlags = NOSUID.union(NOEXEC).union(RELATIME);

const fn entry(
    target: &'static str,
    kind: &'static str,
    flags: MsFlags,
    data: &'static str,
    need: Need,
) -> Entry {
    Entry { target, kind, flags, data, need }
}

/// What there must be before anything can be known.
pub const PROC: [Entry; 1] = [entry("/proc", "proc", DATA, "", Need::Essential)];

/// What there must be before there is a console.
pub const DEV: [Entry; 1] =
    [entry("/dev", "devtmpfs", DEVICES, "size=10m,nr_inodes=248418,mode=755", Need::Essential)];

/// What is needed to find a root on a disk.
#[rustfmt::skip]
pub const STAGE_ONE: [Entry; 1] = [
    entry("/sys",  "sysfs",    DATA,    "",                                     Need::Essential),
];

/// Everything else, in order.
///
/// What init itself keeps at run time has a file system of its own: whoever fills `/run` must not take from the
/// supervisor what it knows.
#[rustfmt::skip]
pub const MOUNTS: [Entry; 8] = [
    entry("/run",            "tmpfs",   DATA,    "size=10%,mode=755",           Need::Essential),
    entry("/run/lkb",        "tmpfs",   DATA,    "size=16m,mode=755",           Need::Expected),
    entry("/tmp",            "tmpfs",   DATA,    "size=10%,mode=1777",          Need::Expected),
    entry("/var",            "tmpfs",   DATA,    "size=50%,mode=755",           Need::Expected),
    entry("/dev/mqueue",     "mqueue",  DATA,    "",                            Need::Expected),
    entry("/dev/shm",        "tmpfs",   DATA,    "mode=1777",                   Need::Expected),
    entry("/dev/pts",        "devpts",  DEVICES, "gid=5,mode=0620",             Need::Expected),
    entry("/sys",            "sysfs",   DATA,    "",                            Need::Essential),
];

/// Where control groups are.
pub const CGROUPS: &str = "/sys/fs/cgroup";
/// cgroup v2.
pub const UNIFIED: Entry = entry(CGROUPS, "cgroup2", DATA, "nsdelegate,memory_recursiveprot", Need::Expected);
/// What the hierarchies of cgroup v1 are mounted on, and how each is.
pub const HIERARCHIES: Entry = entry(CGROUPS, "tmpfs", DATA, "size=10m,mode=755", Need::Expected);
pub const HIERARCHY: MsFlags = DATA;

/// After the modules are there.
#[rustfmt::skip]
pub const FEATURES: [Entry; 9] = [
    entry("/sys/kernel/security",         "securityfs",  DATA, "", Need::Feature),
    entry("/sys/kernel/debug",            "debugfs",     DATA, "", Need::Feature),
    entry("/sys/kernel/config",           "configfs",    DATA, "", Need::Feature),
    entry("/sys/fs/fuse/connections",     "fusectl",     DATA, "", Need::Feature),
    entry("/sys/fs/selinux",              "selinuxfs",   NOSUID.union(NOEXEC).union(RELATIME), "", Need::Feature),
    entry("/sys/fs/pstore",               "pstore",      DATA, "", Need::Feature),
    entry("/sys/fs/bpf",                  "bpf",         DATA, "", Need::Feature),
    entry("/sys/firmware/efi/efivars",    "efivarfs",    DATA, "", Need::Feature),
    entry("/proc/sys/fs/binfmt_misc",     "binfmt_misc", DATA, "", Need::Feature),
];

/// Directories on the fresh `/run` and `/var`.
pub const DIRECTORIES: [(&str, u32); 13] = [
    ("/run/config", 0o755),
    ("/run/lkb", 0o755),
    ("/run/lkb/exits", 0o700),
    ("/var/cache", 0o755),
    ("/var/config", 0o755),
    ("/var/empty", 0o555),
    ("/var/lib", 0o755),
    ("/var/local", 0o755),
    ("/var/lock", 0o755),
    ("/var/log", 0o755),
    ("/var/opt", 0o755),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];

/// Character devices that devtmpfs has by itself on most kernels: path below `/dev`, mode, major, minor.
pub const NODES: [(&str, u32, u64, u64); 5] = [
    ("/dev/console", 0o600, 5, 1),
    ("/dev/tty1", 0o620, 4, 1),
    ("/dev/tty", 0o666, 5, 0),
    ("/dev/null", 0o666, 1, 3),
    ("/dev/kmsg", 0o660, 1, 11),
];

/// Symbolic links: target, path.
pub const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/kcore"),
    ("/run", "/var/run"),
];
