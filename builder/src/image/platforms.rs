//! An index of images: which it has when others are added to it (OCI image-spec, image-index.md; BuildKit, "Image
//! attestation storage").

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::{Descriptor, MediaType};
use serde_json::json;

use super::document::is_for;

/// BuildKit's annotation of a manifest that is about another one: which.
pub(super) const ABOUT: &str = "vnd.docker.reference.digest";

/// Whether it is something that runs; what is about an image has the platform `unknown/unknown`.
pub(super) fn is_image(descriptor: &Descriptor) -> bool {
    about(descriptor).is_none()
}

/// The digest of the image that a manifest is about.
pub(super) fn about(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(ABOUT).map(String::as_str)
}

/// Whether two images are for the same machines.
pub(super) fn same_platform(one: &Descriptor, other: &Descriptor) -> bool {
    match (one.platform(), other.platform()) {
        (Some(one), Some(other)) => {
            is_for(other, one.architecture()) && one.os() == other.os() && one.variant() == other.variant()
        }
        _ => false,
    }
}

/// What an index has that had `there` and gets `here`: one image a platform, the one from here where both have one, each
/// followed by what is about it. The order says nothing of who came first, so that whoever knows the same images makes the
/// same index.
pub(super) fn merged(there: &[Descriptor], here: &[Descriptor]) -> Vec<Descriptor> {
    let mut images: BTreeMap<String, &Descriptor> = BTreeMap::new();
    for image in there.iter().chain(here).filter(|image| is_image(image)) {
        images.insert(platform(image), image);
    }
    let mut merged = Vec::new();
    for image in images.into_values() {
        merged.push(image.clone());
        let statements = |of: &[Descriptor]| -> BTreeMap<String, Descriptor> {
            let of_image = of.iter().filter(|other| about(other) == Some(image.digest().as_ref()));
            of_image.map(|other| (other.digest().to_string(), other.clone())).collect()
        };
        let own = statements(here);
        merged.extend(if own.is_empty() { statements(there) } else { own }.into_values());
    }
    merged
}

/// Whether two lists have the same manifests.
pub(super) fn same(one: &[Descriptor], other: &[Descriptor]) -> bool {
    let digests = |list: &[Descriptor]| -> BTreeSet<String> {
        list.iter().map(|descriptor| descriptor.digest().to_string()).collect()
    };
    one.len() == other.len() && digests(one) == digests(other)
}

/// The index's document.
pub(super) fn index_of(images: &[Descriptor]) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": images});
    index.to_string().into_bytes()
}

/// By what images for the same machines are told; one that does not say is told by its digest.
fn platform(image: &Descriptor) -> String {
    match image.platform() {
        Some(platform) => {
            let variant = platform.variant().as_deref().unwrap_or_default();
            format!("{}/{}/{variant}", platform.os(), platform.architecture())
        }
        None => image.digest().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Digest;
    use super::*;

    fn image(arch: &str, content: &str) -> Descriptor {
        let text = json!({
            "mediaType": MediaType::ImageManifest, "size": 1, "digest": Digest::of(content.as_bytes()).to_string(),
            "platform": {"os": "linux", "architecture": arch},
        });
        serde_json::from_value(text).unwrap()
    }

    fn statement(subject: &Descriptor, content: &str) -> Descriptor {
        let mut text = serde_json::to_value(image("unknown", content)).unwrap();
        text["annotations"] = json!({ABOUT: subject.digest().to_string()});
        text["platform"]["os"] = json!("unknown");
        serde_json::from_value(text).unwrap()
    }

    fn merge(there: &[&Descriptor], here: &[&Descriptor]) -> Vec<Descriptor> {
        let owned = |list: &[&Descriptor]| list.iter().map(|one| (*one).clone()).collect::<Vec<_>>();
        merged(&owned(there), &owned(here))
    }

    #[test]
    fn images_of_other_platforms_stay_and_the_same_platform_is_replaced() {
        let (amd, arm, new) = (image("amd64", "1"), image("arm64", "2"), image("arm64", "3"));
        assert_eq!(merge(&[], &[&arm]).first(), Some(&arm));
        let both = merge(&[&arm], &[&amd]);
        assert_eq!(both, [amd.clone(), arm.clone()]);
        assert_eq!(merge(&[&amd], &[&arm]), both, "in whatever order they come");
        assert_eq!(merge(&[&amd, &arm], &[&new]), [amd, new]);
    }

    #[test]
    fn what_is_about_an_image_stays_for_as_long_as_the_image() {
        let (amd, arm, new) = (image("amd64", "1"), image("arm64", "2"), image("arm64", "3"));
        let (of_amd, of_arm, of_new) = (statement(&amd, "a"), statement(&arm, "b"), statement(&new, "c"));
        let newer = statement(&arm, "d");
        let there = [&amd, &arm, &of_amd, &of_arm];
        for (here, rest) in [
            (vec![&new, &of_new], [&new, &of_new]),
            (vec![&arm], [&arm, &of_arm]),
            (vec![&arm, &newer], [&arm, &newer]),
        ] {
            let expected = [&amd, &of_amd, rest[0], rest[1]].map(Clone::clone);
            assert_eq!(merge(&there, &here), expected);
        }
    }
}
