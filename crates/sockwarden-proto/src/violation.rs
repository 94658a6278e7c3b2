//! Every way in which a peer's frames can break the protocol or its limits.

use crate::CloseCode;

/// What a peer did wrong after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// A reserved bit is set where no extension that was agreed gives it a meaning: RSV1 of permessage-deflate belongs to the
    /// first frame of a message alone (RFC 7692 §6).
    #[error("reserved bits {rsv:#05b} are set where no agreed extension gives them a meaning")]
    ReservedBits {
        /// The bits, RSV1 as 4, RSV2 as 2, RSV3 as 1.
        rsv: u8,
    },
    /// The opcode has no meaning.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// A client's frame is not masked.
    #[error("a client's frame is not masked")]
    UnmaskedClientFrame,
    /// A server's frame is masked.
    #[error("a server's frame is masked")]
    MaskedServerFrame,
    /// A length of 64 bits has its first bit set.
    #[error("a 64-bit length has its first bit set")]
    LengthTopBit,
    /// The length is not written in the shortest form.
    #[error("a length is not written in the shortest form")]
    NonMinimalLength,
    /// A control frame is fragmented.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame has more than 125 bytes of payload.
    #[error("a control frame has more than 125 bytes")]
    OversizeControl,
    /// A continuation has no message to continue.
    #[error("a continuation has no message to continue")]
    UnexpectedContinuation,
    /// A new message begins before the last one has ended.
    #[error("a new message begins inside a fragmented one")]
    InterleavedMessage,
    /// A text message is not UTF-8.
    #[error("a text message is not UTF-8")]
    InvalidUtf8,
    /// A close frame's payload has one byte.
    #[error("a close frame has half a code")]
    ClosePayloadTooShort,
    /// A close frame carries a code that may not be sent.
    #[error("close code {0} may not be sent")]
    InvalidCloseCode(u16),
    /// A close frame's reason is not UTF-8.
    #[error("a close reason is not UTF-8")]
    CloseReasonNotUtf8,
    /// A frame is longer than the limit.
    #[error("a frame of {length} bytes exceeds the limit of {limit}")]
    FrameTooBig {
        /// Bytes announced by the header.
        length: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A message is longer than the limit.
    #[error("a message of at least {length} bytes exceeds the limit of {limit}")]
    MessageTooBig {
        /// Bytes announced so far.
        length: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A compressed message is no whole sequence of DEFLATE blocks (RFC 7692 §7.2.2).
    #[error("a compressed message cannot be inflated")]
    CorruptDeflate,
    /// Something follows the final block of a compressed message, which some readers would see and others not
    /// (RFC 7692 §7.2.3.4).
    #[error("a compressed message goes on after its final block")]
    AfterFinalBlock,
    /// A compressed message holds more than the limit.
    #[error("a compressed message holds more than the limit of {limit} bytes")]
    InflatedTooBig {
        /// Bytes allowed.
        limit: u64,
    },
    /// A compressed message expands beyond the limit.
    #[error("a compressed message expands to more than {limit} times its size")]
    RatioExceeded {
        /// Bytes allowed per byte of payload.
        limit: u32,
    },
    /// A compressed message is longer than what it holds, by more than the limit.
    #[error("a compressed message is longer than what it holds by more than the limit of {limit} bytes")]
    OverheadExceeded {
        /// Bytes allowed beyond what it holds.
        limit: u64,
    },
}

impl Violation {
    /// Gives the close code that answers it (RFC 6455 §7.4.1). RFC 7692 names none for a message that cannot be inflated: its
    /// frames are in order and what they hold is not, which is 1007.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CloseReasonNotUtf8 | Self::CorruptDeflate | Self::AfterFinalBlock => {
                CloseCode::INVALID_DATA
            }
            Self::FrameTooBig { .. }
            | Self::MessageTooBig { .. }
            | Self::InflatedTooBig { .. }
            | Self::RatioExceeded { .. }
            | Self::OverheadExceeded { .. } => CloseCode::TOO_BIG,
            Self::ReservedBits { .. }
            | Self::ReservedOpcode(_)
            | Self::UnmaskedClientFrame
            | Self::MaskedServerFrame
            | Self::LengthTopBit
            | Self::NonMinimalLength
            | Self::FragmentedControl
            | Self::OversizeControl
            | Self::UnexpectedContinuation
            | Self::InterleavedMessage
            | Self::ClosePayloadTooShort
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// Gives the number of the RFC that it breaks.
    pub const fn rfc(self) -> u16 {
        match self {
            Self::CorruptDeflate | Self::AfterFinalBlock => 7692,
            Self::ReservedBits { .. }
            | Self::ReservedOpcode(_)
            | Self::UnmaskedClientFrame
            | Self::MaskedServerFrame
            | Self::LengthTopBit
            | Self::NonMinimalLength
            | Self::FragmentedControl
            | Self::OversizeControl
            | Self::UnexpectedContinuation
            | Self::InterleavedMessage
            | Self::InvalidUtf8
            | Self::ClosePayloadTooShort
            | Self::InvalidCloseCode(_)
            | Self::CloseReasonNotUtf8
            | Self::FrameTooBig { .. }
            | Self::MessageTooBig { .. }
            | Self::InflatedTooBig { .. }
            | Self::RatioExceeded { .. }
            | Self::OverheadExceeded { .. } => 6455,
        }
    }

    /// Gives the section of that RFC.
    pub const fn section(self) -> &'static str {
        match self {
            Self::ReservedBits { .. }
            | Self::ReservedOpcode(_)
            | Self::LengthTopBit
            | Self::NonMinimalLength => "§5.2",
            Self::UnmaskedClientFrame | Self::MaskedServerFrame => "§5.1",
            Self::FragmentedControl | Self::OversizeControl => "§5.5",
            Self::UnexpectedContinuation | Self::InterleavedMessage => "§5.4",
            Self::InvalidUtf8 => "§8.1",
            Self::ClosePayloadTooShort | Self::CloseReasonNotUtf8 => "§5.5.1",
            Self::InvalidCloseCode(_) => "§7.4",
            Self::FrameTooBig { .. }
            | Self::MessageTooBig { .. }
            | Self::InflatedTooBig { .. }
            | Self::RatioExceeded { .. }
            | Self::OverheadExceeded { .. } => "§10.4",
            Self::CorruptDeflate => "§7.2.2",
            Self::AfterFinalBlock => "§7.2.3.4",
        }
    }
}
