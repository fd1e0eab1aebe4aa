//! Loading modules in-process with finit_module(2): no fork and no exec for each, as `modprobe` would cost.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module, init_module};

use crate::cmdline::Cmdline;
use crate::decompress::Packing;
use crate::modules::{Config, Database, StaticNode, Step, Texts, static_nodes};

/// `MODULE_INIT_COMPRESSED_FILE` (linux/module.h, since 5.17): the kernel decompresses.
const COMPRESSED_FILE: u32 = 4;
/// Largest file of depmod's that is read, in bytes; a distribution kernel's largest has 2 MB.
const TEXT_LIMIT: u64 = 32 * 1024 * 1024;
/// Where the operator's files are, the later directory winning; modprobe.d(5).
const CONFIG_DIRECTORIES: [&str; 2] = ["/usr/lib/modprobe.d", "/etc/modprobe.d"];

/// The part of the kernel that takes modules.
pub trait Kernel {
    /// Whether a module is in the kernel already.
    fn is_loaded(&self, name: &str) -> bool;
    /// Loads a file below the module directory.
    ///
    /// # Errors
    /// What open(2) or finit_module(2) says.
    fn insert(&mut self, file: &str, parameters: &str) -> Result<(), Errno>;
}

/// Why a module is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot load kernel module {name} ({file}): {}", explain(*.errno))]
pub struct Failure {
    /// The kernel's name for the module.
    pub name: String,
    /// Its file, below the module directory.
    pub file: String,
    /// What the kernel said.
    pub errno: Errno,
}

impl Failure {
    /// Whether the driver only found nothing to drive, as drivers for the wrong CPU or hypervisor do.
    #[must_use]
    pub fn is_missing_hardware(&self) -> bool {
        self.errno == Errno::ENODEV
    }
}

fn explain(errno: Errno) -> String {
    let hint = match errno {
        Errno::ENOENT => {
            "the file is missing, or the module needs a symbol that the kernel lacks (see the kernel log)"
        }
        Errno::ENOEXEC => "it was built for another kernel",
        Errno::EBADMSG => "the file is damaged: it cannot be unpacked",
        Errno::EOWNERDEAD => {
            "its driver crashed and took the process that loaded it along (see the kernel log)"
        }
        Errno::EKEYREJECTED => "its signature is missing or not trusted",
        Errno::EPERM => "the kernel's lockdown, or module_blacklist, forbids it",
        other => return other.to_string(),
    };
    format!("{errno}: {hint}")
}

/// What came of one name or alias.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Modules that were not in the kernel before.
    pub loaded: Vec<String>,
    /// Modules that are not there now.
    pub failures: Vec<Failure>,
}

/// Loads all that a name or alias means; `None` when nothing is known by it.
///
/// A module that fails ends its own plan only: the next module that claims the alias is tried.
pub fn load(database: &Database<'_>, kernel: &mut dyn Kernel, name: &str) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    for plan in database.resolve(name)? {
        for step in plan {
            match load_step(kernel, &step) {
                Ok(Loaded::Now) => outcome.loaded.push(step.name),
                Ok(Loaded::Before) => {}
                Err(_) if step.optional => {}
                Err(errno) => {
                    outcome.failures.push(Failure { name: step.name, file: step.file, errno });
                    break;
                }
            }
        }
    }
    Some(outcome)
}

/// A module that is in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// Since now.
    Now,
    /// It was already.
    Before,
}

/// Loads one module, without those that it needs.
///
/// # Errors
/// What [`Kernel::insert`] says.
pub fn load_step(kernel: &mut dyn Kernel, step: &Step) -> Result<Loaded, Errno> {
    if kernel.is_loaded(&step.name) {
        return Ok(Loaded::Before);
    }
    match kernel.insert(&step.file, &step.parameters) {
        Ok(()) => Ok(Loaded::Now),
        Err(Errno::EEXIST) => Ok(Loaded::Before),
        Err(errno) => Err(errno),
    }
}

