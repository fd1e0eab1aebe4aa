//! `lkb cache rm`, `clean` and `gc`.

use super::super::{Context, Outcome, SUCCESS};
use crate::image::{Cache, Digest, Freed, Reference};

/// Removes images by name.
pub fn remove(names: &[String], published_only: bool, cache: &Cache, context: &Context) -> Outcome {
    let listed = cache.list()?;
    for name in names {
        let reference: Reference = name.parse()?;
        let absent = || format!("the cache has no image {name}; `lkb cache ls` shows what it has");
        if published_only {
            let canonical = reference.to_string();
            let image = listed.iter().find(|image| image.name == canonical).ok_or_else(absent)?;
            if !is_published(&reference, image.digest, context)? {
                continue;
            }
        }
        if !cache.remove(&reference)? {
            return Err(absent().into());
        }
    }
    SUCCESS
}

/// Removes all images, or those that registries have.
pub fn clean(published_only: bool, cache: &Cache, context: &Context) -> Outcome {
    if !published_only {
        told(cache.clean()?, context);
        return SUCCESS;
    }
    for image in cache.list()? {
        let Ok(reference) = image.name.parse::<Reference>() else {
            context.terminal.note(format_args!("{} stays: no registry knows such a name", image.name));
            continue;
        };
        if is_published(&reference, image.digest, context)? && cache.remove(&reference)? {
            context.terminal.note(format_args!("removed {reference}"));
        }
    }
    SUCCESS
}

/// Removes what no image needs.
pub fn collect_garbage(cache: &Cache, context: &Context) -> Outcome {
    told(cache.collect_garbage()?, context);
    SUCCESS
}

fn told(freed: Freed, context: &Context) {
    context.terminal.note(format_args!("removed {} files of {} bytes", freed.files, freed.bytes));
}

/// Whether the registry has the same image by this name; says why not.
fn is_published(
    reference: &Reference,
    digest: Digest,
    context: &Context,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    match context.registries()?.digest_of(reference) {
        Ok(published) if published == digest => Ok(true),
        Ok(other) => {
            context.terminal.note(format_args!("{reference} stays: the registry has {other} by this name"));
            Ok(false)
        }
        // Whether it is not there, or nobody knows: it is not known to be published.
        Err(error) => {
            context.terminal.note(format_args!("{reference} stays: {error}"));
            Ok(false)
        }
    }
}
