//! Reading what messages hold, for the defences that want to know.

use std::{cell::RefCell, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::ByteSize;
use sockwarden_defend::{Chain, Closure, Content, Decided, Fact, Hears, Verdict};
use sockwarden_inspect::{
    Anomaly, Chosen, Conversation, InspectLimits, Message, Opening, Operation, Place, Protocol, Reader, Sink,
    Value,
};
use sockwarden_model::Direction;
use sockwarden_proto::CloseCode;

use crate::{
    journal::Journal,
    verdicts::{Judged, observe_again},
};

thread_local! {
    /// The buffers that messages are read with; an idle connection holds none.
    static READER: RefCell<Reader> = RefCell::default();
}

/// How messages are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InspectConfig {
    /// The sub-protocol that is spoken, such as `socket-io`: `auto` takes it from the handshake or recognises it by the first messages, `none` takes none for one.
    pub protocol: String,
    /// Objects and arrays inside one another.
    pub depth: u16,
    /// Keys and values in one message.
    pub values: u32,
    /// Encodings inside one another: JSON in a string, base64 of that, and so on.
    pub layers: u8,
    /// Bytes that decoding what one message holds may give, all layers together.
    pub decoded: ByteSize,
    /// Bytes kept until the rest of a packet comes, and bytes of what later messages refer back to.
    pub pending: ByteSize,
}

impl Default for InspectConfig {
    fn default() -> Self {
        let InspectLimits { depth, values, layers, decoded, pending } = InspectLimits::default();
        let bytes = |size: usize| ByteSize::bytes(size as u64);
        let (decoded, pending) = (bytes(decoded), bytes(pending));
        Self { protocol: "auto".to_owned(), depth, values, layers, decoded, pending }
    }
}

/// Which sub-protocol is spoken on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    /// What each connection turns out to speak.
    Recognised,
    /// This one.
    Configured(Protocol),
    /// None that is known.
    None,
}

/// How the messages of a route are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inspection {
    spoken: Spoken,
    limits: InspectLimits,
}

impl InspectConfig {
    /// Builds it.
    ///
    /// # Errors
    /// There is no such sub-protocol; the text says which there are.
    pub(crate) fn build(&self) -> Result<Inspection, String> {
        let spoken = match self.protocol.as_str() {
            "auto" => Spoken::Recognised,
            "none" => Spoken::None,
            name => Spoken::Configured(Protocol::named(name).ok_or_else(|| {
                let names: Vec<&str> = Protocol::all().map(Protocol::name).collect();
                format!("`{name}` is none of auto, none, {}", names.join(", "))
            })?),
        };
        Ok(Inspection { spoken, limits: self.limits() })
    }

    /// Gives how much of a message is read.
    pub fn limits(&self) -> InspectLimits {
        InspectLimits {
            depth: self.depth,
            values: self.values,
            layers: self.layers,
            decoded: self.decoded.as_usize(),
            pending: self.pending.as_usize(),
        }
    }
}

impl Inspection {
    /// Begins to read a connection.
    pub(crate) fn begin(&self, opening: &Opening<'_>) -> Inspector {
        let conversation = match self.spoken {
            Spoken::Recognised => Conversation::new(None, opening),
            Spoken::Configured(protocol) => Conversation::new(Some(protocol), opening),
            Spoken::None => Conversation::of_no_protocol(),
        };
        Inspector { conversation, limits: self.limits }
    }
}

/// Reads the messages of one connection.
#[derive(Debug)]
pub(crate) struct Inspector {
    conversation: Conversation,
    limits: InspectLimits,
}

impl Inspector {
    /// Gives the sub-protocol that is spoken, and how that became known.
    pub(crate) fn protocol(&self) -> Option<(Protocol, Chosen)> {
        self.conversation.protocol()
    }

    /// Reads a message that is complete and tells the chain what it holds.
    pub(crate) fn read(
        &mut self,
        message: &Message<'_>,
        hears: Hears,
        chain: &mut Chain,
        journal: &Journal,
        now: Duration,
    ) -> Read {
        let mut teller = Teller {
            chain,
            journal,
            direction: message.direction,
            hears,
            now,
            notes: 0,
            read: Read::default(),
        };
        let from = message.direction;
        let came_within = self.conversation.is_within(from);
        if hears.any(Hears::MESSAGES) {
            teller.tell(Content::Begin);
        }
        if hears.any(Hears::CONTENT) {
            let Self { conversation, limits } = self;
            READER.with_borrow_mut(|reader| conversation.message(reader, limits, message, &mut teller));
        }
        let goes_on = self.conversation.is_within(from);
        if hears.any(Hears::MESSAGES) {
            teller.tell(Content::Whole { kind: message.kind, bytes: message.bytes, goes_on });
        }
        let mut read = teller.read;
        read.judged = settled(read.judged, came_within || goes_on);
        if let Some(dropped) = &read.judged.dropped {
            journal.decided(dropped, Some(from));
        }
        read
    }
}

/// Closes where a message is dropped that holds only a part of a packet: the receiver would take what comes next for the rest of it,
/// and read something else than was judged.
fn settled(mut judged: Judged, holds_part: bool) -> Judged {
    if holds_part && let Some(Decided { rule, mode, verdict: Verdict::Drop { reason } }) = judged.dropped {
        let reason =
            format!("{reason}; a part of the message cannot be left out, a packet goes on beyond it");
        let told = "the message is not allowed";
        let verdict = Verdict::Close(Closure { code: CloseCode::POLICY, reason, told });
        judged.stopped = Some(Decided { rule, mode, verdict });
        judged.dropped = None;
    }
    judged
}

/// What became of reading a message.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// What the chain says.
    pub(crate) judged: Judged,
    /// Whether a part of it lies beyond a bound and was not looked at.
    pub(crate) is_partial: bool,
}

struct Teller<'a> {
    chain: &'a mut Chain,
    journal: &'a Journal,
    direction: Direction,
    hears: Hears,
    now: Duration,
    /// How many notes were reported.
    notes: usize,
    read: Read,
}

impl Teller<'_> {
    /// Tells the chain, as long as the message may still be forwarded.
    fn tell(&mut self, content: Content<'_>) {
        let Judged { stopped, dropped, noted } = &mut self.read.judged;
        if stopped.is_some() || dropped.is_some() {
            return;
        }
        let fact = Fact::Content { direction: self.direction, content };
        let judged =
            observe_again(self.chain, self.journal, &fact, self.direction, self.now, &mut self.notes);
        *noted |= judged.noted;
        *dropped = judged.dropped;
        *stopped = judged.stopped;
    }
}

impl Sink for Teller<'_> {
    fn value(&mut self, value: &Value<'_>) {
        if self.hears.any(Hears::VALUES) {
            self.tell(Content::Value(value));
        }
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        if self.hears.any(Hears::OPERATIONS) {
            self.tell(Content::Operation(operation));
        }
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.read.is_partial |= matches!(anomaly, Anomaly::Bound(_));
        if self.hears.any(Hears::ANOMALIES) {
            self.tell(Content::Anomaly(anomaly, place));
        }
    }
}
