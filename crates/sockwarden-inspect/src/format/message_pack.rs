//! MessagePack, read from front to back without a tree.
//!
//! Lengths in a longer form than needed are what many encoders write, and no anomaly. A time stamp (extension −1) is told as a
//! number of seconds; other extensions as their bytes.

use super::items::{Listener, Number, Plausible, Stopped, Told, big_endian};
use crate::{Anomaly, Format, Shape, content, walk::Walk};

/// What begins at some byte.
enum Item {
    Nil,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(usize),
    Bytes(usize),
    Extension { kind: i8, length: usize },
    Array(u32),
    Map(u32),
}

/// Tells whether bytes of unknown origin are MessagePack: one array or map that ends where they end, with texts in it.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    (is_array(bytes) || is_map(bytes)) && Plausible::judge(bytes, read)
}

/// Tells whether an array begins.
pub(crate) fn is_array(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x90..=0x9f | 0xdc | 0xdd))
}

/// Tells whether a map begins.
pub(crate) fn is_map(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf))
}

/// Reads bytes that are MessagePack: one value, or several in a row, which is an anomaly.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8]) {
    let Some(end) = value(walk, bytes) else { return };
    let mut at = end;
    if at < bytes.len() {
        walk.anomaly(Anomaly::TrailingData(Format::MessagePack));
    }
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(length) = value(walk, rest) else { return };
        at += length;
    }
}

/// Reads the value that begins the bytes, and tells where it ends; `None` where it does not: then the anomaly and the rest are told.
pub(crate) fn value(walk: &mut Walk<'_>, bytes: &[u8]) -> Option<usize> {
    let mut told = Told::at(walk, Format::MessagePack);
    let end = read(&mut told, bytes, 0);
    told.leave();
    end.map_err(|Stopped { at, why }| {
        walk.anomaly(why);
        content::rest(walk, bytes.get(at..).unwrap_or_default());
    })
    .ok()
}

fn read<L: Listener>(listener: &mut L, bytes: &[u8], mut at: usize) -> Result<usize, Stopped> {
    while !listener.is_done() {
        let (item, body) = head(bytes, at).ok_or_else(|| wrong(bytes, at))?;
        let taken = |length: usize| -> Result<&[u8], Stopped> {
            let end = body.checked_add(length).ok_or_else(|| malformed(at))?;
            bytes.get(body..end).ok_or_else(|| malformed(at))
        };
        let mut length = 0;
        match item {
            Item::Nil => listener.word(Shape::Null, b"null"),
            Item::Boolean(true) => listener.word(Shape::Boolean, b"true"),
            Item::Boolean(false) => listener.word(Shape::Boolean, b"false"),
            Item::Unsigned(number) => listener.number(number.into()),
            Item::Signed(number) => listener.number(number.into()),
            Item::Float(number) => listener.number(Number::Float(number)),
            Item::Array(count) => listener.open(false, Some(count.into()), at)?,
            Item::Map(count) => listener.open(true, Some(count.into()), at)?,
            Item::Text(bytes) => {
                listener.text(taken(bytes)?);
                length = bytes;
            }
            Item::Bytes(bytes) => {
                listener.bytes(taken(bytes)?, None);
                length = bytes;
            }
            Item::Extension { kind, length: bytes } => {
                extension(listener, kind, taken(bytes)?, at);
                length = bytes;
            }
        }
        at = body + length;
    }
    Ok(at)
}

/// Reads an extension.
fn extension<L: Listener>(listener: &mut L, kind: i8, bytes: &[u8], at: usize) {
    match (kind, time_stamp(bytes)) {
        (-1, Some(seconds)) => return listener.number(seconds),
        (-1, None) => listener.anomaly(malformed(at).why),
        (..-1, _) => listener.anomaly(Anomaly::Reserved(Format::MessagePack)),
        (0.., _) => {}
    }
    listener.bytes(bytes, None);
}

