//! The machine's processes, and which of them a test means.

use std::fs;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// One letter: `R`, `S`, `Z`…
    pub state: char,
    /// Start, in clock ticks since boot.
    pub started: u64,
    /// Resident memory, in kB.
    pub resident: u64,
    /// Its arguments.
    pub args: Vec<String>,
}

/// All processes that are not the kernel's own.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let args = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    parse(pid, &stat, &args)
}

/// proc_pid_stat(5). Kernel threads have no arguments, and neither have zombies: those count.
fn parse(pid: i32, stat: &str, args: &[u8]) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    let args: Vec<String> = args
        .split(|byte| *byte == 0)
        .filter(|arg| !arg.is_empty())
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect();
    if args.is_empty() && state != 'Z' {
        return None;
    }
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state,
        started: fields.get(19)?.parse().ok()?,
        resident: fields.get(21)?.parse::<u64>().ok()? * 4,
        args,
    })
}

/// Whether `target` means `process`.
///
/// | target | which |
/// |---|---|
/// | `supervisor` | PID 1's child of that name |
/// | `containerd` | the daemon |
/// | `shim:NAME` | the shim of a service: of several, the one that has the service for a child |
/// | `service:NAME` | the service, and its children |
fn is_meant(target: &str, process: &Process) -> bool {
    let args: Vec<&str> = process.args.iter().map(String::as_str).collect();
    let program = args.first().copied().unwrap_or_default();
    match target.split_once(':').unwrap_or((target, "")) {
        ("supervisor", _) => process.parent == 1 && program == "supervisor",
        ("containerd", _) => program.ends_with("/containerd"),
        ("shim", name) => {
            program.contains("containerd-shim") && args.windows(2).any(|pair| pair == ["-id", name])
        }
        ("service", name) => args.get(1..3) == Some(&["serve", name][..]) && program.ends_with("trouble"),
        _ => false,
    }
}

/// The oldest process that `target` means. A shim that died containerds left goes before the one that serves, and ends by
/// itself: it is not what a test means while there is another.
pub fn find(target: &str) -> Option<Process> {
    pick(target, all())
}

fn pick(target: &str, processes: Vec<Process>) -> Option<Process> {
    let service = target.strip_prefix("shim:").map(|name| format!("service:{name}"));
    let parents: Vec<i32> = processes
        .iter()
        .filter(|process| service.as_ref().is_some_and(|service| is_meant(service, process)))
        .map(|process| process.parent)
        .collect();
    let meant = processes.into_iter().filter(|process| process.state != 'Z' && is_meant(target, process));
    meant.min_by_key(|process| (!parents.contains(&process.pid), process.started, process.pid))
}

/// All processes that `target` means.
pub fn count(target: &str) -> usize {
    all().iter().filter(|process| process.state != 'Z' && is_meant(target, process)).count()
}

/// How many processes are dead and not buried.
pub fn zombies() -> usize {
    all().iter().filter(|process| process.state == 'Z').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pid: i32, parent: i32, started: u64, args: &str) -> Process {
        let stat =
            format!("{pid} (a) b) S {parent} 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {started} 4096 25 1");
        parse(pid, &stat, args.replace(' ', "\0").as_bytes()).unwrap()
    }

    #[test]
    fn targets_mean_processes() {
        let processes = vec![
            made(1, 0, 1, "/init"),
            made(70, 1, 50, "supervisor"),
            made(80, 70, 51, "/usr/bin/containerd"),
            made(88, 1, 58, "/usr/bin/containerd-shim-runc-v2 -namespace services.linuxkit -id a -address x"),
            made(90, 1, 60, "/usr/bin/containerd-shim-runc-v2 -namespace services.linuxkit -id a -address x"),
            made(
                91,
                1,
                61,
                "/usr/bin/containerd-shim-runc-v2 -namespace services.linuxkit -id ab -address x",
            ),
            made(95, 90, 70, "/usr/bin/trouble serve a"),
            made(96, 95, 71, "/usr/bin/trouble serve a"),
        ];
        for (target, pid) in [
            ("supervisor", Some(70)),
            ("containerd", Some(80)),
            ("shim:a", Some(90)),
            ("shim:ab", Some(91)),
            ("service:a", Some(95)),
            ("service:b", None),
            ("kernel", None),
        ] {
            assert_eq!(pick(target, processes.clone()).map(|process| process.pid), pid, "{target}");
        }
        assert_eq!(processes[0].resident, 100);
    }

    #[test]
    fn kernel_threads_do_not_count_but_zombies_do() {
        assert_eq!(parse(2, "2 (kthreadd) S 0 0 0 0", b""), None);
        let stat = "9 (x) Z 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0 1";
        assert_eq!(parse(9, stat, b"").map(|process| process.state), Some('Z'));
    }
}
