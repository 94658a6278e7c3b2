//! Issuers of tokens, for tests.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use x509_cert::der::{Decode as _, Reader as _, SliceReader, asn1::UintRef};

use crate::{Algorithm, Keys, algorithm::Means};

/// The time at which tests take place.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SECRET: &[u8] = b"a secret of 32 bytes, or of more";

/// A public key of 1024 bits.
pub(crate) const SHORT_RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC0T9/K+7QNwaQcsAJpzXSGVlZB
6uSGjpNr1/DWjal71g77YH+w0hiWaN1d3QfS62Tga69py5beol/HoCBzZv4kR2c3
EtpIfNdfoYmi6deSCVJ4709p25Vpl9DtQhKi6TilCT9jEfncY0+4bUGraJ11KPNX
SZmR82xeDI5pdmdOZwIDAQAB
-----END PUBLIC KEY-----
";

/// A public key on a curve that is not supported.
pub(crate) const P521_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBrR8OqpF6EigUyoRP2GOIadFuINeX
cZ6cXwQuVldNgOQUPqSSdA+/6Ceg+SMZqNA3g5ABS/a+RfKHXwMjNUgwR2cBay2g
EziIJgGusOYYinkrykbtoeOY7GXKnn+Du7fnCkRLNlL9Kmbz5XZLDN0D25yywZls
gslrHumfs/08T66mFHQ=
-----END PUBLIC KEY-----
";

/// Who signs tokens.
pub(crate) enum Issuer {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

macro_rules! once {
    ($make:expr) => {{
        static ISSUER: OnceLock<Issuer> = OnceLock::new();
        ISSUER.get_or_init(|| $make)
    }};
}

impl Issuer {
    pub(crate) fn secret() -> &'static Self {
        once!(Self::Secret(SECRET.to_vec()))
    }

    pub(crate) fn rsa() -> &'static Self {
        once!(Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn p256() -> &'static Self {
        once!(Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    pub(crate) fn p384() -> &'static Self {
        once!(Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()))
    }

    pub(crate) fn ed25519() -> &'static Self {
        once!(Self::Ed25519(Ed25519KeyPair::generate().unwrap()))
    }

    /// Another one than [`Issuer::p256`] each time.
    pub(crate) fn new_p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// Signs with whatever the key can do under that name.
    pub(crate) fn sign_bytes(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => {
                let Means::Secret(means) = algorithm.means() else { panic!("a secret cannot do that") };
                hmac::sign(&hmac::Key::new(means, secret), message).as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let all: [(_, &'static dyn RsaEncoding); 6] = [
                    (Algorithm::RS256, &RSA_PKCS1_SHA256),
                    (Algorithm::RS384, &RSA_PKCS1_SHA384),
                    (Algorithm::RS512, &RSA_PKCS1_SHA512),
                    (Algorithm::PS256, &RSA_PSS_SHA256),
                    (Algorithm::PS384, &RSA_PSS_SHA384),
                    (Algorithm::PS512, &RSA_PSS_SHA512),
                ];
                let (_, means) = all.into_iter().find(|(known, _)| *known == algorithm).unwrap();
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(means, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// Makes a token of any header and claims.
    pub(crate) fn sign(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        self.sign_text(algorithm, &header.to_string(), &claims.to_string())
    }

    pub(crate) fn sign_text(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign_bytes(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Makes a good token for `aud` "app".
    pub(crate) fn token(&self, algorithm: Algorithm, id: Option<&str>) -> String {
        let mut header = json!({"alg": algorithm.name(), "typ": "JWT"});
        if let Some(id) = id {
            header["kid"] = id.into();
        }
        self.sign(algorithm, &header, &claims())
    }

    pub(crate) fn jwk(&self, id: Option<&str>) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Secret(secret) => json!({"kty": "oct", "k": text(secret)}),
            Self::Rsa(key) => {
                let mut reader = SliceReader::new(key.public_key().as_ref()).unwrap();
                let numbers = reader.sequence(|inner| {
                    Ok::<_, x509_cert::der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?))
                });
                let (n, e) = numbers.unwrap();
                json!({"kty": "RSA", "n": text(n.as_bytes()), "e": text(e.as_bytes())})
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Self::P384(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-384", "x": text(&point[1..49]), "y": text(&point[49..])})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
        };
        if let Some(id) = id {
            jwk["kid"] = id.into();
        }
        jwk
    }

    pub(crate) fn public_pem(&self) -> String {
        let der = match self {
            Self::Secret(_) => panic!("a secret has no public key"),
            Self::Rsa(key) => key.public_key().as_der(),
            Self::P256(key) | Self::P384(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
        };
        let text = STANDARD.encode(der.unwrap().as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

/// The claims of a good token.
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "app", "sub": "mara", "iat": NOW - 60, "exp": NOW + 600,
        "jti": "t-1", "roles": ["editor", "viewer"], "rooms": ["a", "b"],
    })
}

/// Writes the document with these keys.
pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

pub(crate) fn keys(keys: &[Value]) -> Keys {
    Keys::from_jwks(jwks(keys).as_bytes()).unwrap()
}
