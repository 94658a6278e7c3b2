//! Random tokens, their fingerprints, and the hashing of passwords.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{pbkdf2, rand};

use crate::error::LabError;

/// Far below what a real application should take: the lab is started dozens of times in its own tests.
const ROUNDS: NonZeroU32 = NonZeroU32::new(20_000).expect("not zero");
const SCHEME: &str = "pbkdf2-sha256-20000";

/// Makes a token of 256 random bits, as 64 hexadecimal digits.
pub(crate) fn new_token() -> Result<String, LabError> {
    Ok(hex(&random::<32>()?))
}

/// Returns what is stored of a token: whoever reads the table cannot use it as a cookie.
pub(crate) fn fingerprint(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

/// Hashes a password with a new salt into `scheme$salt$hash`.
pub(crate) fn hash_password(password: &str) -> Result<String, LabError> {
    let salt = random::<16>()?;
    let mut hash = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut hash);
    Ok(format!("{SCHEME}${}${}", hex(&salt), hex(&hash)))
}

/// Tells whether the password is the one that was hashed.
pub(crate) fn password_matches(password: &str, stored: &str) -> bool {
    let mut parts = stored.split('$');
    let (Some(SCHEME), Some(salt), Some(hash), None) =
        (parts.next(), parts.next().and_then(unhex), parts.next().and_then(unhex), parts.next())
    else {
        return false;
    };
    pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &hash).is_ok()
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn random<const N: usize>() -> Result<[u8; N], LabError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| LabError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let stored = hash_password("lantern").unwrap();
        assert!(password_matches("lantern", &stored));
        assert!(!password_matches("Lantern", &stored));
        assert_ne!(stored, hash_password("lantern").unwrap(), "the salt differs");
    }

    #[test]
    fn a_damaged_hash_matches_nothing() {
        for stored in ["", "$", "$$", "pbkdf2-sha256-20000$zz$00", "pbkdf2-sha256-20000$0$0", "plain$00$00"] {
            assert!(!password_matches("", stored), "{stored:?}");
        }
    }

    #[test]
    fn tokens_differ_and_do_not_show_in_their_fingerprints() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_ne!(fingerprint(&one), one);
        assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
    }
}
