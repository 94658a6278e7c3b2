//! CBOR (RFC 8949), read from front to back without a tree.
//!
//! Numbers and lengths in a longer form than needed are well-formed (§4.1) and no anomaly. Encoded CBOR (tag 24) is followed, big
//! numbers (tags 2 and 3) are told as numbers up to 128 bits; other tags say nothing that their content does not.

use super::{
    Read,
    items::{Listener, Number, Plausible, Stopped, Told, big_endian},
};
use crate::{Anomaly, Format, Shape, content, walk::Walk};

/// Says before a document that it is CBOR (§3.4.6).
const SELF_DESCRIBED: &[u8] = &[0xd9, 0xd9, 0xf7];

/// Tells whether bytes of unknown origin are CBOR: one array or map that ends where they end, with texts in it.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let first = bytes.strip_prefix(SELF_DESCRIBED).unwrap_or(bytes).first();
    matches!(first, Some(0x80..=0xbf)) && Plausible::judge(bytes, read)
}

/// Reads bytes that are CBOR: one item, or several in a row (RFC 8742), which is an anomaly.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8]) {
    let Some(mut at) = value(walk, bytes) else { return };
    if at < bytes.len() {
        walk.anomaly(Anomaly::TrailingData(Format::Cbor));
    }
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(length) = value(walk, rest) else { return };
        at += length;
    }
}

/// Reads the item that begins the bytes, and tells where it ends; `None` where it does not: then the anomaly and the rest are told.
pub(crate) fn value(walk: &mut Walk<'_>, bytes: &[u8]) -> Option<usize> {
    let mut told = Told::at(walk, Format::Cbor);
    let end = read(&mut told, bytes, 0);
    told.leave();
    end.map_err(|Stopped { at, why }| {
        walk.anomaly(why);
        content::rest(walk, bytes.get(at..).unwrap_or_default());
    })
    .ok()
}

