//! What stands in a message or a value whose format no one named: found out by its first bytes and its marks.
//!
//! A text that is followed was told as it is before. Bytes that nobody can read are told as a whole, so that what looks at bytes
//! sees all of them, and each run of text in them of at least [`RUN`] bytes once more by itself, at `|text/0` and so on: what looks
//! at texts sees them, and what is encoded in them is followed as everywhere. Of many runs all but the first [`RUNS`] are one value,
//! a line each: a file that is uploaded has more of them than a message may have values.

use sockwarden_proto::MessageKind;

use crate::{
    Anomaly, Format, Marks, Message, Role, Shape,
    format::{Read, base64, cbor, form, hex, json, message_pack, percent, xml},
    walk::Walk,
};

/// The shortest run of text in bytes that is told by itself.
const RUN: usize = 8;

/// How many of them are.
const RUNS: usize = 256;

/// Where none of these is, only base64 and hexadecimal digits can be.
const STRUCTURE: Marks =
    Marks::BRACE.and(Marks::BRACKET).and(Marks::ANGLE).and(Marks::QUERY).and(Marks::PERCENT);

/// Reads a whole message that no protocol has taken apart.
pub(crate) fn message(walk: &mut Walk<'_>, message: &Message<'_>) {
    match message.kind {
        MessageKind::Text => text(walk, message.bytes),
        MessageKind::Binary => bytes(walk, message.bytes),
    }
}

/// Reads the body of a message or a packet of which no one says what it is.
pub(crate) fn body(walk: &mut Walk<'_>, body: &[u8]) {
    if std::str::from_utf8(body).is_ok() { text(walk, body) } else { bytes(walk, body) }
}

/// Reads a text.
pub(crate) fn text(walk: &mut Walk<'_>, bytes: &[u8]) {
    if json::is_object(bytes) || json::is_likely(bytes) {
        // Nobody has said that it is JSON: a text may begin like that, and be cut anywhere.
        let before = std::mem::replace(&mut walk.state.guessing, true);
        json::whole(walk, bytes);
        walk.state.guessing = before;
        return;
    }
    if let Some(claim) = xml::begins(bytes) {
        return xml::whole(walk, bytes, claim);
    }
    told(walk, bytes);
}

/// Reads bytes that are said to be of this format.
pub(crate) fn declared(walk: &mut Walk<'_>, format: Format, bytes: &[u8]) {
    let read: Read = match format {
        Format::MessagePack => return message_pack::whole(walk, bytes),
        Format::Cbor => return cbor::whole(walk, bytes),
        Format::Bytes => return self::bytes(walk, bytes),
        Format::Json => json::whole,
        Format::Xml => |walk, bytes| xml::whole(walk, bytes, xml::Claim::Declared),
        Format::Form => form::declared,
        Format::Percent | Format::Base64 | Format::Hex | Format::GraphQl | Format::Text => text,
    };
    if std::str::from_utf8(bytes).is_err() {
        walk.anomaly(Anomaly::InvalidUtf8);
        return opaque(walk, bytes);
    }
    read(walk, bytes);
}

/// Reads bytes: as a text where they are one, as MessagePack or CBOR where they can hardly be anything else.
pub(crate) fn bytes(walk: &mut Walk<'_>, bytes: &[u8]) {
    if is_text(bytes) {
        text(walk, bytes);
    } else if message_pack::begins(bytes) {
        message_pack::whole(walk, bytes);
    } else if cbor::begins(bytes) {
        cbor::whole(walk, bytes);
    } else {
        opaque(walk, bytes);
    }
}

/// Reads what is left of something that is not well-formed: it is seen, whatever it is.
pub(crate) fn rest(walk: &mut Walk<'_>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok("") => {}
        Ok(_) => walk.value(Role::Value, Shape::String, bytes, Marks::of(bytes)),
        Err(_) => opaque(walk, bytes),
    }
}

/// Tells of what decoding gave, and reads on in it.
pub(crate) fn decoded(walk: &mut Walk<'_>, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_err() {
        return follow_bytes(walk, bytes);
    }
    told(walk, bytes);
}

/// Reads on in a text that was told as a value, where it is an encoding of something else.
#[inline]
pub(crate) fn follow(walk: &mut Walk<'_>, bytes: &[u8], marks: Marks) {
    // What a name, a number or a sentence is made of encodes nothing.
    if bytes.len() > 1
        && (marks.any(STRUCTURE) || bytes.len() >= base64::SHORTEST && base64::may_be(bytes, marks))
    {
        encoded(walk, bytes, marks);
    }
}

