//! One short token of our own, by which the application knows who the gateway let in.

use std::path::{Path, PathBuf};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sockwarden_config::HumanDuration;
use sockwarden_model::Identity;

use crate::bad_setting::BadSetting;

/// How long a token of ours is good at most.
const LONGEST_LIFETIME: u64 = 3600;

/// The token that the application gets about a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignerConfig {
    /// The algorithm that it is signed with.
    pub algorithm: SigningAlgorithm,
    /// The file with the private key in PEM; a key is made at the start where there is none, and another one at the next.
    pub key: Option<PathBuf>,
    /// Who says that it has issued it (`iss`).
    pub issuer: String,
    /// Whom it is for (`aud`); the route's name where nobody is named.
    pub audience: Option<String>,
    /// How long it is good; at most an hour.
    pub lifetime: HumanDuration,
}

impl Default for SignerConfig {
    fn default() -> Self {
        Self {
            algorithm: SigningAlgorithm::default(),
            key: None,
            issuer: "sockwarden".to_owned(),
            audience: None,
            lifetime: HumanDuration::from_secs(60),
        }
    }
}

impl SignerConfig {
    /// Names the files that are read for it, by its keys.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        self.key.iter().map(|path| ("key", path.as_path())).collect()
    }
}

/// What a token of ours is signed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    ES256,
    /// EdDSA on Ed25519.
    EdDSA,
}

/// What a token of ours says.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// Who the caller is.
    pub identity: &'a Identity,
    /// Whom it is for, unless the configuration names somebody: the route.
    pub route: &'a str,
    /// The session's id (`sid`).
    pub session: &'a str,
    /// The time, in seconds since the Unix epoch.
    pub now: u64,
    /// Random bytes that make its id (`jti`).
    pub id: [u8; 16],
}

/// Says that a token could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignError;

/// Signs tokens about callers.
#[derive(Debug)]
pub struct Signer {
    key: PrivateKey,
    /// The public key's thumbprint (RFC 7638).
    id: String,
    jwk: Value,
    issuer: String,
    audience: Option<String>,
    lifetime: u64,
}

#[derive(Debug)]
enum PrivateKey {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// Makes what signs as `config` says: reads its key, or makes one of the system's random numbers.
    ///
    /// # Errors
    /// Every setting that means nothing, and a file that holds no key for the algorithm.
    pub fn build(config: &SignerConfig) -> Result<Self, Vec<BadSetting>> {
        let mut bad = Vec::new();
        let lifetime = config.lifetime.get().as_secs();
        if !(1..=LONGEST_LIFETIME).contains(&lifetime) {
            bad.push(BadSetting::new("lifetime", "it is less than a second or more than an hour", None));
        }
        for (key, text) in [("issuer", Some(&config.issuer)), ("audience", config.audience.as_ref())] {
            if text.is_some_and(String::is_empty) {
                bad.push(BadSetting::new(key, "it names nobody", None));
            }
        }
        let key = match &config.key {
            Some(path) => std::fs::read(path)
                .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
                .and_then(|pem| {
                    PrivateKey::from_pem(config.algorithm, &pem).ok_or_else(|| {
                        format!("`{}` has no private key for {:?} in PEM", path.display(), config.algorithm)
                    })
                }),
            None => PrivateKey::generate(config.algorithm).ok_or_else(|| "no key could be made".to_owned()),
        };
        match key {
            Ok(key) if bad.is_empty() => Ok(Self::of(key, config, lifetime)),
            Ok(_) => Err(bad),
            Err(message) => {
                let help = Some(
                    "`openssl genpkey -algorithm ed25519`, or `-algorithm EC -pkeyopt ec_paramgen_curve:P-256`",
                );
                bad.push(BadSetting::new("key", message, help));
                Err(bad)
            }
        }
    }