/// What an item begins with (§3).
struct Head {
    /// The major type: the first three bits.
    major: u8,
    /// The last five bits.
    short: u8,
    /// Its argument; `None` where the length is indefinite, or where it ends one.
    argument: Option<u64>,
    /// Where what follows begins.
    body: usize,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// Reads what begins at `at`; `None` where that is [`wrong`].
#[inline(always)]
fn head(bytes: &[u8], at: usize) -> Option<Head> {
    let first = *bytes.get(at)?;
    let (major, short) = (first >> 5, first & 0x1f);
    let size = match short {
        0..24 => return Some(Head { major, short, argument: Some(short.into()), body: at + 1 }),
        24..28 => 1 << (short - 24),
        31 if !matches!(major, UNSIGNED | NEGATIVE | TAG) => {
            return Some(Head { major, short, argument: None, body: at + 1 });
        }
        _ => return None,
    };
    Some(Head { major, short, argument: Some(big_endian(bytes, at + 1, size)?), body: at + 1 + size })
}

/// Tells why nothing begins at `at`.
#[cold]
fn wrong(bytes: &[u8], at: usize) -> Stopped {
    match bytes.get(at).map(|first| first & 0x1f) {
        // Reserved, and without a length that one could go on by.
        Some(28..) => Stopped { at, why: Anomaly::Reserved(Format::Cbor) },
        Some(_) | None => malformed(at),
    }
}

fn read<L: Listener>(listener: &mut L, bytes: &[u8], mut at: usize) -> Result<usize, Stopped> {
    let mut tag = None;
    while !listener.is_done() {
        let head = head(bytes, at).ok_or_else(|| wrong(bytes, at))?;
        let Head { major, short, argument, body } = head;
        let start = std::mem::replace(&mut at, body);
        let tagged = tag.take();
        if tagged.is_some_and(|tag| !fits(tag, major, short)) {
            listener.anomaly(Anomaly::NotCanonical(Format::Cbor));
        }
        match (major, argument) {
            (UNSIGNED, Some(number)) => listener.number(number.into()),
            (NEGATIVE, Some(number)) => {
                listener.number(Number::Integer { below: true, size: u128::from(number) + 1 });
            }
            (BYTES, _) => {
                at = string(bytes, start, &head, &mut |bytes: &[u8]| {
                    let read: Option<Read> = (tagged == Some(24)).then_some(whole);
                    if let Some(number) = big(tagged, bytes) {
                        return listener.number(number);
                    }
                    if matches!(tagged, Some(2 | 3)) {
                        listener.anomaly(Anomaly::BigNumber);
                    }
                    listener.bytes(bytes, read);
                })?;
            }
            (TEXT, _) => at = string(bytes, start, &head, &mut |bytes: &[u8]| listener.text(bytes))?,
            (ARRAY, count) => listener.open(false, count, start)?,
            (MAP, count) => listener.open(true, count, start)?,
            (TAG, number) => tag = number,
            // A break that ends nothing, or that takes the place of a member's value.
            (_, None) if tagged.is_some() || !listener.end() => return Err(malformed(start)),
            (_, None) => {}
            (_, Some(argument)) => simple(listener, short, argument, start)?,
        }
    }
    Ok(at)
}

/// Tells whether a tag can stand before an item of this kind (§3.4).
fn fits(tag: u64, major: u8, short: u8) -> bool {
    match tag {
        0 | 32..=36 => major == TEXT || tag == 36 && major == BYTES,
        1 => matches!(major, UNSIGNED | NEGATIVE) || major == 7 && matches!(short, 25..=27),
        2 | 3 | 24 => major == BYTES,
        4 | 5 => major == ARRAY,
        _ => true,
    }
}

/// Gives the number that these bytes are (tags 2 and 3), where it has at most 128 bits.
fn big(tag: Option<u64>, bytes: &[u8]) -> Option<Number> {
    let below = match tag {
        Some(2) => false,
        Some(3) => true,
        _ => return None,
    };
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).filter(|digits| digits.len() <= 16)?;
    let size = digits.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let size = size.checked_add(below.into())?;
    Some(Number::Integer { below, size })
}

/// Hands on a string, whose pieces are joined where it has several, and tells where it ends (§3.2.3).
#[inline]
fn string(bytes: &[u8], at: usize, head: &Head, hand_on: &mut impl FnMut(&[u8])) -> Result<usize, Stopped> {
    if let Some(length) = head.argument {
        let (piece, end) = piece(bytes, at, head.body, length)?;
        hand_on(piece);
        return Ok(end);
    }
    in_pieces(bytes, at, head, hand_on)
}

/// Does the same for a string in several pieces.
fn in_pieces(
    bytes: &[u8],
    at: usize,
    &Head { major, mut body, .. }: &Head,
    hand_on: &mut dyn FnMut(&[u8]),
) -> Result<usize, Stopped> {
    let mut joined = Vec::new();
    // A character may not be cut between two pieces; where that happens the text is handed on as if it were none.
    let mut whole = true;
    loop {
        let next = head(bytes, body).ok_or_else(|| wrong(bytes, body))?;
        match next.argument {
            None if next.major == 7 => break,
            Some(length) if next.major == major => {
                let (piece, end) = piece(bytes, body, next.body, length)?;
                whole &= major != TEXT || std::str::from_utf8(piece).is_ok();
                joined.extend_from_slice(piece);
                body = end;
            }
            // What the pieces before it held is seen, too: all is read as bytes from where the string begins.
            _ => return Err(malformed(at)),
        }
    }
    if !whole && std::str::from_utf8(&joined).is_ok() {
        return Err(malformed(at));
    }
    hand_on(&joined);
    Ok(body + 1)
}

fn piece(bytes: &[u8], at: usize, body: usize, length: u64) -> Result<(&[u8], usize), Stopped> {
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| body.checked_add(length))
        .ok_or_else(|| malformed(at))?;
    Ok((bytes.get(body..end).ok_or_else(|| malformed(at))?, end))
}

