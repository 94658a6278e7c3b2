//! The conversations that messages of the input belong to.

use std::collections::HashMap;

use sockwarden_inspect::{Conversation, InspectLimits, Message, Opening, Reader};

use crate::seen::{Choice, Seen};

/// How many connections are remembered at a time.
const MOST: usize = 10_000;

/// What is known of each connection. Of too many, those that were quiet the longest are forgotten, and begun anew when they return.
pub(crate) struct Conversations {
    choice: Choice,
    limits: InspectLimits,
    reader: Reader,
    /// With the number of the message that was the last.
    known: HashMap<String, (u64, Conversation)>,
    most: usize,
    messages: u64,
    /// How many connections were forgotten.
    pub(crate) forgotten: u64,
}

impl Conversations {
    pub(crate) fn new(choice: Choice, limits: InspectLimits) -> Self {
        Self {
            choice,
            limits,
            reader: Reader::default(),
            known: HashMap::new(),
            most: MOST,
            messages: 0,
            forgotten: 0,
        }
    }

    /// Tells what a message of a connection holds; one of none is a conversation of its own.
    pub(crate) fn message(&mut self, connection: Option<&str>, message: &Message<'_>) -> Seen {
        self.with(connection, |conversation, reader, limits| Seen::of(conversation, reader, limits, message))
    }

    /// Reads a message of a connection.
    pub(crate) fn with<T>(
        &mut self,
        connection: Option<&str>,
        read: impl FnOnce(&mut Conversation, &mut Reader, &InspectLimits) -> T,
    ) -> T {
        self.messages += 1;
        let Some(name) = connection else {
            let mut conversation = self.choice.begin(&Opening::default());
            return read(&mut conversation, &mut self.reader, &self.limits);
        };
        if self.known.len() >= self.most && !self.known.contains_key(name) {
            self.forget();
        }
        let (last, conversation) =
            self.known.entry(name.to_owned()).or_insert_with(|| (0, self.choice.begin(&Opening::default())));
        *last = self.messages;
        read(conversation, &mut self.reader, &self.limits)
    }

    /// Forgets the half that was quiet the longest: looking for them is rare then.
    fn forget(&mut self) {
        let mut last: Vec<u64> = self.known.values().map(|(last, _)| *last).collect();
        let half = last.len() / 2;
        let (_, middle, _) = last.select_nth_unstable(half);
        let middle = *middle;
        let before = self.known.len();
        self.known.retain(|_, (last, _)| *last > middle);
        self.forgotten += (before - self.known.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction;
    use sockwarden_proto::MessageKind;

    use super::*;

    #[test]
    fn a_conversation_goes_on_by_its_name_and_the_oldest_are_forgotten() {
        let mut conversations =
            Conversations { most: 4, ..Conversations::new(Choice::Auto, InspectLimits::default()) };
        let mut say = |connection: Option<&str>, text: &str| {
            let message =
                Message { direction: Direction::Client, kind: MessageKind::Text, bytes: text.as_bytes() };
            let seen = conversations.message(connection, &message);
            (seen.protocol.map(|known| known.name), conversations.forgotten)
        };
        assert_eq!(say(Some("a"), r#"{"jsonrpc":"2.0","method":"m"}"#), (Some("json-rpc"), 0));
        assert_eq!(say(Some("a"), "hi"), (Some("json-rpc"), 0));
        assert_eq!(say(None, "hi"), (None, 0));
        for (at, name) in ["b", "c", "d", "e"].into_iter().enumerate() {
            assert_eq!(say(Some(name), "hi"), (None, if at == 3 { 3 } else { 0 }), "{name}");
        }
        assert_eq!(say(Some("a"), "hi"), (None, 3));
    }
}