    fn of(key: PrivateKey, config: &SignerConfig, lifetime: u64) -> Self {
        let mut jwk = key.public_jwk();
        // The members that a thumbprint is made of, in the order of their names, as they stand (RFC 7638 §3).
        let thumbprint = digest(&SHA256, Value::from(jwk.clone()).to_string().as_bytes());
        let id = URL_SAFE_NO_PAD.encode(thumbprint);
        jwk.insert("kid".to_owned(), id.as_str().into());
        jwk.insert("alg".to_owned(), key.algorithm().into());
        jwk.insert("use".to_owned(), "sig".into());
        Self {
            key,
            id,
            jwk: jwk.into(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            lifetime,
        }
    }

    /// Signs a token; it ends with the caller's own word where that is sooner.
    ///
    /// # Errors
    /// The library could not sign.
    pub fn sign(&self, about: &Statement<'_>) -> Result<String, SignError> {
        let mut end = about.now.saturating_add(self.lifetime);
        if let Some(word) = about.identity.expires_at.filter(|word| *word > about.now) {
            end = end.min(word);
        }
        let mut claims = Map::new();
        let mut add = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        add("iss", self.issuer.as_str().into());
        add("aud", self.audience.as_deref().unwrap_or(about.route).into());
        if let Some(user) = &about.identity.user {
            add("sub", user.as_str().into());
        }
        add("roles", about.identity.roles.clone().into());
        add("claims", about.identity.claims.clone().into());
        add("iat", about.now.into());
        add("exp", end.into());
        add("jti", URL_SAFE_NO_PAD.encode(about.id).into());
        add("sid", about.session.into());
        let header = json!({"alg": self.key.algorithm(), "typ": "JWT", "kid": self.id});
        let part = |value: String| URL_SAFE_NO_PAD.encode(value);
        let signed = format!("{}.{}", part(header.to_string()), part(Value::from(claims).to_string()));
        let signature = self.key.sign(signed.as_bytes()).ok_or(SignError)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Gives the public key as a JWKS (RFC 7517 §5), for the application to verify tokens with.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk]})
    }
}

