//! `lkb cache pull`.

use super::super::{Context, Outcome, SUCCESS};
use super::arch;
use crate::image::registry::{Former, Registries};
use crate::image::{Cache, Digest, Reference};

/// Bring images from their registries, and print their digests
///
/// Their signatures come along, so that builds can check them off-line when `trust` asks for it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What they are for: linux/ARCH [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,

    /// The images' names
    #[arg(required = true, value_name = "REF")]
    pub names: Vec<String>,
}

pub fn run(options: &Options, cache: &Cache, context: &Context) -> Outcome {
    let arch = options.platform.as_deref().map_or(Ok(super::super::host_arch()), arch)?;
    let registries = context.registries()?;
    for name in &options.names {
        let reference: Reference = name.parse()?;
        let pulled = registries.pull(cache, &reference, arch, Former::Replaced)?;
        signatures(&registries, cache, &reference, arch, pulled.digest, context)?;
        context.terminal.print(format_args!("{reference} {}", pulled.digest))?;
    }
    SUCCESS
}

/// Brings the signatures of what a name means and, where that is an index, of the image for the machine.
fn signatures(
    registries: &Registries,
    cache: &Cache,
    reference: &Reference,
    arch: &str,
    named: Digest,
    context: &Context,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let image = cache.resolve(reference, arch)?.map(|image| image.digest);
    for digest in std::iter::once(named).chain(image.filter(|digest| *digest != named)) {
        // The image is there, and nobody has said that it must be signed.
        if let Err(error) = registries.pull_signatures(cache, reference, digest) {
            context.terminal.warn(format_args!("{reference} came without signatures: {error}"));
        }
    }
    Ok(())
}
