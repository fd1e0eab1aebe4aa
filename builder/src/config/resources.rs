//! Limits by cgroup, with the YAML's keys.
//!
//! LinuxKit looks these keys up in lower case while its schema demands this case, so it loses most of them.

use serde::{Deserialize, Serialize};

/// Limits by cgroup (OCI runtime spec, config-linux.md, "Control groups").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Resources {
    /// Which devices may be used, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceRule>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Number of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockio: Option<BlockIo>,
    /// Huge pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Network packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// Allows or denies devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// `a`, `c`, `b`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Major number; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Some of `rwm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

macro_rules! limits {
    ($(#[doc = $about:literal])+ $struct:ident {
        $($(#[doc = $doc:literal])+ $(#[serde($attr:meta)])? $name:ident: $type:ty,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $struct {
            $(
                $(#[doc = $doc])+
                $(#[serde($attr)])?
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+
        }
    };
}

limits! {
    /// Memory, in bytes; -1 is no limit.
    Memory {
        /// Most memory.
        limit: i64,
        /// Soft limit.
        reservation: i64,
        /// Most memory and swap together.
        swap: i64,
        /// Most kernel memory.
        kernel: i64,
        /// Most kernel memory for TCP.
        #[serde(rename = "kernelTCP")]
        kernel_tcp: i64,
        /// How readily pages are swapped, 0 to 100.
        swappiness: u64,
        /// Whether the container waits instead of being killed.
        #[serde(rename = "disableOOMKiller")]
        disable_oom_killer: bool,
    }
}

limits! {
    /// Processor time; periods in microseconds.
    Cpu {
        /// Relative weight.
        shares: u64,
        /// Time in a period.
        quota: i64,
        /// Length of a period.
        period: u64,
        /// Real-time time in a period.
        realtime_runtime: i64,
        /// Length of a real-time period.
        realtime_period: u64,
        /// Processors, such as `0-3,7`.
        cpus: String,
        /// Memory nodes, such as `0`.
        mems: String,
    }
}

/// Number of processes and threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// Most; -1 is no limit.
    pub limit: i64,
}

limits! {
    /// Block devices.
    BlockIo {
        /// Relative weight.
        weight: u16,
        /// Relative weight against child cgroups.
        leaf_weight: u16,
        /// Weights by device.
        weight_device: Vec<WeightDevice>,
        /// Bytes read a second.
        throttle_read_bps_device: Vec<ThrottleDevice>,
        /// Bytes written a second.
        throttle_write_bps_device: Vec<ThrottleDevice>,
        /// Reads a second.
        #[serde(rename = "throttleReadIOPSDevice")]
        throttle_read_iops_device: Vec<ThrottleDevice>,
        /// Writes a second.
        #[serde(rename = "throttleWriteIOPSDevice")]
        throttle_write_iops_device: Vec<ThrottleDevice>,
    }
}

/// A weight for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Relative weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Relative weight against child cgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
}

/// A rate for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Most a second.
    pub rate: u64,
}

/// A limit of huge pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HugepageLimit {
    /// Size of a page, such as `2MB`.
    pub page_size: String,
    /// Most, in bytes.
    pub limit: u64,
}

/// Network packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Class of the container's packets.
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    /// Priorities by interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<InterfacePriority>,
}

/// The priority of packets that leave by an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePriority {
    /// Name of the interface.
    pub name: String,
    /// Priority.
    pub priority: u32,
}
