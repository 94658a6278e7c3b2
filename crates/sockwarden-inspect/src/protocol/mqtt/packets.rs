//! What stands in each packet of MQTT (5 §3; 3.1.1 §3).

use sockwarden_model::Direction;

use super::{
    super::{Protocol, body, memory::Memory},
    broken,
    fields::{Decimal, Fields, variable},
    kinds::{Kind, Version},
    properties::{self, Of, Properties},
    topics,
};
use crate::{Action, Anomaly, Bound, Breach, Marks, Operation, Role, Shape, content, walk::Walk};

/// What is known of a session.
pub(super) struct Session {
    version: Version,
    /// Whether the client named a method of authentication.
    authenticates: bool,
    client: Side,
    server: Side,
}

impl Default for Session {
    fn default() -> Self {
        Self { version: 4, authenticates: false, client: Side::default(), server: Side::default() }
    }
}

/// What is known of one side.
#[derive(Default)]
struct Side {
    began: bool,
    ended: bool,
    /// Topics by the aliases that it has given them.
    aliases: Memory,
    /// The highest alias that the other side lets it use.
    most: u16,
}

impl Session {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }
}

/// A packet whose head has been read.
struct Packet<'a> {
    kind: Kind,
    flags: u8,
    fields: Fields<'a>,
}

/// Reads a complete packet.
pub(super) fn read(session: &mut Session, walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut fields = Fields::new(bytes);
    let first = fields.u8().unwrap_or_default();
    if let super::Variable::Complete { shortest: false, .. } = variable(bytes.get(1..).unwrap_or_default()) {
        broken(walk, Breach::BadLength);
    }
    // How long it is has been found out already.
    fields.variable().ok();
    let (number, flags) = (first >> 4, first & 0x0f);
    let Some(kind) = Kind::of(number, session.version) else {
        broken(walk, Breach::UnknownType);
        return content::body(walk, fields.rest());
    };
    let sender = walk.direction;
    if !kind.may_come_from(sender, session.version) {
        broken(walk, Breach::WrongDirection);
    } else {
        let authenticates = session.authenticates;
        let side = session.side(sender);
        let begins = matches!(kind, Kind::Connect | Kind::ConnAck);
        // Before it accepts a session a server may ask for more (5 §4.12).
        let asks = kind == Kind::Auth && sender == Direction::Server && authenticates;
        if side.ended || begins == side.began && !asks || kind == Kind::Auth && !authenticates {
            broken(walk, Breach::OutOfOrder);
        }
        side.began |= begins;
        side.ended |= kind == Kind::Disconnect;
    }
    let mut packet = Packet { kind, flags, fields };
    let read = match kind {
        Kind::Connect => connect(session, walk, &mut packet),
        Kind::ConnAck => accept(session, walk, &mut packet),
        Kind::Publish => publish(session, walk, &mut packet),
        Kind::PubAck | Kind::PubRec | Kind::PubRel | Kind::PubComp => acknowledge(session, walk, &mut packet),
        Kind::Subscribe | Kind::Unsubscribe => filters(session, walk, &mut packet),
        Kind::SubAck | Kind::UnsubAck => reasons(session, walk, &mut packet),
        Kind::PingReq | Kind::PingResp => {
            tell(walk, kind.action(sender), None, None, None);
            Ok(())
        }
        Kind::Disconnect | Kind::Auth => end(session, walk, &mut packet),
    };
    // Only now is it known of which version a CONNECT is.
    if !kind.may_have(flags, session.version) {
        broken(walk, Breach::BadField);
    }
    if let Err(breach) = read {
        broken(walk, breach);
    } else if !packet.fields.is_empty() {
        broken(walk, Breach::TrailingData);
    }
    content::rest(walk, packet.fields.rest());
}

