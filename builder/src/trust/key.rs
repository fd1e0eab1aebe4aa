//! Public keys, and what they have signed.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;
use webpki::ring::{
    ECDSA_P256_SHA256, ECDSA_P384_SHA256, ECDSA_P384_SHA384, ED25519, RSA_PKCS1_2048_8192_SHA256,
};

use super::error::TrustError;

/// Largest file of keys, in bytes.
const MAX: u64 = 1 << 20;
/// How a text of keys begins.
const PEM: &str = "-----BEGIN ";

/// What cosign signs with: P-256 unless told otherwise; and what it takes beside.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 5] =
    [ECDSA_P256_SHA256, ECDSA_P384_SHA256, ECDSA_P384_SHA384, ED25519, RSA_PKCS1_2048_8192_SHA256];

/// A public key.
pub(super) struct Key(SubjectPublicKeyInfoDer<'static>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The keys of an entry of `trust.key`: a text in PEM form, or a file of such.
    pub(super) fn of_yaml(text: &str) -> Result<Vec<Self>, TrustError> {
        match text.trim_start().starts_with(PEM) {
            true => Self::parse("trust.key", text.as_bytes()),
            false => Self::of_file(Path::new(text)),
        }
    }

    /// The keys of a file.
    pub(super) fn of_file(path: &Path) -> Result<Vec<Self>, TrustError> {
        let failed = |source| TrustError::Read { path: PathBuf::from(path), source };
        let mut pem = Vec::new();
        File::open(path).and_then(|file| file.take(MAX).read_to_end(&mut pem)).map_err(failed)?;
        Self::parse(&path.display().to_string(), &pem)
    }

    fn parse(origin: &str, pem: &[u8]) -> Result<Vec<Self>, TrustError> {
        let failed = |reason: &str| TrustError::Key { origin: origin.to_owned(), reason: reason.to_owned() };
        let mut keys = Vec::new();
        for key in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
            let key = key.map_err(|error| failed(&error.to_string()))?;
            let entity =
                RawPublicKeyEntity::try_from(&key).map_err(|_| failed("its content is malformed"))?;
            if !ALGORITHMS.iter().any(|algorithm| fits(&entity, *algorithm)) {
                return Err(failed("it is neither ECDSA (P-256, P-384) nor Ed25519 nor RSA"));
            }
            keys.push(Self(key));
        }
        match keys.is_empty() {
            false => Ok(keys),
            true if pem.windows(11).any(|part| part == b"PRIVATE KEY") => {
                Err(failed("it is a private key, which belongs nowhere near a build"))
            }
            true => Err(failed("there is no `PUBLIC KEY` in it")),
        }
    }

    /// Whether this key has made the signature of the message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(entity) = RawPublicKeyEntity::try_from(&self.0) else { return false };
        ALGORITHMS.iter().any(|algorithm| entity.verify_signature(*algorithm, message, signature).is_ok())
    }
}

/// Whether an algorithm is one for this kind of key.
fn fits(key: &RawPublicKeyEntity<'_>, algorithm: &dyn SignatureVerificationAlgorithm) -> bool {
    // No signature at all is refused either way; the question is why.
    matches!(
        key.verify_signature(algorithm, b"", b""),
        Ok(()) | Err(webpki::Error::InvalidSignatureForPublicKey)
    )
}