/// Reads a simple value or a floating-point number (§3.3).
fn simple<L: Listener>(listener: &mut L, short: u8, argument: u64, at: usize) -> Result<(), Stopped> {
    match (short, argument) {
        (25, bits) => listener.number(Number::Float(half(bits as u16))),
        (26, bits) => listener.number(Number::Float(f32::from_bits(bits as u32).into())),
        (27, bits) => listener.number(Number::Float(f64::from_bits(bits))),
        (24, 0..32) => return Err(malformed(at)),
        (_, 20) => listener.word(Shape::Boolean, b"false"),
        (_, 21) => listener.word(Shape::Boolean, b"true"),
        (_, 22) => listener.word(Shape::Null, b"null"),
        (_, 23) => listener.word(Shape::Null, b"undefined"),
        (_, number) => {
            listener.anomaly(Anomaly::Reserved(Format::Cbor));
            listener.number(number.into());
        }
    }
    Ok(())
}

/// Gives the number of a half-precision float (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let size = match bits >> 10 & 0x1f {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (fraction + 1024.0) * 2_f64.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

fn malformed(at: usize) -> Stopped {
    Stopped::malformed(Format::Cbor, at)
}

#[cfg(test)]
mod tests {
    use ciborium::Value;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{flat, is_of_valid_input, read as notes_of, spoilt, step};

    #[track_caller]
    fn check(hex: &str, values: &[&str], anomalies: &[Anomaly]) {
        let digits: Vec<char> = hex.chars().filter(|c| *c != ' ').collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let flat = flat(whole, &bytes);
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        assert_eq!((flat.values, flat.anomalies), (values, anomalies.to_vec()), "{hex}");
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 8949 appendix A.
        for (hex, value) in [
            ("00", " Number 0"),
            ("1818", " Number 24"),
            ("1903e8", " Number 1000"),
            ("1a000f4240", " Number 1000000"),
            ("20", " Number -1"),
            ("3863", " Number -100"),
            ("3903e7", " Number -1000"),
            ("f90000", " Number 0.0"),
            ("f98000", " Number -0.0"),
            ("f93c00", " Number 1.0"),
            ("fb3ff199999999999a", " Number 1.1"),
            ("f97bff", " Number 65504.0"),
            ("fa47c35000", " Number 100000.0"),
            ("fb7e37e43c8800759c", " Number 1e300"),
            ("f90001", " Number 5.960464477539063e-8"),
            ("f9c400", " Number -4.0"),
            ("f97c00", " Number inf"),
            ("f97e00", " Number NaN"),
            ("fbfff0000000000000", " Number -inf"),
            ("f4", " Boolean false"),
            ("f5", " Boolean true"),
            ("f6", " Null null"),
            ("f7", " Null undefined"),
            ("c074323031332d30332d32315432303a30343a30305a", " String 2013-03-21T20:04:00Z"),
            ("c11a514b67b0", " Number 1363896240"),
            ("d74401020304", " Bytes \\x01\\x02\\x03\\x04"),
            ("d818456449455446", " Bytes dIETF"),
            ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", " String http://www.example.com"),
            ("40", " Bytes "),
            ("60", " String "),
            ("62225c", " String \\\"\\\\"),
            ("62c3bc", " String \\xc3\\xbc"),
            ("5f42010243030405ff", " Bytes \\x01\\x02\\x03\\x04\\x05"),
            ("7f657374726561646d696e67ff", " String streaming"),
            ("d9d9f7 00", " Number 0"),
            ("1b0000000000000001", " Number 1"),
        ] {
            check(hex, &[value], &[]);
        }
        check("80", &[], &[]);
        check("bfff", &[], &[]);
        check(
            "9f018202039f0405ffff",
            &["/0 Number 1", "/1/0 Number 2", "/1/1 Number 3", "/2/0 Number 4", "/2/1 Number 5"],
            &[],
        );
        check("a201020304", &["/1 key 1", "/1 Number 2", "/3 key 3", "/3 Number 4"], &[]);
        check(
            "bf6346756ef563416d7421ff",
            &["/Fun key Fun", "/Fun Boolean true", "/Amt key Amt", "/Amt Number -2"],
            &[],
        );
        check("826161bf61626163ff", &["/0 String a", "/1/b key b", "/1/b String c"], &[]);
        check("c48221196ab3", &["/0 Number -2", "/1 Number 27315"], &[]);
    }

