//! Tickets: who may ask for them, how they come, and what they are bound to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_defend::{Denial, Denied, Way};
use sockwarden_model::{TicketGrant, TicketOrder};
use sockwarden_net::random_array;
use sockwarden_proto::handshake::RequestHead;
use sockwarden_state::{AddressBinding, IssueError, Presented, State, Ticket, TicketHash, TicketRecord};

use super::credentials::{Credentials, TICKET_SUBPROTOCOL, take_cookies, take_parameters, take_subprotocols};
use crate::{client_address::ClientAddress, journal::unix_ms, throttle::Throttle};

/// Where tickets are asked for unless a route says otherwise.
pub(crate) const PATH: &str = "/.well-known/sockwarden/ticket";

/// Tickets: who gets one, how it comes with a handshake, and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TicketConfig {
    /// The ways in which callers of the ticket endpoint are authenticated: `forward`, `jwt` or `mtls`, tried in their order. None: only the application's server gets tickets for its users, over the admin listener.
    pub issue_to: Vec<Way>,
    /// The path that tickets are asked for at, by `POST`.
    pub path: String,
    /// Where in a handshake a ticket may stand.
    pub accept: Vec<TicketPlace>,
    /// The name of the query parameter, where `accept` has `query`.
    pub query: String,
    /// The name of the cookie, where `accept` has `cookie`.
    pub cookie: String,
    /// How long a ticket is good: 5 s to 5 min.
    pub lifetime: HumanDuration,
    /// How near the address that presents a ticket must be to the one that asked for it.
    pub address: AddressBinding,
    /// The most tickets of one user that may be outstanding; of one address, where there is no user.
    #[schemars(range(min = 1, max = 1000))]
    pub outstanding: u32,
    /// How often one address, and one user, may ask for a ticket in a minute.
    #[schemars(range(min = 1, max = 60_000))]
    pub per_minute: u32,
}

impl Default for TicketConfig {
    fn default() -> Self {
        Self {
            issue_to: Vec::new(),
            path: PATH.to_owned(),
            accept: vec![TicketPlace::Subprotocol],
            query: "ticket".to_owned(),
            cookie: "sockwarden_ticket".to_owned(),
            lifetime: HumanDuration::from_secs(30),
            address: AddressBinding::Exact,
            outstanding: 10,
            per_minute: 60,
        }
    }
}

/// Where in a handshake a ticket may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TicketPlace {
    /// As the sub-protocol `sockwarden.ticket.` with the ticket behind it.
    Subprotocol,
    /// As a parameter of the query, which other proxies may log.
    Query,
    /// As a cookie.
    Cookie,
}

/// The origin of who comes without one, which no page does: neither may use the other's ticket.
pub(super) const NO_ORIGIN: &str = "";

/// The tickets of one route.
#[derive(Debug)]
pub(crate) struct Tickets {
    pub(crate) config: TicketConfig,
    /// The route that they are for.
    route: String,
    pub(crate) by_address: Throttle,
    pub(crate) by_user: Throttle,
}

/// The most that may be asked for at once.
const BURST: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

impl Tickets {
    pub(crate) fn new(config: &TicketConfig, route: &str) -> Self {
        let throttle = || Throttle::new(config.per_minute, MINUTE, BURST.min(config.per_minute));
        Self { config: config.clone(), route: route.to_owned(), by_address: throttle(), by_user: throttle() }
    }

    /// Takes every ticket out of a handshake, wherever the route lets one stand.
    pub(crate) fn find(&self, head: &mut RequestHead, found: &mut Credentials) {
        let accepts = |place| self.config.accept.contains(&place);
        // Those are taken out in any case: an application has no use for them, and a log may keep them.
        let offered = take_subprotocols(head, TICKET_SUBPROTOCOL);
        if accepts(TicketPlace::Subprotocol) {
            found.tickets.extend(offered);
        }
        if accepts(TicketPlace::Query) {
            found.tickets.extend(take_parameters(head, &self.config.query));
        }
        if accepts(TicketPlace::Cookie) {
            found.tickets.extend(take_cookies(head, &self.config.cookie));
        }
    }

    /// Issues a ticket for this route.
    pub(crate) async fn issue(
        &self,
        state: &State,
        order: TicketOrder,
        now_ms: u64,
    ) -> Result<TicketGrant, IssueError> {
        let TicketOrder { route, identity, client, origin, note } = order;
        let lifetime = self.config.lifetime.get();
        let expires_at_ms = now_ms + u64::try_from(lifetime.as_millis()).unwrap_or_default();
        let record =
            TicketRecord { identity, route, origin, client, issued_at_ms: now_ms, expires_at_ms, note };
        let ticket = Ticket::from_random(random_array());
        state.issue(&ticket, &record, self.config.outstanding, now_ms).await?;
        Ok(TicketGrant {
            expires_in: lifetime.as_secs(),
            subprotocol: format!("{TICKET_SUBPROTOCOL}{}", ticket.expose()),
            ticket: ticket.expose().to_owned(),
        })
    }

    /// Takes the one ticket of a handshake: it is good for this route, from this address and origin, once.
    pub(crate) async fn take(
        &self,
        state: &State,
        credentials: &Credentials,
        origin: Option<&str>,
        from: &ClientAddress,
    ) -> Result<(TicketRecord, TicketHash), Denied> {
        let rejected = |code, reason: &dyn std::fmt::Display| {
            Err(Denied { denial: Denial::Rejected, code, reason: reason.to_string() })
        };
        let text = match credentials.tickets.as_slice() {
            [] => {
                let reason = "the handshake has no ticket".to_owned();
                return Err(Denied { denial: Denial::Absent, code: "ticket-absent", reason });
            }
            [one] => String::from_utf8_lossy(one),
            [_, _, ..] => return rejected("ticket-repeated", &"the handshake has more than one ticket"),
        };
        let ticket = match Ticket::parse(&text) {
            Ok(ticket) => ticket,
            Err(malformed) => return rejected(malformed.code(), &malformed),
        };
        let origin = Some(origin.unwrap_or(NO_ORIGIN));
        let presented =
            Presented { route: &self.route, origin, client: from.ip, binding: self.config.address };
        match state.take(&ticket, &presented, unix_ms()).await {
            Ok(record) => Ok((record, ticket.hash())),
            Err(refused @ sockwarden_state::Refused::Unavailable(_)) => {
                Err(Denied { denial: Denial::Unavailable, code: refused.code(), reason: refused.to_string() })
            }
            Err(refused) => rejected(refused.code(), &refused),
        }
    }
}
