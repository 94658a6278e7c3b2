//! What a message of a sub-protocol does.

use crate::Protocol;

/// One operation of a sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// Whose it is; of protocols inside one another the innermost.
    pub protocol: Protocol,
    /// What it does.
    pub action: Action,
    /// The method, event, action or command, as the protocol calls it.
    pub name: Option<&'a str>,
    /// What it is about: room, topic, channel, destination, namespace.
    pub subject: Option<&'a str>,
    /// What joins a question with its answer.
    pub id: Option<&'a str>,
}

/// What an operation does, whatever its protocol calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Begins a session, of the connection or of a namespace in it.
    Connect,
    /// Accepts a session.
    Connected,
    /// Ends a session.
    Disconnect,
    /// Asks for messages of a subject.
    Subscribe,
    /// Asks for no more of them.
    Unsubscribe,
    /// Sends a message to a subject.
    Publish,
    /// Delivers a message of a subject.
    Deliver,
    /// Asks for an answer.
    Call,
    /// Tells something that has no answer.
    Event,
    /// Answers a call.
    Reply,
    /// Says that something failed.
    Error,
    /// Says that something arrived or is complete.
    Acknowledge,
    /// Keeps the connection alive.
    KeepAlive,
    /// Opens, resizes or carries a stream.
    Stream,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 14] = [
        Self::Connect,
        Self::Connected,
        Self::Disconnect,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Publish,
        Self::Deliver,
        Self::Call,
        Self::Event,
        Self::Reply,
        Self::Error,
        Self::Acknowledge,
        Self::KeepAlive,
        Self::Stream,
    ];

    /// Finds an action by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its name, as people and configurations write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Disconnect => "disconnect",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Publish => "publish",
            Self::Deliver => "deliver",
            Self::Call => "call",
            Self::Event => "event",
            Self::Reply => "reply",
            Self::Error => "error",
            Self::Acknowledge => "acknowledge",
            Self::KeepAlive => "keep-alive",
            Self::Stream => "stream",
        }
    }
}
