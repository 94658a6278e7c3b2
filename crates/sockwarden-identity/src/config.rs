//! What an operator says of tokens.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{HumanDuration, Secret};

use crate::{algorithm::Algorithm, place::Place};

/// Which tokens (JWT, RFC 7519) are taken, and what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// The algorithms that tokens may be signed with: HS256, HS384, HS512 with a shared secret, or RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA with public keys, never both kinds.
    #[schemars(example = ["ES256"])]
    pub algorithms: Vec<Algorithm>,
    /// The secret that is shared with the issuer, at least 32 bytes. One of `secret`, `public_key`, `jwks_file` and `jwks_url` says where keys come from.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The file with the issuer's public key in PEM (`BEGIN PUBLIC KEY`); it is read again when it changes.
    #[serde(default)]
    pub public_key: Option<PathBuf>,
    /// The file with the issuer's keys as a JWKS (RFC 7517); it is read again when it changes.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer's keys are fetched as a JWKS: an `https://` URL, or `http://` on this machine. No redirect is followed.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Who must have issued a token (`iss`), compared as it is written; any issuer whose key fits where nobody is named.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Whom a token must be for (`aud`), at least one of them; needed unless `any_audience`.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Whether tokens for any audience are taken: then whoever gets a token for another service can use it here.
    #[serde(default)]
    pub any_audience: bool,
    /// How far the clocks of issuer and gateway may differ; at most five minutes.
    #[serde(default = "leeway")]
    pub leeway: HumanDuration,
    /// How long ago a token may have been issued (`iat`), whenever it expires.
    #[serde(default)]
    pub max_age: Option<HumanDuration>,
    /// Whether a token without an end (`exp`) is refused.
    #[serde(default = "yes")]
    pub require_expiry: bool,
    /// The claim that names the user: its name, or its place as a JSON pointer (`/user/id`).
    #[serde(default = "user_claim")]
    pub user_claim: String,
    /// The claim that lists the roles, as an array or separated by blanks: its name, or its place as a JSON pointer (`/realm_access/roles`).
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// Which claims are kept for rules and for the application, by name; all but the registered ones of RFC 7519 where none are named. They have 4 KiB together.
    #[serde(default)]
    pub claims: Option<Vec<String>>,
    /// How often keys are fetched, or their file is looked at.
    #[serde(default = "refresh")]
    pub refresh: HumanDuration,
    /// How long fetching keys may take.
    #[serde(default = "timeout")]
    pub timeout: HumanDuration,
}

const fn leeway() -> HumanDuration {
    HumanDuration::from_secs(30)
}

const fn yes() -> bool {
    true
}

fn user_claim() -> String {
    "sub".to_owned()
}

fn roles_claim() -> String {
    "roles".to_owned()
}

const fn refresh() -> HumanDuration {
    HumanDuration::from_secs(300)
}

const fn timeout() -> HumanDuration {
    HumanDuration::from_secs(5)
}

impl JwtConfig {
    /// Makes a configuration that names algorithms and nothing else: a source of keys and an audience are missing.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        Self {
            algorithms: algorithms.to_vec(),
            secret: None,
            public_key: None,
            jwks_file: None,
            jwks_url: None,
            issuer: None,
            audience: Vec::new(),
            any_audience: false,
            leeway: leeway(),
            max_age: None,
            require_expiry: true,
            user_claim: user_claim(),
            roles_claim: roles_claim(),
            claims: None,
            refresh: refresh(),
            timeout: timeout(),
        }
    }

    /// Names the files that are read for it, by its keys.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let secret = self.secret.as_ref().and_then(|secret| secret.file.as_deref());
        [
            ("secret", secret),
            ("public_key", self.public_key.as_deref()),
            ("jwks_file", self.jwks_file.as_deref()),
        ]
        .into_iter()
        .filter_map(|(key, path)| Some((key, path?)))
        .collect()
    }

    pub(crate) fn user_place(&self) -> Place {
        Place::new(&self.user_claim)
    }

    pub(crate) fn roles_place(&self) -> Place {
        Place::new(&self.roles_claim)
    }
}
