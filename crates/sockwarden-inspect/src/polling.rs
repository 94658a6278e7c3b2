//! Long polling of Engine.IO as the HTTP around it shows it: which requests belong to it, to which session, and which packets stand in
//! a body, so that one of them can be left out.

use std::borrow::Cow;

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use crate::{
    Anomaly, Format, InspectLimits, Operation, Place, Reader, Role, Shape, Sink, Step, Value,
    format::percent, protocol::payload,
};

/// The longest name of a session, in bytes; servers make names of 20 to 40.
pub const LONGEST: usize = 128;

/// Tells whether a request for a target of Engine.IO is one of long polling. One that may be is: below the same path lies nothing but
/// the client's script, which is asked for without any of the names that a server looks for.
pub fn is_poll(method: &str, target: &str) -> bool {
    let of_polling = |name: &[u8]| matches!(name, b"transport" | b"sid" | b"EIO" | b"j" | b"b64");
    !matches!(method, "GET" | "HEAD") || pairs(target).any(|(name, _)| of_polling(&name))
}

/// Gives the name of the session that a target is for; `None` where it names none, or several, or one longer than [`LONGEST`].
pub fn session_of(target: &str) -> Option<String> {
    let mut named = pairs(target).filter(|(name, _)| name == b"sid");
    match (named.next(), named.next()) {
        (Some((_, value)), None) if (1..=LONGEST).contains(&value.len()) => String::from_utf8(value).ok(),
        _ => None,
    }
}

/// Gives the name of the session that the body of an answer opens, if it opens one.
pub fn opened(reader: &mut Reader, limits: &InspectLimits, body: &[u8]) -> Option<String> {
    let (Ok((MessageKind::Text, packet)), _) = payload::next(body) else { return None };
    let mut name = Name(None);
    reader.read_as(Format::Json, limits, Direction::Server, packet.strip_prefix(b"0")?, &mut name);
    name.0
}

/// Tells whether a body is wrapped in a form or a script (JSONP): no packet can be left out of it.
pub fn is_wrapped(body: &[u8]) -> bool {
    body.starts_with(b"d=") || body.starts_with(b"___eio[")
}

/// Goes through the packets of a body that is not wrapped, each with what frames it, and gives the body without those that are not to
/// be kept. Where none is left a packet that says nothing stands in for them, since a body without packets is an error of the protocol.
///
/// # Errors
/// The first error of `keep`: the packets behind it are not looked at.
pub fn filtered<E>(
    body: &[u8],
    from: Direction,
    mut keep: impl FnMut(&[u8]) -> Result<bool, E>,
) -> Result<Cow<'_, [u8]>, E> {
    let mut left = Vec::new();
    let mut rest = body;
    let mut all = true;
    let mut last_is_left = true;
    while !rest.is_empty() {
        let (_, behind) = payload::next(rest);
        let packet = &rest[..rest.len() - behind.len()];
        last_is_left = keep(packet)?;
        if !last_is_left && all {
            left.extend_from_slice(&body[..body.len() - rest.len()]);
        }
        all &= last_is_left;
        if last_is_left && !all {
            left.extend_from_slice(packet);
        }
        rest = behind;
    }
    if all {
        return Ok(Cow::Borrowed(body));
    }
    if !last_is_left && left.last() == Some(&payload::SEPARATOR) {
        left.pop();
    }
    Ok(if left.is_empty() { Cow::Borrowed(idle(body, from)) } else { Cow::Owned(left) })
}

/// Gives a packet that says nothing, written as `body` writes packets: a server's is `noop`; a client has none of that, and says that it
/// is alive.
fn idle(body: &[u8], from: Direction) -> &'static [u8] {
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_counted = digits > 0 && body.get(digits) == Some(&b':');
    match (from, body.first()) {
        (Direction::Client, Some(0 | 1)) => b"\x00\x01\xff2",
        (Direction::Server, Some(0 | 1)) => b"\x00\x01\xff6",
        (Direction::Client, _) if is_counted => b"1:2",
        (Direction::Server, _) if is_counted => b"1:6",
        (Direction::Client, _) => b"3",
        (Direction::Server, _) => b"6",
    }
}

