//! `lkb build`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Context, Outcome, SUCCESS, source};
use crate::build::{self, When};
use crate::event::Work;
use crate::image::engine::Engine;
use crate::output::{self, Compression, FileSystem, Format, Machine, Settings, vmlinux};
use crate::size::Size;
use crate::spec::Profile;
use crate::trust::Policy;

/// Build an image from a configuration
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The prefix of the files that are written [default: the last FILE's name without its extension]
    #[arg(long)]
    pub name: Option<String>,

    /// The directory that they are written into
    #[arg(long, default_value = ".")]
    pub dir: PathBuf,

    /// The one file that is written instead, or - for standard output
    #[arg(short = 'o', long = "o", value_name = "FILE", conflicts_with_all = ["name", "dir"])]
    pub output: Option<PathBuf>,

    /// What is written; several with commas between them [default: kernel+initrd, or tar with -o]
    #[arg(short, long, value_name = "LIST", value_delimiter = ',')]
    pub format: Vec<String>,

    /// The size of disk images that have a fixed one
    #[arg(long, default_value = "1024M")]
    pub size: Size,

    /// Where disks have the root filesystem: in the initrd, and so in memory, or in a partition, read when it is needed
    /// [default: squashfs with kernels that mount it by themselves, else initrd]
    #[arg(long, value_enum, value_name = "WHERE")]
    pub root: Option<Root>,

    /// Have the kernel check each block of such a partition as it is read, by dm-verity: a machine whose root was changed or
    /// damaged stops
    #[arg(long, requires = "root")]
    pub verity: bool,

    /// How initrds are compressed [default: zstd with kernels that unpack it, else gzip]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub compress: Option<Compress>,

    /// The architecture that the image is for
    #[arg(long, default_value = super::host_arch())]
    pub arch: String,

    /// Unpack the kernel: for loaders that take no bzImage, no EFI program, or no Image.gz
    #[arg(long)]
    pub decompress_kernel: bool,

    /// Ask the registries for every image, and not only for those that the cache does not have
    #[arg(long)]
    pub pull: bool,

    /// An earlier tar, with the file in it that a `files` entry with `metadata:` makes. LinuxKit copies from it what has not
    /// changed; here the cache has that, so the file must be there, and nothing is copied: the result is the same
    #[arg(long, value_name = "FILE", conflicts_with = "pull")]
    pub input_tar: Option<PathBuf>,

    /// Look in the Docker engine's image store before the cache
    #[arg(long)]
    pub docker: bool,

    /// What containers are given that neither the YAML nor their labels speak of
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,

    /// Take signatures by the public keys in this file for images that `trust` names; repeatable
    #[arg(long, value_name = "PEM")]
    pub trust_key: Vec<PathBuf>,

    #[command(flatten)]
    pub sbom: super::sbom::SbomOptions,

    /// Show the merged configuration and build nothing
    #[arg(long)]
    pub dry_run: bool,

    /// The configurations, merged from left to right; - is standard input, and http(s)://URL is brought
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Where disks have the root filesystem.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Root {
    /// In the initrd
    Initrd,
    /// In a compressed partition
    Squashfs,
    /// In a partition that is not compressed
    Erofs,
}

/// How initrds are compressed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Compress {
    /// For every kernel
    Gzip,
    /// Smaller, and unpacked faster
    Zstd,
    /// A tenth smaller still, and unpacked as fast; takes fifteen times the time to make
    #[value(name = "zstd-19")]
    Zstd19,
    /// Larger, and unpacked fastest
    Lz4,
    /// Not at all
    None,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let formats = options.formats()?;
    let settings = options.settings();
    output::distinct(&options.prefix(), &formats)?;
    options.check_input_tar()?;
    output::can_have_root(&settings, &formats)?;
    let mut config = context.load(&source::read_all(&options.files, &context.certificates)?)?;
    if options.dry_run {
        context.terminal.print(config.to_yaml()?.trim_end())?;
        return SUCCESS;
    }
    if let Some(tar) = &options.input_tar {
        build::check_earlier(tar, &config)?;
        let tar = tar.display();
        context
            .terminal
            .detail(format_args!("nothing is copied from {tar}: the cache has what has not changed"));
    }
    let cache = context.cache()?;
    let choices = build::Options {
        trust: Policy::new(&config.trust, &options.trust_key)?,
        profile: options.profile,
        sbom: options.sbom.choose()?,
    };
    build::take_local(&mut config, &cache)?;
    if options.docker {
        let engine = Engine::of_environment()?;
        build::take_from_engine(&mut config, &cache, &engine, &options.arch, &mut |reference| {
            context.terminal.note(format_args!("taking {reference} from the Docker engine"));
        })?;
    }
    let when = if options.pull { When::Always } else { When::Missing };
    build::fetch(&config, &cache, &options.arch, &context.registries()?, when, &choices.trust)?;
    let mut machine = context.working(Work::Assemble, &options.prefix(), || {
        build::assemble(&config, &cache, &options.arch, &choices)
    })?;
    if options.decompress_kernel {
        machine.kernel = machine.kernel.as_ref().map(vmlinux::unpacked_content).transpose()?;
    }
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    if let Some(file) = &options.output {
        return context.working(Work::Write, &names.join(", "), || stream(&machine, &cache, file, &formats));
    }
    let built = context.working(Work::Write, &names.join(", "), || {
        output::write(&machine, &cache, &options.dir, &options.prefix(), settings, &formats)
    })?;
    built.warnings.iter().for_each(|warning| context.terminal.warn(warning));
    built.files.iter().try_for_each(|file| context.terminal.result(file))?;
    SUCCESS
}

