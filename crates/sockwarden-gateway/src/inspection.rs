//! Reading what messages hold, for the defences that want to know.

use std::{cell::RefCell, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::ByteSize;
use sockwarden_defend::{Chain, Closure, Content, Decided, Fact, Hears, Verdict};
use sockwarden_inspect::{
    Anomaly, Asked, Chosen, Conversation, Format, InspectLimits, Message, Opening, Operation, Place,
    Protocol, Reader, Sink, Value, polling,
};
use sockwarden_model::Direction;
use sockwarden_proto::{CloseCode, MessageKind};

use crate::{
    journal::Journal,
    talk::Sessions,
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
    /// Names in one object.
    pub keys: u32,
    /// Elements of one array.
    pub items: u32,
    /// Bytes of one text in an object or an array.
    pub text: ByteSize,
    /// Bytes of one number, as it is written.
    pub digits: u32,
    /// Encodings inside one another: JSON in a string, base64 of that, and so on.
    pub layers: u8,
    /// Bytes that decoding what one message holds may give, all layers together.
    pub decoded: ByteSize,
    /// Bytes kept until the rest of a packet comes, and bytes of what later messages refer back to.
    pub pending: ByteSize,
}

impl Default for InspectConfig {
    fn default() -> Self {
        let InspectLimits { depth, values, keys, items, text, digits, layers, decoded, pending } =
            InspectLimits::default();
        let bytes = |size: usize| ByteSize::bytes(size as u64);
        let (text, decoded, pending) = (bytes(text), bytes(decoded), bytes(pending));
        let digits = u32::try_from(digits).unwrap_or(u32::MAX);
        Self {
            protocol: "auto".to_owned(),
            depth,
            values,
            keys,
            items,
            text,
            digits,
            layers,
            decoded,
            pending,
        }
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
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    spoken: Spoken,
    limits: InspectLimits,
    /// The sessions that go over several requests.
    pub(crate) sessions: Arc<Sessions>,
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
        Ok(Inspection { spoken, limits: self.limits(), sessions: Arc::default() })
    }

    /// Gives how much of a message is read.
    pub fn limits(&self) -> InspectLimits {
        InspectLimits {
            depth: self.depth,
            values: self.values,
            keys: self.keys,
            items: self.items,
            text: self.text.as_usize(),
            digits: self.digits as usize,
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

    /// Begins to read something in which no sub-protocol is looked for.
    pub(crate) fn begin_plainly(&self) -> Inspector {
        Inspector { conversation: Conversation::of_no_protocol(), limits: self.limits }
    }
}

/// The body of a request or an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) direction: Direction,
    /// What it is said to be.
    pub(crate) format: Option<Format>,
    pub(crate) bytes: &'a [u8],
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
        let from = message.direction;
        let came_within = self.conversation.is_within(from);
        let mut read =
            self.tell(message, hears, (chain, journal, now), |conversation, reader, limits, teller| {
                conversation.message(reader, limits, message, teller);
            });
        read.is_part = came_within || self.conversation.is_within(from);
        read.judged = settled(read.judged, read.is_part);
        if let Some(dropped) = &read.judged.dropped {
            let id = journal.decided(dropped, Some(from));
            // What is said inside another protocol would have to be said in its envelope.
            let is_inside = self.protocol().is_some_and(|(protocol, _)| protocol == Protocol::SockJs);
            if dropped.tells && from == Direction::Client && message.kind == MessageKind::Text && !is_inside {
                let told = format!("refused by {} (event {id})", dropped.rule.id);
                read.refusal = read.asked.take().and_then(|asked| asked.refused(&told, message.bytes));
            }
        }
        read
    }

    /// Reads a body, or a packet of one. What is dropped is not reported yet: it may be more than a packet.
    pub(crate) fn read_body(
        &mut self,
        body: &Body<'_>,
        hears: Hears,
        chain: &mut Chain,
        journal: &Journal,
        now: Duration,
    ) -> Read {
        let &Body { direction, format, bytes } = body;
        let message = Message::of_body(direction, bytes);
        self.tell(&message, hears, (chain, journal, now), |conversation, reader, limits, teller| {
            conversation.body(reader, limits, (direction, format), bytes, teller);
        })
    }

    /// Reads the query of a request: values, and no message of its own. Nobody says that it is a form, so it need not be a good one.
    pub(crate) fn read_query(
        &mut self,
        query: &[u8],
        hears: Hears,
        chain: &mut Chain,
        journal: &Journal,
        now: Duration,
    ) -> Read {
        let mut teller = Teller::new(Direction::Client, hears, (chain, journal, now));
        if hears.any(Hears::CONTENT) {
            let read = |reader: &mut Reader| {
                reader.read_as(
                    Format::Form,
                    &self.limits,
                    Direction::Client,
                    query,
                    &mut Unclaimed(&mut teller),
                );
            };
            READER.with_borrow_mut(read);
        }
        teller.read
    }

    /// Finds the name of the session that an answer of long polling opens.
    pub(crate) fn opened(&self, body: &[u8]) -> Option<String> {
        READER.with_borrow_mut(|reader| polling::opened(reader, &self.limits, body))
    }

    fn tell(
        &mut self,
        message: &Message<'_>,
        hears: Hears,
        told: (&mut Chain, &Journal, Duration),
        read: impl FnOnce(&mut Conversation, &mut Reader, &InspectLimits, &mut Teller<'_>),
    ) -> Read {
        let mut teller = Teller::new(message.direction, hears, told);
        if hears.any(Hears::MESSAGES) {
            teller.tell(Content::Begin);
        }
        let Self { conversation, limits } = self;
        if hears.any(Hears::CONTENT) {
            READER.with_borrow_mut(|reader| read(conversation, reader, limits, &mut teller));
        }
        let goes_on = conversation.is_within(message.direction);
        if hears.any(Hears::MESSAGES) {
            teller.tell(Content::Whole { kind: message.kind, bytes: message.bytes, goes_on });
        }
        teller.read
    }
}

/// Closes where a message is dropped that holds only a part of a packet: the receiver would take what comes next for the rest of it,
/// and read something else than was judged.
fn settled(mut judged: Judged, holds_part: bool) -> Judged {
    if holds_part && let Some(Decided { rule, mode, verdict: Verdict::Drop { reason }, .. }) = judged.dropped
    {
        let reason =
            format!("{reason}; a part of the message cannot be left out, a packet goes on beyond it");
        let told = "the message is not allowed";
        let verdict = Verdict::Close(Closure { code: CloseCode::POLICY, reason, told, limit: None });
        judged.stopped = Some(Decided { rule, mode, verdict, tells: false });
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
    /// Whether it holds a part of a packet that goes on beyond it: then it cannot be left out.
    pub(crate) is_part: bool,
    /// What it asks for, where that may be wanted.
    asked: Option<Asked>,
    /// What its sender is told about it.
    pub(crate) refusal: Option<(MessageKind, Vec<u8>)>,
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

impl<'a> Teller<'a> {
    fn new(
        direction: Direction,
        hears: Hears,
        (chain, journal, now): (&'a mut Chain, &'a Journal, Duration),
    ) -> Self {
        Self { chain, journal, direction, hears, now, notes: 0, read: Read::default() }
    }

    /// Tells the chain, as long as the message may still be forwarded.
    fn tell(&mut self, content: Content<'_>) {
        let Judged { stopped, dropped, noted, kinds } = &mut self.read.judged;
        if stopped.is_some() || dropped.is_some() {
            return;
        }
        let fact = Fact::Content { direction: self.direction, content };
        let judged =
            observe_again(self.chain, self.journal, &fact, self.direction, self.now, &mut self.notes);
        *noted |= judged.noted;
        *kinds |= judged.kinds;
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
        if self.chain.tells() {
            self.read.asked.get_or_insert_with(|| Asked::of(operation));
        }
        if self.hears.any(Hears::OPERATIONS) {
            self.tell(Content::Operation(operation));
        }
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.read.is_partial |= matches!(anomaly, Anomaly::Bound(bound) if bound.hides());
        if self.hears.any(Hears::ANOMALIES) {
            self.tell(Content::Anomaly(anomaly, place));
        }
    }
}

/// Tells on what is read of something that nobody says to be a form, but not where it is a bad one.
struct Unclaimed<'a, 'b>(&'a mut Teller<'b>);

impl Sink for Unclaimed<'_, '_> {
    fn value(&mut self, value: &Value<'_>) {
        self.0.value(value);
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.0.operation(operation);
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        if !matches!(anomaly, Anomaly::Malformed { format: Format::Form, .. } | Anomaly::InvalidUtf8) {
            self.0.anomaly(anomaly, place);
        }
    }
}
