//! What kind of document a registry has given.

use oci_spec::image::MediaType;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::Reason;
use crate::image::document::{DOCKER_LIST, DOCKER_MANIFEST, is_index, is_manifest};

/// What is asked for where a name may mean an image or an index of images.
pub(super) const ANY: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// What is asked for where only an image can be.
pub(super) const IMAGE: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// Configurations of images; anything else is an artifact of another kind.
const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// What servers say that do not know better.
const VAGUE: [&str; 4] = ["", "application/json", "application/octet-stream", "text/plain"];

/// What every kind of document may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

/// What a document is, by what the registry says and by what is in it; both must agree, or one document could be
/// read as two different images.
pub(super) fn kind(content_type: Option<&str>, bytes: &[u8]) -> Result<MediaType, Reason> {
    let unusable = |reason: String| Reason::Document { what: "manifest", reason };
    let stated =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if stated.starts_with("application/vnd.docker.distribution.manifest.v1+") {
        return Err(Reason::Schema1);
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
    match head.schema_version {
        1 => return Err(Reason::Schema1),
        2 => {}
        other => return Err(unusable(format!("its schema version is {other}, not 2"))),
    }
    let is_list = head.manifests.is_some();
    let is_image = head.config.is_some() && head.layers.is_some();
    if is_list == (is_image || head.config.is_some() || head.layers.is_some()) {
        return Err(unusable("it is neither a manifest nor an index in form".into()));
    }
    let name = match (VAGUE.contains(&stated.as_str()), head.media_type) {
        (true, Some(own)) => own,
        (true, None) if is_list => MediaType::ImageIndex.to_string(),
        (true, None) => MediaType::ImageManifest.to_string(),
        (false, Some(own)) if own != stated => {
            return Err(unusable(format!(
                "it comes as {} and calls itself {}",
                quoted(&stated),
                quoted(&own)
            )));
        }
        (false, _) => stated,
    };
    let known = match name.as_str() {
        DOCKER_LIST | DOCKER_MANIFEST => MediaType::Other(name.clone()),
        other => MediaType::from(other),
    };
    if (is_list && is_index(&known)) || (is_image && is_manifest(&known)) {
        return Ok(known);
    }
    Err(unusable(format!("its type is {}", quoted(&name))))
}

/// Whether this is the configuration of an image.
pub(super) fn check_configuration(kind: &MediaType) -> Result<(), Reason> {
    match CONFIGURATIONS.contains(&kind.as_ref()) {
        true => Ok(()),
        false => {
            let reason =
                format!("its configuration is {}: it is no image of a container", quoted(kind.as_ref()));
            Err(Reason::Document { what: "manifest", reason })
        }
    }
}

/// A stranger's text in a message.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
    const IMAGE_JSON: &[u8] = br#"{"schemaVersion": 2, "config": {}, "layers": []}"#;
    const INDEX_JSON: &[u8] = br#"{"schemaVersion": 2, "manifests": []}"#;

    #[test]
    fn the_four_kinds_are_known() {
        for name in ANY.split(", ") {
            let json = if name.contains("index") || name.contains("list") { INDEX_JSON } else { IMAGE_JSON };
            assert_eq!(kind(Some(name), json).unwrap().as_ref(), name);
            assert_eq!(kind(Some(&format!("{name}; charset=utf-8")), json).unwrap().as_ref(), name);
        }
        assert_eq!(kind(None, IMAGE_JSON).unwrap(), MediaType::ImageManifest);
        assert_eq!(kind(Some("application/json"), INDEX_JSON).unwrap(), MediaType::ImageIndex);
        let own = format!(
            r#"{{"schemaVersion": 2, "mediaType": "{DOCKER_MANIFEST}", "config": {{}}, "layers": []}}"#
        );
        assert_eq!(kind(None, own.as_bytes()).unwrap().as_ref(), DOCKER_MANIFEST);
    }

    #[test]
    fn schema_1_is_told_as_such() {
        let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        for (content_type, json) in [(signed, &b"{}"[..]), ("application/json", br#"{"schemaVersion": 1}"#)] {
            assert!(matches!(kind(Some(content_type), json), Err(Reason::Schema1)), "{content_type}");
        }
    }

    #[test]
    fn a_document_that_is_two_things_or_none_is_refused() {
        let both = br#"{"schemaVersion": 2, "config": {}, "layers": [], "manifests": []}"#;
        let other = format!(r#"{{"schemaVersion": 2, "mediaType": "{OCI}", "manifests": []}}"#);
        for (content_type, json) in [
            (OCI, &both[..]),
            (OCI, INDEX_JSON),
            ("application/vnd.oci.image.index.v1+json", IMAGE_JSON),
            ("application/vnd.oci.image.index.v1+json", other.as_bytes()),
            ("application/json", other.as_bytes()),
            (OCI, b"{\"schemaVersion\": 2}"),
            (OCI, b"{\"schemaVersion\": 3, \"config\": {}, \"layers\": []}"),
            (OCI, b"<html>"),
            ("text/html", IMAGE_JSON),
        ] {
            let found = kind(Some(content_type), json);
            assert!(matches!(found, Err(Reason::Document { .. })), "{content_type}: {found:?}");
        }
    }
}
