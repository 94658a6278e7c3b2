//! Who told a gateway to do what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Mode};

/// Somebody told the gateway to do something, or tried to, or it undid it by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who.
    pub by: Requester,
    /// What.
    pub action: Action,
}

/// Who asks a gateway for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// By which right.
    pub role: Role,
    /// The address and port that the request came from; absent where nobody asked.
    pub from: Option<String>,
    /// The name in the certificate that was shown, escaped; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Requester {
    /// The gateway itself, when a stated time is over.
    pub const TIMER: Self = Self { role: Role::Timer, from: None, name: None };
}

/// What somebody may do with a gateway; see [`Role::may`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing: who it is was not shown.
    Nobody,
    /// Looks.
    Viewer,
    /// Issues tickets and revokes, and sees nothing: the application's own server.
    Issuer,
    /// Looks and acts.
    Operator,
    /// The gateway's own clock.
    Timer,
}

impl Role {
    /// Tells whether who has this role may do what `needed` may. An operator may everything that people may; nobody else may
    /// what is another role's, so that an issuer does not see who is connected.
    pub const fn may(self, needed: Self) -> bool {
        match needed {
            Self::Nobody => true,
            Self::Viewer => matches!(self, Self::Viewer | Self::Operator),
            Self::Issuer => matches!(self, Self::Issuer | Self::Operator),
            Self::Operator => matches!(self, Self::Operator),
            Self::Timer => matches!(self, Self::Timer),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Nobody => "nobody",
            Self::Viewer => "viewer",
            Self::Issuer => "issuer",
            Self::Operator => "operator",
            Self::Timer => "timer",
        })
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A session was told to close.
    CloseSession {
        /// Names the connection in all its events.
        connection: EventId,
        /// The code that both sides are told.
        code: u16,
        /// The reason that both sides are told, escaped.
        reason: String,
    },
    /// The mode of a defence was changed for a time.
    SetMode {
        /// The route.
        route: String,
        /// The id of the defence.
        rule: String,
        /// The mode from now on.
        mode: Mode,
        /// For how many seconds.
        seconds: u64,
    },
    /// The mode of a defence went back to what the configuration says.
    RestoreMode {
        /// The route.
        route: String,
        /// The id of the defence.
        rule: String,
        /// The mode from now on.
        mode: Mode,
    },
    /// A ticket was issued for a user.
    IssueTicket {
        /// The route that it is for.
        route: String,
        /// The user, escaped.
        user: Option<String>,
    },
    /// Something was revoked.
    Revoke {
        /// What, escaped.
        what: String,
        /// For how many seconds it is remembered.
        seconds: u64,
    },
    /// The configuration was to be read again; a notice tells what came of it.
    Reload,
    /// The gateway was told to end in order.
    Drain,
    /// A request was refused for want of a right.
    Refused {
        /// What was asked for, escaped and cut.
        request: String,
        /// Why it was refused.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_is_its_own_and_an_operator_what_people_may() {
        use Role::{Issuer, Nobody, Operator, Timer, Viewer};
        let check = |role: Role, expected: &[Role]| {
            let may: Vec<Role> = [Nobody, Viewer, Issuer, Operator, Timer]
                .into_iter()
                .filter(|needed| role.may(*needed))
                .collect();
            assert_eq!(may, expected, "{role}");
        };
        check(Nobody, &[Nobody]);
        check(Viewer, &[Nobody, Viewer]);
        check(Issuer, &[Nobody, Issuer]);
        check(Operator, &[Nobody, Viewer, Issuer, Operator]);
        check(Timer, &[Nobody, Timer]);
    }
}
