//! The figures of one engine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::least::least;
use super::machine::{Boot, Image, Settings, boot};
use super::marks::Marks;
use crate::{image, root};

/// Services of the example.
pub const SERVICES: usize = 5;
/// How many more there are in the machine that tells what one more costs.
const MORE: u32 = 20;
/// What LinuxKit was measured with, in MiB.
const MEMORY: u32 = 1024;
/// How long a boot may take on this host before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(240);

/// A figure, or why there is none.
pub type Figure = Result<f64, String>;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// `embedded` or `containerd`.
    pub name: &'static str,
    /// Among which amounts of memory the least is looked for, in MiB: root in the initrd.
    pub least_initrd: (u32, u32),
    /// The same, root on a disk.
    pub least_disk: (u32, u32),
}

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What qemu's random numbers come from.
    pub seed: u32,
    /// Whether the search for the least memory, which takes many boots, is left out.
    pub quick: bool,
}

/// Figures by name, without `boot.ENGINE.`.
pub type Figures = BTreeMap<&'static str, Figure>;

/// Measures one engine; `say` is told how far it is.
///
/// # Errors
/// When an image cannot be built, or the example does not come up: then there is nothing to measure.
pub fn measure(engine: &Engine, options: &Options, say: &dyn Fn(&str)) -> Result<Figures, String> {
    let seed = options.seed;
    let dir = image::out_dir();
    let source = format!("examples/bench-{}.yml", engine.name);
    let example = root().join(&source);
    let more = dir.join("bench-more.yml");
    std::fs::write(&more, more_services()).map_err(|e| format!("{}: {e}", more.display()))?;
    let name = format!("bench-{}", engine.name);
    let few = Image::build(&dir, &name, &[&example])?;
    let many = Image::build(&dir, &format!("{name}-more"), &[&example, &more])?;

    say("booting 5 and 25 services");
    let settings = Settings { memory: MEMORY, seed, patience: PATIENCE };
    let (few_boot, many_boot) = std::thread::scope(|scope| {
        let many = scope.spawn(|| boot(&many, &settings));
        let few = boot(&few, &settings);
        (few, many.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let few_boot = few_boot?;
    keep(&dir, &name, &few_boot)?;
    let many_boot = many_boot?;
    keep(&dir, &format!("{name}-more"), &many_boot)?;
    let marks = Marks::read(&few_boot.console);
    came_up(&few_boot, &marks, SERVICES)?;
    let many_marks = Marks::read(&many_boot.console);
    let many_marks = came_up(&many_boot, &many_marks, SERVICES + MORE as usize).map(|()| many_marks);

    let mut figures = from_marks(&marks, many_marks);
    if options.quick {
        for name in ["least_initrd_mb", "least_disk_mb"] {
            figures.insert(name, Err("--quick leaves it out".to_string()));
        }
        return Ok(figures);
    }
    let patience = few_boot.wall * 3 + Duration::from_secs(20);
    let limits = |memory| Settings { memory, seed, patience };
    say("looking for the least memory, root in the initrd");
    figures.insert("least_initrd_mb", least_memory(&few, engine.least_initrd, &limits));
    say("looking for the least memory, root on a disk");
    let on_disk = dir.join(format!("{name}-disk"));
    // What is left of an earlier measurement may be of other sources.
    match std::fs::remove_dir_all(&on_disk) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", on_disk.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(&on_disk).map_err(|e| format!("{}: {e}", on_disk.display()))?;
    let image = Image::build_on_disk(&on_disk, &source)?;
    figures.insert("least_disk_mb", least_memory(&image, engine.least_disk, &limits));
    Ok(figures)
}

/// Keeps a console for whoever wants to see where the time goes.
fn keep(dir: &Path, name: &str, boot: &Boot) -> Result<(), String> {
    let file = dir.join(format!("{name}.console"));
    std::fs::write(&file, &boot.console).map_err(|e| format!("{}: {e}", file.display()))
}

fn came_up(boot: &Boot, marks: &Marks, services: usize) -> Result<(), String> {
    if marks.services.len() == services && marks.off.is_some() {
        return Ok(());
    }
    let end = if boot.ended { "ended" } else { "was given up" };
    let words: Vec<&str> = boot.console.lines().rev().take(3).collect();
    Err(format!(
        "the machine {end} after {:.0} s with {} of {services} services; its last words: {}",
        boot.wall.as_secs_f64(),
        marks.services.len(),
        words.into_iter().rev().collect::<Vec<_>>().join(" | "),
    ))
}

fn from_marks(few: &Marks, many: Result<Marks, String>) -> Figures {
    let said =
        |value: Option<f64>, what: &str| value.ok_or_else(|| format!("the machine did not say {what}"));
    let init = said(few.init, "when the kernel ran init");
    let since_init = |time: Option<f64>, what| Ok(said(time, what)? - init.clone()?);
    let megabytes = |kb: u64| kb as f64 / 1000.0;
    let resident =
        |wanted: fn(&super::marks::Process) -> bool, what| said(few.resident(wanted).map(megabytes), what);
    let each = |times: &[f64]| match times {
        [first, .., last] => Some((last - first) / (times.len() - 1) as f64),
        _ => None,
    };
    let one_more = |value: fn(&Marks) -> Option<f64>, what| {
        let many = many.as_ref().map_err(Clone::clone)?;
        Ok((said(value(many), what)? - said(value(few), what)?) / f64::from(MORE))
    };
    BTreeMap::from([
        ("kernel_to_init_s", init.clone()),
        ("init_to_onboot_done_s", since_init(few.onboot.last().copied(), "when onboot ran")),
        ("init_to_last_service_s", since_init(few.last_service(), "when services ran")),
        ("onboot_each_s", said(each(&few.onboot), "when onboot ran")),
        // Since init: that the kernel unpacks their directories is not what init does.
        ("service_each_s", one_more(|marks| Some(marks.last_service()? - marks.init?), "when services ran")),
        ("pid1_rss_mb", resident(|process| process.pid == 1, "what process 1 holds")),
        ("supervisor_rss_mb", resident(is_supervisor, "what the supervisor holds")),
        ("service_overhead_mb", one_more(|marks| marks.free.map(|kb| -(kb as f64) / 1000.0), "what is free")),
        (
            "shutdown_s",
            said(few.off, "that it is off")
                .and_then(|off| Ok(off - said(few.asked_off, "when it was asked to go off")?)),
        ),
        ("shim_rss_mb", resident(|process| process.args.contains("containerd-shim"), "what the shims hold")),
        (
            "containerd_rss_mb",
            resident(|process| process.args == "/usr/bin/containerd", "what containerd holds"),
        ),
    ])
}

fn is_supervisor(process: &super::marks::Process) -> bool {
    process.args.split(' ').take(2).any(|word| word == "supervisor")
}

fn least_memory(image: &Image, (low, high): (u32, u32), limits: &(dyn Fn(u32) -> Settings + Sync)) -> Figure {
    let enough = |memory| {
        let boot = boot(image, &limits(memory))?;
        let marks = Marks::read(&boot.console);
        Ok::<_, String>(came_up(&boot, &marks, SERVICES).is_ok())
    };
    least(low, high, enough)?.map(f64::from).ok_or_else(|| format!("{high} MiB are not enough"))
}

/// A configuration with [`MORE`] services like those of the examples.
fn more_services() -> String {
    let package = root().join("pkg/busybox");
    let mut yaml = String::from("services:\n");
    for number in 1..=MORE {
        // Writing to a string cannot fail.
        let _ = write!(
            yaml,
            "  - name: more-{number}\n    image: \"@pkg:{}\"\n    devices: [{{path: /dev/kmsg, type: c, \
             major: 1, minor: 11, mode: \"0600\"}}]\n    command: \
             [\"/bin/sh\", \"-c\", \"echo '<2>bench: service more-{number}' >/dev/kmsg; trap 'exit 0' TERM; sleep \
             1000000 & wait\"]\n",
            package.display()
        );
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(services: &[f64], free: u64) -> Marks {
        Marks {
            init: Some(4.0),
            onboot: vec![4.1, 4.2, 4.3],
            services: services.to_vec(),
            free: Some(free),
            asked_off: Some(10.0),
            off: Some(10.25),
            ..Marks::default()
        }
    }

    #[test]
    fn figures_are_differences_of_marks() {
        let figures = from_marks(&marks(&[4.4, 4.6, 4.5], 500_000), Ok(marks(&[4.4, 5.6], 480_000)));
        let close = |name: &str, expected: f64| {
            let value = figures[name].clone().unwrap();
            assert!((value - expected).abs() < 1e-9, "{name}: {value}");
        };
        close("kernel_to_init_s", 4.0);
        close("init_to_onboot_done_s", 0.3);
        close("init_to_last_service_s", 0.6);
        close("onboot_each_s", 0.1);
        close("service_each_s", 0.05);
        close("service_overhead_mb", 1.0);
        close("shutdown_s", 0.25);
        assert!(figures["pid1_rss_mb"].is_err());
    }

    #[test]
    fn what_depends_on_a_boot_that_failed_is_not_there() {
        let figures = from_marks(&marks(&[4.4], 1), Err("no memory".into()));
        assert_eq!(figures["service_each_s"], Err("no memory".into()));
        assert!(figures["init_to_last_service_s"].is_ok());
    }
}
