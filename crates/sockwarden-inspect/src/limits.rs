//! How much of one message is read.

/// How much of one message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectLimits {
    /// Objects and arrays inside one another.
    pub depth: u16,
    /// Keys and values in one message.
    pub values: u32,
    /// Names in one object.
    pub keys: u32,
    /// Elements of one array.
    pub items: u32,
    /// Bytes of one text in an object or an array; a message that is nothing but a text is as long as it may be.
    pub text: usize,
    /// Bytes of one number, as it is written.
    pub digits: usize,
    /// Encodings inside one another.
    pub layers: u8,
    /// Bytes that decoding one message gives, all layers together.
    pub decoded: usize,
    /// Bytes kept of each direction until the rest of a packet comes, and of what a sub-protocol refers back to.
    pub pending: usize,
}

impl Default for InspectLimits {
    fn default() -> Self {
        Self {
            depth: 64,
            values: 20_000,
            keys: 5_000,
            items: 10_000,
            text: 1 << 20,
            digits: 100,
            layers: 4,
            decoded: 4 << 20,
            pending: 1 << 20,
        }
    }
}
