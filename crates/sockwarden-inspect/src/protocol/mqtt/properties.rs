//! The properties of packets of MQTT 5 (§2.2.2).

use sockwarden_model::Direction;

use super::{
    broken,
    fields::{Decimal, Fields, text},
    kinds::Kind,
    topics,
};
use crate::{Anomaly, Breach, Marks, Role, Shape, walk::Walk};

/// What properties belong to: the number of the packet's type, or zero for a will.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Packet(Kind),
    Will,
}

/// What the packet itself must know of its properties.
#[derive(Default)]
pub(super) struct Properties<'a> {
    pub(super) topic_alias: Option<u16>,
    pub(super) topic_alias_maximum: u16,
    pub(super) content_type: Option<&'a str>,
    /// Whether the payload is said to be UTF-8.
    pub(super) is_text: bool,
    /// Whether a method of authentication is named.
    pub(super) authenticates: bool,
}

/// What a property holds.
#[derive(Clone, Copy)]
enum Type {
    /// Zero or one.
    Flag,
    U16,
    /// Any but zero.
    Positive16,
    U32,
    Positive32,
    /// A variable byte integer but zero.
    PositiveVariable,
    Text,
    Binary,
    Pair,
}

struct Property {
    number: u32,
    name: &'static str,
    kind: Type,
    /// Where it may stand: a bit for each type of packet, the lowest for a will.
    of: u16,
}

const fn property(number: u32, name: &'static str, kind: Type, of: &[Kind], will: bool) -> Property {
    let mut bits = will as u16;
    let mut at = 0;
    while at < of.len() {
        bits |= 1 << of[at] as u16;
        at += 1;
    }
    Property { number, name, kind, of: bits }
}

const CONTENT_TYPE: u32 = 0x03;
const RESPONSE_TOPIC: u32 = 0x08;
const SUBSCRIPTION: u32 = 0x0b;
const SESSION_EXPIRY: u32 = 0x11;
const METHOD: u32 = 0x15;
const METHOD_DATA: u32 = 0x16;
const IS_TEXT: u32 = 0x01;
const TOPIC_ALIAS_MAXIMUM: u32 = 0x22;
const TOPIC_ALIAS: u32 = 0x23;
const USER: u32 = 0x26;

static ALL: [Property; 27] = {
    use Kind::{
        Auth, ConnAck, Connect, Disconnect, PubAck, PubComp, PubRec, PubRel, Publish, SubAck, Subscribe,
        UnsubAck, Unsubscribe,
    };
    use Type::{Binary, Flag, Pair, Positive16, Positive32, PositiveVariable, Text, U16, U32};
    const ANSWERS: &[Kind] = &[ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth];
    const ANY: &[Kind] = &[
        Connect,
        ConnAck,
        Publish,
        PubAck,
        PubRec,
        PubRel,
        PubComp,
        Subscribe,
        SubAck,
        Unsubscribe,
        UnsubAck,
        Disconnect,
        Auth,
    ];
    [
        property(IS_TEXT, "payload-format-indicator", Flag, &[Publish], true),
        property(0x02, "message-expiry-interval", U32, &[Publish], true),
        property(CONTENT_TYPE, "content-type", Text, &[Publish], true),
        property(RESPONSE_TOPIC, "response-topic", Text, &[Publish], true),
        property(0x09, "correlation-data", Binary, &[Publish], true),
        property(SUBSCRIPTION, "subscription-identifier", PositiveVariable, &[Publish, Subscribe], false),
        property(SESSION_EXPIRY, "session-expiry-interval", U32, &[Connect, ConnAck, Disconnect], false),
        property(0x12, "assigned-client-identifier", Text, &[ConnAck], false),
        property(0x13, "server-keep-alive", U16, &[ConnAck], false),
        property(METHOD, "authentication-method", Text, &[Connect, ConnAck, Auth], false),
        property(METHOD_DATA, "authentication-data", Binary, &[Connect, ConnAck, Auth], false),
        property(0x17, "request-problem-information", Flag, &[Connect], false),
        property(0x18, "will-delay-interval", U32, &[], true),
        property(0x19, "request-response-information", Flag, &[Connect], false),
        property(0x1a, "response-information", Text, &[ConnAck], false),
        property(0x1c, "server-reference", Text, &[ConnAck, Disconnect], false),
        property(0x1f, "reason-string", Text, ANSWERS, false),
        property(0x21, "receive-maximum", Positive16, &[Connect, ConnAck], false),
        property(TOPIC_ALIAS_MAXIMUM, "topic-alias-maximum", U16, &[Connect, ConnAck], false),
        property(TOPIC_ALIAS, "topic-alias", Positive16, &[Publish], false),
        property(0x24, "maximum-qos", Flag, &[ConnAck], false),
        property(0x25, "retain-available", Flag, &[ConnAck], false),
        property(USER, "user-property", Pair, ANY, true),
        property(0x27, "maximum-packet-size", Positive32, &[Connect, ConnAck], false),
        property(0x28, "wildcard-subscription-available", Flag, &[ConnAck], false),
        property(0x29, "subscription-identifier-available", Flag, &[ConnAck], false),
        property(0x2a, "shared-subscription-available", Flag, &[ConnAck], false),
    ]
};