impl Options {
    fn formats(&self) -> Result<Vec<&'static dyn Format>, String> {
        let default = if self.output.is_some() { "tar" } else { "kernel+initrd" };
        let names: Vec<&str> = match self.format.as_slice() {
            [] => vec![default],
            names => names.iter().map(String::as_str).collect(),
        };
        names.into_iter().map(|name| output::format(name).ok_or_else(|| unknown_format(name))).collect()
    }

    fn settings(&self) -> Settings {
        let root = self.root.map(|root| match root {
            Root::Initrd => output::Root::Initrd,
            Root::Squashfs => output::Root::Partition(FileSystem::Squashfs),
            Root::Erofs => output::Root::Partition(FileSystem::Erofs),
        });
        let compression = self.compress.map(|compress| match compress {
            Compress::Gzip => Compression::Gzip,
            Compress::Zstd => Compression::Zstd,
            Compress::Zstd19 => Compression::Zstd19,
            Compress::Lz4 => Compression::Lz4,
            Compress::None => Compression::None,
        });
        Settings { size: self.size.bytes(), root, verity: self.verity, compression }
    }

    fn check_input_tar(&self) -> Result<(), String> {
        let Some(tar) = &self.input_tar else { return Ok(()) };
        if self.output.as_ref() == Some(tar) {
            return Err(format!("--input-tar and -o are the same file, {}", tar.display()));
        }
        if !tar.is_file() {
            return Err(format!("--input-tar: there is no file {}", tar.display()));
        }
        Ok(())
    }

    fn prefix(&self) -> String {
        let last = self.files.last().map_or(Path::new("-"), PathBuf::as_path);
        match &self.name {
            Some(name) => name.clone(),
            None if last == Path::new("-") => "moby".into(),
            None if source::is_url(last) => {
                let path = last.to_string_lossy();
                let path = path.split(['?', '#']).next().unwrap_or_default();
                Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
            }
            None => last.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

fn unknown_format(name: &str) -> String {
    let known: Vec<&str> = output::FORMATS.iter().map(|format| format.name()).collect();
    format!("unknown format `{name}`; known are {}", known.join(", "))
}

/// Writes the one format as a stream.
fn stream(
    machine: &Machine,
    cache: &crate::image::Cache,
    file: &Path,
    formats: &[&'static dyn Format],
) -> Outcome {
    let [format] = formats else { return Err("with -o there can be one format only".into()) };
    if file == Path::new("-") {
        let mut out = std::io::stdout().lock();
        format.stream(machine, &mut out).ok_or_else(|| no_stream(*format))??;
        out.flush()?;
        return SUCCESS;
    }
    let cannot = |error| format!("cannot write to {}: {error}", file.display());
    // What a link leads to is written, as any program would.
    let target = if file.is_symlink() { fs::canonicalize(file).map_err(cannot)? } else { file.to_owned() };
    let file = target.as_path();
    if fs::metadata(file).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        // A device or a pipe takes bytes as they come; a file of its name would take its place.
        let mut out = OpenOptions::new().write(true).open(file).map_err(cannot)?;
        format.stream(machine, &mut out).ok_or_else(|| no_stream(*format))??;
        return SUCCESS;
    }
    let name = file.file_name().ok_or_else(|| format!("{} is no file name", file.display()))?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    output::write_stream(machine, cache, dir, &name.to_string_lossy(), *format)?
        .ok_or_else(|| no_stream(*format))?;
    SUCCESS
}

fn no_stream(format: &dyn Format) -> String {
    format!("the format {} makes more than a stream: use --name and --dir instead of -o", format.name())
}
