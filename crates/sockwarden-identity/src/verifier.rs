//! From a token and the time to an identity.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sockwarden_model::Identity;

use crate::{
    algorithm::{Algorithm, Family},
    bad_setting::BadSetting,
    config::JwtConfig,
    key::LONGEST_ID,
    keys::Keys,
    object,
    place::Place,
    token_error::TokenError,
};

/// The longest token, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;
/// The most that kept claims have together, in bytes of JSON.
const MOST_CLAIMS: usize = 4 * 1024;
const MOST_ROLES: usize = 64;
const LONGEST_ROLE: usize = 128;
const LONGEST_TOKEN_ID: usize = 256;
const LONGEST_LEEWAY: u64 = 300;

/// The claims of RFC 7519 §4.1, which say something about the token rather than the user.
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// Says whose word a token is, with fixed rules and keys. It holds no clock.
#[derive(Clone, Debug)]
pub struct Verifier {
    rules: Arc<Rules>,
    keys: Arc<Keys>,
}

/// What a configuration demands of every token.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) algorithms: Vec<Algorithm>,
    issuer: Option<String>,
    /// `None` where any audience will do.
    audience: Option<Vec<String>>,
    leeway: u64,
    max_age: Option<u64>,
    require_expiry: bool,
    user: Place,
    roles: Place,
    claims: Option<Vec<String>>,
}

impl Rules {
    /// Judges what was configured; where keys come from is not its matter.
    pub(crate) fn new(config: &JwtConfig) -> Result<Self, Vec<BadSetting>> {
        let mut bad = Vec::new();
        let mut add = |key, message: &str, help| bad.push(BadSetting::new(key, message, help));
        let secret =
            config.algorithms.iter().filter(|algorithm| algorithm.family() == Family::Secret).count();
        if config.algorithms.is_empty() {
            add(
                "algorithms",
                "no algorithm is named",
                Some("name the one that the issuer signs with, such as `ES256`"),
            );
        } else if secret != 0 && secret != config.algorithms.len() {
            // A public key is known to everybody: taken for a secret, it would let everybody sign.
            add(
                "algorithms",
                "algorithms with a shared secret (HS…) and with public keys are mixed",
                Some("name only those that the issuer signs with"),
            );
        }
        if config.any_audience != config.audience.is_empty() {
            let (message, help) = if config.any_audience {
                ("`any_audience` contradicts it", "leave out one of the two")
            } else {
                (
                    "it is not said whom tokens must be for",
                    "name what `aud` holds, or say `any_audience = true`",
                )
            };
            add("audience", message, Some(help));
        }
        if config.leeway.get().as_secs() > LONGEST_LEEWAY {
            add("leeway", "it is more than five minutes", Some("let the clocks be set"));
        }
        if config.max_age.is_some_and(sockwarden_config::HumanDuration::is_zero) {
            add("max_age", "no token is so young", Some("leave it out, or say how old one may be"));
        }
        for (key, text) in [("user_claim", &config.user_claim), ("roles_claim", &config.roles_claim)] {
            if text.is_empty() {
                add(key, "it names no claim", Some("say the claim's name or its place as a JSON pointer"));
            }
        }
        if config.issuer.as_deref() == Some("") {
            add("issuer", "it names nobody", Some("say what `iss` holds, or leave it out"));
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        Ok(Self {
            algorithms: config.algorithms.clone(),
            issuer: config.issuer.clone(),
            audience: (!config.any_audience).then(|| config.audience.clone()),
            leeway: config.leeway.get().as_secs(),
            max_age: config.max_age.map(|age| age.get().as_secs()),
            require_expiry: config.require_expiry,
            user: config.user_place(),
            roles: config.roles_place(),
            claims: config.claims.clone(),
        })
    }
}

impl Verifier {
    /// Makes a verifier that takes tokens as `config` demands and knows `keys`, whatever `config` says about where keys are.
    ///
    /// # Errors
    /// Every setting that means nothing.
    pub fn new(config: &JwtConfig, keys: Keys) -> Result<Self, Vec<BadSetting>> {
        Ok(Self::of(Arc::new(Rules::new(config)?), keys))
    }

    pub(crate) fn of(rules: Arc<Rules>, keys: Keys) -> Self {
        Self { rules, keys: Arc::new(keys) }
    }

