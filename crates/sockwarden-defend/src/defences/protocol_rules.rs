//! `protocol-rules`: a frame that breaks RFC 6455 ends the connection.

use std::time::Duration;

use sockwarden_model::{Limit, Rule, rule};
use sockwarden_proto::{CloseCode, Violation};

use crate::{Closure, Defence, Fact, Guard, Hears, Verdict};

rule! {
    /// # What it does
    /// Closes both sides at the first frame that breaks RFC 6455, from either peer: reserved bits and opcodes, an unmasked
    /// client frame, a masked server frame, lengths that are malformed or not in the shortest form, control frames that are
    /// fragmented or too long, continuations out of place, text that is not UTF-8 (at the first wrong byte), close frames
    /// with a bad code or reason, compressed messages (RFC 7692) that were not agreed on, cannot be inflated, or expand beyond
    /// the limits. The peer is told 1002, 1007 or 1009. It is always on: what cannot be read for certain cannot be
    /// inspected, and is not forwarded.
    ///
    /// # Why is this bad
    /// A frame that two parties read differently carries one message for the inspector and another for the application.
    /// Unmasked client frames let a page write bytes of its choice to proxies on the way; invalid UTF-8 slips past filters.
    ///
    /// # How to fix
    /// Use a library that fails the connection as RFC 6455 §7.1.7 asks, and leave its checks on:
    ///
    /// ```js
    /// new WebSocketServer({ server, skipUTF8Validation: false });
    /// ```
    ///
    /// ```java
    /// container.setAllowUnmaskedFrames(false);
    /// ```
    pub static RULE = Defence {
        id: "protocol-rules",
        summary: "frames that break RFC 6455 end the connection",
        severity: Low,
        threats: [T5],
        cwe: [20, 436],
        references: ["RFC 6455 §5", "RFC 6455 §7.1.7", "RFC 6455 §8.1"],
        lifecycle: Stable,
        counterparts: ["frame-rules-broken"],
        profile: Passive,
        may_change: "peers that break the protocol are disconnected",
    }
}

/// Closes on frames that break the protocol.
#[derive(Debug)]
pub struct ProtocolRules;

impl Defence for ProtocolRules {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::FRAMES
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Self)
    }
}

impl Guard for ProtocolRules {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Violation { violation, .. } => Verdict::Close(Closure {
                code: violation.close_code(),
                reason: format!("{violation} (RFC {} {})", violation.rfc(), violation.section()),
                told: if violation.close_code() == CloseCode::TOO_BIG {
                    "the message is too big"
                } else {
                    "the protocol was broken"
                },
                limit: limit(*violation),
            }),
            Fact::Handshake(_)
            | Fact::Answer(_)
            | Fact::Request(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Open(_)
            | Fact::Content { .. } => Verdict::Pass,
        }
    }
}

/// Names the limit that a violation exceeds, where it is about one.
const fn limit(violation: Violation) -> Option<Limit> {
    match violation {
        Violation::FrameTooBig { .. }
        | Violation::MessageTooBig { .. }
        | Violation::InflatedTooBig { .. } => Some(Limit::MessageMemory),
        Violation::RatioExceeded { .. } => Some(Limit::InflateRatio),
        Violation::OverheadExceeded { .. } => Some(Limit::InflateOverhead),
        Violation::ReservedBits { .. }
        | Violation::ReservedOpcode(_)
        | Violation::UnmaskedClientFrame
        | Violation::MaskedServerFrame
        | Violation::LengthTopBit
        | Violation::NonMinimalLength
        | Violation::FragmentedControl
        | Violation::OversizeControl
        | Violation::UnexpectedContinuation
        | Violation::InterleavedMessage
        | Violation::InvalidUtf8
        | Violation::ClosePayloadTooShort
        | Violation::InvalidCloseCode(_)
        | Violation::CloseReasonNotUtf8
        | Violation::CorruptDeflate
        | Violation::AfterFinalBlock => None,
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction;
    use sockwarden_proto::Violation;

    use super::*;

    #[test]
    fn a_violation_closes_with_its_own_code() {
        let check = |violation, code| {
            let fact = Fact::Violation { direction: Direction::Client, violation };
            let verdict = ProtocolRules.observe(&fact, Duration::ZERO);
            assert!(matches!(verdict, Verdict::Close(Closure { code: c, .. }) if c == code));
        };
        check(Violation::InvalidUtf8, CloseCode::INVALID_DATA);
        check(Violation::UnmaskedClientFrame, CloseCode::PROTOCOL_ERROR);
        check(Violation::CorruptDeflate, CloseCode::INVALID_DATA);
        check(Violation::RatioExceeded { limit: 100 }, CloseCode::TOO_BIG);
    }
}
