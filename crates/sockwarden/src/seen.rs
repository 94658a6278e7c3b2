//! What a message holds, as the commands that show messages tell it.

mod choice;
mod harmless;
mod page;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use sockwarden_inspect::{
    Anomaly, Chosen, Conversation, InspectLimits, Message, Operation, Place, Protocol, Reader, Sink, Value,
};

pub(crate) use choice::Choice;
pub(crate) use harmless::harmless_json;
pub(crate) use page::{Layout, page, say_operation};

/// What was seen in one message.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Seen {
    /// The sub-protocol that is spoken; `None` where none is known.
    pub(crate) protocol: Option<SeenProtocol>,
    pub(crate) operations: Vec<SeenOperation>,
    pub(crate) values: Vec<SeenValue>,
    pub(crate) anomalies: Vec<SeenAnomaly>,
}

/// A sub-protocol, and how it became known.
#[derive(Debug, Serialize)]
pub(crate) struct SeenProtocol {
    pub(crate) name: &'static str,
    pub(crate) by: &'static str,
    /// The one that is spoken inside of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inner: Option<Box<SeenProtocol>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SeenOperation {
    pub(crate) protocol: &'static str,
    pub(crate) action: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) id: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SeenValue {
    pub(crate) place: String,
    pub(crate) role: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) kind: &'static str,
    /// What it holds, where that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// What it holds, where that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
    pub(crate) marks: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SeenAnomaly {
    pub(crate) place: String,
    pub(crate) id: String,
    pub(crate) words: String,
}

impl Seen {
    /// Reads the next message of a conversation.
    pub(crate) fn of(
        conversation: &mut Conversation,
        reader: &mut Reader,
        limits: &InspectLimits,
        message: &Message<'_>,
    ) -> Self {
        let mut seen = Self::default();
        conversation.message(reader, limits, message, &mut seen);
        seen.protocol = conversation.protocol().map(|known| SeenProtocol {
            inner: conversation.inner().map(|inner| Box::new(SeenProtocol::of(inner))),
            ..SeenProtocol::of(known)
        });
        seen
    }
}

impl SeenProtocol {
    fn of((protocol, chosen): (Protocol, Chosen)) -> Self {
        Self { name: protocol.name(), by: chosen.name(), inner: None }
    }
}

impl Sink for Seen {
    fn value(&mut self, value: &Value<'_>) {
        let text = value.text().map(str::to_owned);
        let base64 = if text.is_none() { Some(STANDARD.encode(value.bytes)) } else { None };
        self.values.push(SeenValue {
            place: value.place.to_string(),
            role: value.role.name(),
            shape: value.shape.name(),
            kind: value.kind().name(),
            text,
            base64,
            marks: value.marks.names().map(str::to_ascii_lowercase).collect(),
        });
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.operations.push(SeenOperation {
            protocol: operation.protocol.name(),
            action: operation.action.name(),
            name: operation.name.map(str::to_owned),
            subject: operation.subject.map(str::to_owned),
            id: operation.id.map(str::to_owned),
        });
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        let (place, id, words) = (place.to_string(), anomaly.id(), anomaly.to_string());
        self.anomalies.push(SeenAnomaly { place, id, words });
    }
}
