//! Bearer tokens: JSON Web Tokens with HS256 (RFC 7515, RFC 7519), issued to whoever has a session.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// How long a token lives, in seconds, while it has an end.
pub(crate) const LIFETIME: i64 = 600;

/// The one header that a token has; whatever else a token says about its algorithm, it is none of ours.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Issues tokens and takes them back.
pub(crate) struct Tokens(hmac::Key);

#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    sub: String,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
}

impl Tokens {
    /// Draws a key that lives as long as the lab.
    pub(crate) fn new() -> Result<Self, LabError> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| LabError::Random)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Issues a token for a user.
    pub(crate) fn issue(&self, user: &str, now: i64, endless: bool) -> String {
        let exp = (!endless).then_some(now.saturating_add(LIFETIME));
        let claims = Claims { sub: user.to_owned(), iat: now, exp };
        // A struct of a string and numbers always has a form in JSON.
        let body = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(body));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Finds the user of a token that is ours and, unless the end is ignored, has one that has not come.
    pub(crate) fn user(&self, token: &str, now: i64, ignores_end: bool) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        hmac::verify(&self.0, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let (_, body) = signed.split_once('.')?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        (ignores_end || claims.exp.is_some_and(|end| now < end)).then_some(claims.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_its_end_and_only_as_it_was_issued() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.issue("mara", 100, false);
        let check = |token: &str, now: i64, ignores_end: bool, expected: Option<&str>| {
            assert_eq!(tokens.user(token, now, ignores_end).as_deref(), expected, "{token} at {now}");
        };
        check(&token, 100, false, Some("mara"));
        check(&token, 100 + LIFETIME - 1, false, Some("mara"));
        check(&token, 100 + LIFETIME, false, None);
        check(&token, 100 + LIFETIME, true, Some("mara"));
        let endless = tokens.issue("mara", 100, true);
        check(&endless, 100, false, None);
        check(&endless, i64::MAX, true, Some("mara"));
        check(&Tokens::new().unwrap().issue("mara", 100, false), 100, true, None);
        check(&token[..token.len() - 2], 100, true, None);
        check("", 100, true, None);
        check("a.b.c", 100, true, None);
    }
}
