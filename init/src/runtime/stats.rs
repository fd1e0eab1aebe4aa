//! `runtime events --stats`: what a container uses, in runc's JSON.

use std::collections::BTreeMap;
use std::path::Path;

use libcgroups::common::CgroupManager;
use serde_json::{Value, json};

use super::known::{Known, Status};
use super::{RuntimeError, chain};
use crate::cgroup::files::{limit, number, transfers};

/// What container `id` uses, as one line of JSON (runc, `types/events.go`).
pub fn stats(root: &Path, id: &str) -> Result<String, RuntimeError> {
    let known = Known::load(root, id)?;
    let status = known.status();
    if matches!(status, Status::Stopped | Status::Creating) {
        return Err(RuntimeError::State { action: "measure", status });
    }
    let cgroup = known.cgroup()?;
    let data = if cgroup.unified() {
        let dir = cgroup.dir();
        // A controller that is not enabled has no files: what is not there is 0.
        unified(&|name| std::fs::read_to_string(dir.join(name)).unwrap_or_default())
    } else {
        let stats = cgroup.manager()?.stats().map_err(|error| RuntimeError::Cgroup {
            action: "measure",
            path: cgroup.dir(),
            reason: chain(&error),
        })?;
        version_1(&stats)
    };
    Ok(format!("{}\n", json!({ "type": "stats", "id": id, "data": data })))
}

/// From the files of a cgroup of version 2, by name.
fn unified(read: &dyn Fn(&str) -> String) -> Value {
    let cpu = keyed(&read("cpu.stat"));
    let events = keyed(&read("memory.events"));
    let swap_events = keyed(&read("memory.swap.events"));
    let of = |map: &BTreeMap<String, u64>, key: &str| map.get(key).copied().unwrap_or_default();
    let nanoseconds = |key: &str| of(&cpu, key).saturating_mul(1000);
    let raw = keyed(&read("memory.stat"));
    let (bytes, operations) = io(&read("io.stat"));
    json!({
        "cpu": {
            "usage": {
                "total": nanoseconds("usage_usec"),
                "user": nanoseconds("user_usec"),
                "kernel": nanoseconds("system_usec"),
            },
            "throttling": {
                "periods": of(&cpu, "nr_periods"),
                "throttledPeriods": of(&cpu, "nr_throttled"),
                "throttledTime": nanoseconds("throttled_usec"),
            },
        },
        "memory": {
            "cache": of(&raw, "file"),
            "usage": {
                "limit": limit(&read("memory.max")),
                "usage": number(&read("memory.current")),
                "max": number(&read("memory.peak")),
                "failcnt": of(&events, "max"),
            },
            "swap": {
                "limit": limit(&read("memory.swap.max")),
                "usage": number(&read("memory.swap.current")),
                "max": number(&read("memory.swap.peak")),
                "failcnt": of(&swap_events, "max"),
            },
            "oomKill": of(&events, "oom_kill"),
            "raw": raw,
        },
        // runc has 0 for processes without a limit.
        "pids": { "current": number(&read("pids.current")), "limit": number(&read("pids.max")) },
        "blkio": { "ioServiceBytesRecursive": bytes, "ioServicedRecursive": operations },
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

/// `KEY NUMBER` on each line.
fn keyed(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// What all disks did, in bytes and in operations.
fn io(text: &str) -> (Vec<Value>, Vec<Value>) {
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for disk in transfers(text) {
        for (key, value) in disk.counts {
            let entry =
                |op: &str| json!({ "major": disk.major, "minor": disk.minor, "op": op, "value": value });
            match key {
                "rbytes" => bytes.push(entry("Read")),
                "wbytes" => bytes.push(entry("Write")),
                "rios" => operations.push(entry("Read")),
                "wios" => operations.push(entry("Write")),
                _ => {}
            }
        }
    }
    (bytes, operations)
}

/// From what libcontainer reads of version 1.
fn version_1(stats: &libcgroups::stats::Stats) -> Value {
    let memory = |data: &libcgroups::stats::MemoryData| json!({ "limit": data.limit, "usage": data.usage, "max": data.max_usage, "failcnt": data.fail_count });
    let devices = |list: &[libcgroups::stats::BlkioDeviceStat]| -> Vec<Value> {
        list.iter()
            .map(|stat| {
                json!({ "major": stat.major, "minor": stat.minor, "op": stat.op_type, "value": stat.value })
            })
            .collect()
    };
    let hugetlb: BTreeMap<&String, Value> = stats
        .hugetlb
        .iter()
        .map(|(size, data)| {
            (size, json!({ "usage": data.usage, "max": data.max_usage, "failcnt": data.fail_count }))
        })
        .collect();
    json!({
        "cpu": {
            "usage": {
                "total": stats.cpu.usage.usage_total,
                "percpu": stats.cpu.usage.per_core_usage_total,
                "user": stats.cpu.usage.usage_user,
                "kernel": stats.cpu.usage.usage_kernel,
            },
            "throttling": {
                "periods": stats.cpu.throttling.periods,
                "throttledPeriods": stats.cpu.throttling.throttled_periods,
                "throttledTime": stats.cpu.throttling.throttled_time,
            },
        },
        "memory": {
            "cache": stats.memory.cache,
            "usage": memory(&stats.memory.memory),
            "swap": memory(&stats.memory.memswap),
            "kernel": memory(&stats.memory.kernel),
            "kernelTCP": memory(&stats.memory.kernel_tcp),
            "raw": stats.memory.stats,
        },
        "pids": { "current": stats.pids.current, "limit": stats.pids.limit },
        "blkio": {
            "ioServiceBytesRecursive": devices(&stats.blkio.service_bytes),
            "ioServicedRecursive": devices(&stats.blkio.serviced),
        },
        "hugetlb": hugetlb,
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_version_2_become_runcs_words() {
        let read = |name: &str| {
            match name {
                "cpu.stat" => "usage_usec 5\nuser_usec 3\nsystem_usec 2\n",
                "memory.max" => "max\n",
                "memory.current" => "4096\n",
                "memory.events" => "low 0\nhigh 0\nmax 2\noom 1\noom_kill 1\n",
                "memory.stat" => "anon 10\nfile 20\n",
                "pids.current" => "1\n",
                "pids.max" => "max\n",
                "io.stat" => "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\nbroken\n",
                _ => "",
            }
            .to_owned()
        };
        let data = unified(&read);
        let cases = [
            ("/cpu/usage/total", json!(5000)),
            ("/cpu/throttling/periods", json!(0)),
            ("/memory/usage/limit", json!(u64::MAX)),
            ("/memory/usage/usage", json!(4096)),
            ("/memory/usage/failcnt", json!(2)),
            ("/memory/oomKill", json!(1)),
            ("/memory/cache", json!(20)),
            ("/memory/raw/anon", json!(10)),
            ("/memory/swap/usage", json!(0)),
            ("/pids/limit", json!(0)),
            ("/blkio/ioServiceBytesRecursive/1", json!({"major":8,"minor":0,"op":"Write","value":2})),
            ("/blkio/ioServicedRecursive/0/value", json!(3)),
        ];
        for (pointer, value) in cases {
            assert_eq!(data.pointer(pointer), Some(&value), "{pointer}");
        }
    }
}
