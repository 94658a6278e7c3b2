//! The headers of a frame of STOMP.

use std::borrow::Cow;

use super::broken;
use crate::{Anomaly, Breach, Marks, Role, Shape, content, format::names::hash, walk::Walk};

/// Headers that mean something here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Destination,
    Id,
    Receipt,
    ReceiptId,
    Subscription,
    MessageId,
    Transaction,
    Ack,
    ContentType,
    ContentLength,
    Version,
    AcceptVersion,
    Session,
}

const HEADERS: [(&str, Header); 13] = [
    ("destination", Header::Destination),
    ("id", Header::Id),
    ("receipt", Header::Receipt),
    ("receipt-id", Header::ReceiptId),
    ("subscription", Header::Subscription),
    ("message-id", Header::MessageId),
    ("transaction", Header::Transaction),
    ("ack", Header::Ack),
    ("content-type", Header::ContentType),
    ("content-length", Header::ContentLength),
    ("version", Header::Version),
    ("accept-version", Header::AcceptVersion),
    ("session", Header::Session),
];

/// The headers of one frame that mean something, the first of each name.
pub(super) struct Headers<'a>([Option<Cow<'a, [u8]>>; HEADERS.len()]);

impl Headers<'_> {
    /// Gives a header's value, where it is text.
    pub(super) fn get(&self, header: Header) -> Option<&str> {
        let number = HEADERS.iter().position(|(_, known)| *known == header)?;
        self.0.get(number)?.as_deref().and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Tells of all headers.
pub(super) fn read<'a>(
    walk: &mut Walk<'_>,
    lines: impl Iterator<Item = &'a [u8]>,
    plain: bool,
) -> Headers<'a> {
    let mut headers = Headers([const { None }; HEADERS.len()]);
    let mut names = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0) else {
            broken(walk, Breach::BadField);
            content::rest(walk, line);
            continue;
        };
        let name = unescaped(walk, &line[..colon], plain);
        // A colon in a value ought to be escaped too, but clients leave it and all readers split at the first one.
        let value = unescaped(walk, &line[colon + 1..], plain);
        names.push(hash(&name));
        walk.at_key(&name, |walk| {
            text(walk, Role::Key, &name);
            text(walk, Role::Value, &value);
        });
        let known = HEADERS.iter().position(|(known, _)| known.as_bytes() == name.as_ref());
        if let Some(slot) = known.and_then(|known| headers.0.get_mut(known)) {
            slot.get_or_insert(value);
        }
    }
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        walk.anomaly(Anomaly::DuplicateKey);
    }
    headers
}

/// Resolves the escapes of a header's name or value (1.2 "Value Encoding"); one that does not exist stands for itself.
fn unescaped<'a>(walk: &mut Walk<'_>, raw: &'a [u8], plain: bool) -> Cow<'a, [u8]> {
    if plain || !raw.contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        let resolved = match (byte, bytes.as_slice().first()) {
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'c')) => Some(b':'),
            (b'\\', Some(b'\\')) => Some(b'\\'),
            (b'\\', _) => {
                broken(walk, Breach::BadField);
                None
            }
            _ => None,
        };
        if resolved.is_some() {
            bytes.next();
        }
        out.push(resolved.unwrap_or(byte));
    }
    Cow::Owned(out)
}

/// Tells of a header's name or value.
fn text(walk: &mut Walk<'_>, role: Role, bytes: &[u8]) {
    let marks = Marks::of(bytes);
    if std::str::from_utf8(bytes).is_err() {
        walk.anomaly(Anomaly::InvalidUtf8);
        return walk.value(role, Shape::Bytes, bytes, marks);
    }
    walk.value(role, Shape::String, bytes, marks);
    if role == Role::Value {
        content::follow(walk, bytes, marks);
    }
}
