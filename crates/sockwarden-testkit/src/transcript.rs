//! What a receiver said, owned and in one form however the bytes were cut.

use sockwarden_proto::{Data, Fact, FrameHeader, MessageKind, Violation};

/// A fact that was kept; neighbouring pieces of one frame's payload are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A legal header.
    Frame(FrameHeader),
    /// The payload of one data frame, as far as it arrived and was valid.
    Data {
        /// What its message holds.
        kind: MessageKind,
        /// The payload.
        bytes: Vec<u8>,
        /// Whether it begins its message.
        begins: bool,
        /// Whether it ends its message.
        ends: bool,
    },
    /// A ping with its payload.
    Ping(Vec<u8>),
    /// A pong with its payload.
    Pong(Vec<u8>),
    /// A close frame with its code and reason.
    Close(Option<u16>, String),
    /// A violation.
    Violation(Violation),
}

/// Facts in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(pub Vec<Seen>);

impl Transcript {
    /// Keeps a fact.
    pub fn hear(&mut self, fact: Fact<'_>) {
        let seen = match fact {
            Fact::Frame(header) => Seen::Frame(*header),
            Fact::Data(&Data { kind, bytes, begins, ends, compressed: _ }) => {
                if let Some(Seen::Data { bytes: before, ends: ended, .. }) = self.0.last_mut() {
                    assert!(!begins && !*ended, "a message is continued that was not begun or has ended");
                    before.extend_from_slice(bytes);
                    *ended = ends;
                    return;
                }
                Seen::Data { kind, bytes: bytes.to_vec(), begins, ends }
            }
            Fact::Ping(payload) => Seen::Ping(payload.to_vec()),
            Fact::Pong(payload) => Seen::Pong(payload.to_vec()),
            Fact::Close(close) => Seen::Close(close.code.map(|code| code.0), close.reason.to_owned()),
            Fact::Violation(violation) => {
                // Compressed payload that holds nothing yet is told or not, as it was cut.
                self.0
                    .pop_if(|last| matches!(last, Seen::Data { bytes, ends: false, .. } if bytes.is_empty()));
                Seen::Violation(violation)
            }
        };
        self.0.push(seen);
    }

    /// Gives all but the frame headers.
    pub fn without_frames(&self) -> Vec<Seen> {
        self.0.iter().filter(|seen| !matches!(seen, Seen::Frame(_))).cloned().collect()
    }

    /// Gives the messages that ended, their fragments joined.
    pub fn messages(&self) -> Vec<(MessageKind, Vec<u8>)> {
        let mut messages = Vec::new();
        let mut open = Vec::new();
        for seen in &self.0 {
            if let Seen::Data { kind, bytes, begins, ends } = seen {
                assert_eq!(*begins, open.is_empty(), "a message begins once");
                open.push(bytes.as_slice());
                if *ends {
                    messages.push((*kind, open.concat()));
                    open.clear();
                }
            }
        }
        messages
    }

    /// Gives the violation, where there was one.
    pub fn violation(&self) -> Option<Violation> {
        self.0
            .iter()
            .find_map(|seen| if let Seen::Violation(violation) = seen { Some(*violation) } else { None })
    }

    /// Tells whether a close frame was seen.
    pub fn is_closed(&self) -> bool {
        self.0.iter().any(|seen| matches!(seen, Seen::Close(..)))
    }
}
