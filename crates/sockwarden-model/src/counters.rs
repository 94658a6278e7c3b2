//! What a gateway has counted, as it stands at one moment.
//!
//! Labels are few and ours: routes, rules and the variants below. What a peer says never becomes one.

use crate::{Direction, Initiator, Limit};

/// Everything that was counted since the gateway started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// By route, in the order of the configuration.
    pub routes: Vec<RouteCounters>,
    /// Handshakes that were refused before they reached a route, by who refused them; only those that are not zero.
    pub refused_without_route: Vec<(String, u64)>,
    /// How sessions ended; only those that are not zero.
    pub closes: Vec<CloseCount>,
    /// How long what one read brought took to be parsed and judged.
    pub inspection: Histogram,
    /// How often a limit was exceeded by who had not reached a route; only those that are not zero.
    pub limits_without_route: Vec<(Limit, u64)>,
    /// Connections that a fault of the gateway itself ended.
    pub panics: u64,
    /// Events that were dropped because the queue was full.
    pub events_dropped: u64,
    /// What replicas share: how it is, its tickets, revocations and rates.
    pub state: StateCounters,
}

/// What was counted of the state that replicas share, by this one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounters {
    /// Where it is kept, in one word such as `memory` or `redis`.
    pub kind: &'static str,
    /// Whether it can be used now.
    pub up: bool,
    /// Failures to reach it, or to understand it.
    pub errors: u64,
    /// Tickets that were issued here.
    pub issued: u64,
    /// Tickets that were taken here.
    pub taken: u64,
    /// Tickets that were presented wrongly here, and are gone.
    pub burned: u64,
    /// Tickets that nobody presented in time, where that is known.
    pub expired: Option<u64>,
    /// Tickets that are outstanding, where that is known.
    pub outstanding: Option<u64>,
    /// Revocations in force, and those that are over and not forgotten yet.
    pub revocations: u64,
    /// Requests of this replica for leases of rates that were answered, one of a user or an application each.
    pub leases: u64,
    /// Those that were not.
    pub leases_unanswered: u64,
    /// How many sets of rates this replica keeps to by itself, because the server does not answer.
    pub rates_alone: u64,
}

/// What was counted on one route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteCounters {
    /// The route.
    pub route: String,
    /// Sessions that were established.
    pub opened: u64,
    /// Sessions that are established.
    pub active: u64,
    /// Messages and control frames; only those that are not zero.
    pub messages: Vec<MessageCount>,
    /// Payload bytes of the client's messages that were forwarded.
    pub bytes_from_client: u64,
    /// Payload bytes of the application's messages that were forwarded.
    pub bytes_from_server: u64,
    /// Ordinary requests that were passed on, by the class of the application's status; only those that are not zero.
    pub requests: Vec<(StatusClass, u64)>,
    /// Handshakes and requests that were refused, by the rule that refused them; `gateway` for none. Only those that are not zero.
    pub refused: Vec<(String, u64)>,
    /// How often a limit was exceeded, where that had consequences; only those that are not zero.
    pub limits: Vec<(Limit, u64)>,
    /// Messages and bodies that were forwarded without every inspection, by who sent them; only those that are not zero.
    pub uninspected: Vec<(Direction, Uninspected, u64)>,
    /// What its rates hold back now.
    pub rates: RateCounters,
    /// How its application's addresses are, and how they were.
    pub upstream: UpstreamCounters,
}

/// What the rates of one route hold back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateCounters {
    /// Messages that wait.
    pub waiting: u64,
    /// Users that are shut out.
    pub shut_out: u64,
}

/// What was counted of the addresses of one route's application; from zero again when a reload changes the route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamCounters {
    /// Addresses that are healthy.
    pub healthy: u64,
    /// Addresses that are ejected.
    pub ejected: u64,
    /// Connections and health checks that failed.
    pub failures: u64,
    /// Ejections.
    pub ejections: u64,
}

/// How many messages of a kind had the same end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCount {
    /// Who sent them.
    pub direction: Direction,
    /// What they are.
    pub kind: MessageClass,
    /// What became of them.
    pub treatment: Treatment,
    /// How many.
    pub count: u64,
}

/// Declares an enum whose variants are values of a label.
macro_rules! labels {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident = $label:literal),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $variant_doc])* $variant),* }

        impl $name {
            /// Every variant, in the order of their indices.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// Gives its place in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }

            /// Names it as metrics spell it.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }
        }
    };
}

