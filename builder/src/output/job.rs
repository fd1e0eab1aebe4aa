//! One build of one machine in one or more formats.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::image::Cache;

use super::on_disk::{self, RootImage};
use super::pending::{self, Claim, PendingFile};
use super::{Compression, FileSystem, Format, Machine, OutputError, Settings, initrd, kernel_image};

/// What the formats of one build share.
pub struct Job<'a> {
    /// What is built.
    pub machine: &'a Machine,
    /// Holds compressed parts of earlier builds.
    pub cache: &'a Cache,
    /// Where the files go.
    pub dir: &'a Path,
    /// What the files' names start with.
    pub name: &'a str,
    /// What the user chose.
    pub settings: Settings,
    parts: Mutex<BTreeMap<Part, PathBuf>>,
    roots: Mutex<BTreeMap<FileSystem, RootImage>>,
    initrd: OnceLock<PathBuf>,
    making: Mutex<()>,
    claims: Mutex<Vec<Claim>>,
    warnings: Mutex<Vec<String>>,
}

/// What several formats may need, and is made once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    FirstStage(FileSystem),
    EmptyInitrd,
}

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The files, in the order in which they were started.
    pub files: Vec<PathBuf>,
    /// What the formats could not keep.
    pub warnings: Vec<String>,
}

/// Builds a machine in these formats. Either every file appears under its name, or none does.
///
/// # Errors
/// When two formats write the same file, a format fails, or the files cannot be written.
pub fn write(
    machine: &Machine,
    cache: &Cache,
    dir: &Path,
    name: &str,
    settings: Settings,
    formats: &[&dyn Format],
) -> Result<Built, OutputError> {
    super::distinct(name, formats)?;
    super::can_have_root(&settings, formats)?;
    fs::create_dir_all(dir).map_err(OutputError::io("create the output directory", dir))?;
    let job = Job::new(machine, cache, dir, name, settings);
    for format in formats {
        format.write(&job)?;
    }
    job.finish()
}

/// Builds a machine as one stream into the file `dir/name`, whole or not at all. `None` when the format makes no stream.
///
/// # Errors
/// When the format fails, or the file cannot be written.
pub fn write_stream(
    machine: &Machine,
    cache: &Cache,
    dir: &Path,
    name: &str,
    format: &dyn Format,
) -> Result<Option<()>, OutputError> {
    let job = Job::new(machine, cache, dir, name, Settings::default());
    let mut out = BufWriter::with_capacity(1 << 20, job.create(name)?);
    let Some(result) = format.stream(machine, &mut out) else { return Ok(None) };
    result?;
    let path = out.get_ref().path().to_owned();
    out.flush().map_err(OutputError::io("write", &path))?;
    job.finish().map(|_| Some(()))
}

/// Writes one file `dir/name`, whole or not at all.
///
/// # Errors
/// When `write` fails, or the file cannot be written.
pub fn write_whole(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    let (file, claim) = pending::create(dir, name, true)?;
    let path = file.path().to_owned();
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out)?;
    out.flush().map_err(OutputError::io("write", &path))?;
    claim.sync()?;
    claim.publish()?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(OutputError::io("sync", dir))
}

