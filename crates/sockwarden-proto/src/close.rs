//! The close frame's payload (RFC 6455 §5.5.1, §7.4).

use crate::Violation;

/// A close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The peer sent a kind of data that is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never on the wire: the close frame had no code.
    pub const NO_STATUS: Self = Self(1005);
    /// Never on the wire: the connection ended without a close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// The peer's text is not UTF-8, or its data break the contract.
    pub const INVALID_DATA: Self = Self(1007);
    /// The peer broke a policy.
    pub const POLICY: Self = Self(1008);
    /// The peer's message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// The server met a condition that it cannot handle.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts.
    pub const RESTART: Self = Self(1012);
    /// The service is overloaded: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// The gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Tells whether a close frame may carry the code: 1000–1003, 1007–1014 (the IANA registry), 3000–4999.
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosePayload<'a> {
    /// The code, where there is one.
    pub code: Option<CloseCode>,
    /// The reason, empty where there is none; at most 123 bytes.
    pub reason: &'a str,
}

impl<'a> ClosePayload<'a> {
    /// Reads and judges a close frame's payload.
    ///
    /// # Errors
    /// A payload of one byte, a code that may not be sent, a reason that is not UTF-8.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() {
                Ok(Self { code: None, reason: "" })
            } else {
                Err(Violation::ClosePayloadTooShort)
            };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.may_be_sent() {
            return Err(Violation::InvalidCloseCode(code.0));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
        Ok(Self { code: Some(code), reason })
    }
}

/// Builds a close frame's payload; a reason of more than 123 bytes is cut at a character's boundary.
pub fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    let mut payload = code.0.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(123)]);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_are_accepted() {
        for code in 0..=u16::MAX {
            let expected = match code {
                1000 | 1001 | 1002 | 1003 | 1007..=1014 | 3000..=4999 => Ok(Some(CloseCode(code))),
                _ => Err(Violation::InvalidCloseCode(code)),
            };
            assert_eq!(ClosePayload::parse(&code.to_be_bytes()).map(|p| p.code), expected);
        }
    }

    #[test]
    fn a_payload_is_empty_or_has_a_code_and_a_utf8_reason() {
        let check = |payload: &[u8], expected| assert_eq!(ClosePayload::parse(payload), expected);
        check(b"", Ok(ClosePayload { code: None, reason: "" }));
        check(b"\x03", Err(Violation::ClosePayloadTooShort));
        check(b"\x03\xe8bye", Ok(ClosePayload { code: Some(CloseCode::NORMAL), reason: "bye" }));
        check(b"\x03\xe8\xff", Err(Violation::CloseReasonNotUtf8));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(close_payload(CloseCode::NORMAL, &"é".repeat(100)).len(), 2 + 122);
    }
}
