//! What becomes of permessage-deflate (RFC 7692) between a client and an application.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_net::SystemMaskKeys;
use sockwarden_proto::{
    Limits, Role, Session,
    deflate::{Agreement, InflateLimits, Offer, Wishes},
    handshake::UpgradeRequest,
};

use crate::inflate_time::InflateTimes;

/// How many of a client's offers are passed on.
const MOST_OFFERS: usize = 4;

/// What a route does about compression (permessage-deflate, RFC 7692).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompressionKind {
    /// Client and application agree on it through the gateway; each message is inflated to be inspected, and forwarded as it was
    /// compressed. Where the application declines, there is none.
    #[default]
    Inspect,
    /// It is taken out of the handshake: nothing is compressed.
    Strip,
    /// The gateway agrees on it with each side by itself, inflates what comes and compresses what goes, each message on its
    /// own.
    Terminate,
}

impl CompressionKind {
    /// Names it as the configuration spells it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Strip => "strip",
            Self::Terminate => "terminate",
        }
    }
}

/// How far compressed messages may expand and what inflating one may cost; how much they may hold is said by `frame_limits.message` and
/// `limits.message_memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InflateConfig {
    /// The most bytes that a message may hold per byte on the wire.
    #[schemars(range(min = 1))]
    pub max_ratio: u32,
    /// The size up to which a message may expand at any ratio.
    pub ratio_floor: ByteSize,
    /// The most bytes by which a message may be longer on the wire than what it holds: blocks that say nothing are work without
    /// an outcome.
    pub overhead: ByteSize,
    /// The longest time that inflating one message may take, by the clock: far more than any takes on a machine that is not starved.
    pub time: HumanDuration,
    /// The longest time in a second that inflating the messages of one peer may take, by the clock, on an average of ten.
    pub time_per_second: HumanDuration,
}

impl Default for InflateConfig {
    fn default() -> Self {
        Self {
            max_ratio: 100,
            ratio_floor: ByteSize::kib(64),
            overhead: ByteSize::kib(16),
            time: HumanDuration::from_millis(500),
            // A quarter of one core; a hundred messages of 64 KiB take a tenth of that.
            time_per_second: HumanDuration::from_millis(250),
        }
    }
}

impl InflateConfig {
    /// Gives the limits for messages that hold at most `output` bytes.
    pub(crate) const fn limits(&self, output: u64) -> MessageLimits {
        let inflate = InflateLimits {
            output,
            ratio: self.max_ratio,
            ratio_floor: self.ratio_floor.as_u64(),
            overhead: self.overhead.as_u64(),
        };
        let times = InflateTimes { message: self.time.get(), per_second: self.time_per_second.get() };
        MessageLimits { inflate, times }
    }
}

/// How much inflating one message may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageLimits {
    inflate: InflateLimits,
    times: InflateTimes,
}

impl CompressionKind {
    /// Names it as the configuration spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Strip => "strip",
            Self::Terminate => "terminate",
        }
    }

    /// Gives what the application is offered on behalf of a client.
    pub(crate) fn offers(self, request: &UpgradeRequest) -> Vec<String> {
        match self {
            // The client's own valid offers, written anew: whatever the application answers to them suits the client.
            Self::Inspect => {
                request.deflate_offers().iter().take(MOST_OFFERS).map(ToString::to_string).collect()
            }
            Self::Strip => Vec::new(),
            Self::Terminate => {
                let apart = Offer {
                    server_no_context_takeover: true,
                    client_no_context_takeover: true,
                    ..Offer::default()
                };
                vec![apart.to_string()]
            }
        }
    }

    /// Settles what holds on each side once the application has answered.
    pub(crate) fn settle(self, request: &UpgradeRequest, answered: Option<Agreement>) -> Compression {
        match self {
            Self::Inspect => Compression { client: answered, server: answered, forwards_originals: true },
            Self::Strip => Compression { client: None, server: None, forwards_originals: false },
            Self::Terminate => {
                let offers = request.deflate_offers();
                let client = offers.first().map(|offer| offer.accept(&Wishes::NO_CONTEXT));
                // A client may always do without a context (§7.1.1.2), whether or not the server has taken note.
                let server = answered.map(|answer| Agreement { client_no_context_takeover: true, ..answer });
                Compression { client, server, forwards_originals: false }
            }
        }
    }
}

/// What inflating one direction keeps between two messages.
const INFLATER: u64 = 48 * 1024;

/// What was agreed with each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compression {
    pub(crate) client: Option<Agreement>,
    server: Option<Agreement>,
    /// Whether messages go out as they were compressed, since both sides agreed on the same.
    forwards_originals: bool,
}