impl PrivateKey {
    fn generate(algorithm: SigningAlgorithm) -> Option<Self> {
        match algorithm {
            SigningAlgorithm::ES256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok().map(Self::P256)
            }
            SigningAlgorithm::EdDSA => Ed25519KeyPair::generate().ok().map(Self::Ed25519),
        }
    }

    fn from_pem(algorithm: SigningAlgorithm, pem: &[u8]) -> Option<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem).ok()?;
        match algorithm {
            SigningAlgorithm::ES256 => {
                let key =
                    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der());
                key.ok().map(Self::P256)
            }
            SigningAlgorithm::EdDSA => {
                // The public half, which other programs leave out of the file, is optional (RFC 5958 §2).
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_der()).ok().map(Self::Ed25519)
            }
        }
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match self {
            Self::P256(key) => key.sign(&SystemRandom::new(), message),
            Self::Ed25519(key) => key.try_sign(message),
        };
        signature.ok().map(|signature| signature.as_ref().to_vec())
    }

    /// Gives the members that say which key it is, in the order of their names.
    fn public_jwk(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
        let members = match self {
            Self::P256(key) => {
                // The point is uncompressed (SEC 1 §2.3.3): 4, x, y.
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                vec![("crv", "P-256".into()), ("kty", "EC".into()), ("x", text(x)), ("y", text(y))]
            }
            Self::Ed25519(key) => {
                vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", text(key.public_key().as_ref()))]
            }
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{Algorithm, JwtConfig, Keys, TokenError, Verifier, testing::NOW};

    fn verifier(signer: &Signer, algorithm: Algorithm, audience: &str) -> Verifier {
        let mut config = JwtConfig::new(&[algorithm]);
        config.issuer = Some("sockwarden".to_owned());
        config.audience = vec![audience.to_owned()];
        Verifier::new(&config, Keys::from_jwks(signer.jwks().to_string().as_bytes()).unwrap()).unwrap()
    }

    fn statement(identity: &Identity) -> Statement<'_> {
        Statement { identity, route: "chat", session: "S1", now: NOW, id: [7; 16] }
    }

    #[test]
    fn what_is_signed_is_verified_with_the_published_key_and_says_who_the_caller_is() {
        let mut identity = Identity::of_user("mara");
        identity.roles = vec!["editor".to_owned()];
        identity.claims.insert("rooms".to_owned(), json!(["a"]));
        for (with, algorithm) in
            [(SigningAlgorithm::ES256, Algorithm::ES256), (SigningAlgorithm::EdDSA, Algorithm::EdDSA)]
        {
            let signer = Signer::build(&SignerConfig { algorithm: with, ..SignerConfig::default() }).unwrap();
            let token = signer.sign(&statement(&identity)).unwrap();
            let read = verifier(&signer, algorithm, "chat").verify(&token, NOW).unwrap();
            assert_eq!((&read.user, &read.roles), (&identity.user, &identity.roles));
            assert_eq!(read.claims["claims"], json!({"rooms": ["a"]}));
            assert_eq!(
                (read.claims["sid"].as_str(), read.issued_at, read.expires_at),
                (Some("S1"), Some(NOW), Some(NOW + 60))
            );
            assert_eq!(read.token_id.as_deref(), Some("BwcHBwcHBwcHBwcHBwcHBw"));
            let late = verifier(&signer, algorithm, "chat").verify(&token, NOW + 91);
            assert_eq!(late, Err(TokenError::Expired));
            let elsewhere = verifier(&signer, algorithm, "other").verify(&token, NOW);
            assert_eq!(elsewhere, Err(TokenError::Audience));
        }
    }

    #[test]
    fn a_token_does_not_outlive_the_word_that_it_passes_on() {
        let signer = Signer::build(&SignerConfig::default()).unwrap();
        let end = |expires_at| {
            let identity = Identity { expires_at, ..Identity::of_user("mara") };
            let token = signer.sign(&statement(&identity)).unwrap();
            verifier(&signer, Algorithm::ES256, "chat").verify(&token, NOW).unwrap().expires_at.unwrap()
        };
        assert_eq!(end(None), NOW + 60);
        assert_eq!(end(Some(NOW + 10)), NOW + 10);
        assert_eq!(end(Some(NOW + 100)), NOW + 60);
        assert_eq!(end(Some(NOW - 5)), NOW + 60);
    }

    #[test]
    fn a_key_in_a_file_stays_the_same_and_one_that_is_made_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for algorithm in [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA] {
            let kind = match algorithm {
                SigningAlgorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
                SigningAlgorithm::EdDSA => &rcgen::PKCS_ED25519,
            };
            std::fs::write(&path, rcgen::KeyPair::generate_for(kind).unwrap().serialize_pem()).unwrap();
            let config = SignerConfig { algorithm, key: Some(path.clone()), ..SignerConfig::default() };
            assert_eq!(Signer::build(&config).unwrap().id, Signer::build(&config).unwrap().id);
            let ids: HashSet<String> = (0..3)
                .map(|_| Signer::build(&SignerConfig { key: None, ..config.clone() }).unwrap().id)
                .collect();
            assert_eq!(ids.len(), 3);
            let other = match algorithm {
                SigningAlgorithm::ES256 => SigningAlgorithm::EdDSA,
                SigningAlgorithm::EdDSA => SigningAlgorithm::ES256,
            };
            let bad = Signer::build(&SignerConfig { algorithm: other, ..config }).unwrap_err();
            assert_eq!(bad.len(), 1);
            assert_eq!(bad[0].key, "key");
        }
    }

    #[test]
    fn settings_that_mean_nothing_are_named() {
        let check = |change: fn(&mut SignerConfig), key: &str| {
            let mut config = SignerConfig::default();
            change(&mut config);
            let bad = Signer::build(&config).unwrap_err();
            assert_eq!(bad.iter().map(|bad| bad.key.as_str()).collect::<Vec<_>>(), [key]);
        };
        check(|config| config.lifetime = HumanDuration::from_secs(0), "lifetime");
        check(|config| config.lifetime = HumanDuration::from_secs(3601), "lifetime");
        check(|config| config.issuer.clear(), "issuer");
        check(|config| config.audience = Some(String::new()), "audience");
        check(|config| config.key = Some("/no/such/file".into()), "key");
    }

    #[test]
    fn the_key_s_id_is_its_thumbprint() {
        // RFC 8037 §A.3.
        let members = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signer =
            Signer::build(&SignerConfig { algorithm: SigningAlgorithm::EdDSA, ..SignerConfig::default() })
                .unwrap();
        let x = signer.jwk["x"].as_str().unwrap();
        let members = members.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", x);
        assert_eq!(signer.id, URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes())));
    }
}