    #[test]
    fn big_numbers_are_numbers() {
        let big = [Anomaly::BigNumber];
        check("1bffffffffffffffff", &[" Number 18446744073709551615"], &big);
        check("3bffffffffffffffff", &[" Number -18446744073709551616"], &big);
        check("c249010000000000000000", &[" Number 18446744073709551616"], &big);
        check("c349010000000000000000", &[" Number -18446744073709551617"], &big);
        check("c24101", &[" Number 1"], &[]);
        check(
            &format!("c250{}", "ff".repeat(16)),
            &[" Number 340282366920938463463374607431768211455"],
            &big,
        );
        check(&format!("c251{}", "ff".repeat(17)), &[&format!(" Bytes {}", "\\xff".repeat(17))], &big);
    }

    #[test]
    fn what_is_not_well_formed_or_not_valid_is_told() {
        let end = |at| malformed(at).why;
        let reserved = Anomaly::Reserved(Format::Cbor);
        let unfit = Anomaly::NotCanonical(Format::Cbor);
        check("", &[], &[end(0)]);
        check("9bffffffffffffffff01", &["/0 Number 1"], &[end(10)]);
        check("bbffffffffffffffff 616101", &["/a key a", "/a Number 1"], &[end(12)]);
        check("5bffffffffffffffff01", &[" Bytes [\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x01"], &[end(0)]);
        check("ff", &[" Bytes \\xff"], &[end(0)]);
        check("81ff", &[" Bytes \\xff"], &[end(1)]);
        check("bf00ff", &["/0 key 0", " Bytes \\xff"], &[end(2)]);
        check("9fd7ff", &[" Bytes \\xff"], &[end(2)]);
        check("1c", &[" String \\x1c"], &[reserved]);
        check("1f", &[" String \\x1f"], &[reserved]);
        check("f818", &[" Bytes \\xf8\\x18"], &[end(0)]);
        check("f820", &[" Number 32"], &[reserved]);
        check("f0", &[" Number 16"], &[reserved]);
        check("62c328", &[" Bytes \\xc3("], &[Anomaly::InvalidUtf8]);
        check("7f61c361bcff", &[" Bytes \\x7fa\\xc3a\\xbc\\xff"], &[end(0)]);
        check("5f6161ff", &[" Bytes _aa\\xff"], &[end(0)]);
        check("5f5f4101ffff", &[" Bytes __A\\x01\\xff\\xff"], &[end(0)]);
        check("c001", &[" Number 1"], &[unfit]);
        check("d82001", &[" Number 1"], &[unfit]);
        check(
            "a261610161610 2",
            &["/a key a", "/a Number 1", "/a key a", "/a Number 2"],
            &[Anomaly::DuplicateKey],
        );
        check("a1f501", &["/true key true", "/true Number 1"], &[Anomaly::KeyOfOtherKind]);
        check("a1f93c0001", &["/1.0 key 1.0", "/1.0 Number 1"], &[Anomaly::KeyOfOtherKind]);
        check("0001", &[" Number 0", " Number 1"], &[Anomaly::TrailingData(Format::Cbor)]);
        check(
            &format!("{}00", "81".repeat(300)),
            &[&format!(" Bytes {}\\x00", "\\x81".repeat(100))],
            &[Anomaly::Bound(crate::Bound::Depth)],
        );
        check(&"c0".repeat(3000), &[], &[&vec![unfit; 2999][..], &[end(3000)]].concat());
    }

