//! What both protocols for GraphQL over WebSocket share: JSON objects with a type, an id and a payload, and requests in some of them.
//!
//! A request is told as one operation for each root field that it asks for, named after the kind and the field, as in
//! `query.user`, `mutation.addUser` and `subscription.messageAdded`: these, not the name that a client gives its operation, are what it
//! may or may not do, so an allow-list is made of them. The subject is the name that the client gave. A request that cannot
//! be read, or that only names a document which the server keeps (a persisted one), has no name, and so is on no list. What a server would have
//! to refuse because it does not say which of its operations it means is told as all of them.

use sockwarden_model::Direction;

use super::{
    Protocol, Speaker,
    envelope::{self, Envelope},
};
use crate::{
    Action, Anomaly, Breach, Format, Message, Opening, Operation, Sink, Step, Value,
    graphql::{self, Flaw, OperationKind},
    walk::Walk,
};

/// One of the two protocols.
pub(super) struct Dialect {
    pub(super) protocol: Protocol,
    pub(super) types: &'static [Type],
    /// Whether operations wait for the server's acknowledgement, not only for the client's beginning, and whether there is one beginning.
    pub(super) waits: bool,
}

/// A type of message.
pub(super) struct Type {
    pub(super) name: &'static str,
    /// What it does when the client sends it; `None` where it must not.
    pub(super) client: Option<Action>,
    /// What it does when the server sends it; `None` where it must not.
    pub(super) server: Option<Action>,
    pub(super) needs: Needs,
    pub(super) phase: Phase,
}

/// Which members a message must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Only its type.
    Nothing,
    /// An id.
    Id,
    /// An id and a payload.
    Payload,
    /// An id and a payload with a request.
    Request,
}

/// When a message may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It begins the session.
    Begin,
    /// It accepts the session.
    Accept,
    /// At any time.
    Any,
    /// In a session.
    Session,
}

const MEMBERS: [&str; 3] = ["type", "id", "payload"];
const TYPE: usize = 0;
const ID: usize = 1;
const PAYLOAD: usize = 2;

const REQUEST: [&str; 2] = ["query", "operationName"];
const QUERY: usize = 0;
const OPERATION_NAME: usize = 1;

/// The messages of one connection.
pub(super) struct Session {
    dialect: &'static Dialect,
    /// Whether all messages were heard, so that their order can be judged.
    from_the_start: bool,
    begun: bool,
    accepted: bool,
}

