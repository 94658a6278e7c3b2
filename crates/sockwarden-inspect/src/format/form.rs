//! `name=value&name=value` with `%XX` and `+` (application/x-www-form-urlencoded): alone in a text, or the query of a URL.
//!
//! Names such as `user[name]` stay one name. That a name stands twice is ordinary here: a list is sent like that.

use super::percent;
use crate::{Anomaly, Format, Marks, Role, Shape, content, walk::Walk};

/// What a form does not hold: it would have been escaped.
const NEVER: Marks = Marks::SPACE
    .and(Marks::LINE)
    .and(Marks::CONTROL)
    .and(Marks::QUOTE)
    .and(Marks::ANGLE)
    .and(Marks::BACKTICK)
    .and(Marks::BACKSLASH)
    .and(Marks::BRACE);

/// What its first name may hold.
const NAME: Marks =
    Marks::WORD.and(Marks::DOT).and(Marks::BRACKET).and(Marks::PERCENT).and(Marks::COLON).and(Marks::HIGH);

/// A text with a form in it.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    /// What stands before a query: a URL's path, or nothing.
    pub(crate) before: &'a [u8],
    form: &'a [u8],
}

/// Finds the form that a text is, or that follows its `?`.
pub(crate) fn find(bytes: &[u8]) -> Option<Found<'_>> {
    let start = bytes.iter().position(|byte| *byte == b'?').map_or(0, |at| at + 1);
    let (before, rest) = bytes.split_at(start);
    let form = rest.split(|byte| *byte == b'#').next().unwrap_or(rest);
    let first = form.split(|byte| *byte == b'&').next().unwrap_or(form);
    let equals = first.iter().position(|byte| *byte == b'=')?;
    let (name, value) = first.split_at(equals);
    let is_form = !name.is_empty()
        && Marks::of(name).only(NAME)
        && (value.len() > 1 || first.len() < form.len())
        && !Marks::of(form).any(NEVER);
    is_form.then_some(Found { before, form })
}

/// Reads the names and values of a form that was found.
pub(crate) fn whole(walk: &mut Walk<'_>, found: Found<'_>) {
    // Where several members were escaped, a `%` that begins no escape is one that readers differ on; elsewhere it is a `%`.
    let escaped = found.form.contains(&b'&') && percent::is_likely(found.form);
    walk.inside(Format::Form, |walk| members(walk, found.form, escaped));
}

/// Reads bytes that are said to be a form.
pub(crate) fn declared(walk: &mut Walk<'_>, bytes: &[u8]) {
    members(walk, bytes, true);
}

fn members(walk: &mut Walk<'_>, form: &[u8], escaped: bool) {
    let mut at = 0;
    for pair in form.split(|byte| *byte == b'&') {
        if !pair.is_empty() {
            member(walk, pair, at, escaped);
        }
        at += pair.len() + 1;
    }
}

/// Reads one name and its value.
fn member(walk: &mut Walk<'_>, pair: &[u8], at: usize, escaped: bool) {
    let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at(equals);
    resolved(walk, name, |walk, name, bad| {
        walk.at_key(name, |walk| {
            let marks = Marks::of(name);
            let valid = judge(walk, name, marks, bad.map(|bad| at + bad), escaped);
            walk.value(Role::Key, if valid { Shape::String } else { Shape::Bytes }, name, marks);
            let Some(value) = value.strip_prefix(b"=") else { return };
            resolved(walk, value, |walk, value, bad| {
                let bad = bad.map(|bad| at + equals + 1 + bad);
                judge(walk, value, Marks::of(value), bad, escaped);
                content::decoded(walk, value);
            });
        });
    });
}

