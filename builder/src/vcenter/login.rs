//! Who we are: LinuxKit's `https://USER:PASSWORD@HOST/sdk`.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::VCenterError;
use crate::http::{Secret, is_loopback};

/// Who asks, and where.
#[derive(Debug)]
pub struct Login {
    /// Scheme and host.
    pub(super) base: String,
    /// The value of `Authorization`.
    pub(super) basic: Secret,
    pub(super) certificates: Vec<PathBuf>,
}

impl Login {
    /// Of an address with user and password.
    ///
    /// # Errors
    /// With what is wrong about it.
    pub fn new(url: &str, certificates: &[PathBuf]) -> Result<Self, VCenterError> {
        let (base, user, password) = parse(url).map_err(VCenterError::Address)?;
        let basic = Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Ok(Self { base, basic, certificates: certificates.to_vec() })
    }
}

fn parse(url: &str) -> Result<(String, String, String), &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no https:// at its beginning")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (who, host) = authority.rsplit_once('@').ok_or("it has no user")?;
    let (user, password) = who.split_once(':').ok_or("it has no password")?;
    match scheme {
        _ if host.is_empty() => Err("it has no host"),
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        _ => Err("it is not https"),
    }?;
    Ok((format!("{scheme}://{host}"), decoded(user)?, decoded(password)?))
}

/// Without its percent signs (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "a % in it is not followed by two hexadecimal digits of UTF-8";
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => return Err(WRONG),
                }
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_user_password_and_host() {
        for (url, expected) in [
            ("https://u:p@vc.example/sdk", Ok(("https://vc.example", "u", "p"))),
            ("https://a%40b:p%2F:%C3%A4@vc:8443", Ok(("https://vc:8443", "a@b", "p/:ä"))),
            ("http://u:p@127.0.0.1:80/sdk", Ok(("http://127.0.0.1:80", "u", "p"))),
            ("http://u:p@vc/sdk", Err("it is not https")),
            ("vc/sdk", Err("it has no https:// at its beginning")),
            ("https://vc/sdk", Err("it has no user")),
            ("https://u@vc/sdk", Err("it has no password")),
            ("https://u:p@/sdk", Err("it has no host")),
            ("https://u:%4@vc", Err("a % in it is not followed by two hexadecimal digits of UTF-8")),
            ("https://u:%FF@vc", Err("a % in it is not followed by two hexadecimal digits of UTF-8")),
        ] {
            let found = parse(url);
            let found = found
                .as_ref()
                .map(|(base, user, password)| (base.as_str(), user.as_str(), password.as_str()));
            assert_eq!(found, expected.as_ref().map(|texts| *texts), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login::new("https://u:hidden@vc.example/sdk", &[]).unwrap();
        assert!(!format!("{login:?}").contains("hidden"));
        let error = Login::new("http://u:hidden@vc.example/sdk", &[]).unwrap_err().to_string();
        assert!(!error.contains("hidden") && error.contains("VCURL"), "{error}");
    }
}
