//! Who a caller is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who a caller is, in the words of whoever vouches for it: a token, a ticket, the application, a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The user, where one is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the user is, such as `admin`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// What else is known, by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// When it was vouched for, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<u64>,
    /// When the word ends, and with it the session, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The id of what vouches for it, such as a token's `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

impl Identity {
    /// The longest user, in bytes.
    pub const LONGEST_USER: usize = 256;

    /// Makes the identity of a user of whom nothing else is known.
    pub fn of_user(user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..Self::default() }
    }

    /// Tells whether the word has ended at `now`, in seconds since the Unix epoch.
    pub fn has_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_the_end_is_no_part_of_it() {
        let mut identity = Identity::of_user("mara");
        assert_eq!(serde_json::to_string(&identity).unwrap(), r#"{"user":"mara"}"#);
        identity.claims.insert("rooms".to_owned(), serde_json::json!(["a", "b"]));
        identity.expires_at = Some(10);
        let text = serde_json::to_string(&identity).unwrap();
        assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), identity);
        assert!(!identity.has_expired(9) && identity.has_expired(10));
        assert!(!Identity::default().has_expired(u64::MAX));
    }
}
