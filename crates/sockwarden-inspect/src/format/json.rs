//! JSON (RFC 8259), read from front to back without a tree.
//!
//! What strict readers refuse is told and, where it is clear what was meant, read on: an escape that does not exist stands for its
//! letter, a control character for itself, half a surrogate pair for U+FFFD. Where the structure breaks, the rest is read as text.

mod number;
mod short_name;

use self::{number::number, short_name::ShortName};
use super::names;
use crate::{Anomaly, Bound, Format, Marks, Role, Shape, content, place::Path, walk::Walk};

/// A byte in a string that must be looked at.
const STOP: Marks = Marks::QUOTE.and(Marks::BACKSLASH).and(Marks::CONTROL).and(Marks::LINE);

/// How many bytes are looked at one by one where few are to be expected.
const SHORT: usize = 8;

/// Tells whether a text may be JSON that is worth reading: an object or an array.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes.get(blank(bytes, 0)), Some(b'{' | b'['))
}

/// Tells whether a text begins as an object does, in contrast to `{hi}`; nothing else begins so, whatever its end.
pub(crate) fn is_object(bytes: &[u8]) -> bool {
    let start = blank(bytes, 0);
    bytes.get(start) == Some(&b'{') && matches!(bytes.get(blank(bytes, start + 1)), Some(b'"' | b'}'))
}

/// Tells whether a whole text looks like JSON, in contrast to one that only begins with a bracket, as `[12:01] hello` does.
pub(crate) fn is_likely(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    let (Some(first), Some(last)) = (text.first(), text.last()) else { return false };
    let second = text.get(blank(text, 1)).copied().unwrap_or_default();
    match (first, last) {
        (b'{', b'}') => matches!(second, b'"' | b'}'),
        (b'[', b']') => matches!(second, b'"' | b'{' | b'[' | b']' | b'-' | b't' | b'f' | b'n' | b'0'..=b'9'),
        _ => false,
    }
}

/// Reads a text that begins as JSON, and all that follows it.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 0;
    let mut told = false;
    loop {
        match value(walk, bytes, at) {
            Ok(end) => at = blank(bytes, end),
            Err(Stopped { at: end, why }) => {
                walk.anomaly(why);
                return content::rest(walk, &bytes[end.min(bytes.len())..]);
            }
        }
        if at >= bytes.len() {
            return;
        }
        if !std::mem::replace(&mut told, true) {
            walk.anomaly(Anomaly::TrailingData(Format::Json));
        }
        if !begins(&bytes[at..]) {
            return content::rest(walk, &bytes[at..]);
        }
    }
}

/// Where reading had to stop, and why.
struct Stopped {
    at: usize,
    why: Anomaly,
}

fn malformed(at: usize) -> Stopped {
    Stopped { at, why: Anomaly::Malformed { format: Format::Json, at } }
}

/// Reads one value with all that is in it, and tells where it ends.
fn value(walk: &mut Walk<'_>, bytes: &[u8], at: usize) -> Result<usize, Stopped> {
    let (base, names) = (walk.state.path.len(), walk.state.names.len());
    let objects = walk.state.objects.len();
    let read = read(walk, bytes, at, base);
    walk.state.path.truncate(base);
    walk.state.names.truncate(names);
    walk.state.objects.truncate(objects);
    read
}

/// What the value that comes next stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Array,
    Object,
}

impl Within {
    /// Tells it from the last of the steps that were taken since `base`.
    #[inline]
    fn of(path: &Path, base: usize) -> Self {
        if path.len() == base {
            Self::Nothing
        } else if path.is_in_array() {
            Self::Array
        } else {
            Self::Object
        }
    }
}

