//! The ways to find out who a caller is, and what comes of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to find out who a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The application's own endpoint is asked, with the caller's Cookie and Authorization.
    Forward,
    /// A ticket that is good for one handshake.
    Ticket,
    /// A signed token (RFC 7519).
    Jwt,
    /// A client certificate.
    Mtls,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Ticket, Self::Jwt, Self::Mtls];

    /// The name as the configuration spells it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Ticket => "ticket",
            Self::Jwt => "jwt",
            Self::Mtls => "mtls",
        }
    }
}

/// Why a way does not let a caller in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What kind of no it is.
    pub denial: Denial,
    /// A stable word for it, such as `ticket-used`.
    pub code: &'static str,
    /// What the operator is told. Bytes of the peer are escaped; no secret is in it.
    pub reason: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

/// What kind of no it is; of several the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// The caller has shown nothing: 401.
    Absent,
    /// What the caller has shown is not good: 401.
    Rejected,
    /// The caller is known and may not connect: 403.
    Forbidden,
    /// It cannot be found out now: 503.
    Unavailable,
}
