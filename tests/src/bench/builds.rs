//! How long builds take, on this host; the best of several, because everything else only makes them longer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::figures::{Figure, Figures};
use super::large;
use crate::{image, root};

/// What LinuxKit was measured with: 3 onboot containers, 5 services, containerd.
const EXAMPLE: &str = "examples/bench-containerd.yml";
/// The service that changes, and the image that it has then.
const CHANGED: (&str, &str) = ("  - name: two\n    image: \"@pkg:../pkg/busybox\"", "@pkg:../pkg/sysctl");
/// Of so many builds the best is told.
const RUNS: u32 = 5;
const FORMAT: &str = "kernel+initrd";

/// Measures builds of the example; figures by name, without `build.`.
///
/// # Errors
/// When the example cannot be built: then there is nothing to measure.
pub fn measure(say: &dyn Fn(&str)) -> Result<Figures, String> {
    let scratch = tempfile::tempdir().map_err(|e| format!("a temporary directory: {e}"))?;
    let bench = Bench::new(scratch.path())?;
    say("building with all that is remembered");
    let mut figures: Figures = BTreeMap::new();
    bench.build(EXAMPLE, FORMAT)?;
    figures.insert("nothing_changed_s", bench.best(EXAMPLE, FORMAT, &|| Ok(())));
    figures.insert("peak_rss_mb", bench.peak(EXAMPLE, FORMAT));
    figures.insert("initrd_mb", bench.megabytes("out-initrd.img"));
    figures.insert("tar_s", bench.best(EXAMPLE, "tar", &|| Ok(())));
    say("building with one service changed, and with nothing remembered");
    let changed = bench.changed()?;
    figures.insert("one_service_changed_s", bench.best(&changed, FORMAT, &|| bench.remember()));
    figures.insert("warm_s", bench.best(EXAMPLE, FORMAT, &|| bench.forget(&["initrd", "expanded"])));
    say("building a root filesystem of 6 GiB");
    figures.insert("large_root_peak_rss_mb", bench.large());
    Ok(figures)
}

/// A copy of the cache, and a place for what is built.
struct Bench<'a> {
    dir: &'a Path,
    cache: PathBuf,
}

