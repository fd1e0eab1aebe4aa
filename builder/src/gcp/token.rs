//! What a key is exchanged for.
//!
//! Sources: "Using OAuth 2.0 for Server to Server Applications" (RFC 7523), and RFC 6749, section 6.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::GcpError;
use super::key::{Key, Service};
use crate::http::{Client, Secret, Token};

/// What we may do with it: that of LinuxKit, objects and machines.
const SCOPES: &str =
    "https://www.googleapis.com/auth/devstorage.read_write https://www.googleapis.com/auth/compute";
/// How long a signed question counts, in seconds; an hour is the most.
const LIFETIME: u64 = 3600;

/// What proves who asks, anew. `now` is in seconds since 1970.
pub fn fetch(client: &Client, key: &Key, now: u64) -> Result<Token, GcpError> {
    let asked;
    let (url, fields) = match key {
        Key::Service(service) => {
            asked = assertion(service, now)?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            (&service.token_url, vec![("grant_type", grant), ("assertion", asked.reveal())])
        }
        Key::User(user) => (
            &user.token_url,
            vec![
                ("grant_type", "refresh_token"),
                ("client_id", user.client_id.as_str()),
                ("client_secret", user.client_secret.reveal()),
                ("refresh_token", user.refresh_token.reveal()),
            ],
        ),
    };
    let failed = |trouble| GcpError::LogIn { who: key.who().to_owned(), url: url.clone(), trouble };
    Token::ask(client, url, &fields).map_err(failed)
}

/// A signed question (RFC 7519, with RS256 of RFC 7518, section 3.3).
fn assertion(service: &Service, now: u64) -> Result<Secret, GcpError> {
    let failed = |reason: String| GcpError::PrivateKey { who: service.email.clone(), reason };
    let der = PrivatePkcs8KeyDer::from_pem_slice(service.private_key.reveal().as_bytes())
        .map_err(|error| failed(format!("it is not PKCS #8 in PEM: {error}")))?;
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| failed(error.to_string()))?;
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = &service.key_id {
        header["kid"] = id.as_str().into();
    }
    let claims = json!({
        "iss": service.email, "scope": SCOPES, "aud": service.token_url, "iat": now, "exp": now.saturating_add(LIFETIME),
    });
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|error| failed(error.to_string()))?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// A key that is nobody's: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`.
    const PEM: &str = include_str!("../../tests/data/nobody.pem");

    fn service(private_key: &str) -> Service {
        Service {
            email: "robot@p.example".into(),
            private_key: Secret::new(private_key),
            key_id: Some("k1".into()),
            token_url: "https://oauth2.googleapis.com/token".into(),
            project: None,
        }
    }

    #[test]
    fn a_question_is_signed_by_the_accounts_key_and_counts_for_an_hour() {
        let question = assertion(&service(PEM), 1_700_000_000).unwrap();
        let (signed, signature) = question.reveal().rsplit_once('.').unwrap();
        let parts: Vec<Value> = signed
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
        assert_eq!(
            parts[1],
            json!({
                "iss": "robot@p.example", "scope": SCOPES, "aud": "https://oauth2.googleapis.com/token",
                "iat": 1_700_000_000, "exp": 1_700_003_600,
            })
        );
        let der = PrivatePkcs8KeyDer::from_pem_slice(PEM.as_bytes()).unwrap();
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let public = ring::signature::UnparsedPublicKey::new(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            ring::signature::KeyPair::public_key(&pair),
        );
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }

    #[test]
    fn a_key_that_is_none_is_not_shown() {
        for text in ["SECRET", "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n"] {
            let error = assertion(&service(text), 0).unwrap_err().to_string();
            assert!(error.contains("robot@p.example") && !error.contains("SECRET"), "{error}");
        }
    }
}
