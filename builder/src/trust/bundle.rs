//! Bundles: a statement about digests in a signed envelope, in one JSON file (sigstore, "Bundle Format"; DSSE,
//! "Protocol"; in-toto, "Statement"). Those that a key has signed count, those of certificates do not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::{Refused, shown};
use super::key::Key;
use crate::image::Digest;

/// What an envelope must hold.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// What the statement must be: who attests how an image was built does not approve of it with that.
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// Most signatures of one envelope.
const MAX_SIGNATURES: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digests,
}

#[derive(Deserialize)]
struct Digests {
    sha256: Option<String>,
}

/// Whether one of the keys says that an image has this digest.
pub(super) fn judge(keys: &[Key], bundle: &[u8], digest: Digest) -> Result<(), Refused> {
    let Bundle { dsse_envelope: envelope } = serde_json::from_slice(bundle).map_err(Refused::malformed)?;
    let payload = STANDARD.decode(&envelope.payload).map_err(Refused::malformed)?;
    let message = encode(&envelope.payload_type, &payload);
    let signed = envelope.signatures.iter().take(MAX_SIGNATURES).any(|signature| {
        STANDARD
            .decode(&signature.sig)
            .is_ok_and(|signature| keys.iter().any(|key| key.has_signed(&message, &signature)))
    });
    if !signed {
        return Err(Refused::Key);
    }
    if envelope.payload_type != STATEMENT {
        return Err(Refused::malformed(format_args!("it holds {:?}", envelope.payload_type)));
    }
    let statement: Statement = serde_json::from_slice(&payload).map_err(Refused::malformed)?;
    if statement.predicate_type != PREDICATE {
        return Err(Refused::malformed(format_args!("it states {:?}", statement.predicate_type)));
    }
    let hex = digest.hex();
    match statement.subject.iter().any(|subject| subject.digest.sha256.as_deref() == Some(hex.as_str())) {
        true => Ok(()),
        false => {
            let other = statement.subject.first().and_then(|subject| subject.digest.sha256.as_deref());
            Err(Refused::Digest(format!("sha256:{}", shown(other.unwrap_or("nothing")))))
        }
    }
}

/// What is signed of an envelope (DSSE, "PAE").
fn encode(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend(payload);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_protocols_example() {
        let encoded = encode("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
