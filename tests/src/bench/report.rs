//! The table for people, and the JSON file for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::figures::Figures;

/// One row: its name, what LinuxKit has (same kernel, same work), and what was aimed at with each engine.
struct Row {
    name: &'static str,
    meaning: &'static str,
    linuxkit: &'static str,
    goals: [&'static str; 2],
}

const fn row(
    name: &'static str,
    meaning: &'static str,
    linuxkit: &'static str,
    embedded: &'static str,
    containerd: &'static str,
) -> Row {
    Row { name, meaning, linuxkit, goals: [embedded, containerd] }
}

/// The rows of the JSON file, under `boot.ENGINE.NAME`.
#[rustfmt::skip]
const ROWS: [Row; 11] = [
    row("kernel_to_init_s",       "kernel starts → init runs (s)",              "4.068", "",      ""),
    row("init_to_onboot_done_s",  "init → the last of 3 onboot containers (s)", "1.262", "",      ""),
    row("init_to_last_service_s", "init → the last of 5 services (s)",          "2.474", "0.150", "0.400"),
    row("onboot_each_s",          "one onboot container (s)",                   "0.100", "0.012", "0.012"),
    row("service_each_s",         "one more service, create and start (s)",     "0.190", "0.015", "0.030"),
    row("least_initrd_mb",        "least memory, initrd (MiB)",                 "328",   "64",    "180"),
    row("least_disk_mb",          "least memory, disk root (MiB)",              "",      "48",    "80"),
    row("pid1_rss_mb",            "PID 1, resident (MB)",                       "",      "",      ""),
    row("supervisor_rss_mb",      "supervisor, resident (MB)",                  "",      "",      ""),
    row("service_overhead_mb",    "memory of one more service (MB)",            "4.7",   "0.600", "1.300"),
    row("shutdown_s",             "power off, services obey TERM (s)",          "7",     "0.300", "0.600"),
];

/// Rows that are only shown.
#[rustfmt::skip]
const SHOWN: [Row; 2] = [
    row("shim_rss_mb",            "5 shims, resident (MB)",                     "",      "",      ""),
    row("containerd_rss_mb",      "containerd, resident (MB)",                  "",      "",      ""),
];

/// The rows of the JSON file, under `build.NAME`.
#[rustfmt::skip]
const BUILDS: [Row; 7] = [
    row("nothing_changed_s",      "build, nothing changed (s)",                 "5.3",   "0.7",   ""),
    row("one_service_changed_s",  "build, one service's image changed (s)",     "",      "1.5",   ""),
    row("warm_s",                 "build, nothing remembered (s)",              "",      "2.5",   ""),
    row("tar_s",                  "build, tar (s)",                             "4.2",   "0.5",   ""),
    row("peak_rss_mb",            "build, most memory held (MB)",               "200",   "60",    ""),
    row("large_root_peak_rss_mb", "build of 6 GiB, most memory held (MB)",      "",      "100",   ""),
    row("initrd_mb",              "initrd (MB)",                                "48.8",  "40",    ""),
];

/// Rows of the JSON file, under `metadata.NAME`.
const METADATA: [Row; 1] =
    [row("link_to_user_data_s", "link up → user-data in /var/config (s)", "", "0.100", "")];

/// What was measured of each engine, or why nothing was.
pub type Measured = [(&'static str, Result<Figures, String>)];

/// The JSON object: `boot.ENGINE.NAME`, `build.NAME` and `metadata.NAME` → number. What was not measured is not in it.
#[must_use]
pub fn json(
    measured: &Measured,
    builds: &Result<Figures, String>,
    metadata: &Result<Figures, String>,
) -> String {
    let mut numbers = BTreeMap::new();
    for (group, rows, figures) in [("build", &BUILDS[..], builds), ("metadata", &METADATA, metadata)] {
        for row in rows {
            if let Some(Ok(value)) = figures.as_ref().ok().and_then(|figures| figures.get(row.name)) {
                numbers.insert(format!("{group}.{}", row.name), (value * 1e6).round() / 1e6);
            }
        }
    }
    for (engine, figures) in measured {
        let Ok(figures) = figures else { continue };
        for row in &ROWS {
            if let Some(Ok(value)) = figures.get(row.name) {
                // Microseconds and kilobytes: what the clock and /proc tell.
                numbers.insert(format!("boot.{engine}.{}", row.name), (value * 1e6).round() / 1e6);
            }
        }
    }
    format!("{:#}\n", serde_json::json!(numbers))
}

/// The table, with the reasons of what is missing below it.
#[must_use]
pub fn table(measured: &Measured) -> String {
    let mut text = format!("{:<42} {:>9}", "", "LinuxKit");
    for (engine, _) in measured {
        push(&mut text, format_args!(" {engine:>12} {:>8}", "(goal)"));
    }
    text.push('\n');
    let mut missing = Vec::new();
    for row in ROWS.iter().chain(&SHOWN) {
        push(&mut text, format_args!("{:<42} {:>9}", row.meaning, row.linuxkit));
        for (engine, figures) in measured {
            let goal = row.goals[usize::from(*engine == "containerd")];
            let cell = match figures.as_ref().map(|figures| figures.get(row.name)) {
                Ok(Some(Ok(value))) => format!("{value:.3}"),
                Ok(Some(Err(reason))) => {
                    missing.push(format!("{engine}: {}: not measured: {reason}", row.name));
                    "–".to_string()
                }
                Ok(None) | Err(_) => "–".to_string(),
            };
            push(&mut text, format_args!(" {cell:>12} {goal:>8}"));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    for (engine, figures) in measured {
        if let Err(reason) = figures {
            missing.push(format!("{engine}: not measured: {reason}"));
        }
    }
    for line in missing {
        push(&mut text, format_args!("{line}\n"));
    }
    text
}

/// The table of builds.
#[must_use]
pub fn builds_table(builds: &Result<Figures, String>) -> String {
    one_column("builds", &BUILDS, builds)
}

/// The table of the metadata agent.
#[must_use]
pub fn metadata_table(metadata: &Result<Figures, String>) -> String {
    one_column("metadata", &METADATA, metadata)
}

fn one_column(what: &str, rows: &[Row], figures: &Result<Figures, String>) -> String {
    let figures = match figures {
        Ok(figures) => figures,
        Err(reason) => return format!("{what}: not measured: {reason}\n"),
    };
    let mut text = format!("{:<42} {:>9} {:>12} {:>8}\n", "", "LinuxKit", "lkb", "(goal)");
    for row in rows {
        let (cell, reason) = match figures.get(row.name) {
            Some(Ok(value)) => (format!("{value:.3}"), String::new()),
            Some(Err(reason)) => ("–".to_string(), format!("  not measured: {reason}")),
            None => ("–".to_string(), String::new()),
        };
        let (meaning, linuxkit, goal) = (row.meaning, row.linuxkit, row.goals[0]);
        push(&mut text, format_args!("{meaning:<42} {linuxkit:>9} {cell:>12} {goal:>8}{reason}\n"));
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_is_in_the_file() {
        let figures = Figures::from([
            ("shutdown_s", Ok(0.25)),
            ("least_disk_mb", Err("no recipe".to_string())),
            ("shim_rss_mb", Ok(9.0)),
        ]);
        let measured = [("embedded", Err("does not come up".to_string())), ("containerd", Ok(figures))];
        let nothing = Err("no cache".to_owned());
        assert_eq!(json(&measured, &nothing, &nothing), "{\n  \"boot.containerd.shutdown_s\": 0.25\n}\n");
        let metadata = Ok(Figures::from([("link_to_user_data_s", Ok(0.02))]));
        assert_eq!(json(&[], &nothing, &metadata), "{\n  \"metadata.link_to_user_data_s\": 0.02\n}\n");
        assert!(metadata_table(&metadata).contains("0.020    0.100"));
        let builds = Ok(Figures::from([("tar_s", Ok(0.4)), ("warm_s", Err("killed".to_string()))]));
        assert_eq!(json(&[], &builds, &nothing), "{\n  \"build.tar_s\": 0.4\n}\n");
        let shown = builds_table(&builds);
        assert!(shown.contains("0.400") && shown.contains("not measured: killed"), "{shown}");
        let table = table(&measured);
        let alone = self::table(&[("containerd", Ok(Figures::from([("shutdown_s", Ok(0.1))])))]);
        assert!(alone.contains("0.100    0.600"), "the goals of this engine: {alone}");
        for part in [
            "containerd: least_disk_mb: not measured: no recipe",
            "embedded: not measured: does not come up",
            "0.250",
            "9.000",
        ] {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
    }
}