    /// Gives the keys that it knows.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Gives the identity that a token vouches for at `now`, in seconds since the Unix epoch.
    ///
    /// The signature is checked before any claim is read. `exp` becomes [`Identity::expires_at`] as it is, without leeway;
    /// `iat` and `jti` become [`Identity::issued_at`] and [`Identity::token_id`].
    ///
    /// # Errors
    /// What is wrong with the token, the first thing found.
    pub fn verify(&self, token: &str, now: u64) -> Result<Identity, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed);
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        let (algorithm, id) = self.judge_header(&decode_object(header)?)?;
        let key = self.keys.pick(id.as_deref(), algorithm)?;
        if !key.verifies(algorithm, signed.as_bytes(), &decode(signature)?) {
            return Err(TokenError::Signature);
        }
        self.judge_claims(&decode_object(claims)?, now)
    }

    /// Gives the algorithm and the key's id. What a header says about where its key is (`jku`, `x5u`, `jwk`, `x5c`) is never looked
    /// at: whoever forges a token writes it.
    fn judge_header(&self, header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), TokenError> {
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        match header.get("typ") {
            None => {}
            Some(Value::String(of)) if is_token_type(of) => {}
            Some(_) => return Err(TokenError::Type),
        }
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(TokenError::Malformed)?;
        let algorithm = Algorithm::named(algorithm)
            .filter(|algorithm| self.rules.algorithms.contains(algorithm))
            .ok_or(TokenError::Algorithm)?;
        match header.get("kid") {
            None => Ok((algorithm, None)),
            Some(Value::String(id)) if id.len() <= LONGEST_ID => Ok((algorithm, Some(id.clone()))),
            Some(_) => Err(TokenError::Malformed),
        }
    }

    fn judge_claims(&self, claims: &Map<String, Value>, now: u64) -> Result<Identity, TokenError> {
        let rules = &*self.rules;
        let (expires_at, issued_at) = (seconds(claims, "exp")?, seconds(claims, "iat")?);
        match expires_at {
            Some(end) if end.saturating_add(rules.leeway) <= now => return Err(TokenError::Expired),
            None if rules.require_expiry => return Err(TokenError::NoExpiry),
            Some(_) | None => {}
        }
        let begins = [seconds(claims, "nbf")?, issued_at];
        if begins.into_iter().flatten().any(|begin| begin > now.saturating_add(rules.leeway)) {
            return Err(TokenError::NotYet);
        }
        if let Some(max_age) = rules.max_age {
            let issued = issued_at.ok_or(TokenError::NoIssueTime)?;
            if issued.saturating_add(max_age).saturating_add(rules.leeway) < now {
                return Err(TokenError::TooOld);
            }
        }
        if let Some(issuer) = &rules.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenError::Issuer);
        }
        if let Some(ours) = &rules.audience {
            let is_ours =
                |named: &Value| named.as_str().is_some_and(|named| ours.iter().any(|our| our == named));
            let fits = match claims.get("aud") {
                Some(Value::Array(named)) => named.iter().any(is_ours),
                Some(named) => is_ours(named),
                None => false,
            };
            if !fits {
                return Err(TokenError::Audience);
            }
        }
        Ok(Identity {
            user: Some(user(rules.user.find(claims))?),
            roles: roles(rules.roles.find(claims))?,
            claims: self.kept(claims)?,
            issued_at,
            expires_at,
            token_id: match claims.get("jti") {
                None => None,
                Some(Value::String(id)) => Some(plain(id, LONGEST_TOKEN_ID)?),
                Some(_) => return Err(TokenError::Claim),
            },
        })
    }

    fn kept(&self, claims: &Map<String, Value>) -> Result<Map<String, Value>, TokenError> {
        let is_kept = |name: &str| match &self.rules.claims {
            Some(named) => named.iter().any(|kept| kept == name),
            None => !REGISTERED.contains(&name),
        };
        let kept: Map<String, Value> = claims
            .iter()
            .filter(|(name, _)| is_kept(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let length = serde_json::to_string(&kept).map_err(|_| TokenError::Claim)?.len();
        // Cutting would let a rule read a claim as absent that is not.
        if length > MOST_CLAIMS { Err(TokenError::Claim) } else { Ok(kept) }
    }
}

/// Whether `typ` says JWT or access token; it is a media type (RFC 7515 §4.1.9).
fn is_token_type(of: &str) -> bool {
    let short = match of.split_at_checked("application/".len()) {
        Some((front, rest)) if front.eq_ignore_ascii_case("application/") => rest,
        Some(_) | None => of,
    };
    short.eq_ignore_ascii_case("JWT") || short.eq_ignore_ascii_case("at+jwt")
}

/// Decodes base64url without padding; bits left over must be zero, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

fn decode_object(part: &str) -> Result<Map<String, Value>, TokenError> {
    object::read(&decode(part)?).ok_or(TokenError::Malformed)
}

/// Reads a time (RFC 7519 §2, NumericDate), in whole seconds; parts of one are cut off.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, TokenError> {
    /// Above it, a double leaves out whole numbers.
    const LAST: f64 = 9_007_199_254_740_992.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(whole) = value.as_u64() {
        return Ok(Some(whole));
    }
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^53")]
        Some(number) if (0.0..=LAST).contains(&number) => Ok(Some(number as u64)),
        Some(_) | None => Err(TokenError::Claim),
    }
}

fn user(claim: Option<&Value>) -> Result<String, TokenError> {
    match claim {
        None | Some(Value::Null) => Err(TokenError::NoUser),
        Some(Value::String(user)) if user.is_empty() => Err(TokenError::NoUser),
        Some(Value::String(user)) => plain(user, Identity::LONGEST_USER),
        // Some applications number their users.
        Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
        Some(_) => Err(TokenError::Claim),
    }
}

fn roles(claim: Option<&Value>) -> Result<Vec<String>, TokenError> {
    let texts: Vec<&str> = match claim {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|role| !role.is_empty()).collect(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or(TokenError::Claim)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(TokenError::Claim),
    };
    if texts.len() > MOST_ROLES {
        return Err(TokenError::Claim);
    }
    texts.into_iter().map(|role| plain(role, LONGEST_ROLE)).collect()
}

/// Takes a text that goes into headers and logs.
fn plain(text: &str, longest: usize) -> Result<String, TokenError> {
    if text.len() > longest || text.chars().any(char::is_control) {
        return Err(TokenError::Claim);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
