//! What a tag becomes when an image is pushed to it: a decision about what is here and what is there.

use crate::image::Digest;
use crate::image::platforms::{self, about, is_image, same_platform};
use oci_spec::image::{Descriptor, MediaType};

/// A name, here or there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    /// Its document.
    pub(super) top: Descriptor,
    /// The document's bytes.
    pub(super) bytes: Vec<u8>,
    /// The images that it leads to, each with its platform.
    pub(super) images: Vec<Descriptor>,
    /// Whether the images are all that the document names.
    pub(super) whole: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// Nothing: all is there.
    Nothing,
    /// Nothing: another image is there for this platform.
    Keep,
    /// The tag gets this document.
    Put { kind: MediaType, bytes: Vec<u8> },
}

/// Decides. Images of other platforms that are there stay there; one for the same platform only gives way when it is to
/// be replaced.
pub(super) fn plan(here: &Named, there: Option<&Named>, replace: bool) -> Plan {
    let own = || match (here.whole, here.images.as_slice()) {
        (true, _) => Plan::Put { kind: here.top.media_type().clone(), bytes: here.bytes.clone() },
        (false, images) => index_of(images),
    };
    let Some(there) = there else { return own() };
    let has = |image: &Descriptor| there.images.iter().any(|other| other.digest() == image.digest());
    if here.top.digest() == there.top.digest() || here.images.iter().all(has) {
        return Plan::Nothing;
    }
    let replaced = |other: &&Descriptor| {
        here.images.iter().any(|image| image.digest() != other.digest() && same_platform(image, other))
    };
    let gone: Vec<&Descriptor> =
        there.images.iter().filter(|other| is_image(other)).filter(replaced).collect();
    if !gone.is_empty() && !replace {
        return Plan::Keep;
    }
    let about_gone = |other: &Descriptor| {
        about(other).is_some_and(|about| gone.iter().any(|gone| gone.digest().as_ref() == about))
    };
    let stay: Vec<Descriptor> = there
        .images
        .iter()
        .filter(|other| !gone.contains(other) && !about_gone(other))
        .filter(|other| here.images.iter().all(|image| image.digest() != other.digest()))
        .cloned()
        .collect();
    if stay.is_empty() {
        return own();
    }
    index_of(&stay.into_iter().chain(here.images.iter().cloned()).collect::<Vec<_>>())
}

/// The first digest of an image that is there in the place of one that is here.
pub(super) fn rival(here: &Named, there: &Named) -> Option<Digest> {
    let rival = there.images.iter().find(|other| {
        is_image(other)
            && here.images.iter().any(|image| image.digest() != other.digest() && same_platform(image, other))
    })?;
    Digest::of_descriptor(rival.digest()).ok()
}

fn index_of(images: &[Descriptor]) -> Plan {
    Plan::Put { kind: MediaType::ImageIndex, bytes: platforms::index_of(images) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::platforms::ABOUT;

    fn image(arch: &str, content: &str) -> Descriptor {
        let text = json!({
            "mediaType": MediaType::ImageManifest, "size": 1, "digest": Digest::of(content.as_bytes()).to_string(),
            "platform": {"os": "linux", "architecture": arch},
        });
        serde_json::from_value(text).unwrap()
    }

    /// One image by itself.
    fn single(arch: &str, content: &str) -> Named {
        let top = image(arch, content);
        Named { images: vec![top.clone()], top, bytes: content.into(), whole: true }
    }

    fn index(images: &[Descriptor]) -> Named {
        let Plan::Put { kind, bytes } = index_of(images) else { unreachable!() };
        let digest: oci_spec::image::Digest = Digest::of(&bytes).to_string().parse().unwrap();
        let top = Descriptor::new(kind, bytes.len() as u64, digest);
        Named { images: images.to_vec(), top, bytes, whole: true }
    }

    #[test]
    fn an_empty_tag_gets_what_is_here_as_it_is() {
        let (one, two) = (single("amd64", "1"), index(&[image("amd64", "1"), image("arm64", "2")]));
        for here in [one, two] {
            let put = Plan::Put { kind: here.top.media_type().clone(), bytes: here.bytes.clone() };
            assert_eq!(plan(&here, None, false), put);
        }
    }

    #[test]
    fn an_index_with_platforms_that_are_not_here_is_pushed_without_them() {
        let part = Named { whole: false, ..index(&[image("arm64", "2")]) };
        let Plan::Put { bytes, .. } = plan(&part, None, false) else { panic!("nothing is put") };
        assert_eq!(bytes, index(&[image("arm64", "2")]).bytes);
    }

    #[test]
    fn other_platforms_stay_and_the_same_one_gives_way_only_when_asked() {
        let (amd, arm, new) = (image("amd64", "1"), image("arm64", "2"), image("arm64", "3"));
        let merged = |images: &[Descriptor]| index_of(images);
        for (here, there, replace, expected) in [
            (single("arm64", "2"), single("amd64", "1"), false, merged(&[amd.clone(), arm.clone()])),
            (single("arm64", "2"), index(&[amd.clone(), arm.clone()]), false, Plan::Nothing),
            (single("arm64", "2"), single("arm64", "2"), true, Plan::Nothing),
            (single("arm64", "3"), index(&[amd.clone(), arm.clone()]), false, Plan::Keep),
            (single("arm64", "3"), index(&[amd.clone(), arm]), true, merged(&[amd, new])),
            (
                single("arm64", "3"),
                single("arm64", "2"),
                true,
                Plan::Put { kind: MediaType::ImageManifest, bytes: "3".into() },
            ),
        ] {
            assert_eq!(plan(&here, Some(&there), replace), expected, "{here:?} {there:?}");
        }
    }

    #[test]
    fn what_is_about_a_replaced_image_goes_with_it() {
        let old = image("amd64", "1");
        let mut about: serde_json::Value = serde_json::to_value(image("unknown", "about")).unwrap();
        about["annotations"] = json!({ABOUT: old.digest().to_string()});
        about["platform"]["os"] = json!("unknown");
        let about: Descriptor = serde_json::from_value(about).unwrap();
        let there = index(&[old, about, image("arm64", "2")]);
        assert_eq!(
            plan(&single("amd64", "3"), Some(&there), true),
            index_of(&[image("arm64", "2"), image("amd64", "3")])
        );
        assert_eq!(rival(&single("amd64", "3"), &there), Some(Digest::of(b"1")));
    }
}