fn read(walk: &mut Walk<'_>, bytes: &[u8], mut at: usize, base: usize) -> Result<usize, Stopped> {
    let mut within = Within::Nothing;
    loop {
        let first;
        if within == Within::Object {
            at = name(walk, bytes, at)?;
        }
        (at, first) = peek(bytes, at);
        match first {
            b'"' => at = string(walk, bytes, at + 1)?,
            b'-' | b'0'..=b'9' => at = number(walk, bytes, at, first)?,
            b'{' => {
                open(walk, true, at)?;
                let (next, first) = peek(bytes, at + 1);
                at = next;
                if first != b'}' {
                    names::open(walk);
                    // Each name takes the place of the one before it, and the first one of this.
                    walk.state.path.push_key(b"");
                    within = Within::Object;
                    continue;
                }
                at += 1;
            }
            b'[' => {
                open(walk, false, at)?;
                let (next, first) = peek(bytes, at + 1);
                at = next;
                if first != b']' {
                    walk.state.path.push_index(0);
                    within = Within::Array;
                    continue;
                }
                at += 1;
            }
            b't' => at = word(walk, bytes, at, b"true", Shape::Boolean)?,
            b'f' => at = word(walk, bytes, at, b"false", Shape::Boolean)?,
            b'n' => at = word(walk, bytes, at, b"null", Shape::Null)?,
            _ => return Err(malformed(at)),
        }
        // A value is complete: go on in what it stands in, and close what ends here.
        loop {
            if within == Within::Nothing {
                return Ok(at);
            }
            let next;
            (at, next) = peek(bytes, at);
            match (next, within) {
                (b',', Within::Array) => {
                    walk.next_element(1);
                    at += 1;
                    break;
                }
                (b',', Within::Object) => {
                    at += 1;
                    break;
                }
                (b']', Within::Array) => {}
                (b'}', Within::Object) => names::close(walk),
                _ => return Err(malformed(at)),
            }
            walk.state.path.pop();
            within = Within::of(&walk.state.path, base);
            at += 1;
        }
    }
}

/// Enters a container.
#[inline]
fn open(walk: &mut Walk<'_>, object: bool, at: usize) -> Result<(), Stopped> {
    walk.state.opened(object);
    if walk.state.path.len() >= usize::from(walk.limits.depth) {
        return Err(Stopped { at, why: Anomaly::Bound(Bound::Depth) });
    }
    Ok(())
}

/// Reads a member's name and the colon after it, and steps to the member from the one before it.
#[inline(always)]
fn name(walk: &mut Walk<'_>, bytes: &[u8], at: usize) -> Result<usize, Stopped> {
    let (at, first) = peek(bytes, at);
    if first != b'"' {
        return Err(malformed(at));
    }
    let start = at + 1;
    let end = match ShortName::read(bytes, start) {
        Some(name) => {
            let end = start + name.length;
            walk.state.path.replace_short(name.word, name.length);
            names::remember(walk, names::hash_of_short(name.word, name.length));
            walk.value(Role::Key, Shape::String, &bytes[start..end], name.marks);
            end + 1
        }
        None => long_name(walk, bytes, start)?,
    };
    let (at, colon) = peek(bytes, end);
    if colon != b':' {
        return Err(malformed(at));
    }
    Ok(at + 1)
}

/// Reads a name from behind its quote on, and steps to its member.
#[inline(never)]
fn long_name(walk: &mut Walk<'_>, bytes: &[u8], start: usize) -> Result<usize, Stopped> {
    walk.state.path.pop();
    let (mut marks, mut at) = (Marks::NONE, start);
    if scan(bytes, &mut at, &mut marks) == Some(b'"') {
        named(walk, &bytes[start..at], marks);
        return Ok(at + 1);
    }
    resolved(walk, bytes, start, at, marks, named)
}

/// Steps to the member of this name, and tells of the name.
fn named(walk: &mut Walk<'_>, name: &[u8], marks: Marks) {
    walk.state.path.push_key(name);
    names::remember(walk, names::hash(name));
    walk.value(Role::Key, Shape::String, name, marks);
}

/// Tells of a text, and reads on in it.
#[inline(always)]
fn told(walk: &mut Walk<'_>, text: &[u8], marks: Marks) {
    walk.value(Role::Value, Shape::String, text, marks);
    content::follow(walk, text, marks);
}

