//! How much of one message is read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::ByteSize;

/// How much of one message is read; what lies beyond is told as an anomaly and, in block mode, not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InspectLimitsConfig {
    /// Objects and arrays inside one another.
    pub depth: u16,
    /// Keys and values in one message.
    pub values: u32,
    /// Encodings inside one another: JSON in a string, base64 of that, …
    pub layers: u8,
    /// Bytes that decoding one message gives, all layers together.
    pub decoded: ByteSize,
}

impl Default for InspectLimitsConfig {
    fn default() -> Self {
        let InspectLimits { depth, values, layers, decoded } = InspectLimits::default();
        Self { depth, values, layers, decoded: ByteSize::bytes(decoded as u64) }
    }
}

impl InspectLimitsConfig {
    /// Gives the limits themselves.
    pub fn limits(&self) -> InspectLimits {
        InspectLimits {
            depth: self.depth,
            values: self.values,
            layers: self.layers,
            decoded: self.decoded.as_usize(),
        }
    }
}

/// How much of one message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectLimits {
    /// Objects and arrays inside one another.
    pub depth: u16,
    /// Keys and values in one message.
    pub values: u32,
    /// Encodings inside one another.
    pub layers: u8,
    /// Bytes that decoding one message gives, all layers together.
    pub decoded: usize,
}

impl Default for InspectLimits {
    fn default() -> Self {
        Self { depth: 64, values: 20_000, layers: 4, decoded: 4 << 20 }
    }
}
