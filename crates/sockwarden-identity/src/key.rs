//! One key that tokens are verified with.

use std::fmt;

use aws_lc_rs::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde_json::{Map, Value};
use x509_cert::{
    der::{
        Decode as _, Reader as _, SliceReader,
        asn1::{ObjectIdentifier, UintRef},
    },
    spki::SubjectPublicKeyInfoRef,
};

use crate::algorithm::{Algorithm, Family, Means};

/// The shortest secret, in bytes: what HMAC with SHA-256 gives (RFC 7518 §3.2).
pub(crate) const SHORTEST_SECRET: usize = 32;
/// The longest id of a key that is compared.
pub(crate) const LONGEST_ID: usize = 256;

const SHORTEST_MODULUS: usize = 2048;
const LONGEST_MODULUS: usize = 8192;
const LONGEST_EXPONENT: usize = 8;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A key, its family, and what it says of itself.
#[derive(Clone)]
pub(crate) struct Key {
    /// Its `kid`.
    pub(crate) id: Option<String>,
    /// The only algorithm that it may be used with, where it says so.
    only: Option<Algorithm>,
    family: Family,
    /// A secret, or a public key in the form that the library parses: DER for RSA, a point, 32 bytes.
    bytes: Vec<u8>,
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no JWK, or a member of it is missing or malformed (RFC 7517 §4).
    #[error("it is malformed")]
    Malformed,
    /// It is for something other than signatures.
    #[error("it is not for signatures")]
    Use,
    /// It is of a type, on a curve or for an algorithm that is not known.
    #[error("its type is not supported")]
    Type,
    /// It is an RSA key of less than 2048 bits, or a secret of less than 32 bytes.
    #[error("it is too short")]
    Short,
    /// It is an RSA key of more than 8192 bits.
    #[error("it is too long")]
    Long,
}

impl Key {
    pub(crate) fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < SHORTEST_SECRET {
            return Err(KeyError::Short);
        }
        Ok(Self { id: None, only: None, family: Family::Secret, bytes: secret.to_vec() })
    }

    /// Reads a public key in PEM (`BEGIN PUBLIC KEY`, RFC 7468 §13).
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Malformed)?;
        let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| KeyError::Malformed)?;
        let key = info.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
        if info.algorithm.oid == RSA {
            return rsa_from_der(key);
        }
        if info.algorithm.oid == ED25519_ID {
            return Self::public(Family::Ed25519, key);
        }
        if info.algorithm.oid != EC {
            return Err(KeyError::Type);
        }
        let curve: ObjectIdentifier =
            info.algorithm.parameters.and_then(|curve| curve.decode_as().ok()).ok_or(KeyError::Malformed)?;
        match curve {
            P256 => Self::public(Family::P256, key),
            P384 => Self::public(Family::P384, key),
            _ => Err(KeyError::Type),
        }
    }

    /// Reads a key of a JWKS (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        let id = match jwk.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= LONGEST_ID => Some(id.clone()),
            Some(_) => return Err(KeyError::Malformed),
        };
        match jwk.get("use") {
            None => {}
            Some(Value::String(usage)) if usage == "sig" => {}
            Some(_) => return Err(KeyError::Use),
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => {}
            Some(_) => return Err(KeyError::Use),
        }
        let only = match jwk.get("alg") {
            None => None,
            Some(Value::String(name)) => Some(Algorithm::named(name).ok_or(KeyError::Type)?),
            Some(_) => return Err(KeyError::Malformed),
        };
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Malformed);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).map_err(|_| KeyError::Malformed);
        let key = match text("kty")? {
            "oct" => Self::from_secret(&bytes("k")?)?,
            "RSA" => rsa(&bytes("n")?, &bytes("e")?)?,
            "EC" => {
                let (family, length) = match text("crv")? {
                    "P-256" => (Family::P256, 32),
                    "P-384" => (Family::P384, 48),
                    _ => return Err(KeyError::Type),
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != length || y.len() != length {
                    return Err(KeyError::Malformed);
                }
                Self::public(family, &[&[4], &x[..], &y[..]].concat())?
            }
            "OKP" if text("crv")? == "Ed25519" => Self::public(Family::Ed25519, &bytes("x")?)?,
            _ => return Err(KeyError::Type),
        };
        if only.is_some_and(|only| only.family() != key.family) {
            return Err(KeyError::Malformed);
        }
        Ok(Self { id, only, ..key })
    }

    /// Tells whether a token signed with `algorithm` may be verified with it.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.family == algorithm.family() && self.only.is_none_or(|only| only == algorithm)
    }

    /// Tells whether `signature` is that of `message`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match algorithm.means() {
            Means::Secret(means) => {
                hmac::verify(&hmac::Key::new(means, &self.bytes), message, signature).is_ok()
            }
            Means::Rsa(means) => {
                UnparsedPublicKey::new(means, &self.bytes).verify(message, signature).is_ok()
            }
            Means::Public(means) => {
                UnparsedPublicKey::new(means, &self.bytes).verify(message, signature).is_ok()
            }
        }
    }

    /// Takes a public key that is a point, once the library has found that it is on the curve.
    fn public(family: Family, bytes: &[u8]) -> Result<Self, KeyError> {
        let parsed = match family {
            Family::P256 if bytes.len() == 65 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
            Family::P384 if bytes.len() == 97 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes),
            Family::Ed25519 if bytes.len() == 32 => ParsedPublicKey::new(&ED25519, bytes),
            Family::P256 | Family::P384 | Family::Ed25519 | Family::Rsa | Family::Secret => {
                return Err(KeyError::Malformed);
            }
        };
        parsed.map_err(|_| KeyError::Malformed)?;
        Ok(Self { id: None, only: None, family, bytes: bytes.to_vec() })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes may be a secret.
        out.debug_struct("Key").field("id", &self.id).field("family", &self.family).finish_non_exhaustive()
    }
}

