//! What a registry has by a tag, and what it gets.

use oci_spec::image::{
    Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, PlatformBuilder,
};
use ureq::http::Method;

use super::client::{Payload, Request, Upload};
use super::error::Reason;
use super::manifest::{self, ANY};
use super::merge::Named;
use super::session::{Session, Trouble};
use crate::http::retry::Attempts;
use crate::image::Digest;
use crate::image::document::is_index;

/// How docker-registry words DIGEST_INVALID (OCI distribution-spec, "Error Codes").
const DOUBT: &str = "provided digest did not match uploaded content";

/// What the registry has by the tag.
pub(super) fn there(session: &Session<'_>, tag: &str) -> Result<Option<Named>, Reason> {
    let answer = match session.document(&format!("manifests/{tag}"), ANY) {
        Err(Reason::NotFound) => return Ok(None),
        answer => answer?,
    };
    let kind = manifest::kind(answer.kind.as_deref(), &answer.bytes)?;
    let digest: oci_spec::image::Digest =
        Digest::of(&answer.bytes).to_string().parse().map_err(|error| unusable(&error))?;
    let mut top = Descriptor::new(kind.clone(), answer.bytes.len() as u64, digest);
    let images = if is_index(&kind) {
        let index: ImageIndex = serde_json::from_slice(&answer.bytes).map_err(|error| unusable(&error))?;
        index.manifests().clone()
    } else {
        let manifest: ImageManifest =
            serde_json::from_slice(&answer.bytes).map_err(|error| unusable(&error))?;
        let config = session.document(&format!("blobs/{}", manifest.config().digest()), "")?;
        if Digest::of(&config.bytes).to_string() != manifest.config().digest().as_ref() {
            return Err(unusable(&"its configuration is another one"));
        }
        let config: ImageConfiguration =
            serde_json::from_slice(&config.bytes).map_err(|error| unusable(&error))?;
        let platform = PlatformBuilder::default()
            .os(config.os().clone())
            .architecture(config.architecture().clone())
            .build()
            .map_err(|error| unusable(&error))?;
        top.set_platform(Some(platform));
        vec![top.clone()]
    };
    Ok(Some(Named { top, bytes: answer.bytes, images, whole: true }))
}

/// Gives a document a name: a tag or its digest.
pub(super) fn put(session: &Session<'_>, name: &str, kind: &MediaType, bytes: &[u8]) -> Result<(), Reason> {
    let url = session.at(&format!("manifests/{name}"));
    let mut attempts = Attempts::default();
    loop {
        let upload = Upload { kind: kind.as_ref(), begins: None, payload: Payload::Bytes(bytes) };
        let request = Request { method: Method::PUT, upload: Some(upload), ..Request::default() };
        match session.exchange(&url, request, &[200, 201]).map_err(doubted) {
            Err(trouble) if session.waits(&mut attempts, &trouble) => {}
            answer => return answer.map(drop).map_err(|trouble| trouble.reason),
        }
    }
}

/// The digest of what was sent is right. docker-registry says that it is not when it reads its own link to a blob of the manifest
/// in the moment in which somebody else's push writes it, which is over soon.
fn doubted(trouble: Trouble) -> Trouble {
    match &trouble.reason {
        Reason::Status { status: 400, message } if message.contains(DOUBT) => {
            Trouble { passing: Some(None), ..trouble }
        }
        _ => trouble,
    }
}

/// Whether the registry has a manifest.
pub(super) fn has(session: &Session<'_>, digest: &str) -> Result<bool, Reason> {
    let url = session.at(&format!("manifests/{digest}"));
    let mut attempts = Attempts::default();
    loop {
        let request = Request { method: Method::HEAD, accept: ANY, ..Request::default() };
        match session.exchange(&url, request, &[200, 404]) {
            Err(trouble) if session.waits(&mut attempts, &trouble) => {}
            answer => return answer.map(|answer| answer.status() == 200).map_err(|trouble| trouble.reason),
        }
    }
}

fn unusable(reason: &dyn std::fmt::Display) -> Reason {
    Reason::Document { what: "manifest", reason: reason.to_string() }
}
