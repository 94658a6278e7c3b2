//! The keys of an issuer (RFC 7517 §5).

use serde_json::Value;
use sockwarden_model::printable_text;

use crate::{
    algorithm::Algorithm,
    key::{Key, KeyError},
    object,
    token_error::TokenError,
};

/// The most keys that a document may have.
const MOST_KEYS: usize = 64;
/// The longest document, in bytes.
pub(crate) const LONGEST_DOCUMENT: usize = 256 * 1024;

/// Keys that tokens are verified with.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    left_out: Vec<String>,
}

/// Why there are no keys in what should hold some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It is no JSON object with an array `keys`, or a name comes twice in it.
    #[error("it is no JWKS: a JSON object with an array `keys`, each name once")]
    Malformed,
    /// It has more than 256 KiB.
    #[error("it is longer than 256 KiB")]
    Long,
    /// It has more than 64 keys.
    #[error("it has more than {MOST_KEYS} keys")]
    Many,
    /// None of its keys can be used; why the first cannot, where there is one.
    #[error("it has no key that can be used{}", .0.map(|why| format!(": of the first one, {why}")).unwrap_or_default())]
    Nothing(Option<KeyError>),
    /// It is no public key in PEM, or one that cannot be used.
    #[error("it is no public key in PEM that can be used: {0}")]
    Pem(KeyError),
}

impl Keys {
    /// Reads a JWKS (RFC 7517 §5). Keys that cannot be used are left out.
    ///
    /// # Errors
    /// It is none, beyond a limit, or nothing in it can be used.
    pub fn from_jwks(document: &[u8]) -> Result<Self, KeysError> {
        if document.len() > LONGEST_DOCUMENT {
            return Err(KeysError::Long);
        }
        let document = object::read(document).ok_or(KeysError::Malformed)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(KeysError::Malformed)?;
        if entries.len() > MOST_KEYS {
            return Err(KeysError::Many);
        }
        let mut found = Self::default();
        let mut first = None;
        for (index, entry) in entries.iter().enumerate() {
            match entry.as_object().ok_or(KeyError::Malformed).and_then(Key::from_jwk) {
                Ok(key) => found.keys.push(key),
                Err(why) => {
                    let id = entry.get("kid").and_then(Value::as_str).unwrap_or_default();
                    found.left_out.push(format!("keys[{index}] `{}`: {why}", printable_text(id, 40)));
                    first.get_or_insert(why);
                }
            }
        }
        if found.keys.is_empty() { Err(KeysError::Nothing(first)) } else { Ok(found) }
    }

    /// Reads one public key in PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// It is none, too short, or of a type that is not supported.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeysError> {
        Key::from_pem(pem).map(Self::one).map_err(KeysError::Pem)
    }

    pub(crate) fn one(key: Key) -> Self {
        Self { keys: vec![key], left_out: Vec::new() }
    }

    /// Tells how many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Says which keys of the document were left out, and why.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Tells whether any of them can be used with one of these.
    pub(crate) fn fit_any(&self, algorithms: &[Algorithm]) -> bool {
        algorithms.iter().any(|algorithm| self.keys.iter().any(|key| key.fits(*algorithm)))
    }

    /// Picks the key of a token by its `kid`, or the only one that fits where it names none.
    pub(crate) fn pick(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.fits(algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id)));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(TokenError::UnknownKey),
            (Some(_), Some(_)) => Err(TokenError::AmbiguousKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::Issuer;

    #[test]
    fn a_document_gives_the_keys_that_can_be_used_and_tells_of_the_others() {
        let good = Issuer::p256().jwk(Some("a"));
        let mut encrypting = Issuer::rsa().jwk(Some("b\u{1b}"));
        encrypting["use"] = json!("enc");
        let keys = Keys::from_jwks(json!({"keys": [encrypting, good, 1], "more": 1}).to_string().as_bytes())
            .unwrap();
        assert_eq!(keys.len(), 1);
        let expected = ["keys[0] `b\\u{1b}`: it is not for signatures", "keys[2] ``: it is malformed"];
        assert_eq!(keys.left_out(), expected);
    }

    #[test]
    fn what_is_no_document_gives_no_keys() {
        let check = |document: &str, expected: KeysError| {
            assert_eq!(Keys::from_jwks(document.as_bytes()).map(|_| ()), Err(expected));
        };
        check("", KeysError::Malformed);
        check("<html>", KeysError::Malformed);
        check("[]", KeysError::Malformed);
        check("{}", KeysError::Malformed);
        check("{\"keys\":{}}", KeysError::Malformed);
        check("{\"keys\":[],\"keys\":[]}", KeysError::Malformed);
        check("{\"keys\":[]}", KeysError::Nothing(None));
        check("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", KeysError::Nothing(Some(KeyError::Short)));
        check(&json!({"keys": vec![Issuer::p256().jwk(None); 65]}).to_string(), KeysError::Many);
        check(&" ".repeat(LONGEST_DOCUMENT + 1), KeysError::Long);
    }

    #[test]
    fn a_key_is_picked_by_its_id_and_type_and_never_guessed() {
        use Algorithm::{ES256, EdDSA, HS256, RS256};
        let document = json!({"keys": [
            Issuer::p256().jwk(Some("a")), Issuer::rsa().jwk(Some("a")), Issuer::rsa().jwk(Some("b")),
            Issuer::ed25519().jwk(Some("twice")), Issuer::ed25519().jwk(Some("twice")),
        ]});
        let keys = Keys::from_jwks(document.to_string().as_bytes()).unwrap();
        let check = |id: Option<&str>, algorithm, expected: Result<(), TokenError>| {
            assert_eq!(keys.pick(id, algorithm).map(|_| ()), expected, "{id:?} {algorithm:?}");
        };
        check(Some("a"), ES256, Ok(()));
        check(Some("a"), RS256, Ok(()));
        check(Some("b"), RS256, Ok(()));
        check(Some("b"), ES256, Err(TokenError::UnknownKey));
        check(Some("c"), ES256, Err(TokenError::UnknownKey));
        check(Some(""), ES256, Err(TokenError::UnknownKey));
        check(Some("a"), HS256, Err(TokenError::UnknownKey));
        check(Some("twice"), EdDSA, Err(TokenError::AmbiguousKey));
        check(None, ES256, Ok(()));
        check(None, RS256, Err(TokenError::AmbiguousKey));
        check(None, HS256, Err(TokenError::UnknownKey));
    }
}
