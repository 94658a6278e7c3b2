//! The threats that Sockwarden exists for.

use serde::Serialize;

/// A threat of `docs/threat-model.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Threat {
    /// No authentication or authorisation in the protocol.
    T1,
    /// Denial of service for want of limits.
    T2,
    /// Tunnelling of other protocols.
    T3,
    /// Sniffing and changing of cleartext on the path to the server.
    T4,
    /// Masking and compression hide traffic from monitors.
    T5,
    /// Hostile input inside messages.
    T6,
    /// Cross-site WebSocket hijacking.
    T7,
    /// Unencrypted channel to the application or behind the proxy.
    T8,
}

impl Threat {
    /// Names the threat in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::T1 => "no authentication or authorisation",
            Self::T2 => "denial of service",
            Self::T3 => "tunnelling",
            Self::T4 => "sniffing on the way in",
            Self::T5 => "hidden from monitors",
            Self::T6 => "hostile input",
            Self::T7 => "cross-site hijacking",
            Self::T8 => "cleartext behind the proxy",
        }
    }
}

impl std::fmt::Display for Threat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::T1 => "T1",
            Self::T2 => "T2",
            Self::T3 => "T3",
            Self::T4 => "T4",
            Self::T5 => "T5",
            Self::T6 => "T6",
            Self::T7 => "T7",
            Self::T8 => "T8",
        })
    }
}
