//! Why a token is not taken.

/// What is wrong with a token, each with a code that stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// It has more than 8 KiB.
    #[error("the token is too long")]
    TooLong,
    /// It is no JWS in compact form (RFC 7515 §3.1) with a JSON object for header and claims, each name once, in canonical base64url.
    #[error("the token is malformed")]
    Malformed,
    /// Its header says that it is something other than a JWT or an access token (RFC 7519 §5.1, RFC 9068 §2.1).
    #[error("the token is of another type")]
    Type,
    /// Its header demands extensions (RFC 7515 §4.1.11); none is known here.
    #[error("the token demands an extension that is not known")]
    Critical,
    /// Its algorithm is not on the list, or `none`.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// No key has its `kid`, or none fits its algorithm.
    #[error("no key is known for the token")]
    UnknownKey,
    /// More than one key fits.
    #[error("more than one key fits the token")]
    AmbiguousKey,
    /// The signature is not that of the key over this header and these claims.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim that is read has a wrong type, is too long or holds control characters.
    #[error("a claim of the token has a wrong type or is too long")]
    Claim,
    /// Its `exp` has passed (RFC 7519 §4.1.4).
    #[error("the token has expired")]
    Expired,
    /// Its `nbf` or `iat` lies in the future (RFC 7519 §4.1.5).
    #[error("the token is not valid yet")]
    NotYet,
    /// Its `iss` is another, or missing.
    #[error("the token is by another issuer")]
    Issuer,
    /// Its `aud` names none of ours, or is missing.
    #[error("the token is for another audience")]
    Audience,
    /// It has no `exp`.
    #[error("the token never expires")]
    NoExpiry,
    /// It was issued longer ago than is allowed.
    #[error("the token was issued too long ago")]
    TooOld,
    /// It has no `iat`, and its age counts.
    #[error("the token does not say when it was issued")]
    NoIssueTime,
    /// It names no user.
    #[error("the token names no user")]
    NoUser,
    /// There are no keys to judge it with: nobody could be asked for them, or the last answer is too old.
    #[error("the keys that tokens are verified with are unavailable")]
    KeysUnavailable,
}

impl TokenError {
    /// Every one of them.
    pub const ALL: [Self; 18] = [
        Self::TooLong,
        Self::Malformed,
        Self::Type,
        Self::Critical,
        Self::Algorithm,
        Self::UnknownKey,
        Self::AmbiguousKey,
        Self::Signature,
        Self::Claim,
        Self::Expired,
        Self::NotYet,
        Self::Issuer,
        Self::Audience,
        Self::NoExpiry,
        Self::TooOld,
        Self::NoIssueTime,
        Self::NoUser,
        Self::KeysUnavailable,
    ];

    /// Gives the code that logs and metrics have for it, such as `token-expired`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token-too-long",
            Self::Malformed => "token-malformed",
            Self::Type => "token-type",
            Self::Critical => "token-critical",
            Self::Algorithm => "token-algorithm",
            Self::UnknownKey => "token-unknown-key",
            Self::AmbiguousKey => "token-ambiguous-key",
            Self::Signature => "token-signature",
            Self::Claim => "token-claim",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::NoExpiry => "token-no-expiry",
            Self::TooOld => "token-too-old",
            Self::NoIssueTime => "token-no-issue-time",
            Self::NoUser => "token-no-user",
            Self::KeysUnavailable => "keys-unavailable",
        }
    }

    /// Tells whether it says nothing about the token, because we could not judge it: 503 rather than 401.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        let codes: std::collections::HashSet<_> = TokenError::ALL.iter().map(|error| error.code()).collect();
        assert_eq!(codes.len(), TokenError::ALL.len());
        let ours: Vec<_> = TokenError::ALL.iter().filter(|error| error.is_ours()).collect();
        assert_eq!(ours, [&TokenError::KeysUnavailable]);
    }
}
