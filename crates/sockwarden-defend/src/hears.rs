//! What a defence wants to be told of after the upgrade.

use std::ops::BitOr;

/// A set of facts that follow the upgrade; what precedes it is told to every defence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hears(u8);

impl Hears {
    /// None.
    pub const NOTHING: Self = Self(0);
    /// Frames, pieces of compressed messages and violations.
    pub const FRAMES: Self = Self(1);
    /// Whole messages, as bytes, and where they begin.
    pub const MESSAGES: Self = Self(1 << 1);
    /// Each value of a message.
    pub const VALUES: Self = Self(1 << 2);
    /// What messages do in their sub-protocol.
    pub const OPERATIONS: Self = Self(1 << 3);
    /// What is wrong, ambiguous or beyond a bound in messages.
    pub const ANOMALIES: Self = Self(1 << 4);

    /// What is found by reading whole messages.
    pub const CONTENT: Self = Self(Self::VALUES.0 | Self::OPERATIONS.0 | Self::ANOMALIES.0);

    /// Tells whether any of `others` is heard.
    #[inline]
    pub const fn any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

impl BitOr for Hears {
    type Output = Self;

    fn bitor(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}
