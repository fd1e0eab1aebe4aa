//! `lkb cache rm`, `clean` and `gc`.

use super::super::{Context, Outcome, SUCCESS};
use crate::image::{Cache, Freed};

/// Removes images by name.
pub fn remove(names: &[String], cache: &Cache) -> Outcome {
    for name in names {
        if !cache.remove(&name.parse()?)? {
            return Err(format!("the cache has no image {name}; `lkb cache ls` shows what it has").into());
        }
    }
    SUCCESS
}

/// Removes all images.
pub fn clean(cache: &Cache, context: &Context) -> Outcome {
    told(cache.clean()?, context);
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
