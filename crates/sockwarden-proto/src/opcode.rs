//! What a frame is for (RFC 6455 §5.2).

/// The four bits of a frame that say what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Continues a fragmented message (0x0).
    Continuation,
    /// Begins a text message (0x1).
    Text,
    /// Begins a binary message (0x2).
    Binary,
    /// Ends the conversation (0x8).
    Close,
    /// Asks for a pong (0x9).
    Ping,
    /// Answers a ping (0xA).
    Pong,
    /// Has no meaning yet (0x3 to 0x7, 0xB to 0xF).
    Reserved(u8),
}

impl Opcode {
    /// Reads the low four bits of `bits`.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0x0f {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            other => Self::Reserved(other),
        }
    }

    /// Gives the four bits.
    #[inline]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
            Self::Reserved(bits) => bits & 0x0f,
        }
    }

    /// Tells whether the frame controls the connection rather than carries data: the top bit is set.
    #[inline]
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

impl MessageKind {
    /// Gives the opcode of the message's first frame.
    #[inline]
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}