/// The running kernel's module directory.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// `/lib/modules/RELEASE` of the running kernel.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn of_running_kernel() -> io::Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self { path: Path::new("/lib/modules").join(release.trim()) })
    }

    /// Whether the image has modules for this kernel at all.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.join("modules.dep").exists()
    }

    /// Reads depmod's files; `symbols` too when a symbol is asked for.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn texts(&self, symbols: bool) -> io::Result<Texts> {
        let mut aliases = self.text("modules.alias")?;
        if symbols {
            aliases.push_str(&self.text("modules.symbols")?);
        }
        Ok(Texts { dependencies: self.text("modules.dep")?, aliases, builtin: self.text("modules.builtin")? })
    }

    /// Reads the operator's files, `modules.softdep` and the kernel's command line.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn config(&self, cmdline: &Cmdline) -> io::Result<Config> {
        let mut config = Config::default();
        config.read(&self.text("modules.softdep")?);
        for directory in CONFIG_DIRECTORIES {
            let Ok(entries) = fs::read_dir(directory) else { continue };
            let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
            files.retain(|path| path.extension().is_some_and(|end| end == "conf"));
            files.sort();
            for file in files {
                config.read(&read_text(&file)?);
            }
        }
        config.read_cmdline(cmdline);
        Ok(config)
    }

    /// The device nodes whose first open loads a module.
    ///
    /// # Errors
    /// When `modules.devname` is there and cannot be read.
    pub fn static_nodes(&self) -> io::Result<Vec<StaticNode>> {
        Ok(static_nodes(&self.text("modules.devname")?).collect())
    }

    fn text(&self, name: &str) -> io::Result<String> {
        read_text(&self.path.join(name))
    }
}

/// A file's text; empty when it is missing.
fn read_text(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(TEXT_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Kernel for Directory {
    fn is_loaded(&self, name: &str) -> bool {
        Path::new("/sys/module").join(name).join("initstate").exists()
    }

    fn insert(&mut self, file: &str, parameters: &str) -> Result<(), Errno> {
        let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let opened = File::open(self.path.join(file)).map_err(errno)?;
        let parameters = CString::new(parameters).map_err(|_| Errno::EINVAL)?;
        let Some(packing) = Packing::of(file) else {
            return finit_module(&opened, &parameters, ModuleInitFlags::empty());
        };
        match finit_module(&opened, &parameters, ModuleInitFlags::from_bits_retain(COMPRESSED_FILE)) {
            // It cannot unpack, or not this packing, or does not know the flag.
            Err(Errno::EOPNOTSUPP | Errno::EINVAL) => {
                let module = packing.unpack(opened).map_err(|_damaged| Errno::EBADMSG)?;
                init_module(&module, &parameters)
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    fn texts() -> Texts {
        Texts {
            dependencies: "blk.ko.xz: core.ko.xz\ncore.ko.xz:\nnet.ko.xz: core.ko.xz\n".into(),
            aliases: "alias v:1 blk\nalias v:1 net\n".into(),
            builtin: String::new(),
        }
    }

    fn load_with(kernel: &mut FakeKernel, name: &str) -> Option<Outcome> {
        let mut config = Config::default();
        config.read("options net napi=1");
        load(&Database::new(&texts(), config), kernel, name)
    }

    #[test]
    fn what_two_modules_share_is_loaded_once() {
        let mut kernel = FakeKernel::default();
        let outcome = load_with(&mut kernel, "v:1").unwrap();
        assert_eq!(outcome.loaded, ["core", "blk", "net"]);
        assert_eq!(kernel.inserted, ["core.ko.xz", "blk.ko.xz", "net.ko.xz napi=1"]);
    }

    #[test]
    fn a_module_that_is_there_is_no_failure_and_one_that_fails_does_not_stop_the_next() {
        let failing = vec![("core.ko.xz", Errno::EEXIST), ("blk.ko.xz", Errno::ENOEXEC)];
        let mut kernel = FakeKernel { failing, ..FakeKernel::default() };
        let outcome = load_with(&mut kernel, "v:1").unwrap();
        assert_eq!(outcome.loaded, ["net"]);
        let said: Vec<_> = outcome.failures.iter().map(Failure::to_string).collect();
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("cannot load kernel module blk (blk.ko.xz): ENOEXEC"), "{said:?}");
    }

    #[test]
    fn a_failed_dependency_ends_the_plan() {
        let mut kernel = FakeKernel { failing: vec![("core.ko.xz", Errno::ENOENT)], ..FakeKernel::default() };
        let outcome = load_with(&mut kernel, "blk").unwrap();
        assert!(outcome.loaded.is_empty() && kernel.inserted.is_empty());
        assert_eq!(outcome.failures[0].name, "core");
    }

    #[test]
    fn an_unknown_name_is_told_apart_from_a_failure() {
        assert_eq!(load_with(&mut FakeKernel::default(), "nope"), None);
    }
}