/// Reads a time stamp; `None` where it is none.
fn time_stamp(bytes: &[u8]) -> Option<Number> {
    let (nanos, seconds) = match *bytes {
        [a, b, c, d] => (0, i64::from(u32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => {
            let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            (both >> 34, (both & ((1 << 34) - 1)).cast_signed())
        }
        [a, b, c, d, e, f, g, h, i, j, k, l] => {
            (u32::from_be_bytes([a, b, c, d]).into(), i64::from_be_bytes([e, f, g, h, i, j, k, l]))
        }
        _ => return None,
    };
    match nanos {
        0 => Some(seconds.into()),
        // A double tells microseconds apart; what is finer tells a detector nothing.
        1..1_000_000_000 => Some(Number::Float(seconds as f64 + nanos as f64 / 1e9)),
        1_000_000_000.. => None,
    }
}

/// Reads what begins at `at`, and tells where what it holds begins; `None` where that is [`wrong`].
#[inline(always)]
fn head(bytes: &[u8], at: usize) -> Option<(Item, usize)> {
    let number = |size: usize| big_endian(bytes, at + 1, size);
    // No length has more than four bytes.
    let length = |size: usize| number(size).map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let count = |size: usize| number(size).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let extension = |size: usize, length: usize| {
        let kind = *bytes.get(at + 1 + size)?;
        Some((Item::Extension { kind: kind.cast_signed(), length }, size + 1))
    };
    let signed = |size: usize| {
        let unused = 64 - 8 * size as u32;
        number(size).map(|number| Item::Signed((number << unused).cast_signed() >> unused))
    };
    let code = *bytes.get(at)?;
    let (item, size) = match code {
        0x00..=0x7f => (Item::Unsigned(code.into()), 0),
        0x80..=0x8f => (Item::Map((code & 0x0f).into()), 0),
        0x90..=0x9f => (Item::Array((code & 0x0f).into()), 0),
        0xa0..=0xbf => (Item::Text((code & 0x1f).into()), 0),
        0xc0 => (Item::Nil, 0),
        0xc1 => return None,
        0xc2 => (Item::Boolean(false), 0),
        0xc3 => (Item::Boolean(true), 0),
        0xc4 => (Item::Bytes(length(1)?), 1),
        0xc5 => (Item::Bytes(length(2)?), 2),
        0xc6 => (Item::Bytes(length(4)?), 4),
        0xc7 => extension(1, length(1)?)?,
        0xc8 => extension(2, length(2)?)?,
        0xc9 => extension(4, length(4)?)?,
        0xca => (Item::Float(f32::from_bits(count(4)?).into()), 4),
        0xcb => (Item::Float(f64::from_bits(number(8)?)), 8),
        0xcc => (Item::Unsigned(number(1)?), 1),
        0xcd => (Item::Unsigned(number(2)?), 2),
        0xce => (Item::Unsigned(number(4)?), 4),
        0xcf => (Item::Unsigned(number(8)?), 8),
        0xd0 => (signed(1)?, 1),
        0xd1 => (signed(2)?, 2),
        0xd2 => (signed(4)?, 4),
        0xd3 => (signed(8)?, 8),
        0xd4..=0xd8 => extension(0, 1 << (code - 0xd4))?,
        0xd9 => (Item::Text(length(1)?), 1),
        0xda => (Item::Text(length(2)?), 2),
        0xdb => (Item::Text(length(4)?), 4),
        0xdc => (Item::Array(count(2)?), 2),
        0xdd => (Item::Array(count(4)?), 4),
        0xde => (Item::Map(count(2)?), 2),
        0xdf => (Item::Map(count(4)?), 4),
        0xe0..=0xff => (Item::Signed(code.cast_signed().into()), 0),
    };
    Some((item, at + 1 + size))
}

/// Tells why nothing begins at `at`.
#[cold]
fn wrong(bytes: &[u8], at: usize) -> Stopped {
    match bytes.get(at) {
        Some(0xc1) => Stopped { at, why: Anomaly::Reserved(Format::MessagePack) },
        Some(_) | None => malformed(at),
    }
}

fn malformed(at: usize) -> Stopped {
    Stopped::malformed(Format::MessagePack, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockwarden_model::Direction;
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::testing::{flat, is_of_valid_input, read as notes_of, spoilt, step};

    #[track_caller]
    fn check(bytes: &[u8], values: &[&str], anomalies: &[Anomaly]) {
        let flat = flat(whole, bytes);
        assert_eq!(
            (flat.values, flat.anomalies),
            (values.iter().map(|v| (*v).to_owned()).collect(), anomalies.to_vec())
        );
    }

    #[test]
    fn every_type_is_read() {
        check(
            b"\x8a\xa1a\x01\xa1b\xff\xa1c\xc0\xa1d\xc3\xa1e\x93\xc2\xcc\xff\xd0\x80\xa1f\xca?\xc0\0\0\xa1g\xcb@\x09\x21\xfb\x54\x44\x2d\x18\xa1h\xc4\x02\xff\xfe\xa1i\x80\xa1j\x90",
            &[
                "/a key a", "/a Number 1", "/b key b", "/b Number -1", "/c key c", "/c Null null", "/d key d",
                "/d Boolean true", "/e key e", "/e/0 Boolean false", "/e/1 Number 255", "/e/2 Number -128", "/f key f",
                "/f Number 1.5", "/g key g", "/g Number 3.141592653589793", "/h key h", "/h Bytes \\xff\\xfe", "/i key i",
                "/j key j",
            ],
            &[],
        );
        check(
            b"\xdc\x00\x09\xcd\x01\0\xce\0\x01\0\0\xcf\0\x10\0\0\0\0\0\0\xd1\xff\0\xd2\xff\0\0\0\xd3\xff\xff\xff\xff\xff\xff\xff\xfe\xd9\x01x\xda\0\x01y\xdb\0\0\0\x01z",
            &[
                "/0 Number 256", "/1 Number 65536", "/2 Number 4503599627370496", "/3 Number -256", "/4 Number -16777216",
                "/5 Number -2", "/6 String x", "/7 String y", "/8 String z",
            ],
            &[],
        );
        check(b"\xdf\0\0\0\x01\xa1a\xdd\0\0\0\x01\xde\0\0", &["/a key a"], &[]);
    }

    #[test]
    fn extensions_are_told_as_what_they_hold() {
        check(b"\xd6\xff\x65\x53\xf1\0", &[" Number 1700000000"], &[]);
        check(b"\xd7\xff\x77\x35\x94\0\x65\x53\xf1\0", &[" Number 1700000000.5"], &[]);
        check(b"\xc7\x0c\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", &[" Number -1"], &[]);
        check(b"\xc7\x03\x05abc", &[" Bytes abc"], &[]);
        check(b"\xd4\x00\x00", &[" Bytes \\x00"], &[]);
        check(b"\xd4\xff\x00", &[" Bytes \\x00"], &[malformed(0).why]);
        check(b"\xd4\x9c\x01", &[" Bytes \\x01"], &[Anomaly::Reserved(Format::MessagePack)]);
    }

    #[test]
    fn what_readers_differ_on_is_told() {
        check(
            b"\x82\xa1a\x01\xa1a\x02",
            &["/a key a", "/a Number 1", "/a key a", "/a Number 2"],
            &[Anomaly::DuplicateKey],
        );
        check(
            b"\x82\x01\xa1x\xa11\xa1y",
            &["/1 key 1", "/1 String x", "/1 key 1", "/1 String y"],
            &[Anomaly::DuplicateKey],
        );
        check(b"\x81\x01\x02", &["/1 key 1", "/1 Number 2"], &[]);
        check(b"\x81\xc0\x02", &["/null key null", "/null Number 2"], &[Anomaly::KeyOfOtherKind]);
        check(b"\x81\xc4\x01k\x02", &["/k key k", "/k Number 2"], &[Anomaly::KeyOfOtherKind]);
        check(
            b"\x81\x92\x01\xa1x\x02",
            &["//0 Number 1", "//1 String x", "/ Number 2"],
            &[Anomaly::KeyOfOtherKind],
        );
        check(b"\x92\xa2\xc3\x28\x01", &["/0 Bytes \\xc3(", "/1 Number 1"], &[Anomaly::InvalidUtf8]);
        check(b"\xa3a\0b", &[" String a\\x00b"], &[Anomaly::NulCharacter]);
        check(b"\xcf\0\x20\0\0\0\0\0\x01", &[" Number 9007199254740993"], &[Anomaly::BigNumber]);
        check(b"\x01\x02", &[" Number 1", " Number 2"], &[Anomaly::TrailingData(Format::MessagePack)]);
    }

    #[test]
    fn what_is_not_there_is_neither_awaited_nor_reserved() {
        let end = |at| malformed(at).why;
        check(b"", &[], &[end(0)]);
        check(b"\xdd\xff\xff\xff\xff\x01", &["/0 Number 1"], &[end(6)]);
        check(b"\xdf\xff\xff\xff\xff\xa1a\x01", &["/a key a", "/a Number 1"], &[end(8)]);
        check(b"\xdb\xff\xff\xff\xffhello", &[" Bytes \\xdb\\xff\\xff\\xff\\xffhello"], &[end(0)]);
        check(b"\xc1x", &[" Bytes \\xc1x"], &[Anomaly::Reserved(Format::MessagePack)]);
        check(b"\xcd\x01", &[" Bytes \\xcd\\x01"], &[end(0)]);
        let deep = [[0x91].repeat(300), vec![0xa1, b'x']].concat();
        let told = flat(whole, &deep);
        assert_eq!(told.anomalies, [Anomaly::Bound(crate::Bound::Depth)]);
        assert_eq!(told.values.len(), 1, "what lies deeper is seen as bytes");
    }

    #[test]
    fn only_what_is_message_pack_from_end_to_end_is_guessed() {
        for yes in [
            b"\x81\xa1a\x01".as_slice(),
            b"\x92\xa5hello\x01",
            b"\x81\x01\xa1x",
            b"\xdc\0\x01\xa1x",
            b"\x82\xa1a\x81\xa1b\xc0\xa1c\x90",
        ] {
            assert!(begins(yes), "{}", yes.escape_ascii());
        }
        for no in [
            b"".as_slice(),
            b"\x80",
            b"\x90",
            b"\x92\x01\x02",
            b"\xa5hello",
            b"\x81\xa1a\x01\x00",
            b"\x81\xa1a",
            b"\x81\xc0\xa1x",
            b"\x91\xa2\xc3\x28",
            b"\x81\x91\x01\xa1x",
            b"\x91\xd4\xfe\x00",
        ] {
            assert!(!begins(no), "{}", no.escape_ascii());
            let notes = notes_of(None, &[(Direction::Client, MessageKind::Binary, no)]);
            assert_eq!(notes.said, Vec::<String>::new(), "{}", no.escape_ascii());
        }
        let notes =
            notes_of(None, &[(Direction::Client, MessageKind::Binary, b"\x81\xa1a\xc4\x07\x81\xa1b\xa3[1]")]);
        assert_eq!(
            notes.values,
            [
                "/a key a",
                "/a binary \\x81\\xa1b\\xa3[1]",
                "/a|msgpack/b key b",
                "/a|msgpack/b json [1]",
                "/a|msgpack/b|json/0 number 1",
            ]
        );
    }

    fn leaves(value: &rmpv::Value, at: &str, out: &mut Vec<String>) {
        use rmpv::Value;
        let float = |number: f64| format!("{at} Number {number:?}");
        match value {
            Value::Nil => out.push(format!("{at} Null null")),
            Value::Boolean(boolean) => out.push(format!("{at} Boolean {boolean}")),
            Value::Integer(number) => out.push(format!("{at} Number {number}")),
            Value::F32(number) => out.push(float((*number).into())),
            Value::F64(number) => out.push(float(*number)),
            Value::String(text) => out.push(format!("{at} String {}", text.as_bytes().escape_ascii())),
            Value::Binary(bytes) | Value::Ext(_, bytes) => {
                out.push(format!("{at} Bytes {}", bytes.escape_ascii()))
            }
            Value::Array(elements) => {
                for (number, element) in elements.iter().enumerate() {
                    leaves(element, &format!("{at}/{number}"), out);
                }
            }
            Value::Map(members) => {
                for (name, member) in members {
                    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                    let at = format!("{at}/{}", step(&name));
                    out.push(format!("{at} key {}", name.as_bytes().escape_ascii()));
                    leaves(member, &at, out);
                }
            }
        }
    }

    fn values() -> impl Strategy<Value = rmpv::Value> {
        use rmpv::Value;
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i16>().prop_map(Value::from),
            any::<f32>().prop_map(Value::F32),
            any::<f64>().prop_map(Value::F64),
            any::<String>().prop_map(Value::from),
            "[a-z{}\\[\\]\":,%=&+/ 0-9<>]{0,40}".prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::from),
            (0_i8.., prop::collection::vec(any::<u8>(), 0..20))
                .prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let name = prop_oneof![any::<String>().prop_map(Value::from), any::<i32>().prop_map(Value::from)];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
                prop::collection::vec((name, inner), 0..20).prop_map(Value::Map),
            ]
        })
    }

    fn written(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn valid_message_pack_gives_the_values_of_rmpv(value in values()) {
            let mut expected = Vec::new();
            leaves(&value, "", &mut expected);
            let flat = flat(whole, &written(&value));
            prop_assert_eq!(flat.values, expected);
            prop_assert!(flat.anomalies.iter().all(is_of_valid_input), "{:?}", flat.anomalies);
        }

        #[test]
        fn what_rmpv_refuses_is_told(value in values(), at: prop::sample::Index, byte: u8, cut: bool) {
            let bytes = spoilt(written(&value), at, byte, cut);
            let mut rest = bytes.as_slice();
            let accepted = rmpv::decode::read_value(&mut rest).is_ok() && rest.is_empty();
            let flat = flat(whole, &bytes);
            prop_assert!(accepted || !flat.anomalies.is_empty(), "{}", bytes.escape_ascii());
        }

        #[test]
        fn a_wrong_guess_is_no_anomaly(bytes in prop::collection::vec(any::<u8>(), 0..64), first in 0x80_u8..0xe0) {
            let bytes = [vec![first], bytes].concat();
            let notes = notes_of(None, &[(Direction::Client, MessageKind::Binary, &bytes)]);
            prop_assert_eq!(notes.said, Vec::<String>::new(), "{}", bytes.escape_ascii());
        }
    }
}
