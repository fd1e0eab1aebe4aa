//! The root password's hash: SHA-512 crypt, which slapd checks by the C library's `crypt` (`{CRYPT}`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha_crypt::{Algorithm, CustomizedPasswordHasher, Params, ShaCrypt};

/// Rounds of the hash: four times the usual 5000, some 10 ms on a server.
const ROUNDS: u32 = 20_000;
/// Random bytes in the salt; 16 characters, the most that crypt(5) takes.
const SALT: usize = 12;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// There are no random bytes.
    #[error("{path}: cannot read random bytes: {source}")]
    Random {
        /// The device.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The hash function refused.
    #[error("the root password cannot be hashed: {0}")]
    Hash(String),
}

/// Hashes `password` with a fresh salt from `random`: the value for `rootpw`.
pub fn hash(password: &[u8], random: &Path) -> Result<String, PasswordError> {
    let mut salt = [0; SALT];
    File::open(random)
        .and_then(|mut file| file.read_exact(&mut salt))
        .map_err(|source| PasswordError::Random { path: random.to_owned(), source })?;
    hash_with(password, &salt)
}

fn hash_with(password: &[u8], salt: &[u8]) -> Result<String, PasswordError> {
    let failed = |e: &dyn std::fmt::Display| PasswordError::Hash(e.to_string());
    let params = Params::new(ROUNDS).map_err(|e| failed(&e))?;
    let hash = ShaCrypt::new(Algorithm::Sha512Crypt, params)
        .hash_password_customized(password, salt, None, None, params)
        .map_err(|e| failed(&e))?;
    Ok(format!("{{CRYPT}}{}", hash.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier;

    #[test]
    fn the_hash_has_cryptes_form_and_verifies() {
        let hash = hash("geheim ä".as_bytes(), Path::new("/dev/urandom")).unwrap();
        let crypt = hash.strip_prefix("{CRYPT}").unwrap();
        let fields: Vec<&str> = crypt.split('$').collect();
        assert_eq!((fields[0], fields[1], fields[2]), ("", "6", "rounds=20000"));
        assert_eq!((fields[3].len(), fields[4].len()), (16, 86));
        assert!(crypt.chars().all(|c| c.is_ascii_alphanumeric() || "./$=".contains(c)), "{crypt}");
        let verify = |password: &str| ShaCrypt::SHA512.verify_password(password.as_bytes(), crypt).is_ok();
        assert!(verify("geheim ä"));
        assert!(!verify("geheim"));
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let random = Path::new("/dev/urandom");
        assert_ne!(hash(b"x", random).unwrap(), hash(b"x", random).unwrap());
    }

    #[test]
    fn the_hash_is_the_one_that_the_c_library_computes() {
        // perl -e 'print crypt("pleaseletmein", q($6$rounds=20000$................)), "\n"' >
        // pkg/slapd/testdata/crypt.txt
        let expected = include_str!("../testdata/crypt.txt").trim();
        assert_eq!(
            hash_with(b"pleaseletmein", &[0; SALT]).unwrap().strip_prefix("{CRYPT}").unwrap(),
            expected
        );
    }

    #[test]
    fn without_random_bytes_there_is_no_hash() {
        let message = hash(b"x", Path::new("/nowhere")).unwrap_err().to_string();
        assert!(message.contains("/nowhere"), "{message}");
    }
}