/// Finds the one encoding that a text is in. What several are in shows when the first is followed.
fn encoded(walk: &mut Walk<'_>, bytes: &[u8], marks: Marks) {
    if marks.any(Marks::BRACE | Marks::BRACKET) && json::is_likely(bytes) {
        walk.inside(Format::Json, |walk| json::whole(walk, bytes));
        return;
    }
    if marks.any(Marks::ANGLE) && xml::is_likely(bytes) {
        walk.inside(Format::Xml, |walk| xml::whole(walk, bytes, xml::Claim::Guessed));
        return;
    }
    if hex::whole(walk, bytes, marks) || base64::whole(walk, bytes, marks) {
        return;
    }
    let form = if marks.any(Marks::QUERY) { form::find(bytes) } else { None };
    let unnamed = form.map_or(bytes, |form| form.before);
    if marks.any(Marks::PERCENT) && percent::is_likely(unnamed) {
        percent::whole(walk, unnamed);
    }
    if let Some(form) = form {
        form::whole(walk, form);
    }
}

/// Tells of bytes that stand as a value in a message, and reads on in them.
pub(crate) fn follow_bytes(walk: &mut Walk<'_>, bytes: &[u8]) {
    let marks = Marks::of(bytes);
    if is_text(bytes) {
        walk.value(Role::Value, Shape::Bytes, bytes, marks);
        return follow(walk, bytes, marks);
    }
    let known: Option<(Format, Read)> = if message_pack::begins(bytes) {
        Some((Format::MessagePack, message_pack::whole))
    } else if cbor::begins(bytes) {
        Some((Format::Cbor, cbor::whole))
    } else {
        None
    };
    let Some((format, read)) = known else { return opaque(walk, bytes) };
    walk.value(Role::Value, Shape::Bytes, bytes, marks);
    walk.inside(format, |walk| read(walk, bytes));
}

/// Tells of bytes that are no text and no format that is known, then of the texts in them.
pub(crate) fn opaque(walk: &mut Walk<'_>, bytes: &[u8]) {
    walk.value(Role::Value, Shape::Bytes, bytes, Marks::of(bytes));
    let mut runs = (0..).zip(runs(bytes)).peekable();
    if runs.peek().is_none() {
        return;
    }
    walk.inside(Format::Text, |walk| {
        for (number, run) in runs.by_ref().take(RUNS) {
            walk.at_index(number, |walk| told(walk, run));
        }
        let Some((number, first)) = runs.next() else { return };
        let mut joined = walk.buffer();
        joined.extend_from_slice(first);
        for (_, run) in runs {
            joined.push(b'\n');
            joined.extend_from_slice(run);
        }
        walk.at_index(number, |walk| told(walk, &joined));
        walk.give(joined);
    });
}

/// Tells of a text and reads on in it.
fn told(walk: &mut Walk<'_>, bytes: &[u8]) {
    let marks = Marks::of(bytes);
    walk.value(Role::Value, Shape::String, bytes, marks);
    follow(walk, bytes, marks);
}

/// Gives the runs of text in bytes.
fn runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut at, mut end) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            at = begin_of_run(bytes, at)?;
            // What ends all runs is looked for once, however often a run ends before it.
            if end <= at {
                let rest = bytes.get(at..).unwrap_or_default();
                end = at + rest.iter().position(|byte| Part::of(*byte) == Part::None).unwrap_or(rest.len());
            }
            let chunk = bytes.get(at..end).and_then(|rest| rest.utf8_chunks().next())?;
            at += chunk.valid().len() + chunk.invalid().len();
            if chunk.valid().len() >= RUN {
                return Some(chunk.valid().as_bytes());
            }
        }
    })
}

/// What a byte can be of a text: found out by itself, and held against the one behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A control character, or none of UTF-8.
    None,
    Ascii,
    /// The first of several that are one character.
    First,
    /// One of the others.
    Later,
}

impl Part {
    const OF: [Self; 256] = {
        let mut parts = [Self::Ascii; 256];
        let mut byte = 0;
        while byte < parts.len() {
            parts[byte] = match byte as u8 {
                0x80..=0xbf => Self::Later,
                0xc2..=0xf4 => Self::First,
                0xc0 | 0xc1 | 0xf5.. => Self::None,
                ascii if is_readable(ascii) => Self::Ascii,
                _ => Self::None,
            };
            byte += 1;
        }
        parts
    };

    #[inline]
    fn of(byte: u8) -> Self {
        Self::OF[usize::from(byte)]
    }
}

/// Finds where, from `at` on, as many bytes come as a run has at least, of which none and no two beside one another can only be between
/// runs. It looks at the last of so many first, so that of bytes without any order it skips most.
fn begin_of_run(bytes: &[u8], mut at: usize) -> Option<usize> {
    'run: loop {
        let window = bytes.get(at..)?.first_chunk::<RUN>()?;
        let mut behind = None;
        for (number, byte) in window.iter().enumerate().rev() {
            let part = Part::of(*byte);
            let between = match (part, behind) {
                (Part::None, _) => true,
                (Part::First, Some(next)) => next != Part::Later,
                (Part::Ascii, Some(next)) => next == Part::Later,
                (Part::Later, _) | (Part::First | Part::Ascii, None) => false,
            };
            if between {
                at += number + 1;
                continue 'run;
            }
            behind = Some(part);
        }
        return Some(at);
    }
}