/// Reads a string from behind its quote on, and tells where it ends.
#[inline(always)]
fn string(walk: &mut Walk<'_>, bytes: &[u8], start: usize) -> Result<usize, Stopped> {
    let (mut marks, mut at) = (Marks::NONE, start);
    if scan(bytes, &mut at, &mut marks) == Some(b'"') {
        told(walk, &bytes[start..at], marks);
        return Ok(at + 1);
    }
    resolved(walk, bytes, start, at, marks, told)
}

/// Reads a string in which something must be resolved: the text is put together anew, and handed on.
#[inline(never)]
fn resolved(
    walk: &mut Walk<'_>,
    bytes: &[u8],
    start: usize,
    at: usize,
    mut marks: Marks,
    found: fn(&mut Walk<'_>, &[u8], Marks),
) -> Result<usize, Stopped> {
    let mut text = walk.buffer();
    let read = resolve(walk, bytes, start, at, &mut marks, &mut text);
    if read.is_ok() {
        found(walk, &text, marks);
    }
    walk.give(text);
    read
}

/// Passes over bytes that stand for themselves; gives the one that does not.
#[inline]
fn scan(bytes: &[u8], at: &mut usize, marks: &mut Marks) -> Option<u8> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let (found, length) = Marks::of_plain(rest);
    *marks |= found;
    *at += length;
    match rest.get(length) {
        Some(b'"') => Some(b'"'),
        // The last bytes are looked at one by one.
        _ => scan_each(rest.get(length..).unwrap_or_default(), at, marks),
    }
}

/// Does as `scan` does where most often the next bytes already end it: after an escape.
#[inline(always)]
fn scan_short(bytes: &[u8], at: &mut usize, marks: &mut Marks) -> Option<u8> {
    let begin = bytes.get(*at..).and_then(<[u8]>::first_chunk::<SHORT>);
    begin.and_then(|begin| scan_each(begin, at, marks)).or_else(|| scan(bytes, at, marks))
}

#[inline]
fn scan_each(rest: &[u8], at: &mut usize, marks: &mut Marks) -> Option<u8> {
    for byte in rest {
        let mark = Marks::of_byte(*byte);
        if mark.any(STOP) && !matches!(byte, b'\'' | 0x7f) {
            return Some(*byte);
        }
        *marks |= mark;
        *at += 1;
    }
    None
}

/// Reads a string with escapes in it: from `start` to `at` it stands for itself.
fn resolve(
    walk: &mut Walk<'_>,
    bytes: &[u8],
    mut start: usize,
    mut at: usize,
    marks: &mut Marks,
    text: &mut Vec<u8>,
) -> Result<usize, Stopped> {
    loop {
        let stop = scan_short(bytes, &mut at, marks);
        text.extend_from_slice(&bytes[start..at]);
        let Some(stop) = stop else { return Err(malformed(at)) };
        if stop == b'"' {
            return Ok(at + 1);
        }
        let before = text.len();
        if stop == b'\\' {
            at = escape(walk, bytes, at, text)?;
        } else {
            // A control character must be escaped (RFC 8259 §7); it is clear what it stands for.
            walk.anomaly(malformed(at).why);
            text.push(stop);
            at += 1;
        }
        for byte in text.get(before..).unwrap_or_default() {
            *marks |= Marks::of_byte(*byte);
        }
        start = at;
    }
}

/// Resolves the escape that begins at `at`, and tells where it ends.
fn escape(walk: &mut Walk<'_>, bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Result<usize, Stopped> {
    let Some(&letter) = bytes.get(at + 1) else { return Err(malformed(at)) };
    let plain = match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return Ok(unicode(walk, bytes, at, text)),
        other => {
            walk.anomaly(malformed(at).why);
            other
        }
    };
    text.push(plain);
    Ok(at + 2)
}

