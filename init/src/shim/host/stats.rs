//! What a container uses, as `ctr tasks metrics` wants to know it (containerd/cgroups, cgroup2/stats and stats/v1).

use containerd_shim_protos::cgroups::metrics::{
    CPUStat as CpuStat1, CPUUsage, MemoryEntry, MemoryStat as MemoryStat1, Metrics as Metrics1,
    PidsStat as PidsStat1, Throttle,
};
use containerd_shim_protos::cgroups_v2::metrics::{
    CPUStat, IOEntry, IOStat, MemoryEvents, MemoryStat, Metrics, PSIData, PSIStats, PidsStat,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::cgroup::Cgroup;
use crate::cgroup::files::{self, Transfers, transfers, value};
use crate::shim::wire::{Fault, encode};

/// Disks of one container.
const IO_LIMIT: usize = 256;

/// Reads a file of the cgroup: controller, name.
type Read<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// What the cgroup counts now.
///
/// # Errors
/// As [`encode`].
pub fn measure(cgroup: &Cgroup) -> Result<Any, Fault> {
    let read = |controller: &str, file: &str| cgroup.read(controller, file);
    let mut any = Any::new();
    if cgroup.is_unified() {
        any.type_url = "io.containerd.cgroups.v2.Metrics".to_owned();
        any.value = encode(&version2(&read))?;
    } else {
        any.type_url = "io.containerd.cgroups.v1.Metrics".to_owned();
        any.value = encode(&version1(&read))?;
    }
    Ok(any)
}

fn version2(read: Read<'_>) -> Metrics {
    let mut metrics = Metrics::new();
    metrics.pids = Some(PidsStat {
        current: number(read("pids", "pids.current")),
        // No limit is zero here; the library that containerd's own shim uses counts so.
        limit: number(read("pids", "pids.max")),
        ..PidsStat::default()
    })
    .into();
    metrics.cpu = Some(cpu(read)).into();
    metrics.memory = Some(memory(read)).into();
    metrics.memory_events = read("memory", "memory.events").map(|text| events(&text)).into();
    let io = read("io", "io.stat").unwrap_or_default();
    metrics.io = Some(IOStat {
        usage: transfers(&io).take(IO_LIMIT).map(|disk| io_entry(&disk)).collect(),
        psi: pressure(read("io", "io.pressure")).into(),
        ..IOStat::default()
    })
    .into();
    metrics
}

fn cpu(read: Read<'_>) -> CPUStat {
    let text = read("cpu", "cpu.stat").unwrap_or_default();
    let count = |key| value(&text, key).unwrap_or_default();
    CPUStat {
        usage_usec: count("usage_usec"),
        user_usec: count("user_usec"),
        system_usec: count("system_usec"),
        nr_periods: count("nr_periods"),
        nr_throttled: count("nr_throttled"),
        throttled_usec: count("throttled_usec"),
        nr_bursts: count("nr_bursts"),
        burst_usec: count("burst_usec"),
        psi: pressure(read("cpu", "cpu.pressure")).into(),
        ..CPUStat::default()
    }
}

fn memory(read: Read<'_>) -> MemoryStat {
    let text = read("memory", "memory.stat").unwrap_or_default();
    let count = |key| value(&text, key).unwrap_or_default();
    // Newer kernels count these apart.
    let both = |key: &str| {
        value(&text, key).unwrap_or_else(|| {
            let part = |kind| value(&text, &format!("{key}_{kind}")).unwrap_or_default();
            part("anon").saturating_add(part("file"))
        })
    };
    MemoryStat {
        anon: count("anon"),
        file: count("file"),
        kernel_stack: count("kernel_stack"),
        slab: count("slab"),
        sock: count("sock"),
        shmem: count("shmem"),
        file_mapped: count("file_mapped"),
        file_dirty: count("file_dirty"),
        file_writeback: count("file_writeback"),
        anon_thp: count("anon_thp"),
        inactive_anon: count("inactive_anon"),
        active_anon: count("active_anon"),
        inactive_file: count("inactive_file"),
        active_file: count("active_file"),
        unevictable: count("unevictable"),
        slab_reclaimable: count("slab_reclaimable"),
        slab_unreclaimable: count("slab_unreclaimable"),
        pgfault: count("pgfault"),
        pgmajfault: count("pgmajfault"),
        workingset_refault: both("workingset_refault"),
        workingset_activate: both("workingset_activate"),
        workingset_nodereclaim: count("workingset_nodereclaim"),
        pgrefill: count("pgrefill"),
        pgscan: count("pgscan"),
        pgsteal: count("pgsteal"),
        pgactivate: count("pgactivate"),
        pgdeactivate: count("pgdeactivate"),
        pglazyfree: count("pglazyfree"),
        pglazyfreed: count("pglazyfreed"),
        thp_fault_alloc: count("thp_fault_alloc"),
        thp_collapse_alloc: count("thp_collapse_alloc"),
        usage: number(read("memory", "memory.current")),
        usage_limit: limit(read("memory", "memory.max")),
        max_usage: number(read("memory", "memory.peak")),
        swap_usage: number(read("memory", "memory.swap.current")),
        swap_limit: limit(read("memory", "memory.swap.max")),
        swap_max_usage: number(read("memory", "memory.swap.peak")),
        psi: pressure(read("memory", "memory.pressure")).into(),
        ..MemoryStat::default()
    }
}

fn events(text: &str) -> MemoryEvents {
    let count = |key| value(text, key).unwrap_or_default();
    MemoryEvents {
        low: count("low"),
        high: count("high"),
        max: count("max"),
        oom: count("oom"),
        oom_kill: count("oom_kill"),
        oom_group_kill: count("oom_group_kill"),
        ..MemoryEvents::default()
    }
}

fn io_entry(disk: &Transfers<'_>) -> IOEntry {
    let mut entry = IOEntry { major: disk.major, minor: disk.minor, ..IOEntry::default() };
    for &(key, count) in &disk.counts {
        match key {
            "rbytes" => entry.rbytes = count,
            "wbytes" => entry.wbytes = count,
            "rios" => entry.rios = count,
            "wios" => entry.wios = count,
            _ => {}
        }
    }
    entry
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same with `full`.
fn pressure(text: Option<String>) -> Option<PSIStats> {
    let text = text?;
    let line = |kind: &str| {
        let words = text.lines().find_map(|line| line.strip_prefix(kind))?;
        let field = |key: &str| words.split_whitespace().find_map(|word| word.strip_prefix(key));
        let average = |key| field(key).and_then(|word| word.parse().ok()).unwrap_or_default();
        Some(PSIData {
            avg10: average("avg10="),
            avg60: average("avg60="),
            avg300: average("avg300="),
            total: field("total=").and_then(|word| word.parse().ok()).unwrap_or_default(),
            ..PSIData::default()
        })
    };
    let (some, full) = (line("some "), line("full "));
    (some.is_some() || full.is_some()).then(|| PSIStats {
        some: some.into(),
        full: full.into(),
        ..PSIStats::default()
    })
}

fn version1(read: Read<'_>) -> Metrics1 {
    let mut metrics = Metrics1::new();
    metrics.pids = Some(PidsStat1 {
        current: number(read("pids", "pids.current")),
        limit: number(read("pids", "pids.max")),
        ..PidsStat1::default()
    })
    .into();
    let stat = read("cpu", "cpu.stat").unwrap_or_default();
    let throttled = |key| value(&stat, key).unwrap_or_default();
    metrics.cpu = Some(CpuStat1 {
        usage: Some(CPUUsage { total: number(read("cpuacct", "cpuacct.usage")), ..CPUUsage::default() })
            .into(),
        throttling: Some(Throttle {
            periods: throttled("nr_periods"),
            throttled_periods: throttled("nr_throttled"),
            throttled_time: throttled("throttled_time"),
            ..Throttle::default()
        })
        .into(),
        ..CpuStat1::default()
    })
    .into();
    let stat = read("memory", "memory.stat").unwrap_or_default();
    let count = |key| value(&stat, key).unwrap_or_default();
    let entry = |prefix: &str| {
        let file = |suffix: &str| number(read("memory", &format!("{prefix}.{suffix}")));
        Some(MemoryEntry {
            usage: file("usage_in_bytes"),
            limit: file("limit_in_bytes"),
            max: file("max_usage_in_bytes"),
            failcnt: file("failcnt"),
            ..MemoryEntry::default()
        })
    };
    metrics.memory = Some(MemoryStat1 {
        cache: count("cache"),
        rss: count("rss"),
        mapped_file: count("mapped_file"),
        pg_fault: count("pgfault"),
        pg_maj_fault: count("pgmajfault"),
        total_cache: count("total_cache"),
        total_rss: count("total_rss"),
        usage: entry("memory").into(),
        swap: entry("memory.memsw").into(),
        kernel: entry("memory.kmem").into(),
        ..MemoryStat1::default()
    })
    .into();
    metrics
}

fn number(text: Option<String>) -> u64 {
    files::number(&text.unwrap_or_default())
}

fn limit(text: Option<String>) -> u64 {
    files::limit(&text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holding<'a>(files: &'a [(&'a str, &'a str)]) -> impl Fn(&str, &str) -> Option<String> + 'a {
        move |_, name| files.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned())
    }

    #[test]
    fn version_2_is_measured() {
        let read = holding(&[
            ("pids.current", "3"),
            ("pids.max", "max"),
            ("cpu.stat", "usage_usec 100\nuser_usec 60\nsystem_usec 40"),
            ("memory.current", "4096"),
            ("memory.max", "max"),
            ("memory.stat", "anon 1\nfile 2\nworkingset_refault_anon 3\nworkingset_refault_file 4"),
            ("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n253:1"),
            (
                "memory.pressure",
                "some avg10=0.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0",
            ),
        ]);
        let metrics = version2(&read);
        assert_eq!((metrics.pids.current, metrics.pids.limit), (3, 0));
        assert_eq!((metrics.cpu.usage_usec, metrics.cpu.system_usec), (100, 40));
        assert_eq!((metrics.memory.usage, metrics.memory.usage_limit), (4096, u64::MAX));
        assert_eq!(metrics.memory.workingset_refault, 7);
        assert_eq!((metrics.memory_events.max, metrics.memory_events.oom_kill), (7, 1));
        assert_eq!(metrics.io.usage.len(), 2);
        assert_eq!(metrics.io.usage[0].wios, 4);
        assert_eq!((metrics.memory.psi.some.avg10, metrics.memory.psi.some.total), (0.5, 9));
    }

    #[test]
    fn version_1_is_measured() {
        let read = holding(&[
            ("cpuacct.usage", "12"),
            ("memory.usage_in_bytes", "4096"),
            ("memory.stat", "cache 5\nrss 6"),
            ("pids.current", "2"),
        ]);
        let metrics = version1(&read);
        assert_eq!(metrics.cpu.usage.total, 12);
        assert_eq!((metrics.memory.rss, metrics.memory.usage.usage, metrics.pids.current), (6, 4096, 2));
    }

    #[test]
    fn what_the_kernel_does_not_count_is_zero() {
        let metrics = version2(&|_, _| None);
        assert_eq!((metrics.memory.usage, metrics.cpu.usage_usec), (0, 0));
        assert!(metrics.memory_events.is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_measured(text in "\\PC{0,200}") {
            let read = |_: &str, _: &str| Some(text.clone());
            version2(&read);
            version1(&read);
        }
    }
}