impl Session {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self { dialect, from_the_start: false, begun: false, accepted: false }
    }

    /// Tells whether a message comes at its time.
    fn is_in_order(&mut self, phase: Phase) -> bool {
        let waits = self.dialect.waits;
        let in_order = match phase {
            Phase::Begin => !std::mem::replace(&mut self.begun, true) || !waits,
            Phase::Accept => self.begun && (!std::mem::replace(&mut self.accepted, true) || !waits),
            Phase::Any => true,
            Phase::Session => {
                if waits {
                    self.accepted
                } else {
                    self.begun
                }
            }
        };
        in_order || !self.from_the_start
    }

    /// Judges an envelope; tells what its message does.
    fn judge(&mut self, envelope: &Envelope<3>, walk: &mut Walk<'_>) -> Option<(&'static Type, Action)> {
        let protocol = self.dialect.protocol;
        let mut breach = |breach| walk.anomaly(Anomaly::Breach(protocol, breach));
        let name = envelope.string(TYPE);
        let Some(kind) = self.dialect.types.iter().find(|kind| Some(kind.name) == name) else {
            breach(match name {
                Some(_) => Breach::UnknownType,
                None if envelope.has(TYPE) => Breach::BadField,
                None => Breach::MissingField,
            });
            return None;
        };
        let (this, other) = match walk.direction {
            Direction::Client => (kind.client, kind.server),
            Direction::Server => (kind.server, kind.client),
        };
        let mut breach = |breach| walk.anomaly(Anomaly::Breach(protocol, breach));
        if this.is_none() {
            breach(Breach::WrongDirection);
        }
        if !self.is_in_order(kind.phase) {
            breach(Breach::OutOfOrder);
        }
        let needs_payload = matches!(kind.needs, Needs::Payload | Needs::Request);
        if envelope.has(ID) && envelope.text(ID).is_none() && !envelope.is_null(ID) {
            breach(Breach::BadField);
        } else if kind.needs != Needs::Nothing && envelope.text(ID).is_none_or(str::is_empty)
            || needs_payload && !envelope.has(PAYLOAD)
        {
            breach(Breach::MissingField);
        }
        if kind.needs == Needs::Request && envelope.has(PAYLOAD) && !envelope.is_container(PAYLOAD) {
            breach(Breach::BadField);
        }
        this.or(other).map(|action| (kind, action))
    }

    /// Tells what a request asks for.
    fn request(&self, request: &Envelope<2>, id: Option<&str>, action: Action, walk: &mut Walk<'_>) {
        let protocol = self.dialect.protocol;
        let breach = |walk: &mut Walk<'_>, breach| walk.anomaly(Anomaly::Breach(protocol, breach));
        let asked = request.string(OPERATION_NAME);
        let query = request.string(QUERY);
        let is_odd =
            |number| request.has(number) && !request.is_null(number) && request.string(number).is_none();
        // The older protocol takes a document that was parsed before.
        if is_odd(OPERATION_NAME) || is_odd(QUERY) && (self.dialect.waits || !request.is_container(QUERY)) {
            breach(walk, Breach::BadField);
        }
        let unnamed = Operation { protocol, action, name: None, subject: asked, id };
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return walk.operation(&unnamed);
        };
        let measure = walk.at_key(b"payload", |walk| {
            walk.at_key(b"query", |walk| walk.inside(Format::GraphQl, |walk| graphql::whole(walk, query)))
        });
        let Some(measure) = measure else { return walk.operation(&unnamed) };
        let executed: Vec<_> = measure.executed(asked).collect();
        let is_clear = executed.len() == 1 || measure.operations.is_empty();
        let told: Vec<_> = if executed.is_empty() { measure.operations.iter().collect() } else { executed };
        let is_invalid =
            |flaw: &Flaw| matches!(flaw, Flaw::Cycle | Flaw::UnknownFragment | Flaw::DuplicateName);
        if !is_clear || measure.flaws.iter().any(is_invalid) {
            breach(walk, Breach::BadField);
        }
        if told.iter().all(|operation| operation.roots.is_empty()) {
            walk.operation(&unnamed);
        }
        let mut name = String::new();
        for operation in told {
            for root in &operation.roots {
                name.clear();
                name.extend([operation.kind.name(), ".", root]);
                let action = match operation.kind {
                    OperationKind::Subscription => Action::Subscribe,
                    OperationKind::Query | OperationKind::Mutation => Action::Call,
                };
                let name = Some(name.as_str());
                walk.operation(&Operation { protocol, action, name, subject: operation.name, id });
            }
        }
    }
}

impl Speaker for Session {
    fn open(&mut self, _opening: &Opening<'_>) {
        self.from_the_start = true;
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if !envelope::is_json(walk, self.dialect.protocol, message) {
            return;
        }
        let base = walk.state.path.len();
        let mut envelope = Envelope::at(walk, MEMBERS);
        let mut request = Envelope::at(walk, REQUEST);
        request.begin(base + 1);
        let mut tap = |value: &Value<'_>, _: &mut dyn Sink| {
            envelope.tap(value);
            if value.place.len() == base + 2 && value.place.step(base) == Some(Step::Key(b"payload")) {
                request.tap(value);
            }
        };
        walk.tapped(&mut tap, |walk| walk.json(message.bytes));
        if let Some((kind, action)) = self.judge(&envelope, walk) {
            let id = envelope.text(ID);
            if kind.needs == Needs::Request {
                self.request(&request, id, action, walk);
            } else {
                let name = Some(kind.name);
                walk.operation(&Operation {
                    protocol: self.dialect.protocol,
                    action,
                    name,
                    subject: None,
                    id,
                });
            }
        }
        envelope.release(walk);
        request.release(walk);
    }
}
