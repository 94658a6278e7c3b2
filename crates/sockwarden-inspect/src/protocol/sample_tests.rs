//! What must hold of the samples.

use super::{
    ALL, of_message, of_opening,
    samples::{Exchange, Said, exchanges},
};
use crate::{Chosen, Conversation, InspectLimits, Message, Opening, Reader, testing::Notes};

fn message(said: &Said) -> Message<'static> {
    let &(direction, kind, bytes) = said;
    Message { direction, kind, bytes }
}

/// Reads an exchange as its connection.
fn read(exchange: &Exchange, opening: &Opening<'_>) -> (Conversation, Notes) {
    let (mut notes, mut reader) = (Notes::default(), Reader::default());
    let mut conversation = Conversation::new(None, opening);
    for said in exchange.messages {
        conversation.message(&mut reader, &InspectLimits::default(), &message(said), &mut notes);
    }
    (conversation, notes)
}

#[test]
fn every_protocol_has_an_exchange() {
    for declared in ALL {
        assert!(exchanges().any(|exchange| exchange.protocol == declared.protocol), "{}", declared.name);
    }
}

#[test]
fn what_real_libraries_say_is_no_anomaly() {
    for exchange in exchanges() {
        let opening = Opening { subprotocol: exchange.subprotocol, target: exchange.target };
        let named = of_opening(&opening);
        if let Some((protocol, _)) = named {
            assert_eq!(protocol, exchange.protocol, "{} {:?}", exchange.target, exchange.subprotocol);
        }
        assert!(named.is_some() || exchange.recognised, "{} is known in some way", exchange.protocol);
        let (conversation, notes) = read(exchange, &opening);
        assert_eq!(conversation.protocol().map(|(protocol, _)| protocol), Some(exchange.protocol));
        assert_eq!(notes.anomalies, [], "{}", exchange.protocol);
    }
}

#[test]
fn what_can_be_recognised_is() {
    for exchange in exchanges().filter(|exchange| exchange.recognised) {
        let (conversation, notes) = read(exchange, &Opening::default());
        let expected = (exchange.protocol, Chosen::FirstMessages);
        assert_eq!(conversation.protocol(), Some(expected), "{}", exchange.protocol);
        assert_eq!(notes.anomalies, [], "{}", exchange.protocol);
    }
}

#[test]
fn no_message_is_taken_for_another_protocol() {
    for exchange in exchanges() {
        for said in exchange.messages {
            let found = of_message(&message(said));
            assert!(
                found.is_none_or(|found| found == exchange.protocol),
                "{} is taken for {found:?}: {}",
                exchange.protocol,
                said.2.escape_ascii()
            );
        }
    }
}
