//! Simple signing: a payload in JSON, signed as it is (cosign, "Signature Specification"; containers/image,
//! "Atomic signature", for the payload).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::{Refused, shown};
use super::key::Key;
use super::rule::has_tag;
use crate::image::{Digest, Reference};

/// What a payload must call itself, so that what was signed for another purpose is not taken for this one.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// Whether one of the keys says that this digest is an image of this name. Nothing of a payload is read that none of
/// the keys has signed.
pub(super) fn judge(
    keys: &[Key],
    payload: &[u8],
    signature: &str,
    reference: &Reference,
    digest: Digest,
) -> Result<(), Refused> {
    let signature = STANDARD.decode(signature.trim()).map_err(Refused::malformed)?;
    if !keys.iter().any(|key| key.has_signed(payload, &signature)) {
        return Err(Refused::Key);
    }
    let Payload { critical } = serde_json::from_slice(payload).map_err(Refused::malformed)?;
    if critical.kind != KIND {
        return Err(Refused::malformed(format_args!("it calls itself {:?}", critical.kind)));
    }
    if critical.image.docker_manifest_digest != digest.to_string() {
        return Err(Refused::Digest(shown(&critical.image.docker_manifest_digest)));
    }
    let said = critical.identity.docker_reference;
    match said.parse::<Reference>() {
        Ok(name)
            if name.name() == reference.name()
                && (!has_tag(&said) || reference.tag().is_none() || name.tag() == reference.tag()) =>
        {
            Ok(())
        }
        _ => Err(Refused::Name(shown(&said))),
    }
}
