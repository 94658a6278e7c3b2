//! Tickets: credentials that are fetched for one handshake, where they come from and where they go.

use sockwarden_model::printable;
use sockwarden_proto::handshake::{ClientHandshake, is_token};

use crate::errand::{Errand, Reply};

/// Where tickets come from, and where they go in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets {
    /// The request that a ticket is fetched with, as the first user.
    pub from: Errand,
    /// Where the ticket stands in the answer: a JSON Pointer (RFC 6901), `/ticket` for one.
    pub at: String,
    /// Where it goes.
    pub place: TicketPlace,
}

/// Where a ticket goes in a handshake, with `{ticket}` in its stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketPlace {
    /// Into the query: `?ticket={ticket}`.
    Query(String),
    /// Into a header field: `X-Ticket: {ticket}`.
    Header(String, String),
    /// Into a sub-protocol, which is offered besides the target's own: `sockwarden.ticket.{ticket}`.
    Protocol(String),
}

/// What stands for the ticket.
const SLOT: &str = "{ticket}";
/// The longest ticket, in bytes.
const MOST: usize = 4096;

impl Default for TicketPlace {
    fn default() -> Self {
        Self::Protocol(format!("sockwarden.ticket.{SLOT}"))
    }
}

impl std::str::FromStr for TicketPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.matches(SLOT).count() != 1 {
            return Err(format!("the place of a ticket holds `{SLOT}` once, such as `?ticket={SLOT}`"));
        }
        if let Some(pair) = text.strip_prefix('?') {
            return match pair.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
                true => Ok(Self::Query(pair.to_owned())),
                false => Err("a query holds no blanks and no `#`".to_owned()),
            };
        }
        if let Some((name, value)) = text.split_once(':') {
            let sound = is_token(name.as_bytes()) && !value.bytes().any(|byte| byte.is_ascii_control());
            let shown = printable(name.as_bytes(), 40);
            return match sound {
                true => Ok(Self::Header(name.to_owned(), value.trim().to_owned())),
                false => Err(format!("the header `{shown}` has a malformed name or value")),
            };
        }
        match is_token(text.replace(SLOT, "x").as_bytes()) {
            true => Ok(Self::Protocol(text.to_owned())),
            false => Err(format!(
                "a ticket goes to `?NAME={SLOT}`, `HEADER: {SLOT}` or a sub-protocol such as `ticket.{SLOT}`"
            )),
        }
    }
}

impl Tickets {
    /// Takes the ticket out of what the errand brought back; none where there is none that a handshake can carry.
    pub(crate) fn in_reply(&self, reply: &Reply) -> Option<String> {
        let json: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
        let ticket = json.pointer(&self.at)?.as_str()?;
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte);
        let is_sound = reply.is_done() && (8..=MOST).contains(&ticket.len()) && ticket.bytes().all(sound);
        is_sound.then(|| ticket.to_owned())
    }

    /// Gives the handshake with a ticket in its place.
    pub(crate) fn put(&self, mut handshake: ClientHandshake, ticket: &str) -> ClientHandshake {
        match &self.place {
            TicketPlace::Query(pair) => {
                let mark = if handshake.target.contains('?') { '&' } else { '?' };
                let ticket = ticket.replace('+', "%2B");
                handshake.target = format!("{}{mark}{}", handshake.target, pair.replace(SLOT, &ticket));
            }
            TicketPlace::Header(name, value) => {
                handshake = handshake.with_header(name, value.replace(SLOT, ticket));
            }
            TicketPlace::Protocol(protocol) => handshake.protocols.push(protocol.replace(SLOT, ticket)),
        }
        handshake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(place: &str) -> Tickets {
        let from = "POST https://app.example/ticket".parse().unwrap();
        Tickets { from, at: "/a/ticket".into(), place: place.parse().unwrap() }
    }

    #[test]
    fn a_ticket_goes_where_its_place_is() {
        let check = |place: &str, expected: &str| {
            let handshake = tickets(place).put(ClientHandshake::new("h", "/ws", "key"), "abc+1");
            let text = String::from_utf8(handshake.encode()).unwrap();
            assert!(text.contains(expected), "{place}: {text}");
        };
        check("?ticket={ticket}", "GET /ws?ticket=abc%2B1 HTTP/1.1");
        check("X-Ticket: t {ticket}", "X-Ticket: t abc+1\r\n");
        check("sockwarden.ticket.{ticket}", "Sec-WebSocket-Protocol: sockwarden.ticket.abc+1\r\n");
        for place in ["", "ticket", "{ticket}{ticket}", "a b {ticket}", "?a b={ticket}", "a b: {ticket}"] {
            assert!(place.parse::<TicketPlace>().is_err(), "{place}");
        }
    }

    #[test]
    fn a_ticket_is_taken_from_where_it_stands() {
        let check = |status: u16, body: &str, expected: Option<&str>| {
            let reply = Reply { status: Some(status), body: body.into() };
            assert_eq!(tickets("{ticket}").in_reply(&reply).as_deref(), expected, "{body}");
        };
        check(200, r#"{"a":{"ticket":"0123456789"}}"#, Some("0123456789"));
        check(403, r#"{"a":{"ticket":"0123456789"}}"#, None);
        check(200, r#"{"ticket":"0123456789"}"#, None);
        check(200, r#"{"a":{"ticket":"01234\r\n56789"}}"#, None);
        check(200, r#"{"a":{"ticket":"short"}}"#, None);
        check(200, r#"{"a":{"ticket":7}}"#, None);
        check(200, "0123456789", None);
    }
}
