//! The keys of a container's limits by cgroup.

use super::form::{DEVICE_ACCESS, PAGE_SIZE};
use super::{Field, Form, Kind, TEXT, optional, required};

const U16: Kind = Kind::Int(0, u16::MAX as i128);
const U64: Kind = Kind::Int(0, u64::MAX as i128);
const I64: Kind = Kind::Int(i64::MIN as i128, i64::MAX as i128);

/// An id, or a class.
pub(super) const U32: Kind = Kind::Int(0, u32::MAX as i128);
/// A major or minor number.
pub(super) const DEVICE_NUMBER: Kind = Kind::Int(0, u32::MAX as i128);
/// The letters of mknod(1), and `a` for all.
pub(super) const DEVICE_TYPES: &[&str] = &["a", "b", "c", "u", "p"];

/// Limits by cgroup (OCI runtime spec, config-linux.md, "Control groups").
pub(super) const RESOURCES: &[Field] = &[
    optional("devices", Kind::List(&Kind::Object(&[DEVICE_RULE])), "Which devices may be used, in order."),
    optional("memory", Kind::Object(&[MEMORY]), "Memory, in bytes; -1 is no limit."),
    optional("cpu", Kind::Object(&[CPU]), "Processor time; periods in microseconds."),
    optional("pids", Kind::Object(&[PIDS]), "Number of processes and threads."),
    optional("blockio", Kind::Object(&[BLOCK_IO]), "Block devices."),
    optional("hugepageLimits", Kind::List(&Kind::Object(&[HUGEPAGES])), "Huge pages."),
    optional("network", Kind::Object(&[NETWORK]), "Network packets."),
];

const DEVICE_RULE: &[Field] = &[
    required("allow", Kind::Bool, "Allow or deny."),
    optional("type", Kind::Text(Form::OneOf(DEVICE_TYPES)), "`a`, `c`, `b`."),
    optional("major", DEVICE_NUMBER, "Major number; absent means any."),
    optional("minor", DEVICE_NUMBER, "Minor number; absent means any."),
    optional("access", DEVICE_ACCESS, "Some of `rwm`."),
];

const MEMORY: &[Field] = &[
    optional("limit", I64, "Most memory."),
    optional("reservation", I64, "Soft limit."),
    optional("swap", I64, "Most memory and swap together."),
    optional("kernel", I64, "Most kernel memory."),
    optional("kernelTCP", I64, "Most kernel memory for TCP."),
    optional("swappiness", Kind::Int(0, 100), "How readily pages are swapped, 0 to 100."),
    optional("disableOOMKiller", Kind::Bool, "Whether the container waits instead of being killed."),
];

const CPU: &[Field] = &[
    optional("shares", U64, "Relative weight."),
    optional("quota", I64, "Time in a period."),
    optional("period", U64, "Length of a period."),
    optional("realtimeRuntime", I64, "Real-time time in a period."),
    optional("realtimePeriod", U64, "Length of a real-time period."),
    optional("cpus", TEXT, "Processors, such as `0-3,7`."),
    optional("mems", TEXT, "Memory nodes, such as `0`."),
];

const PIDS: &[Field] = &[required("limit", I64, "Most; -1 is no limit.")];

const THROTTLES: Kind = Kind::List(&Kind::Object(&[THROTTLE]));

const BLOCK_IO: &[Field] = &[
    optional("weight", U16, "Relative weight."),
    optional("leafWeight", U16, "Relative weight against child cgroups."),
    optional("weightDevice", Kind::List(&Kind::Object(&[WEIGHT])), "Weights by device."),
    optional("throttleReadBpsDevice", THROTTLES, "Bytes read a second."),
    optional("throttleWriteBpsDevice", THROTTLES, "Bytes written a second."),
    optional("throttleReadIOPSDevice", THROTTLES, "Reads a second."),
    optional("throttleWriteIOPSDevice", THROTTLES, "Writes a second."),
];

const WEIGHT: &[Field] = &[
    required("major", DEVICE_NUMBER, "Major number."),
    required("minor", DEVICE_NUMBER, "Minor number."),
    optional("weight", U16, "Relative weight."),
    optional("leafWeight", U16, "Relative weight against child cgroups."),
];

const THROTTLE: &[Field] = &[
    required("major", DEVICE_NUMBER, "Major number."),
    required("minor", DEVICE_NUMBER, "Minor number."),
    required("rate", U64, "Most a second."),
];

const HUGEPAGES: &[Field] = &[
    required("pageSize", PAGE_SIZE, "Size of a page, such as `2MB`."),
    required("limit", U64, "Most, in bytes."),
];

const NETWORK: &[Field] = &[
    optional("classID", U32, "Class of the container's packets."),
    optional("priorities", Kind::List(&Kind::Object(&[PRIORITY])), "Priorities by interface."),
];

const PRIORITY: &[Field] =
    &[required("name", TEXT, "Name of the interface."), required("priority", U32, "Priority.")];