/// The two sessions of a connection.
pub(crate) struct Ends {
    pub(crate) client: Session<SystemMaskKeys>,
    pub(crate) server: Session<SystemMaskKeys>,
    /// What both have agreed on, where messages are forwarded as they were compressed.
    pub(crate) originals: Option<Agreement>,
    /// How long inflating may take, where anything is inflated.
    pub(crate) inflate_times: Option<InflateTimes>,
}

impl Compression {
    /// Gives the most bytes that a session keeps from one message to the next because of it.
    pub(crate) fn memory(&self) -> u64 {
        // Only a direction with context takeover keeps a window (see `deflate`, where it is measured).
        let from_client = self.client.is_some_and(|agreed| !agreed.client_no_context_takeover);
        let from_server = self.server.is_some_and(|agreed| !agreed.server_no_context_takeover);
        INFLATER * (u64::from(from_client) + u64::from(from_server))
    }

    pub(crate) fn ends(&self, limits: Limits, messages: MessageLimits) -> Ends {
        let end = |role, agreement: &Option<Agreement>| {
            let session = Session::new(role, limits, SystemMaskKeys::new());
            match agreement {
                None => session,
                Some(agreement) => {
                    let session = session.with_inflater(agreement.inflater(role, messages.inflate));
                    if self.forwards_originals {
                        session
                    } else {
                        session.with_deflater(agreement.deflater(role))
                    }
                }
            }
        };
        Ends {
            client: end(Role::Server, &self.client),
            server: end(Role::Client, &self.server),
            originals: self.client.filter(|_| self.forwards_originals),
            inflate_times: (self.client.is_some() || self.server.is_some()).then_some(messages.times),
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::{
        deflate::extensions,
        handshake::{HeadLimits, RequestHead},
    };

    use super::*;

    fn request(extensions: &str) -> UpgradeRequest {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n");
        let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        UpgradeRequest::judge(head, 0)
    }

    #[test]
    fn what_is_offered_and_what_then_holds_follows_the_kind() {
        use CompressionKind::{Inspect, Strip, Terminate};
        let browser = "permessage-deflate; client_max_window_bits";
        let check =
            |kind: CompressionKind, asked: &str, offered: &[&str], answered: &str, client: Option<&str>| {
                let request = request(asked);
                assert_eq!(kind.offers(&request), offered, "{kind:?} {asked}");
                let answer = extensions([answered.as_bytes()]).unwrap();
                let answered = Agreement::read(&answer[0]).unwrap();
                let settled = kind.settle(&request, answered);
                assert_eq!(settled.client.map(|c| c.to_string()).as_deref(), client, "{kind:?} {asked}");
            };
        let bits = "permessage-deflate; client_max_window_bits=10";
        check(Inspect, browser, &[browser], bits, Some(bits));
        check(Inspect, browser, &[browser], "declined", None);
        check(Inspect, "x", &[], "declined", None);
        check(
            Inspect,
            "permessage-deflate; x, permessage-deflate",
            &["permessage-deflate"],
            "declined",
            None,
        );
        check(Inspect, &["permessage-deflate"; 9].join(","), &["permessage-deflate"; 4], "declined", None);
        check(Strip, browser, &[], "declined", None);
        let apart = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        check(Terminate, browser, &[apart], apart, Some(apart));
        check(Terminate, browser, &[apart], "declined", Some(apart));
        check(Terminate, "x", &[apart], apart, None);
        let limited = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9";
        let answer = format!("{apart}; server_max_window_bits=9; client_max_window_bits=9");
        check(Terminate, limited, &[apart], apart, Some(&answer));
    }

    #[test]
    fn a_context_in_each_direction_is_memory() {
        let check = |agreed: Agreement, expected| {
            let settled = CompressionKind::Inspect.settle(&request("permessage-deflate"), Some(agreed));
            assert_eq!(settled.memory(), expected, "{agreed}");
        };
        let both = Agreement::default();
        check(both, 96 * 1024);
        check(Agreement { client_no_context_takeover: true, ..both }, 48 * 1024);
        check(Agreement { client_no_context_takeover: true, server_no_context_takeover: true, ..both }, 0);
        assert_eq!(CompressionKind::Strip.settle(&request("permessage-deflate"), None).memory(), 0);
    }

    #[test]
    fn a_gateway_that_terminates_holds_no_context_of_its_own() {
        let answer = Agreement { server_no_context_takeover: true, ..Agreement::default() };
        let settled = CompressionKind::Terminate.settle(&request("permessage-deflate"), Some(answer));
        assert_eq!(settled.memory(), 0);
        for agreement in [settled.client, settled.server] {
            let agreement = agreement.unwrap();
            assert!(agreement.client_no_context_takeover && agreement.server_no_context_takeover);
        }
    }
}
