//! One index of what several machines have pushed, each by a tag of its own.
//!
//! Registries cannot compare and swap: of two machines that write an index at once, the first one's is lost. So each pushes
//! `TAG-ARCH` first, makes the index of all such tags that are there, and looks again after it has written, until the index
//! is what the tags make. Whoever writes last sees the tags of everybody who has written before.

use std::thread;
use std::time::Duration;

use oci_spec::image::{Descriptor, MediaType};

use super::error::Reason;
use super::session::Session;
use super::tag::{has, put, there};
use crate::image::Digest;
use crate::image::document::is_index;
use crate::image::platforms::{self, about, is_image};

/// The architectures that a tag may have a part for, in Go's words.
const ARCHES: [&str; 5] = ["amd64", "arm64", "riscv64", "s390x", "ppc64le"];
/// How often the index is written before somebody is told that it does not stay.
const ROUNDS: u32 = 30;
/// The longest pause between two rounds; it grows up to there.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Makes a tag the index of all images that have a tag `TAG-ARCH`, and of those that it had before for other platforms.
/// Returns the digest of the index.
pub(super) fn join(session: &Session<'_>, tag: &str) -> Result<Digest, Reason> {
    for round in 0..ROUNDS {
        let parts = parts(session, tag)?;
        let before = there(session, tag)?;
        let had = before.as_ref().map_or(&[][..], |named| &named.images);
        let images = platforms::merged(had, &parts);
        if images.is_empty() {
            return Err(Reason::NoParts { tag: tag.to_owned() });
        }
        if let Some(named) = &before
            && is_index(named.top.media_type())
            && platforms::same(had, &images)
        {
            check(session, &images)?;
            return Ok(Digest::of(&named.bytes));
        }
        // Two that have met once should not meet again.
        let pause = Duration::from_millis(u64::from(std::process::id() % 16 + 1) * u64::from(round));
        thread::sleep(pause.min(LONGEST_PAUSE));
        check(session, &images)?;
        put(session, tag, &MediaType::ImageIndex, &platforms::index_of(&images))?;
    }
    Err(Reason::Unsettled { tag: tag.to_owned(), rounds: ROUNDS })
}

/// What the tags of the architectures lead to.
fn parts(session: &Session<'_>, tag: &str) -> Result<Vec<Descriptor>, Reason> {
    let mut parts = Vec::new();
    for arch in ARCHES {
        let Some(named) = there(session, &format!("{tag}-{arch}"))? else { continue };
        let is_own = |image: &&Descriptor| {
            is_image(image) && image.platform().as_ref().is_some_and(|p| p.architecture().to_string() == arch)
        };
        let images: Vec<Descriptor> = named.images.iter().filter(is_own).cloned().collect();
        let is_about = |other: &&Descriptor| {
            about(other).is_some_and(|about| images.iter().any(|image| image.digest().as_ref() == about))
        };
        parts.extend(named.images.iter().filter(is_about).cloned());
        parts.extend(images.iter().cloned());
    }
    Ok(parts)
}

/// Whether everything that the index names is there.
fn check(session: &Session<'_>, images: &[Descriptor]) -> Result<(), Reason> {
    for image in images {
        let digest = image.digest().to_string();
        if !has(session, &digest)? {
            let platform = image.platform().as_ref();
            let platform =
                platform.map_or_else(|| "?".into(), |p| format!("{}/{}", p.os(), p.architecture()));
            return Err(Reason::Gone { digest, platform });
        }
    }
    Ok(())
}