/// Reads CONNECT (5 §3.1).
fn connect(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    let fields = &mut packet.fields;
    let name = fields.binary()?;
    let level = fields.u8()?;
    session.version = match (name, level) {
        (b"MQIsdp", 3) => 3,
        (b"MQTT", 4 | 5) => level,
        _ => {
            broken(walk, Breach::BadField);
            level.clamp(3, 5)
        }
    };
    let version = session.version;
    let flags = fields.u8()?;
    fields.u16()?;
    let has = |bit: u8| flags >> bit & 1 == 1;
    let (will, password, user) = (has(2), has(6), has(7));
    let will_quality = flags >> 3 & 0b11;
    let bad_will = if will { will_quality == 3 } else { flags & 0b0011_1000 != 0 };
    if has(0) || bad_will || password && !user && version < 5 {
        broken(walk, Breach::BadField);
    }
    if version >= 5 {
        let properties = properties::read(walk, fields, Of::Packet(Kind::Connect))?;
        session.server.most = properties.topic_alias_maximum;
        session.authenticates = properties.authenticates;
    }
    let id = walk.at_key(b"client-id", |walk| fields.text(walk))?;
    // Who has no name must not ask for a session that outlives the connection (3.1.1 §3.1.3.1).
    if id == Some("") && (version < 4 || version == 4 && !has(1)) {
        broken(walk, Breach::BadField);
    }
    let mut will_topic = None;
    if will {
        let topic = walk.at_key(b"will", |walk| {
            let of_will = (version >= 5).then(|| properties::read(walk, fields, Of::Will)).transpose()?;
            let topic = walk.at_key(b"topic", |walk| fields.text(walk))?;
            let bytes = fields.binary()?;
            let properties = of_will.unwrap_or_default();
            walk.at_key(b"payload", |walk| payload(walk, bytes, &properties));
            Ok(topic)
        })?;
        if !topic.is_none_or(topics::is_name) {
            broken(walk, Breach::BadField);
        }
        will_topic = Some(topic);
    }
    let name = if user { walk.at_key(b"user", |walk| fields.text(walk))? } else { None };
    if password {
        let bytes = fields.binary()?;
        walk.at_key(b"password", |walk| walk.value(Role::Value, Shape::Bytes, bytes, Marks::of(bytes)));
    }
    tell(walk, Action::Connect, name, None, id);
    if let Some(topic) = will_topic {
        tell(walk, Action::Publish, None, topic, None);
    }
    Ok(())
}

/// Reads CONNACK (5 §3.2).
fn accept(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    let fields = &mut packet.fields;
    let flags = fields.u8()?;
    let reason = reason(session, walk, packet.kind, fields)?;
    // 3.1 has no flags there; who is refused has no session (5 §3.2.2.1).
    if session.version > 3 && (flags > 1 || flags == 1 && reason != 0) {
        broken(walk, Breach::BadField);
    }
    if session.version >= 5 {
        let properties = properties::read(walk, fields, Of::Packet(packet.kind))?;
        session.client.most = properties.topic_alias_maximum;
    }
    tell(walk, if reason == 0 { Action::Connected } else { Action::Error }, None, None, None);
    Ok(())
}

/// Reads PUBLISH (5 §3.3).
fn publish(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    let fields = &mut packet.fields;
    let bytes = fields.binary()?;
    let topic = if bytes.is_empty() {
        Some("")
    } else {
        walk.at_key(b"topic", |walk| super::fields::text(walk, Role::Value, bytes))
    };
    let id = if packet.flags & 0b110 == 0 { None } else { Some(identifier(walk, fields)?) };
    let properties = if session.version >= 5 {
        properties::read(walk, fields, Of::Packet(Kind::Publish))?
    } else {
        Properties::default()
    };
    let bytes = fields.rest();
    walk.at_key(b"payload", |walk| payload(walk, bytes, &properties));
    let most = walk.limits.pending;
    let sender = walk.direction;
    let side = session.side(sender);
    let stands_for = match (topic, properties.topic_alias) {
        (Some(""), Some(alias)) => side.aliases.get(&alias.to_be_bytes()),
        (Some(topic), Some(alias)) => {
            if !side.aliases.keep(&alias.to_be_bytes(), topic, most) {
                walk.anomaly(Anomaly::Bound(Bound::Pending));
            }
            Some(topic)
        }
        (None, Some(alias)) => {
            side.aliases.take(&alias.to_be_bytes());
            None
        }
        (topic, None) => topic.filter(|topic| !topic.is_empty()),
    };
    // An alias that is not allowed or stands for nothing, no topic, or one with wildcards.
    let beyond = properties.topic_alias.is_some_and(|alias| alias > side.most);
    let nameless = stands_for.is_none() && topic.is_some();
    if beyond || nameless || !stands_for.is_none_or(topics::is_name) {
        broken(walk, Breach::BadField);
    }
    let id = id.map(|id| Decimal::of(id.into()));
    tell(walk, Kind::Publish.action(sender), None, stands_for, id.as_ref().map(Decimal::text));
    Ok(())
}

/// Reads PUBACK, PUBREC, PUBREL or PUBCOMP (5 §3.4 to §3.7).
fn acknowledge(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    let fields = &mut packet.fields;
    let id = Decimal::of(identifier(walk, fields)?.into());
    let reason = reason_and_properties(session, walk, packet.kind, fields)?;
    let action = if reason < 0x80 { Action::Acknowledge } else { Action::Error };
    tell(walk, action, None, None, Some(id.text()));
    Ok(())
}