impl<'a> Job<'a> {
    /// A job without files yet.
    #[must_use]
    pub fn new(
        machine: &'a Machine,
        cache: &'a Cache,
        dir: &'a Path,
        name: &'a str,
        settings: Settings,
    ) -> Self {
        Self {
            machine,
            cache,
            dir,
            name,
            settings,
            parts: Mutex::default(),
            roots: Mutex::default(),
            initrd: OnceLock::new(),
            making: Mutex::default(),
            claims: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// Starts a file of this name in the output directory. It is there when the whole build is complete.
    ///
    /// # Errors
    /// When it cannot be made, or another build is making it.
    pub fn create(&self, name: &str) -> Result<PendingFile, OutputError> {
        self.claim(name, true)
    }

    /// Starts a file that is gone when the build is.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn scratch(&self, name: &str) -> Result<PendingFile, OutputError> {
        self.claim(name, false)
    }

    /// The initrd: the microcode, if there is any, and the root filesystem. Made once, for all formats.
    ///
    /// # Errors
    /// When it cannot hold what the machine has, or something cannot be read or written.
    pub fn initrd(&self) -> Result<&Path, OutputError> {
        // One format makes it, the others wait for it.
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = self.initrd.get() {
            return Ok(path);
        }
        let file = self.scratch(&format!("{}-initrd", self.name))?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let kept = initrd::write(self.machine, self.compression()?, self.cache, &mut out)?;
        out.flush().map_err(OutputError::io("write", &path))?;
        if let Some(warning) = kept.warning("an initrd") {
            self.warn(warning);
        }
        Ok(self.initrd.get_or_init(|| path))
    }

    /// How initrds are compressed: as the user wants it, else by zstd where the kernel can unpack that, else by gzip.
    pub(super) fn compression(&self) -> Result<Compression, OutputError> {
        if let Some(compression) = self.settings.compression {
            return Ok(compression);
        }
        let Some(kernel) = &self.machine.kernel else { return Ok(Compression::Gzip) };
        let zstd = kernel_image::unpacks_zstd(kernel, self.cache)?;
        Ok(if zstd { Compression::Zstd } else { Compression::Gzip })
    }

    /// The root filesystem as a file system. Made once, for all formats.
    pub(super) fn root(&self, file_system: FileSystem) -> Result<RootImage, OutputError> {
        let mut roots = guard(&self.roots);
        if let Some(root) = roots.get(&file_system) {
            return Ok(root.clone());
        }
        let mut file = self.scratch(&format!("{}-{}", self.name, file_system.name()))?;
        let path = file.path().to_owned();
        let mut root = RootImage::write(self.machine, file_system, file.file_mut(), path)?;
        if self.settings.verity {
            let mut file = self.scratch(&format!("{}-{}-verity", self.name, file_system.name()))?;
            let path = file.path().to_owned();
            root.add_tree(self.machine, file.file_mut(), path)?;
        }
        roots.insert(file_system, root.clone());
        Ok(root)
    }

    /// The initrd that finds such a root. Made once, for all formats.
    pub(super) fn first_stage(
        &self,
        format: &'static str,
        file_system: FileSystem,
    ) -> Result<PathBuf, OutputError> {
        self.part(Part::FirstStage(file_system), &format!("{}-stage", file_system.name()), &|out, _| {
            on_disk::write_first_stage(format, self, file_system, out)
        })
    }

    /// An initrd without files. Made once, for all formats.
    pub(super) fn empty_initrd(&self) -> Result<PathBuf, OutputError> {
        self.part(Part::EmptyInitrd, "no-initrd", &|out, path| on_disk::write_empty(self, out, path))
    }

    fn part(
        &self,
        part: Part,
        name: &str,
        write: &dyn Fn(&mut dyn Write, &Path) -> Result<(), OutputError>,
    ) -> Result<PathBuf, OutputError> {
        // One format makes it, the others wait for it.
        let mut parts = guard(&self.parts);
        if let Some(path) = parts.get(&part) {
            return Ok(path.clone());
        }
        let file = self.scratch(&format!("{}-{name}", self.name))?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write(&mut out, &path)?;
        out.flush().map_err(OutputError::io("write", &path))?;
        parts.insert(part, path.clone());
        Ok(path)
    }

    /// Copies a finished part, such as [`Self::initrd`], into a file of the output.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy(&self, from: &Path, to: &mut PendingFile) -> Result<(), OutputError> {
        let mut source = File::open(from).map_err(OutputError::io("read", from))?;
        let path = to.path().to_owned();
        io::copy(&mut source, to).map_err(OutputError::io("write", &path))?;
        Ok(())
    }

    /// Tells the user what a format could not keep: once, though several formats say it.
    pub fn warn(&self, warning: String) {
        let mut warnings = guard(&self.warnings);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    fn claim(&self, name: &str, keep: bool) -> Result<PendingFile, OutputError> {
        let (file, claim) = pending::create(self.dir, name, keep)?;
        guard(&self.claims).push(claim);
        Ok(file)
    }

    /// Makes all files durable, then gives them their names.
    fn finish(self) -> Result<Built, OutputError> {
        let claims = self.claims.into_inner().unwrap_or_else(PoisonError::into_inner);
        claims.iter().try_for_each(Claim::sync)?;
        let mut files = Vec::new();
        for claim in claims {
            files.extend(claim.publish()?);
        }
        let synced = File::open(self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(OutputError::io("sync", self.dir))?;
        Ok(Built { files, warnings: self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("dir", &self.dir).field("name", &self.name).finish_non_exhaustive()
    }
}
