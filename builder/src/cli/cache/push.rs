//! `lkb cache push`.

use super::super::{Context, Outcome, SUCCESS};
use crate::image::registry::{Pushed, Pushing};
use crate::image::{Cache, Reference};

/// Put images into their registries, and print their digests
///
/// All platforms that the cache has go there, beside those that the registry has by the same name. Signatures do not: they
/// are for the name that they were made for, and `cosign sign` or `cosign copy` puts them where they belong.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What the image is called there [default: as the cache does]
    #[arg(long, value_name = "REF")]
    pub remote_name: Option<String>,

    /// Give each architecture a tag of its own, too: TAG-amd64, TAG-arm64
    #[arg(long)]
    pub with_arch_tags: bool,

    /// Replace what the registry has for the same platforms
    #[arg(long = "override")]
    pub replace: bool,

    /// The images' names in the cache
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

pub fn run(options: &Options, cache: &Cache, context: &Context) -> Outcome {
    let remote = options.remote_name.as_deref().map(str::parse::<Reference>).transpose()?;
    if remote.is_some() && options.names.len() > 1 {
        return Err("--remote-name is the name of one image; push them one after the other".into());
    }
    let registries = context.registries()?;
    let how = Pushing { arch_tags: options.with_arch_tags, replace: options.replace };
    for name in &options.names {
        let reference: Reference = name.parse()?;
        let remote = remote.as_ref().unwrap_or(&reference);
        match registries.push(cache, &reference, remote, how)? {
            Pushed::Sent { digest, .. } => context.terminal.print(format_args!("{remote} {digest}"))?,
            Pushed::Known(digest) => {
                context.terminal.note(format_args!("{remote} is in the registry already"));
                context.terminal.print(format_args!("{remote} {digest}"))?;
            }
            Pushed::Kept(digest) => context.terminal.note(format_args!(
                "{remote} is not pushed: the registry has {digest} for the same platform; --override replaces it"
            )),
        }
    }
    SUCCESS
}
