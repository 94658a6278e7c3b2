//! Who a caller is: each way to find out is one file, and what a route wants to know of it is built here.

mod bearer;
mod build;
mod credentials;
mod endpoint;
mod forward;
mod mtls;
mod session;
mod statement;
mod ticket;
mod ways;

use std::sync::{Arc, OnceLock};

use sockwarden_defend::{Configured, Denial, Denied, Way};
use sockwarden_identity::MtlsConfig;
use sockwarden_model::{EventSender, Identity};
use sockwarden_proto::handshake::RequestHead;
use sockwarden_state::{State, Subject, TicketHash};

pub use bearer::BearerConfig;
pub(crate) use build::{build, warnings};
pub(crate) use credentials::{Credentials, OWN_SUBPROTOCOL};
pub use forward::ForwardAuthConfig;
pub use session::SessionConfig;
pub(crate) use session::{Revalidation, SESSION_ENDED};
pub use ticket::{TicketConfig, TicketPlace};
pub use ways::Auth;

use crate::{client_address::ClientAddress, journal::unix_ms};
use bearer::Bearer;
use forward::Forward;
use ticket::Tickets;

/// Finds out for one route who callers are.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    forward: Option<Forward>,
    /// With what judges those who ask for tickets.
    tickets: Option<(Tickets, Arc<[Configured]>)>,
    bearer: Option<Bearer>,
    mtls: Option<MtlsConfig>,
}

/// A request about which a guard asks.
pub(crate) struct Asking<'a> {
    pub(crate) state: &'a State,
    /// Without credentials that are between the client and us.
    pub(crate) head: &'a RequestHead,
    pub(crate) from: &'a ClientAddress,
    pub(crate) credentials: &'a Credentials,
    /// The certificate (DER) that was shown and verified.
    pub(crate) certificate: Option<&'a [u8]>,
    /// The ticket that was taken.
    pub(crate) ticket: OnceLock<TicketHash>,
}

impl<'a> Asking<'a> {
    pub(crate) const fn new(
        state: &'a State,
        head: &'a RequestHead,
        from: &'a ClientAddress,
        credentials: &'a Credentials,
        certificate: Option<&'a [u8]>,
    ) -> Self {
        Self { state, head, from, credentials, certificate, ticket: OnceLock::new() }
    }
}

impl Authenticator {
    /// Takes the credentials out of a request that are to go no further.
    pub(crate) fn take_credentials(&self, head: &mut RequestHead) -> Credentials {
        let mut found = Credentials::default();
        if let Some((tickets, _)) = &self.tickets {
            tickets.find(head, &mut found);
            found.takes_ours = credentials::take_own_subprotocol(head);
        }
        if let Some(bearer) = &self.bearer {
            bearer.find(head, &mut found);
        }
        found
    }

    /// Finds out in one way who has sent a request.
    pub(crate) async fn identify(&self, way: Way, asking: &Asking<'_>) -> Result<Identity, Denied> {
        let Asking { state, head, from, credentials, certificate, ticket } = asking;
        let not_configured = || Denied {
            denial: Denial::Unavailable,
            code: "not-configured",
            reason: format!("the route does not say how to authenticate by `{}`", way.label()),
        };
        let now_ms = unix_ms();
        let mut since_ms = now_ms;
        let identity = match way {
            Way::Forward => {
                let forward = self.forward.as_ref().ok_or_else(not_configured)?;
                forward.ask(&head.headers, &head.target, from.ip).await?
            }
            Way::Ticket => {
                let (tickets, _) = self.tickets.as_ref().ok_or_else(not_configured)?;
                let (record, hash) =
                    tickets.take(state, credentials, head.headers.text("origin"), from).await?;
                since_ms = record.issued_at_ms;
                let _ = ticket.set(hash);
                record.identity
            }
            Way::Jwt => self.bearer.as_ref().ok_or_else(not_configured)?.verify(credentials).await?,
            Way::Mtls => mtls::identity(self.mtls.as_ref().ok_or_else(not_configured)?, *certificate)?,
        };
        since_ms = identity.issued_at.map_or(since_ms, |at| since_ms.min(at.saturating_mul(1000)));
        let subject = Subject {
            identity: &identity,
            session: None,
            ticket: ticket.get().copied(),
            client: from.ip,
            since_ms,
        };
        let rejected =
            |code, reason: &str| Denied { denial: Denial::Rejected, code, reason: reason.to_owned() };
        if state.revoked(&subject, now_ms) {
            return Err(rejected("revoked", "what vouches for the caller was revoked"));
        }
        if identity.has_expired(now_ms / 1000) {
            return Err(rejected("session-expired", "the caller's session has ended"));
        }
        // Users are written into headers, events and metrics, and compared.
        match &identity.user {
            Some(user) if user.is_empty() || user.len() > Identity::LONGEST_USER => {
                Err(rejected("user-malformed", "the user's name is empty or longer than 256 bytes"))
            }
            Some(_) | None => Ok(identity),
        }
    }

    pub(crate) const fn forward(&self) -> Option<&Forward> {
        self.forward.as_ref()
    }

    /// Gives the route's tickets with what judges those who ask for them.
    pub(crate) fn tickets(&self) -> Option<(&Tickets, &Arc<[Configured]>)> {
        self.tickets.as_ref().map(|(tickets, defences)| (tickets, defences))
    }

    /// Begins what goes on beside requests: keys are read again and again. Within a runtime; a second call changes nothing.
    pub(crate) fn tend(&self, events: &EventSender) {
        if let Some(bearer) = &self.bearer {
            bearer.tend(events);
        }
    }
}
