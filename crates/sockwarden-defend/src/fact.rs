//! What a guard is told.

use sockwarden_inspect::{Anomaly, Operation, Place, Protocol, Value};
use sockwarden_model::{Direction, Identity};
use sockwarden_proto::{
    FrameHeader, MessageKind, Violation,
    handshake::{RequestHead, UpgradeRequest},
};

use crate::Denied;

/// Something that happened on a connection.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A client asks to upgrade.
    Handshake(HandshakeFact<'a>),
    /// A client makes an ordinary request, on a route that passes such on.
    Request(RequestFact<'a>),
    /// What this guard asked for has come.
    Answer(&'a Answer),
    /// The application was connected to, or its certificate was looked at and found wanting; nothing was sent yet.
    Upstream(UpstreamFact<'a>),
    /// The connection is established, or a request was let in: what follows are frames and messages.
    Open(OpenFact<'a>),
    /// A legal frame's header arrived; its payload has not been held yet.
    Frame {
        /// Who sent it.
        direction: Direction,
        /// The header.
        header: &'a FrameHeader,
    },
    /// A piece of a compressed message was inflated; it belongs to the frame that was told last.
    Inflated {
        /// Who sent it.
        direction: Direction,
        /// How many bytes it holds.
        length: u64,
    },
    /// Something about a message that is complete and about to be forwarded; told only to defences that hear it.
    Content {
        /// Who sent it.
        direction: Direction,
        /// What.
        content: Content<'a>,
    },
    /// A peer broke the protocol.
    Violation {
        /// Who broke it.
        direction: Direction,
        /// How.
        violation: Violation,
    },
}

/// What a complete message holds: its beginning, its values, then its operations, with anomalies among them, then the whole. Once the
/// message is stopped nothing more of it is told, so what is gathered of a message is forgotten where the next one begins.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A message is about to be read.
    Begin,
    /// It holds a value.
    Value(&'a Value<'a>),
    /// It does something in its sub-protocol.
    Operation(&'a Operation<'a>),
    /// It is wrong, ambiguous or beyond a bound, at this place.
    Anomaly(Anomaly, Place<'a>),
    /// That was all of it.
    Whole {
        /// Whether it is a text.
        kind: MessageKind,
        /// What it holds, inflated; of a text, UTF-8.
        bytes: &'a [u8],
        /// Whether a packet of the sub-protocol goes on in the sender's next message: nobody acts on that packet before.
        goes_on: bool,
    },
}

/// A client's request to upgrade.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeFact<'a> {
    /// The request, judged.
    pub request: &'a UpgradeRequest,
    /// Whether it came over TLS, to us or to a trusted proxy.
    pub tls: bool,
    /// Whether the listener has a certificate.
    pub tls_offered: bool,
    /// The host and port that the client asked for: the Host header, or what a trusted proxy says it was.
    pub host: Option<&'a str>,
}

/// An ordinary HTTP request, which asks for no upgrade. Its head was judged: it can be read in one way only.
#[derive(Clone, Copy, Debug)]
pub struct RequestFact<'a> {
    /// Its head.
    pub head: &'a RequestHead,
    /// Whether it came over TLS, to us or to a trusted proxy.
    pub tls: bool,
    /// Whether the listener has a certificate.
    pub tls_offered: bool,
    /// The host and port that the client asked for: the Host header, or what a trusted proxy says it was.
    pub host: Option<&'a str>,
}

/// A connection that is established.
#[derive(Clone, Copy, Debug)]
pub struct OpenFact<'a> {
    /// Who the client is; nothing is said where nobody was asked.
    pub identity: &'a Identity,
    /// The sub-protocol that is spoken, where the handshake or the configuration names one that is understood.
    pub protocol: Option<Protocol>,
    /// What the client asked for: the path and the query.
    pub target: &'a str,
    /// Whether messages come in bodies of HTTP requests and answers, which say themselves in what format they are.
    pub in_bodies: bool,
}

/// The connection to the application before anything is sent on it.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamFact<'a> {
    /// Whether it runs over TLS.
    pub tls: bool,
    /// Whether it stays on this machine.
    pub loopback: bool,
    /// What is wrong with the application's certificate.
    pub certificate_problem: Option<&'a str>,
}

/// The outcome of an [`crate::Effect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody vouches for the caller.
    Identified(Box<Identity>),
    /// The way does not let the caller in.
    Denied(Denied),
}
