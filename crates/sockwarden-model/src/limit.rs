//! The limits that a gateway keeps, each by one name: in the configuration, in events, in metrics and in the documentation.

use serde::{Deserialize, Serialize};

/// What becomes of whoever is beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The connection is dropped without an answer.
    Dropped,
    /// The connection is dropped without an answer where its client is known at once; behind a proxy, where a request tells whose it is,
    /// the request is refused with this status.
    DroppedOrRefused(u16),
    /// The request is refused with this status.
    Refused(u16),
    /// The connection is closed: who is beyond the limit is told this code, the other side 1001.
    Closed(u16),
    /// Both sides are closed with this code.
    BothClosed(u16),
    /// Counts as gone: the other side is told so.
    GivenUp,
    /// What is beyond waits.
    Waits,
}

impl Beyond {
    /// Gives the status that a request is refused with; 503 where none is.
    pub const fn status(self) -> u16 {
        match self {
            Self::DroppedOrRefused(status) | Self::Refused(status) => status,
            Self::Dropped | Self::Closed(_) | Self::BothClosed(_) | Self::GivenUp | Self::Waits => 503,
        }
    }

    /// Gives the close code that who is beyond the limit is told; 1008 where none is.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Closed(code) | Self::BothClosed(code) => code,
            Self::Dropped | Self::DroppedOrRefused(_) | Self::Refused(_) | Self::GivenUp | Self::Waits => {
                1008
            }
        }
    }
}

impl std::fmt::Display for Beyond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dropped => f.write_str("dropped"),
            Self::DroppedOrRefused(status) => write!(f, "dropped; behind a proxy {status}"),
            Self::Refused(status) => write!(f, "{status}"),
            Self::Closed(code) => write!(f, "closed {code}, the other side 1001"),
            Self::BothClosed(code) => write!(f, "both sides closed {code}"),
            Self::Waits => f.write_str("it waits"),
            Self::GivenUp => f.write_str("given up; the other side is closed"),
        }
    }
}

/// Declares the limits: name, keys of the configuration, what becomes of whoever is beyond it, the rule that events of it name, and why
/// the default is what it is.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $variant:ident = $label:literal, $keys:expr, $beyond:expr, $rule:literal, $why:literal;)*) => {
        /// A limit of a gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Limit { $($(#[doc = $doc])* #[serde(rename = $label)] $variant),* }

        impl Limit {
            /// Every limit, in the order of their indices.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// Names it as events and metrics spell it.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// Says what is limited.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii()),* }
            }

            /// Gives its keys in the configuration, the first one for clients where there are two; none where the system sets it.
            pub const fn keys(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &$keys),* }
            }

            /// Tells what becomes of whoever is beyond it.
            pub const fn beyond(self) -> Beyond {
                match self { $(Self::$variant => $beyond),* }
            }

            /// Names the rule that its events name; empty where it is told by a `turning-away` notice alone.
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$variant => $rule),* }
            }

            /// Says why its default is what it is.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$variant => $why),* }
            }
        }
    };
}

use Beyond::{BothClosed, Closed, Dropped, DroppedOrRefused, GivenUp, Refused, Waits};

