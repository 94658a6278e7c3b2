//! JSON Web Tokens (RFC 7519), read without being verified: what they say about themselves.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value as Json;

/// What a token says about its time, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// When it begins (`iat`, else `nbf`).
    pub(crate) issued: Option<u64>,
    /// When it ends (`exp`).
    pub(crate) expires: Option<u64>,
}

/// How much of a token is read.
const MAX: usize = 16 * 1024;

/// Finds a token in a text, alone or behind a word such as `Bearer` or a sub-protocol's prefix: three parts in base64url joined by dots, of which the first
/// two are JSON objects.
pub(crate) fn find(text: &str) -> Option<&str> {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts = text.match_indices("eyJ").map(|(at, _)| at);
    starts.take(8).find_map(|at| {
        let rest = &text[at..];
        let end = rest.bytes().position(|byte| !of_token(byte)).unwrap_or(rest.len());
        let token = &rest[..end];
        if token.len() > MAX {
            return None;
        }
        let mut parts = token.split('.');
        let (header, body, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        (parts.next().is_none() && object(header).is_some() && object(body).is_some()).then_some(token)
    })
}

/// Reads what a token says about its time; nothing where it is no token.
pub(crate) fn claims(token: &str) -> Option<Claims> {
    let body = object(token.split('.').nth(1)?)?;
    // A NumericDate may have a fraction (RFC 7519 §2), which does not matter here.
    let time = |name: &str| {
        let number = body.get(name)?;
        number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0 && *n < 1e15).map(|n| n as u64))
    };
    Some(Claims { issued: time("iat").or_else(|| time("nbf")), expires: time("exp") })
}

fn object(part: &str) -> Option<Json> {
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok().filter(Json::is_object)
}

/// Makes an unsigned token of a body, for tests.
#[cfg(test)]
pub(crate) fn make(body: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(body), URL_SAFE_NO_PAD.encode("signature"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let token = make(r#"{"sub":"mara"}"#);
        let check = |text: String, expected: bool| {
            assert_eq!(find(&text), expected.then_some(token.as_str()), "{text}");
        };
        check(token.clone(), true);
        check(format!("Bearer {token}"), true);
        check(format!("authorization.bearer.{token}"), true);
        check(format!("eyJ; {token}; x"), true);
        check(format!("{token}.more"), false);
        check("eyJhbGciOiJIUzI1NiJ9.bm8.c2ln".into(), false);
        check("eyJ".into(), false);
        check(String::new(), false);
        check("eyJé".into(), false);
    }

    #[test]
    fn a_token_tells_its_time() {
        let check = |body: &str, issued, expires| {
            assert_eq!(claims(&make(body)), Some(Claims { issued, expires }), "{body}");
        };
        check(r#"{"iat":10,"exp":20}"#, Some(10), Some(20));
        check(r#"{"nbf":10.5,"exp":20.9}"#, Some(10), Some(20));
        check(r#"{"exp":"20"}"#, None, None);
        check(r#"{"exp":-1,"iat":1e300}"#, None, None);
        check("{}", None, None);
        assert_eq!(claims("a.b.c"), None);
        assert_eq!(claims(""), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_searched(text in "(eyJ|[.a-zA-Z0-9 é]){0,40}") {
            if let Some(token) = find(&text) {
                proptest::prop_assert!(claims(token).is_some());
            }
        }
    }
}