/// Reads the properties that come next, and tells of them.
///
/// Where they break off, what follows them is read all the same: their length is stated in front.
pub(super) fn read<'a>(
    walk: &mut Walk<'_>,
    fields: &mut Fields<'a>,
    of: Of,
) -> Result<Properties<'a>, Breach> {
    let (length, shortest) = fields.variable()?;
    if !shortest {
        broken(walk, Breach::BadLength);
    }
    let mut block = Fields::new(fields.bytes(length as usize)?);
    let mut properties = Properties::default();
    walk.at_key(b"properties", |walk| {
        let mut seen = 0_u64;
        while !block.is_empty() {
            if let Err(breach) = one(walk, &mut block, of, &mut properties, &mut seen) {
                broken(walk, breach);
                crate::content::rest(walk, block.rest());
            }
        }
        if seen >> METHOD_DATA & 1 == 1 && !properties.authenticates {
            broken(walk, Breach::MissingField);
        }
    });
    Ok(properties)
}

/// Reads one property.
fn one<'a>(
    walk: &mut Walk<'_>,
    block: &mut Fields<'a>,
    of: Of,
    properties: &mut Properties<'a>,
    seen: &mut u64,
) -> Result<(), Breach> {
    let (number, shortest) = block.variable()?;
    let property = ALL.iter().find(|property| property.number == number).ok_or(Breach::UnknownType)?;
    let bit = match of {
        Of::Packet(kind) => 1 << kind as u16,
        Of::Will => 1,
    };
    if property.of & bit == 0 || !shortest {
        broken(walk, Breach::BadField);
    }
    let by_server = walk.direction == Direction::Server;
    let repeats = number == USER || number == SUBSCRIPTION && of == Of::Packet(Kind::Publish) && by_server;
    let again = *seen >> number & 1 == 1 && !repeats;
    *seen |= 1 << number;
    walk.at_key(property.name.as_bytes(), |walk| {
        if again {
            walk.anomaly(Anomaly::DuplicateKey);
        }
        value(walk, block, property, of, properties)
    })
}

/// Reads what a property holds, and tells of it.
fn value<'a>(
    walk: &mut Walk<'_>,
    block: &mut Fields<'a>,
    property: &Property,
    of: Of,
    properties: &mut Properties<'a>,
) -> Result<(), Breach> {
    let (value, good) = match property.kind {
        Type::Flag => {
            let flag = u32::from(block.u8()?);
            (flag, flag < 2)
        }
        Type::U16 => (u32::from(block.u16()?), true),
        Type::Positive16 => {
            let number = u32::from(block.u16()?);
            (number, number > 0)
        }
        Type::U32 => (block.u32()?, true),
        Type::Positive32 => {
            let number = block.u32()?;
            (number, number > 0)
        }
        Type::PositiveVariable => {
            let (number, shortest) = block.variable()?;
            (number, number > 0 && shortest)
        }
        Type::Binary => {
            let bytes = block.binary()?;
            walk.value(Role::Value, Shape::Bytes, bytes, Marks::of(bytes));
            return Ok(());
        }
        Type::Text => {
            let text = block.text(walk)?;
            match property.number {
                CONTENT_TYPE => properties.content_type = text,
                METHOD => properties.authenticates = true,
                // Whoever answers publishes there.
                RESPONSE_TOPIC if !text.is_none_or(topics::is_name) => broken(walk, Breach::BadField),
                _ => {}
            }
            return Ok(());
        }
        Type::Pair => {
            let (name, value) = (block.binary()?, block.binary()?);
            walk.at_key(name, |walk| {
                text(walk, Role::Key, name);
                text(walk, Role::Value, value);
            });
            return Ok(());
        }
    };
    let by_server = walk.direction == Direction::Server;
    let misplaced = match property.number {
        // Only a server says which subscriptions a message is for (§3.3.2.3.8), only a client how long it stays (§3.14.2.2.2).
        SUBSCRIPTION => of == Of::Packet(Kind::Publish) && !by_server,
        SESSION_EXPIRY => of == Of::Packet(Kind::Disconnect) && by_server,
        _ => false,
    };
    if !good || misplaced {
        broken(walk, Breach::BadField);
    }
    let half = u16::try_from(value).unwrap_or_default();
    match property.number {
        IS_TEXT => properties.is_text = value == 1,
        TOPIC_ALIAS => properties.topic_alias = Some(half),
        TOPIC_ALIAS_MAXIMUM => properties.topic_alias_maximum = half,
        _ => {}
    }
    let decimal = Decimal::of(value);
    walk.value(Role::Value, Shape::Number, decimal.text().as_bytes(), Marks::DIGIT);
    Ok(())
}