/// Reads SUBSCRIBE (5 §3.8) or UNSUBSCRIBE (5 §3.10).
fn filters(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    let fields = &mut packet.fields;
    let id = Decimal::of(identifier(walk, fields)?.into());
    if session.version >= 5 {
        properties::read(walk, fields, Of::Packet(packet.kind))?;
    }
    if fields.is_empty() {
        return Err(Breach::MissingField);
    }
    let action = packet.kind.action(walk.direction);
    let mut number = 0;
    while !fields.is_empty() {
        let filter = walk.at_key(b"filters", |walk| walk.at_index(number, |walk| fields.text(walk)))?;
        let mut good = filter.is_none_or(topics::is_filter);
        let shared = filter.and_then(topics::shared).filter(|_| session.version >= 5);
        if let Some((group, inner)) = shared {
            good &= !group.is_empty() && !group.contains(['+', '#']) && !inner.is_empty();
        }
        if packet.kind == Kind::Subscribe {
            good &= allows(fields.u8()?, session.version, shared.is_some());
        }
        if !good {
            broken(walk, Breach::BadField);
        }
        tell(walk, action, None, filter, Some(id.text()));
        number = number.saturating_add(1);
    }
    Ok(())
}

/// Tells whether options of a subscription can be (5 §3.8.3.1; 3.1.1 §3.8.3).
fn allows(options: u8, version: Version, shared: bool) -> bool {
    let (quality, no_local, retain) = (options & 0b11, options & 0b100 != 0, options >> 4 & 0b11);
    quality < 3
        && if version < 5 { options < 3 } else { options < 0x40 && retain < 3 && !(no_local && shared) }
}

/// Reads SUBACK (5 §3.9) or UNSUBACK (5 §3.11).
fn reasons(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    let fields = &mut packet.fields;
    let id = Decimal::of(identifier(walk, fields)?.into());
    let mut refused = false;
    let listed = session.version >= 5 || packet.kind == Kind::SubAck;
    if session.version >= 5 {
        properties::read(walk, fields, Of::Packet(packet.kind))?;
    }
    if listed && fields.is_empty() {
        return Err(Breach::MissingField);
    }
    while listed && !fields.is_empty() {
        refused |= reason(session, walk, packet.kind, fields)? >= 0x80;
    }
    let action = if refused { Action::Error } else { Action::Acknowledge };
    tell(walk, action, None, None, Some(id.text()));
    Ok(())
}

/// Reads DISCONNECT (5 §3.14) or AUTH (5 §3.15).
fn end(session: &mut Session, walk: &mut Walk<'_>, packet: &mut Packet<'_>) -> Result<(), Breach> {
    reason_and_properties(session, walk, packet.kind, &mut packet.fields)?;
    let name = (packet.kind == Kind::Auth).then_some("AUTH");
    tell(walk, packet.kind.action(walk.direction), name, None, None);
    Ok(())
}

/// Reads a reason and the properties behind it: of 5 only, and each of them may be left out.
fn reason_and_properties(
    session: &Session,
    walk: &mut Walk<'_>,
    kind: Kind,
    fields: &mut Fields<'_>,
) -> Result<u8, Breach> {
    if session.version < 5 || fields.is_empty() {
        return Ok(0);
    }
    let given = reason(session, walk, kind, fields)?;
    if !fields.is_empty() {
        properties::read(walk, fields, Of::Packet(kind))?;
    }
    Ok(given)
}

fn reason(session: &Session, walk: &mut Walk<'_>, kind: Kind, fields: &mut Fields<'_>) -> Result<u8, Breach> {
    let reason = fields.u8()?;
    if !kind.may_give(reason, session.version) {
        broken(walk, Breach::BadField);
    }
    Ok(reason)
}

/// Reads a packet identifier, which is never zero (5 §2.2.1).
fn identifier(walk: &mut Walk<'_>, fields: &mut Fields<'_>) -> Result<u16, Breach> {
    let id = fields.u16()?;
    if id == 0 {
        broken(walk, Breach::BadField);
    }
    Ok(id)
}

/// Reads what is published.
fn payload(walk: &mut Walk<'_>, bytes: &[u8], properties: &Properties<'_>) {
    if bytes.is_empty() {
        return;
    }
    if properties.is_text && std::str::from_utf8(bytes).is_err() {
        walk.anomaly(Anomaly::InvalidUtf8);
    }
    body::of_type(walk, bytes, properties.content_type.unwrap_or_default());
}

fn tell(walk: &mut Walk<'_>, action: Action, name: Option<&str>, subject: Option<&str>, id: Option<&str>) {
    walk.operation(&Operation { protocol: Protocol::Mqtt, action, name, subject, id });
}