limits! {
    /// Connections at once, those in their handshake included.
    Connections = "connections", ["limits.connections"], Dropped, "", "enough for most; a machine of its own may take many more";
    /// Descriptors of the process, two for each connection.
    Descriptors = "descriptors", [], Dropped, "", "what the process is given (`LimitNOFILE=`), less 128";
    /// Memory that all connections together hold.
    Memory = "memory", ["limits.memory"], Refused(503), "gateway", "leaves room on a machine with 4 GiB";
    /// Connections of one address at once; of IPv6 a /64 counts as one.
    AddressConnections = "address-connections", ["limits.per_address.connections"], DroppedOrRefused(429), "gateway", "an office of 250 with two tabs each; twenty such addresses fill the gateway, one cannot";
    /// New connections of one address in a second.
    AddressConnectionRate = "address-connection-rate", ["limits.per_address.connections_per_second"], Dropped, "", "all of an office come back at once (the burst is `connections`), then a browser's retries";
    /// WebSocket handshakes of one address in a second.
    AddressHandshakeRate = "address-handshake-rate", ["limits.per_address.handshakes_per_second"], Refused(429), "gateway", "as above; each costs the application a connection";
    /// TLS handshakes under way at once.
    TlsHandshakes = "tls-handshakes", ["limits.tls_handshakes"], Dropped, "", "four times what one address may have, so that none can take them all";
    /// Time from connecting to the end of the first request's head, TLS included.
    HandshakeTime = "handshake-time", ["limits.handshake_timeout"], Dropped, "", "a phone on a bad line needs two or three";
    /// Bytes of a request's head.
    HeadBytes = "head-bytes", ["limits.head.bytes"], Refused(431), "strict-handshake", "what many servers allow";
    /// Header fields of a request.
    HeadFields = "head-fields", ["limits.head.fields"], Refused(431), "strict-handshake", "a browser sends some twenty, proxies add a few";
    /// Bytes of what a request asks for (path and query).
    HeadTarget = "head-target", ["limits.head.target"], Refused(414), "strict-handshake", "room for a token in a query";
    /// Sessions of one route at once.
    RouteConnections = "route-connections", ["routes.connection_limits.connections"], Refused(503), "gateway", "as many as the gateway has";
    /// Sessions of one user on one route at once.
    UserConnections = "user-connections", ["routes.connection_limits.per_user"], Refused(429), "gateway", "ten tabs on each of five devices";
    /// Messages and bytes of one user; what is beyond waits and is let through in its turn.
    UserRate = "user-rate", ["routes.rate_limit.messages_per_second", "routes.rate_limit.messages_burst", "routes.rate_limit.bytes_per_second", "routes.rate_limit.bytes_burst"], Waits, "rate-limit", "more than people do; bursts are let wait, not cut off";
    /// Time that a message of a user waits; what may wait at once is bounded as well, and nothing more is read then.
    QueueTime = "queue-time", ["routes.rate_limit.queue_timeout", "routes.rate_limit.queue_messages", "routes.rate_limit.queue_bytes"], Closed(1013), "rate-limit", "longer than a full queue takes to pass";
    /// Time for which a user is shut out whose messages were rejected again and again.
    ShutOut = "shut-out", ["routes.rate_limit.ban.first"], Closed(1008), "rate-limit", "it grows from there";
    /// Connections to one address of an application at once; further ones wait first, so many and so long.
    UpstreamConnections = "upstream-connections", ["routes.upstreams.connections", "routes.upstreams.queue", "routes.upstreams.queue_timeout"], Refused(503), "gateway", "only the application knows what it can take; a person waits five seconds";
    /// Bytes of one frame.
    FrameSize = "frame-size", ["routes.frame_limits.frame", "routes.frame_limits.server_frame"], Closed(1009), "frame-limits", "OWASP's floor for clients; histories and snapshots come from the application";
    /// Bytes of one message, all its fragments together; of a compressed one also what it holds.
    MessageSize = "message-size", ["routes.frame_limits.message", "routes.frame_limits.server_message"], Closed(1009), "frame-limits", "as above";
    /// Fragments of one message.
    Fragments = "fragments", ["routes.frame_limits.fragments"], Closed(1008), "frame-limits", "libraries that fragment do so by 4 KiB and more";
    /// Fragments without payload, one after the other.
    EmptyFragments = "empty-fragments", ["routes.frame_limits.empty_fragments"], Closed(1008), "frame-limits", "some libraries end a stream by one; none sends several";
    /// Frames in a second, over ten seconds.
    FrameRate = "frame-rate", ["routes.frame_limits.frames_per_second", "routes.frame_limits.server_frames_per_second"], Closed(1008), "frame-limits", "a game at 60 ticks a second sends 60; what piled up comes at once";
    /// Control frames in a second.
    ControlFrameRate = "control-frame-rate", ["routes.frame_limits.control_frames_per_second"], Closed(1008), "frame-limits", "a page cannot ping, libraries do so every few seconds";
    /// Bytes of one message that are held, whatever the mode of `frame_limits`.
    MessageMemory = "message-memory", ["limits.message_memory"], Closed(1009), "protocol-rules", "room for routes that allow large messages";
    /// Bytes that a compressed message holds for each byte on the wire.
    InflateRatio = "inflate-ratio", ["routes.inflate.max_ratio"], Closed(1009), "protocol-rules", "text compresses 5 to 20 times, a bomb 1000 times";
    /// Bytes by which a compressed message is longer than what it holds.
    InflateOverhead = "inflate-overhead", ["routes.inflate.overhead"], Closed(1009), "protocol-rules", "a few empty blocks are legal";
    /// Time that inflating one message takes.
    InflateTime = "inflate-time", ["routes.inflate.time"], Closed(1009), "gateway", "far more than any takes on a machine that is not starved";
    /// Time in a second that inflating the messages of one peer takes, over ten seconds.
    InflateRate = "inflate-rate", ["routes.inflate.time_per_second"], Closed(1008), "gateway", "a quarter of one core";
    /// Containers inside one another in a message.
    Depth = "depth", ["routes.inspect.depth"], Closed(1009), "message-format", "far more than applications nest";
    /// Keys and values in a message.
    Values = "values", ["routes.inspect.values"], Closed(1009), "message-format", "a table of some thousand rows";
    /// Names in one object of a message.
    Keys = "keys", ["routes.inspect.keys"], Closed(1009), "message-format", "readers that compare names in pairs take 25 million steps for so many";
    /// Elements of one array in a message.
    Items = "items", ["routes.inspect.items"], Closed(1009), "message-format", "half of all values that a message may have";
    /// Bytes of one text in an object or an array.
    Text = "text", ["routes.inspect.text"], Closed(1009), "message-format", "as long as a message of the application";
    /// Bytes of one number, as it is written.
    Digits = "digits", ["routes.inspect.digits"], Closed(1009), "message-format", "a double needs 25; some readers take quadratic time for more";
    /// Encodings inside one another in a message; it stops one only where `message_format.strict` is set.
    Layers = "layers", ["routes.inspect.layers"], Closed(1009), "message-format", "JSON in a string in base64 in a form";
    /// Bytes that decoding what a message holds gives.
    Decoded = "decoded", ["routes.inspect.decoded"], Closed(1009), "message-format", "four times the largest message of an application";
    /// Bytes kept of a sub-protocol until the rest of a packet comes.
    Pending = "pending", ["routes.inspect.pending"], Closed(1009), "message-format", "one packet in several messages";
    /// Time from a message's first byte to its last.
    MessageTime = "message-time", ["routes.timeouts.message"], Closed(1008), "gateway", "64 KiB at 20 kbit/s";
    /// Time for which a peer takes nothing of what waits for it.
    StalledWrite = "stalled-write", ["routes.timeouts.stalled_write"], Closed(1008), "gateway", "as long as a train is in a tunnel";
    /// Time for which a peer that was pinged goes on being silent (half-open connections).
    Silence = "silence", ["routes.timeouts.pong"], GivenUp, "gateway", "after 25 s of silence (`ping_interval`) a ping is answered at once";
    /// Time without a message of either side.
    Idle = "idle", ["routes.timeouts.idle"], BothClosed(1001), "gateway", "whether silence means anything, only the application knows";
    /// Time that a connection lasts.
    Lifetime = "lifetime", ["routes.timeouts.lifetime"], BothClosed(1001), "gateway", "as above; the session behind a socket ends it where one is known";
}

impl Limit {
    /// Gives its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_one_name_everywhere_and_the_place_of_its_index() {
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit.index(), place);
            assert_eq!(serde_json::to_value(limit).unwrap(), limit.label());
            assert!(limit.summary().ends_with('.'), "{}", limit.summary());
        }
        let labels: std::collections::BTreeSet<_> = Limit::ALL.map(Limit::label).into();
        assert_eq!(labels.len(), Limit::ALL.len());
    }

    #[test]
    fn who_is_only_dropped_is_told_of_by_notices_alone() {
        for limit in Limit::ALL {
            assert_eq!(limit.rule().is_empty(), limit.beyond() == Beyond::Dropped, "{limit:?}");
        }
    }
}
