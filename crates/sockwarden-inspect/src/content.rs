//! What stands in a message or a value whose format no one named: found out by its first bytes.

use sockwarden_proto::MessageKind;

use crate::{Format, Marks, Message, Role, Shape, format::json, walk::Walk};

/// Reads a whole message that no protocol has taken apart.
pub(crate) fn message(walk: &mut Walk<'_>, message: &Message<'_>) {
    match message.kind {
        MessageKind::Text => text(walk, message.bytes),
        MessageKind::Binary => bytes(walk, message.bytes),
    }
}

/// Reads the body of an HTTP message that no protocol has taken apart.
pub(crate) fn body(walk: &mut Walk<'_>, body: &[u8]) {
    if std::str::from_utf8(body).is_ok() { text(walk, body) } else { bytes(walk, body) }
}

/// Reads a text.
pub(crate) fn text(walk: &mut Walk<'_>, bytes: &[u8]) {
    if json::begins(bytes) && (bytes.trim_ascii_start().starts_with(b"{") || json::is_likely(bytes)) {
        return json::whole(walk, bytes);
    }
    let marks = Marks::of(bytes);
    walk.value(Role::Value, Shape::String, bytes, marks);
    follow(walk, bytes, marks);
}

/// Reads bytes.
pub(crate) fn bytes(walk: &mut Walk<'_>, bytes: &[u8]) {
    walk.value(Role::Value, Shape::Bytes, bytes, Marks::of(bytes));
}

/// Reads what is left of something that is not well-formed: it is seen, whatever it is.
pub(crate) fn rest(walk: &mut Walk<'_>, bytes: &[u8]) {
    if !bytes.is_empty() {
        walk.value(Role::Value, Shape::String, bytes, Marks::of(bytes));
    }
}

/// Reads on in a text that was told as a value, where it is an encoding of something else.
#[inline]
pub(crate) fn follow(walk: &mut Walk<'_>, bytes: &[u8], marks: Marks) {
    // What a name, a number or a sentence is made of encodes nothing.
    if bytes.len() > 1 && marks.any(Marks::BRACE | Marks::BRACKET) && json::is_likely(bytes) {
        walk.inside(Format::Json, |walk| json::whole(walk, bytes));
    }
}