/// Resolves `\uXXXX`, of a surrogate pair both halves.
fn unicode(walk: &mut Walk<'_>, bytes: &[u8], at: usize, text: &mut Vec<u8>) -> usize {
    let (c, end) = match (unit(bytes, at), unit(bytes, at + 6)) {
        (None, _) => {
            walk.anomaly(malformed(at).why);
            text.push(b'u');
            return at + 2;
        }
        (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
            (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), at + 12)
        }
        (Some(alone), _) => (char::from_u32(alone), at + 6),
    };
    if c.is_none() {
        walk.anomaly(Anomaly::LoneSurrogate);
    }
    if c == Some('\0') {
        walk.anomaly(Anomaly::NulCharacter);
    }
    let mut utf8 = [0; 4];
    text.extend_from_slice(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut utf8).as_bytes());
    end
}

/// Reads the code unit of the `\uXXXX` at `at`, if there is one.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

fn word(walk: &mut Walk<'_>, bytes: &[u8], at: usize, word: &[u8], shape: Shape) -> Result<usize, Stopped> {
    if !bytes[at..].starts_with(word) {
        return Err(malformed(at));
    }
    walk.value(Role::Value, shape, word, Marks::LETTER);
    Ok(at + word.len())
}

/// Passes over blanks (RFC 8259 §2).
#[inline]
fn blank(bytes: &[u8], at: usize) -> usize {
    peek(bytes, at).0
}

