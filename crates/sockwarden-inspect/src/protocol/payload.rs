//! The bodies of Engine.IO's long polling: several packets in one body, in the four ways in which revisions 3 and 4 write them.

use sockwarden_proto::MessageKind;

use crate::{
    Shape, Sink, Value,
    format::{base64, percent},
    walk::Walk,
};

/// Between the packets of a body of revision 4.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// A packet, or what could not be read as one.
pub(crate) type Packet<'a> = Result<(MessageKind, &'a [u8]), &'a [u8]>;

/// Takes the first packet of a body that is not empty; gives also what follows it, which is shorter.
///
/// Revision 4 puts a separator between packets. Revision 3 writes each one's length before it: in digits, as text, or digit by digit
/// in bytes between a 0 or 1 (text, binary) and a 255.
pub(crate) fn next(body: &[u8]) -> (Packet<'_>, &[u8]) {
    if let Some((&kind @ (0 | 1), rest)) = body.split_first() {
        return bytes_counted(if kind == 0 { MessageKind::Text } else { MessageKind::Binary }, rest);
    }
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // No packet of Socket.IO has a colon there, and no other one's data is read for more than its bytes.
    if digits > 0 && body.get(digits) == Some(&b':') {
        return counted(&body[..digits], &body[digits + 1..]);
    }
    match body.iter().position(|byte| *byte == SEPARATOR) {
        Some(at) => (Ok((MessageKind::Text, &body[..at])), &body[at + 1..]),
        None => (Ok((MessageKind::Text, body)), &[]),
    }
}

/// Takes a text of so many UTF-16 code units: that is what JavaScript counts.
fn counted<'a>(digits: &[u8], rest: &'a [u8]) -> (Packet<'a>, &'a [u8]) {
    let Some(length) = number(digits.iter().map(|digit| digit - b'0')) else { return (Err(rest), &[]) };
    let (mut units, mut at) = (0, 0);
    while units < length {
        let Some(first) = rest.get(at) else { return (Err(rest), &[]) };
        let (bytes, wide) = match first {
            0..=0x7f => (1, 1),
            0xf0.. => (4, 2),
            0xe0.. => (3, 1),
            _ => (2, 1),
        };
        (at, units) = (at + bytes, units + wide);
    }
    if units > length || at > rest.len() {
        return (Err(rest), &[]);
    }
    (Ok((MessageKind::Text, &rest[..at])), &rest[at..])
}

/// Takes what is written after its length in bytes of 0 to 9 that end with a 255.
fn bytes_counted(kind: MessageKind, rest: &[u8]) -> (Packet<'_>, &[u8]) {
    let digits = rest.iter().take_while(|byte| **byte <= 9).count();
    let length = number(rest[..digits].iter().copied());
    let (Some(length), Some((255, rest))) = (length, rest[digits..].split_first()) else {
        return (Err(rest), &[]);
    };
    match rest.split_at_checked(length) {
        Some((packet, rest)) => (Ok((kind, packet)), rest),
        None => (Err(rest), &[]),
    }
}

/// Reads a length.
fn number(digits: impl Iterator<Item = u8>) -> Option<usize> {
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0_usize).checked_mul(10)?.checked_add(usize::from(digit))?);
    }
    number
}

/// Takes off what a body is wrapped in where scripts and forms stand in for requests (JSONP); `false` where it is wrapped wrongly.
pub(super) fn unwrapped<'a>(body: &'a [u8], out: &'a mut Vec<u8>, walk: &mut Walk<'_>) -> (&'a [u8], bool) {
    if let Some(form) = body.strip_prefix(b"d=") {
        percent::decode(form, b'+', out);
        newlines_restored(out);
        let within = walk.decoded(out.len());
        return if within { (out, true) } else { (body, false) };
    }
    let Some(script) = body.strip_prefix(b"___eio[") else { return (body, true) };
    let digits = script.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let call = script[digits..].strip_prefix(b"](").map(<[u8]>::trim_ascii_end);
    let json =
        call.and_then(|call| call.strip_suffix(b");")).filter(|json| std::str::from_utf8(json).is_ok());
    let Some(json) = json else { return (body, false) };
    let mut plain = false;
    let mut tap = |value: &Value<'_>, _: &mut dyn Sink| {
        if value.shape == Shape::String && value.place.is_empty() && !plain {
            plain = true;
            out.extend_from_slice(value.bytes);
        }
    };
    walk.tapped(&mut tap, |walk| walk.json(json));
    (out, plain)
}