    #[test]
    fn encoded_cbor_is_followed() {
        let (client, kind) = (sockwarden_model::Direction::Client, sockwarden_proto::MessageKind::Binary);
        let notes = notes_of(None, &[(client, kind, b"\xa1\x61a\xd8\x18\x46\xa1\x61b\x82\x01\x02")]);
        assert_eq!(
            notes.values,
            [
                "/a key a",
                "/a binary \\xa1ab\\x82\\x01\\x02",
                "/a|cbor/b key b",
                "/a|cbor/b/0 number 1",
                "/a|cbor/b/1 number 2"
            ]
        );
        assert_eq!(notes.said, Vec::<String>::new());
    }

    fn leaves(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Null => out.push(format!("{at} Null null")),
            Value::Bool(boolean) => out.push(format!("{at} Boolean {boolean}")),
            Value::Integer(number) => out.push(format!("{at} Number {}", i128::from(*number))),
            Value::Float(number) => out.push(format!("{at} Number {number:?}")),
            Value::Text(text) => out.push(format!("{at} String {}", text.as_bytes().escape_ascii())),
            Value::Bytes(bytes) => out.push(format!("{at} Bytes {}", bytes.escape_ascii())),
            Value::Tag(_, inner) => leaves(inner, at, out),
            Value::Array(elements) => {
                for (number, element) in elements.iter().enumerate() {
                    leaves(element, &format!("{at}/{number}"), out);
                }
            }
            Value::Map(members) => {
                for (name, member) in members {
                    let name = name
                        .as_text()
                        .map_or_else(|| i128::from(name.as_integer().unwrap()).to_string(), str::to_owned);
                    let at = format!("{at}/{}", step(&name));
                    out.push(format!("{at} key {}", name.as_bytes().escape_ascii()));
                    leaves(member, &at, out);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i16>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[a-z{}\\[\\]\":,%=&+/ 0-9<>]{0,40}".prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let name = prop_oneof![any::<String>().prop_map(Value::from), any::<i32>().prop_map(Value::from)];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..30).prop_map(Value::Array),
                prop::collection::vec((name, inner.clone()), 0..30).prop_map(Value::Map),
                (100_u64.., inner).prop_map(|(tag, inner)| Value::Tag(tag, inner.into())),
            ]
        })
    }

    fn written(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn valid_cbor_gives_the_values_of_ciborium(value in values()) {
            let mut expected = Vec::new();
            leaves(&value, "", &mut expected);
            let flat = flat(whole, &written(&value));
            prop_assert_eq!(flat.values, expected);
            prop_assert!(flat.anomalies.iter().all(is_of_valid_input), "{:?}", flat.anomalies);
        }

        #[test]
        fn what_ciborium_refuses_is_told(value in values(), at: prop::sample::Index, byte: u8, cut: bool) {
            let bytes = spoilt(written(&value), at, byte, cut);
            let mut rest = bytes.as_slice();
            let accepted = ciborium::from_reader::<Value, _>(&mut rest).is_ok() && rest.is_empty();
            let flat = flat(whole, &bytes);
            prop_assert!(accepted || !flat.anomalies.is_empty(), "{}", bytes.escape_ascii());
        }

        #[test]
        fn a_wrong_guess_is_no_anomaly(bytes in prop::collection::vec(any::<u8>(), 0..64), first in 0x80_u8..0xc0) {
            let bytes = [vec![first], bytes].concat();
            let (client, kind) = (sockwarden_model::Direction::Client, sockwarden_proto::MessageKind::Binary);
            let notes = notes_of(None, &[(client, kind, &bytes)]);
            prop_assert_eq!(notes.said, Vec::<String>::new(), "{}", bytes.escape_ascii());
        }
    }
}
