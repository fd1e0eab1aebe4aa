//! `lkb cache export`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::super::{Outcome, SUCCESS};
use super::arch;
use crate::image::{Cache, Reference};
use crate::output::{self, ImageFormat, OutputError};

/// Write an image into an archive
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The archive, or - for standard output
    #[arg(long, value_name = "FILE")]
    pub outfile: PathBuf,

    /// What it is: an OCI layout, what `docker load` takes, or the image's files
    #[arg(long, value_enum, default_value = "oci")]
    pub format: Format,

    /// What it is for: linux/ARCH [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,

    /// What the archive calls the image [default: as the cache does]
    #[arg(long)]
    pub name: Option<String>,

    /// The image's name in the cache
    #[arg(value_name = "NAME")]
    pub image: String,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Format {
    Oci,
    Docker,
    Filesystem,
}

pub fn run(options: &Options, cache: &Cache) -> Outcome {
    let reference: Reference = options.image.parse()?;
    let called = options.name.as_deref().map_or_else(|| Ok(reference.clone()), str::parse)?;
    let arch = options.platform.as_deref().map_or(Ok(super::super::host_arch()), arch)?;
    let format = match options.format {
        Format::Oci => ImageFormat::Oci,
        Format::Docker => ImageFormat::Docker,
        Format::Filesystem => ImageFormat::Filesystem,
    };
    let write = |out: &mut dyn Write| output::write_image(cache, &reference, arch, &called, format, out);
    let file = &options.outfile;
    if file == Path::new("-") {
        let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        write(&mut out)?;
        out.flush().map_err(OutputError::io("write", "standard output".as_ref()))?;
        return SUCCESS;
    }
    let name = file.file_name().ok_or_else(|| format!("{} is no file name", file.display()))?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    output::write_whole(dir, &name.to_string_lossy(), write)?;
    SUCCESS
}