/// Reads an RSA key in PKCS #1 (RFC 8017 §A.1.1).
fn rsa_from_der(der: &[u8]) -> Result<Key, KeyError> {
    let read = || {
        let mut reader = SliceReader::new(der)?;
        let numbers = reader.sequence(|inner| {
            Ok::<_, x509_cert::der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?))
        })?;
        reader.finish()?;
        Ok::<_, x509_cert::der::Error>(numbers)
    };
    let (n, e) = read().map_err(|_| KeyError::Malformed)?;
    rsa(n.as_bytes(), e.as_bytes())
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Key, KeyError> {
    // Some issuers write the sign's zero byte (RFC 7518 §6.3.1.1 forbids it); it changes nothing.
    let n = n.strip_prefix(&[0]).unwrap_or(n);
    let first = n.first().ok_or(KeyError::Malformed)?;
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if bits < SHORTEST_MODULUS {
        return Err(KeyError::Short);
    }
    if bits > LONGEST_MODULUS || e.len() > LONGEST_EXPONENT {
        return Err(KeyError::Long);
    }
    let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
    let parsed = parsed.map_err(|_| KeyError::Malformed)?;
    // What was built from numbers is read again as keys from files are, which judges the numbers.
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, parsed.as_ref()).map_err(|_| KeyError::Malformed)?;
    Ok(Key { id: None, only: None, family: Family::Rsa, bytes: parsed.as_ref().to_vec() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Issuer};

    #[test]
    fn a_key_is_used_only_where_it_is_whole_and_meant_for_signatures() {
        let check = |jwk: Value, expected: Result<Family, KeyError>| {
            let read = Key::from_jwk(jwk.as_object().unwrap()).map(|key| key.family);
            assert_eq!(read, expected, "{jwk}");
        };
        let with = |jwk: &Value, name: &str, value: Value| {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            jwk
        };
        let (rsa, ec, ed) = (Issuer::rsa().jwk(None), Issuer::p256().jwk(None), Issuer::ed25519().jwk(None));
        let p384 = Issuer::p384().jwk(None);
        let secret = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32])});
        for (jwk, family) in [
            (&rsa, Family::Rsa),
            (&ec, Family::P256),
            (&p384, Family::P384),
            (&ed, Family::Ed25519),
            (&secret, Family::Secret),
        ] {
            check(jwk.clone(), Ok(family));
            check(with(jwk, "use", json!("sig")), Ok(family));
            check(with(jwk, "use", json!("enc")), Err(KeyError::Use));
            check(with(jwk, "use", json!(1)), Err(KeyError::Use));
            check(with(jwk, "key_ops", json!(["verify"])), Ok(family));
            check(with(jwk, "key_ops", json!(["encrypt"])), Err(KeyError::Use));
            check(with(jwk, "kid", json!("a")), Ok(family));
            check(with(jwk, "kid", json!(1)), Err(KeyError::Malformed));
            check(with(jwk, "kid", json!("k".repeat(257))), Err(KeyError::Malformed));
            check(with(jwk, "alg", json!("none")), Err(KeyError::Type));
            check(with(jwk, "kty", json!("???")), Err(KeyError::Type));
        }
        check(with(&rsa, "alg", json!("PS256")), Ok(Family::Rsa));
        check(with(&rsa, "alg", json!("HS256")), Err(KeyError::Malformed));
        check(with(&rsa, "alg", json!("RSA-OAEP")), Err(KeyError::Type));
        check(with(&rsa, "n", json!("")), Err(KeyError::Malformed));
        check(with(&rsa, "n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))), Err(KeyError::Short));
        check(with(&rsa, "n", json!(URL_SAFE_NO_PAD.encode([0xff; 1025]))), Err(KeyError::Long));
        check(with(&rsa, "e", json!(URL_SAFE_NO_PAD.encode([0xff; 9]))), Err(KeyError::Long));
        check(with(&rsa, "e", json!("AQ")), Err(KeyError::Malformed));
        check(with(&rsa, "e", json!("AA")), Err(KeyError::Malformed));
        check(with(&rsa, "e", json!("AQAB=")), Err(KeyError::Malformed));
        check(with(&ec, "crv", json!("P-521")), Err(KeyError::Type));
        check(with(&ec, "crv", json!("secp256k1")), Err(KeyError::Type));
        check(with(&ec, "crv", json!("P-384")), Err(KeyError::Malformed));
        check(with(&ec, "y", json!(URL_SAFE_NO_PAD.encode([1; 32]))), Err(KeyError::Malformed));
        check(with(&ed, "crv", json!("X25519")), Err(KeyError::Type));
        check(with(&ed, "x", json!("AAAA")), Err(KeyError::Malformed));
        check(with(&secret, "k", json!("AAAA")), Err(KeyError::Short));
        check(json!({}), Err(KeyError::Malformed));
    }

    #[test]
    fn a_public_key_in_pem_is_the_same_key() {
        for issuer in [Issuer::rsa(), Issuer::p256(), Issuer::p384(), Issuer::ed25519()] {
            let key = Key::from_pem(issuer.public_pem().as_bytes()).unwrap();
            assert_eq!(key.bytes, Key::from_jwk(issuer.jwk(None).as_object().unwrap()).unwrap().bytes);
        }
        let check = |pem: &str, expected: KeyError| {
            assert_eq!(Key::from_pem(pem.as_bytes()).map(|_| ()), Err(expected), "{pem}");
        };
        check("", KeyError::Malformed);
        check(testing::SHORT_RSA_PEM, KeyError::Short);
        check(testing::P521_PEM, KeyError::Type);
        let (label, other) = ("PUBLIC KEY", "CERTIFICATE");
        check(&Issuer::p256().public_pem().replace(label, other), KeyError::Malformed);
        check(&Issuer::p256().public_pem().replace("MFk", "MFg"), KeyError::Malformed);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", Key::from_secret(b"hunter2 hunter2 hunter2 hunter2 ").unwrap());
        assert!(!shown.contains("hunter") && !shown.contains("104"), "{shown}");
    }
}