/// Makes line feeds of `\n`, and `\n` of `\\n`: so the client writes them, because forms change line feeds.
fn newlines_restored(text: &mut Vec<u8>) {
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = text.get(from) {
        let (taken, given) = if text[from..].starts_with(b"\\\\n") {
            text[to] = b'\\';
            to += 1;
            (3, b'n')
        } else if text[from..].starts_with(b"\\n") {
            (2, b'\n')
        } else {
            (1, byte)
        };
        text[to] = given;
        (from, to) = (from + taken, to + 1);
    }
    text.truncate(to);
}

/// Decodes base64 of either alphabet, with or without padding; tells where it is none.
pub(super) fn base64_decoded(text: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for (at, byte) in digits.iter().enumerate() {
        let six = base64::six(*byte).ok_or(at)?;
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes down the packets of a body: `t` or `b` and what they hold, `!` before what is none.
    fn packets(mut body: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        while !body.is_empty() {
            let packet;
            (packet, body) = next(body);
            out.push(match packet {
                Ok((MessageKind::Text, bytes)) => format!("t{}", bytes.escape_ascii()),
                Ok((MessageKind::Binary, bytes)) => format!("b{}", bytes.escape_ascii()),
                Err(bytes) => format!("!{}", bytes.escape_ascii()),
            });
        }
        out
    }

    #[test]
    fn bodies_are_split_as_each_revision_writes_them() {
        let check =
            |body: &[u8], expected: &[&str]| assert_eq!(packets(body), expected, "{}", body.escape_ascii());
        check(b"4hello\x1e2\x1e4world", &["t4hello", "t2", "t4world"]);
        check(b"4hello\x1ebAQIDBA==", &["t4hello", "tbAQIDBA=="]);
        check(b"40", &["t40"]);
        check(b"6:4hello2:4x", &["t4hello", "t4x"]);
        check("2:4\u{20ac}1:2".as_bytes(), &["t4\\xe2\\x82\\xac", "t2"]);
        check("3:4\u{1f600}1:2".as_bytes(), &["t4\\xf0\\x9f\\x98\\x80", "t2"]);
        check(b"\x00\x06\xff4hello\x01\x01\x00\xff\x04123456789", &["t4hello", "b\\x04123456789"]);
        check(b"9:4hello", &["!4hello"]);
        check(b"\x00\x09\xff4", &["!4"]);
        check(b"\x01\xff", &["!\\xff"]);
        check(b"99999999999999999999999:4", &["!4"]);
    }

    #[test]
    fn base64_is_what_it_encodes() {
        let check = |text: &str, expected: Result<&[u8], usize>| {
            let mut out = Vec::new();
            assert_eq!(
                base64_decoded(text.as_bytes(), &mut out).map(|()| out.as_slice()),
                expected,
                "{text}"
            );
        };
        check("AQIDBA==", Ok(&[1, 2, 3, 4]));
        check("AQIDBA", Ok(&[1, 2, 3, 4]));
        check("_-8=", Ok(&[0xff, 0xef]));
        check("", Ok(&[]));
        check("AQ!D", Err(2));
    }

    #[test]
    fn forms_give_what_was_written_in_them() {
        let check = |form: &str, expected: &str| {
            let mut out = Vec::new();
            percent::decode(form.as_bytes(), b'+', &mut out);
            newlines_restored(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{form}");
        };
        check("42%5B%22a%22%5D", "42[\"a\"]");
        check("a+b%2Bc%", "a b+c%");
        check("a%5Cnb%5C%5Cnc", "a\nb\\nc");
    }

    proptest! {
        #[test]
        fn any_body_ends(body: Vec<u8>) {
            packets(&body);
        }
    }
}