/// Gives the names and values of a target's query, decoded.
fn pairs(target: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let decoded = |text: &str| {
        let mut out = Vec::new();
        percent::decode(text.as_bytes(), b'+', &mut out);
        out
    };
    query.split(['&', ';']).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Takes the name of a session from what opens it.
struct Name(Option<String>);

impl Sink for Name {
    fn value(&mut self, value: &Value<'_>) {
        let is_name = value.role == Role::Value
            && value.shape == Shape::String
            && value.place.len() == 1
            && value.place.last() == Some(Step::Key(b"sid"));
        if is_name && (1..=LONGEST).contains(&value.bytes.len()) {
            self.0 = value.text().map(str::to_owned);
        }
    }

    fn operation(&mut self, _: &Operation<'_>) {}

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockwarden_model::Direction::{Client, Server};

    use super::*;

    #[test]
    fn what_a_server_may_take_for_polling_is_polling() {
        let check =
            |method, target, expected| assert_eq!(is_poll(method, target), expected, "{method} {target}");
        check("GET", "/socket.io/?EIO=4&transport=polling", true);
        check("GET", "/socket.io/?%74ransport=polling", true);
        check("GET", "/socket.io/?sid=a", true);
        check("POST", "/socket.io/", true);
        check("GET", "/socket.io/socket.io.js", false);
        check("GET", "/socket.io/socket.io.js?v=4", false);
    }

    #[test]
    fn a_session_is_named_once() {
        let check =
            |target, expected: Option<&str>| assert_eq!(session_of(target).as_deref(), expected, "{target}");
        check("/socket.io/?EIO=4&sid=a-b_c&t=1", Some("a-b_c"));
        check("/socket.io/?s%69d=%61", Some("a"));
        check("/socket.io/?sid=a&sid=a", None);
        check("/socket.io/?sid=", None);
        check("/socket.io/", None);
        check(&format!("/?sid={}", "x".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn an_answer_that_opens_a_session_names_it() {
        let check = |body: &[u8], expected: Option<&str>| {
            let name = opened(&mut Reader::default(), &InspectLimits::default(), body);
            assert_eq!(name.as_deref(), expected, "{}", body.escape_ascii());
        };
        check(br#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"]}"#, Some("lv_VI97HAXpY6yYWAAAC"));
        check(br#"13:0{"sid":"\u0061"}2:40"#, None);
        check(br#"16:0{"sid":"\u0061"}2:40"#, Some("a"));
        check(b"\x00\x01\x02\xff0{\"sid\":\"a\"}", Some("a"));
        check(br#"0{"data":{"sid":"a"}}"#, None);
        check(br#"40{"sid":"a"}"#, None);
        check(b"ok", None);
        check(b"", None);
    }

    #[test]
    fn a_packet_is_left_out_and_the_rest_stays_a_body() {
        let check = |body: &[u8], from, expected: &[u8]| {
            let keep = |packet: &[u8]| Ok::<_, ()>(!packet.windows(3).any(|bytes| bytes == b"bad"));
            let left = filtered(body, from, keep).unwrap();
            assert_eq!(left.escape_ascii().to_string(), expected.escape_ascii().to_string());
        };
        check(b"42[\"a\"]\x1e42[\"bad\"]\x1e42[\"c\"]", Client, b"42[\"a\"]\x1e42[\"c\"]");
        check(b"42[\"a\"]\x1e42[\"bad\"]", Client, b"42[\"a\"]");
        check(b"42[\"bad\"]\x1e42[\"a\"]", Client, b"42[\"a\"]");
        check(b"42[\"bad\"]", Client, b"3");
        check(b"42[\"bad\"]\x1e42[\"bad\"]", Server, b"6");
        check(b"7:42[\"a\"]9:42[\"bad\"]1:2", Client, b"7:42[\"a\"]1:2");
        check(b"9:42[\"bad\"]", Client, b"1:2");
        check(b"9:42[\"bad\"]", Server, b"1:6");
        check(b"\x00\x09\xff42[\"bad\"]\x00\x01\xff2", Server, b"\x00\x01\xff2");
        check(b"\x00\x09\xff42[\"bad\"]", Server, b"\x00\x01\xff6");
        check(b"", Server, b"");
    }

    proptest! {
        #[test]
        fn packets_that_are_all_kept_are_the_body_and_their_end_is_found(
            body in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\x1e:0123\xff4".to_vec())], 0..60),
            client: bool,
        ) {
            let from = if client { Client } else { Server };
            let mut told = Vec::new();
            let left = filtered(&body, from, |packet| { told.extend_from_slice(packet); Ok::<_, ()>(true) }).unwrap();
            prop_assert_eq!(&*left, body.as_slice());
            prop_assert_eq!(told, body.clone());
            let none = filtered(&body, from, |_| Ok::<_, ()>(false)).unwrap();
            prop_assert_eq!(none.is_empty(), body.is_empty());
        }
    }
}