/// Tells what is wrong with a part of what is a form for certain; gives whether it is a text.
fn judge(walk: &mut Walk<'_>, part: &[u8], marks: Marks, bad: Option<usize>, escaped: bool) -> bool {
    let valid = !marks.any(Marks::HIGH) || std::str::from_utf8(part).is_ok();
    if let Some(at) = bad.filter(|_| escaped) {
        walk.anomaly(Anomaly::Malformed { format: Format::Form, at });
    }
    if !valid && escaped {
        walk.anomaly(Anomaly::InvalidUtf8);
    }
    if escaped && marks.any(Marks::CONTROL) && part.contains(&0) {
        walk.anomaly(Anomaly::NulCharacter);
    }
    valid
}

/// Hands on a part with its escapes resolved, and where one of them is none.
fn resolved(walk: &mut Walk<'_>, part: &[u8], read: impl FnOnce(&mut Walk<'_>, &[u8], Option<usize>)) {
    if !part.contains(&b'%') && !part.contains(&b'+') {
        return read(walk, part, None);
    }
    let mut plain = walk.buffer();
    let bad = percent::decode(part, b'+', &mut plain);
    if walk.decoded(plain.len()) {
        read(walk, &plain, bad);
    }
    walk.give(plain);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_values;

    #[test]
    fn members_are_told_with_their_names() {
        check_values(
            "user[name]=J%C3%BCrgen+M&q=&flag&q=%3Cb%3E",
            &[
                " text user[name]=J%C3%BCrgen+M&q=&flag&q=%3Cb%3E",
                "|form/user[name] key user[name]",
                "|form/user[name] text J\\xc3\\xbcrgen M",
                "|form/q key q",
                "|form/q empty ",
                "|form/flag key flag",
                "|form/q key q",
                "|form/q markup <b>",
                "|form/q|xml/b key b",
            ],
        );
    }

    #[test]
    fn a_query_is_a_form() {
        check_values(
            "https://a.example/x%2Fy?id=1&next=%2Fhome#top=1",
            &[
                " url https://a.example/x%2Fy?id=1&next=%2Fhome#top=1",
                "|percent url https://a.example/x/y?",
                "|form/id key id",
                "|form/id number 1",
                "|form/next key next",
                "|form/next path /home",
            ],
        );
    }

    #[test]
    fn an_escape_that_is_none_is_told_where_others_are() {
        let said = |text: &str, expected: &[&str]| {
            let notes = crate::testing::read(
                None,
                &[(
                    sockwarden_model::Direction::Client,
                    sockwarden_proto::MessageKind::Text,
                    text.as_bytes(),
                )],
            );
            assert_eq!(notes.said, expected, "{text}");
        };
        said("q=%3Cb%3E&z=%zz", &["! no well-formed form from byte 12 on"]);
        said("%z=%3Cb%3E&z=1", &["! no well-formed form from byte 0 on"]);
        said("q=100%&z=1", &[]);
        said("rate=100%", &[]);
    }

    #[test]
    fn a_declared_form_has_its_members_at_the_top() {
        let check = |form: &str, values: &[&str], anomalies: &[Anomaly]| {
            let flat = crate::testing::flat(declared, form.as_bytes());
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!((flat.values, flat.anomalies), (values, anomalies.to_vec()), "{form}");
        };
        let bad = |at| Anomaly::Malformed { format: Format::Form, at };
        check("a=1+2&b", &["/a key a", "/a String 1 2", "/b key b"], &[]);
        check("a=%", &["/a key a", "/a String %"], &[bad(2)]);
        check("a=%00", &["/a key a", "/a String \\x00"], &[Anomaly::NulCharacter]);
        check("a=%ff", &["/a key a", "/a Bytes \\xff"], &[Anomaly::InvalidUtf8]);
        check("%ff=1", &["/\u{fffd} key \\xff", "/\u{fffd} String 1"], &[Anomaly::InvalidUtf8]);
        check("", &[], &[]);
    }

    #[test]
    fn a_sentence_is_no_form() {
        for text in [
            "is a = b?",
            "what? really?",
            "=",
            "a=",
            "?",
            "?=",
            "x ? y=1 : z=2",
            "1 + 1 = 2",
            "a&b",
            "=a&b=c",
        ] {
            check_values(text, &[&format!(" text {text}")]);
        }
    }
}