labels! {
    /// What a message or a control frame is.
    MessageClass {
        /// A text message.
        Text = "text",
        /// A binary message.
        Binary = "binary",
        /// A ping.
        Ping = "ping",
        /// A pong.
        Pong = "pong",
        /// A close frame.
        Close = "close",
        /// Bytes that are no legal frame.
        Invalid = "invalid",
    }
}

labels! {
    /// What became of a message.
    Treatment {
        /// It passed; a control frame was handled.
        Pass = "pass",
        /// It passed, and a defence in observe mode would have stopped it.
        Observe = "observe",
        /// It was stopped.
        Block = "block",
        /// It passed after it had waited for its sender's turn.
        Delay = "delay",
    }
}

labels! {
    /// Why a message, or the body of a request or an answer, was not wholly inspected.
    Uninspected {
        /// A defence that judges messages is off.
        DefenceOff = "defence-off",
        /// A part of it lies beyond a bound of what is read.
        Bound = "bound",
        /// It is an answer of a kind that is not read: an image, a page, a script, a stream.
        MediaType = "media-type",
        /// It is encoded in a way that is not decoded, or says contradictory things about that.
        Encoding = "encoding",
    }
}

labels! {
    /// What a status of HTTP says, by its first digit.
    StatusClass {
        /// It worked.
        Success = "2xx",
        /// It is elsewhere, or has not changed.
        Redirection = "3xx",
        /// The client did something wrong.
        ClientError = "4xx",
        /// The application did something wrong.
        ServerError = "5xx",
        /// No class that there is.
        Other = "other",
    }
}

impl StatusClass {
    /// Gives the class of a final status.
    pub const fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

/// How many sessions ended the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCount {
    /// The close code.
    pub code: CloseClass,
    /// Who ended them.
    pub initiator: Initiator,
    /// How many.
    pub count: u64,
}

/// A close code as it is counted: the registered ones each, those that applications make up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseClass(u8);

impl CloseClass {
    /// How many there are.
    pub const COUNT: usize = 19;

    /// Every class, in the order of their indices.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).take(Self::COUNT).map(Self)
    }

    /// Gives the class of a close code.
    pub const fn of(code: u16) -> Self {
        Self(match code {
            1000..=1015 => (code - 1000) as u8,
            3000..=3999 => 16,
            4000..=4999 => 17,
            _ => 18,
        })
    }

    /// Gives its place among [`CloseClass::all`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for CloseClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            16 => f.pad("3xxx"),
            17 => f.pad("4xxx"),
            18 => f.pad("other"),
            registered => (1000 + u16::from(registered)).fmt(f),
        }
    }
}

/// How long something took, counted in buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many took at most [`Histogram::BOUNDS`] each and more than the one before; the last is without bound.
    pub buckets: [u64; Histogram::BOUNDS.len() + 1],
    /// All of them together, in nanoseconds.
    pub sum_ns: u64,
}

impl Histogram {
    /// The upper bounds of the buckets, in nanoseconds: from a microsecond to a tenth of a second.
    pub const BOUNDS: [u64; 11] = [
        1_000,
        2_500,
        5_000,
        10_000,
        25_000,
        50_000,
        100_000,
        1_000_000,
        10_000_000,
        50_000_000,
        100_000_000,
    ];

    /// Tells which bucket a time falls into.
    pub fn bucket(ns: u64) -> usize {
        Self::BOUNDS.iter().position(|&bound| ns <= bound).unwrap_or(Self::BOUNDS.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_the_place_of_its_index() {
        assert!(MessageClass::ALL.iter().enumerate().all(|(at, class)| class.index() == at));
        assert!(Treatment::ALL.iter().enumerate().all(|(at, treatment)| treatment.index() == at));
        assert!(CloseClass::all().enumerate().all(|(at, class)| class.index() == at));
        assert_eq!(CloseClass::all().count(), CloseClass::COUNT);
    }

    #[test]
    fn every_close_code_has_one_of_few_classes() {
        let check = |code: u16, expected: &str| assert_eq!(CloseClass::of(code).to_string(), expected);
        check(1000, "1000");
        check(1015, "1015");
        check(1016, "other");
        check(3456, "3xxx");
        check(4999, "4xxx");
        check(0, "other");
        check(u16::MAX, "other");
        let classes: std::collections::BTreeSet<_> = (0..=u16::MAX).map(CloseClass::of).collect();
        assert!(classes.into_iter().eq(CloseClass::all()));
    }

    #[test]
    fn a_bucket_holds_its_bound() {
        let check = |ns, expected| assert_eq!(Histogram::bucket(ns), expected, "{ns}");
        check(0, 0);
        check(1_000, 0);
        check(1_001, 1);
        check(100_000_000, 10);
        check(u64::MAX, 11);
    }
}