/// Passes over blanks, and gives the byte that comes then: at the end zero, which begins nothing either.
#[inline]
fn peek(bytes: &[u8], mut at: usize) -> (usize, u8) {
    loop {
        let byte = bytes.get(at).copied().unwrap_or(0);
        if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return (at, byte);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check_values, read as notes_of, spoilt};
    use sockwarden_model::Direction;
    use sockwarden_proto::MessageKind;

    fn said(text: &str) -> String {
        notes_of(None, &[(Direction::Client, MessageKind::Text, text.as_bytes())]).said.join("; ")
    }

    #[test]
    fn values_come_in_order_with_their_places() {
        check_values(
            r#" {"a": [1, true, {"b/c": "x y"}, []], "n": null, "s":"\u00e9\n"} "#,
            &[
                "/a key a",
                "/a/0 number 1",
                "/a/1 boolean true",
                "/a/2/b~1c key b/c",
                "/a/2/b~1c text x y",
                "/n key n",
                "/n empty null",
                "/s key s",
                "/s text \\xc3\\xa9\\n",
            ],
        );
        check_values("{}", &[]);
        check_values("[[],[[1]]]", &["/1/0/0 number 1"]);
    }

    #[test]
    fn json_in_a_string_is_followed() {
        check_values(
            r#"{"d":"{\"u\":\"[1]\"}"}"#,
            &[
                "/d key d",
                r#"/d json {\"u\":\"[1]\"}"#,
                "/d|json/u key u",
                "/d|json/u json [1]",
                "/d|json/u|json/0 number 1",
            ],
        );
    }

    #[test]
    fn what_strict_readers_refuse_is_told() {
        let check = |text: &str, expected: &str| assert_eq!(said(text), expected, "{text}");
        check(r#"{"a":1,"a":2}"#, "! a name stands twice in one object");
        check(r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#, "");
        check(r#"{"a":"\ud800"}"#, "! half of a surrogate pair");
        check(r#"{"a":"\ud83d\ude00"}"#, "");
        check(r#"{"a":9007199254740993}"#, "! a number that not every reader can hold");
        check(r#"{"a":[9007199254740992,-9007199254740992,1e308,0.1]}"#, "");
        check(r#"{"a":1e999}"#, "! a number that not every reader can hold");
        check(r#"{"a":1} x"#, "! something follows the end of the json");
        check(r#"{"a":"\q"}"#, "! begins as json and is none from byte 6 on");
        check("{\"a\":\"\t\"}", "! begins as json and is none from byte 6 on");
        check(r#"{"a":01}"#, "! begins as json and is none from byte 5 on");
        check(r#"{"a":1,}"#, "! begins as json and is none from byte 7 on");
        check(r#"{"a" 1}"#, "! begins as json and is none from byte 5 on");
        check(r#"{"a":1"#, "! begins as json and is none from byte 6 on");
        check(r#"{"a":"\u0000"}"#, "! a NUL character in a text");
        check(&"[".repeat(100_000), "");
        check(&format!("{}1{}", "[".repeat(100), "]".repeat(100)), "! beyond the bound `depth`");
    }

    #[test]
    fn nothing_is_lost_where_reading_stops() {
        check_values(r#"{"a":1 <script>"#, &["/a key a", "/a number 1", " markup <script>"]);
        check_values(r#"{"a":1} <b>"#, &["/a key a", "/a number 1", " markup <b>"]);
        check_values("[12:01] hello", &[" text [12:01] hello"]);
        check_values("{hi} there", &[" text {hi} there"]);
    }

    #[test]
    fn many_names_are_compared_too() {
        let object = |last: &str| {
            let members: Vec<String> = (0..50).map(|number| format!("\"k{number}\":0")).collect();
            format!("{{{},\"{last}\":1}}", members.join(","))
        };
        assert_eq!(said(&object("other")), "");
        assert_eq!(said(&object("k7")), "! a name stands twice in one object");
    }

    fn leaves(value: &serde_json::Value, at: &str, out: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                for (name, member) in members {
                    let at =
                        format!("{at}/{}", name.replace('~', "~0").replace('/', "~1").replace('|', "~2"));
                    out.push(format!("{at} {}", name.as_bytes().escape_ascii()));
                    leaves(member, &at, out);
                }
            }
            serde_json::Value::Array(elements) => {
                for (number, element) in elements.iter().enumerate() {
                    leaves(element, &format!("{at}/{number}"), out);
                }
            }
            serde_json::Value::String(text) => out.push(format!("{at} {}", text.as_bytes().escape_ascii())),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
                out.push(format!("{at} {value}"));
            }
        }
    }

    /// Reads as JSON, whatever it looks like.
    fn read_json(text: &[u8]) -> (Vec<String>, Vec<Anomaly>) {
        #[derive(Default)]
        struct Flat(Vec<String>, Vec<Anomaly>);
        impl crate::Sink for Flat {
            fn value(&mut self, value: &crate::Value<'_>) {
                if !value.place.steps().any(|step| matches!(step, crate::Step::Inside(_))) {
                    self.0.push(format!("{} {}", value.place, value.bytes.escape_ascii()));
                }
            }
            fn operation(&mut self, _: &crate::Operation<'_>) {}
            fn anomaly(&mut self, anomaly: Anomaly, place: crate::Place<'_>) {
                if !place.steps().any(|step| matches!(step, crate::Step::Inside(_))) {
                    self.1.push(anomaly);
                }
            }
        }
        let (mut flat, mut state) = (Flat::default(), crate::walk::State::default());
        let limits = crate::InspectLimits { depth: 200, ..Default::default() };
        whole(&mut Walk::new(&mut state, &limits, Direction::Client, &mut flat), text);
        (flat.0, flat.1)
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
            "[a-z{}\\[\\]\":,%=&+/ 0-9]{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn valid_json_gives_the_values_of_serde_json(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut expected = Vec::new();
            leaves(&value, "", &mut expected);
            let (values, anomalies) = read_json(text.as_bytes());
            prop_assert_eq!(values, expected);
            prop_assert!(anomalies.iter().all(|anomaly| *anomaly == Anomaly::NulCharacter), "{:?}", anomalies);
        }

        #[test]
        fn what_serde_json_refuses_is_told(value in json(), at: prop::sample::Index, byte: u8, cut: bool) {
            let text = spoilt(serde_json::to_vec(&value).unwrap(), at, byte, cut);
            let accepted = serde_json::from_slice::<serde_json::Value>(&text).is_ok();
            let utf8 = std::str::from_utf8(&text).is_ok();
            let (_, anomalies) = read_json(&text);
            prop_assert!(accepted || !utf8 || !anomalies.is_empty(), "{}", text.escape_ascii());
        }
    }
}