/// Tells whether bytes are a text: UTF-8 without control characters.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_readable(*byte)) && std::str::from_utf8(bytes).is_ok()
}

/// Tells whether a byte can stand in a text.
#[inline]
pub(crate) const fn is_readable(byte: u8) -> bool {
    !Marks::of_byte(byte).any(Marks::CONTROL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockwarden_model::Direction;

    use super::*;
    use crate::testing::read;

    fn check(bytes: &[u8], values: &[&str]) {
        let notes = read(None, &[(Direction::Client, MessageKind::Binary, bytes)]);
        assert_eq!(notes.values, values, "{}", bytes.escape_ascii());
        assert_eq!(notes.said, Vec::<String>::new(), "{}", bytes.escape_ascii());
    }

    #[test]
    fn bytes_are_read_as_what_they_can_only_be() {
        check(b"", &[" empty "]);
        check(b"hello there", &[" text hello there"]);
        check(br#"{"a":1}"#, &["/a key a", "/a number 1"]);
        check(b"\x81\xa1a\xa3x y", &["/a key a", "/a text x y"]);
        check(b"\xa1\x61a\x63x y", &["/a key a", "/a text x y"]);
        check(b"\xd9\xd9\xf7\xa1\x61a\x63x y", &["/a key a", "/a text x y"]);
        check(b"\x00\x01\x02", &[" binary \\x00\\x01\\x02"]);
    }

    #[test]
    fn texts_in_bytes_are_told_and_followed() {
        check(
            b"\0\0\0\x0f{\"a\":\"x y\"} \0\0short\0\x01' or 1=1\xff",
            &[
                " binary \\x00\\x00\\x00\\x0f{\\\"a\\\":\\\"x y\\\"} \\x00\\x00short\\x00\\x01\\' or 1=1\\xff",
                "|text/0 json {\\\"a\\\":\\\"x y\\\"} ",
                "|text/0|json/a key a",
                "|text/0|json/a text x y",
                "|text/1 text \\' or 1=1",
            ],
        );
    }

    /// What begins or goes on as a character of UTF-8, and is none.
    const BROKEN: &[&[u8]] =
        &[b"\xe2\x82", b"\xf0\x9f\x98", b"\xe0\x80", b"\xed\xa0\x80", b"\xc3", b"\xbf", b"\xf5"];

    proptest! {
        #[test]
        fn runs_are_what_is_readable_between_what_is_not(
            pieces in prop::collection::vec(prop_oneof![
                any::<[u8; 3]>().prop_map(|bytes| bytes.to_vec()),
                "[a-z\\x00éκ€\u{10ffff}]{0,9}".prop_map(String::into_bytes),
                prop::sample::select(BROKEN).prop_map(<[u8]>::to_vec),
            ], 0..12)
        ) {
            let bytes = pieces.concat();
            let expected: Vec<&[u8]> = bytes
                .utf8_chunks()
                .flat_map(|chunk| chunk.valid().as_bytes().split(|byte| !is_readable(*byte)))
                .filter(|run| run.len() >= RUN)
                .collect();
            prop_assert_eq!(runs(&bytes).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn very_many_texts_in_bytes_hit_no_bound() {
        let bytes = b"one text\0".repeat(30_000);
        let notes = read(None, &[(Direction::Client, MessageKind::Binary, &bytes)]);
        assert_eq!((notes.values.len(), notes.said.len()), (1 + RUNS + 1, 0));
        let joined = notes.values.last().expect("there is one");
        assert_eq!(joined.matches("one text").count(), 30_000 - RUNS);
    }

    #[test]
    fn what_people_and_programs_say_every_day_is_followed_nowhere() {
        for text in [
            "hello world, how are you?",
            "the quick brown fox jumps over the lazy dog",
            "room:lobby/42",
            "user@example.com",
            "2024-05-17T10:00:00.000Z",
            "1,234.56",
            "C# is > Java < Rust",
            "5 > 3 and 2 < 4",
            "50% off!",
            "a/b/c",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
            "42[\"event\",1",
            "[INFO] started",
            "{not json}",
            "heartbeat",
            "SUBSCRIBE\nid:0\ndestination:/topic/x\n\n\0",
        ] {
            let notes = read(None, &[(Direction::Client, MessageKind::Text, text.as_bytes())]);
            if !text.starts_with('{') {
                assert_eq!((notes.values.len(), notes.said), (1, Vec::new()), "{text}");
            }
        }
    }
}
