//! How the application is told who the caller is.

use std::fmt::Write as _;

use sockwarden_model::Identity;

/// Gives the headers that name a caller; what is not known has none.
pub(super) fn headers(identity: &Identity) -> impl Iterator<Item = (&'static str, String)> {
    let Identity { user, roles, claims, issued_at: _, expires_at: _, token_id: _ } = identity;
    let roles: Vec<String> = roles.iter().map(|role| encoded(role, b"%,")).collect();
    let user = user.as_deref().map(|user| ("Sockwarden-User", encoded(user, b"%")));
    let roles = (!roles.is_empty()).then(|| ("Sockwarden-Roles", roles.join(",")));
    let claims = (!claims.is_empty()).then(|| ("Sockwarden-Claims", ascii_json(claims)));
    [user, roles, claims].into_iter().flatten()
}

/// Percent-encodes (RFC 3986 §2.1) what is no visible ASCII, and `reserved`, so that no two texts look the same.
fn encoded(text: &str, reserved: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_graphic() && !reserved.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Writes JSON in ASCII: the rest stands in escapes (RFC 8259 §7).
fn ascii_json(claims: &serde_json::Map<String, serde_json::Value>) -> String {
    let json = serde_json::to_string(claims).unwrap_or_default();
    let mut ascii = String::with_capacity(json.len());
    let mut units = [0; 2];
    for letter in json.chars() {
        // Only strings can hold such letters, and there they may be escaped.
        if letter.is_ascii() && letter != '\u{7f}' {
            ascii.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_line_of_ascii_and_no_two_say_the_same() {
        let claims = serde_json::json!({ "name": "Jörg 🦀\n\u{7f}", "rooms": [1] });
        let identity = Identity {
            roles: vec!["a,b".to_owned(), "c d".to_owned()],
            claims: claims.as_object().unwrap().clone(),
            ..Identity::of_user("Jörg\r\nX: 1%")
        };
        let said: Vec<_> = headers(&identity).collect();
        assert_eq!(said[0], ("Sockwarden-User", "J%C3%B6rg%0D%0AX:%201%25".to_owned()));
        assert_eq!(said[1], ("Sockwarden-Roles", "a%2Cb,c%20d".to_owned()));
        assert!(said[2].1.bytes().all(|byte| matches!(byte, 0x20..0x7f)), "{}", said[2].1);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&said[2].1).unwrap(), claims);
        assert_eq!(headers(&Identity::default()).count(), 0);
    }
}