impl<'a> Bench<'a> {
    fn new(dir: &'a Path) -> Result<Self, String> {
        let bench = Self { dir, cache: dir.join("cache") };
        let from = std::env::var_os("LKB_CACHE").map(PathBuf::from);
        let from = from.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".lkb/cache")));
        let from = from.ok_or("neither LKB_CACHE nor HOME is set")?;
        // Links where that can be: blobs are never written to again.
        copy(&from, &bench.cache)?;
        bench.forget(&["initrd"])?;
        Ok(bench)
    }

    /// The example with another image for one service, as a file beside it: its packages are named from there.
    fn changed(&self) -> Result<String, String> {
        let text = std::fs::read_to_string(root().join(EXAMPLE)).map_err(|e| format!("{EXAMPLE}: {e}"))?;
        let (services, (item, image)) = (text.find("services:").unwrap_or_default(), CHANGED);
        let (before, after) = text.split_at(services);
        let (name, _) = item.rsplit_once(' ').unwrap_or_default();
        let after = after.replacen(item, &format!("{name} \"{image}\""), 1);
        let changed = format!("{before}{after}").replace("@pkg:..", &format!("@pkg:{}", root().display()));
        if changed == text {
            return Err(format!("{EXAMPLE} has no service two of BusyBox any more"));
        }
        let path = self.dir.join("changed.yml");
        std::fs::write(&path, changed).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// As it was after the example had been built, and before it changed.
    fn remember(&self) -> Result<(), String> {
        self.forget(&["initrd"])?;
        self.build(EXAMPLE, FORMAT)
    }

    /// Removes parts of the cache that are made again.
    fn forget(&self, parts: &[&str]) -> Result<(), String> {
        for part in parts {
            let dir = self.cache.join(part);
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", dir.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn command(&self, yaml: &str, format: &str) -> Vec<String> {
        let (cache, dir) = (self.cache.display().to_string(), self.dir.display().to_string());
        let lkb = image::lkb().display().to_string();
        [&lkb, "--cache", &cache, "build", "--format", format, "--name", "out", "--dir", &dir, yaml]
            .map(str::to_owned)
            .to_vec()
    }

    fn build(&self, yaml: &str, format: &str) -> Result<(), String> {
        run(&self.command(yaml, format)).map(drop)
    }

    /// Seconds of the shortest build; `before` each is what is not counted.
    fn best(&self, yaml: &str, format: &str, before: &dyn Fn() -> Result<(), String>) -> Figure {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            before()?;
            let begun = Instant::now();
            self.build(yaml, format)?;
            best = best.min(begun.elapsed().as_secs_f64());
        }
        Ok(best)
    }

    /// The most memory that a build holds, in megabytes.
    fn peak(&self, yaml: &str, format: &str) -> Figure {
        self.peak_of(self.command(yaml, format))
    }

    fn peak_of(&self, build: Vec<String>) -> Figure {
        let file = self.dir.join("peak");
        let mut command = vec!["time".to_owned(), "-f".into(), "%M".into(), "-o".into()];
        command.push(file.display().to_string());
        command.extend(build);
        run(&command)?;
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let kib: f64 = text.trim().parse().map_err(|e| format!("what time(1) said, {text:?}: {e}"))?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// The most memory that the dearest of two builds of a root of 6 GiB holds, in megabytes: the archive, and a disk with the root
    /// in a partition.
    fn large(&self) -> Figure {
        let (layout, yaml) = (self.dir.join("large"), self.dir.join("large.yml"));
        large::write(&layout, large::FILES, large::FILE).map_err(|e| format!("{}: {e}", layout.display()))?;
        let (lkb, cache) = (image::lkb().display().to_string(), self.cache.display().to_string());
        let layout_text = layout.display().to_string();
        run(&[&lkb, "--cache", &cache, "cache", "import", &layout_text].map(str::to_owned))?;
        std::fs::remove_dir_all(&layout).map_err(|e| format!("{layout_text}: {e}"))?;
        let packages = root().join("pkg").display().to_string();
        let text = format!(
            "kernel:\n  image: \"@pkg:{packages}/kernel\"\ninit:\n  - \"@pkg:{packages}/init\"\n  - {}\n",
            large::NAME
        );
        std::fs::write(&yaml, text).map_err(|e| format!("{}: {e}", yaml.display()))?;
        let yaml = yaml.display().to_string();
        let tar = self.peak_of(self.command(&yaml, "tar"))?;
        std::fs::remove_file(self.dir.join("out.tar")).map_err(|e| format!("out.tar: {e}"))?;
        let mut disk = self.command(&yaml, "raw-efi");
        disk.extend(["--root", "erofs"].map(str::to_owned));
        let disk = self.peak_of(disk)?;
        std::fs::remove_file(self.dir.join("out-efi.img")).map_err(|e| format!("out-efi.img: {e}"))?;
        Ok(tar.max(disk))
    }

    fn megabytes(&self, name: &str) -> Figure {
        let path = self.dir.join(name);
        let meta = std::fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        // As precise as it is shown.
        Ok((meta.len() / 1000) as f64 / 1000.0)
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let words = |option: &str| {
        let paths = [from, to].map(|path| path.display().to_string());
        [&["cp".to_owned(), option.to_owned()][..], &paths].concat()
    };
    // Another file system has no links to this one.
    run(&words("-al")).or_else(|_| run(&words("-a"))).map(drop)
}

fn run(words: &[String]) -> Result<(), String> {
    let (program, args) = words.split_first().ok_or("no command")?;
    let out = Command::new(program)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&out.stderr).trim()))
}
