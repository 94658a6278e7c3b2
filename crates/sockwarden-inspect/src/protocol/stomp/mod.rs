//! STOMP 1.0, 1.1 and 1.2: frames of a command, headers and a body, ended by a NUL.
//!
//! A message holds any number of frames, or a piece of one; what is incomplete is kept until its rest comes. The first of several
//! headers of one name counts (1.2 "Repeated Header Entries"); the others are told as values like it. An operation's name is the
//! command, its subject the destination: of UNSUBSCRIBE and MESSAGE that of the subscription that they name.

mod frame;
mod headers;

use sockwarden_model::Direction;

use self::{
    frame::{Extent, Seen, cut_short, line_ends, lines, may_be_frame, number},
    headers::{Header, Headers},
};
use super::{Declaration, Protocol, Speaker, body, memory::Memory, no_target};
use crate::{Action, Anomaly, Bound, Breach, Message, Opening, Operation, content, walk::Walk};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Stomp,
    name: "stomp",
    tokens: &["v12.stomp", "v11.stomp", "v10.stomp"],
    target: no_target,
    message: is_first,
    speaker: || Box::<Stomp>::default(),
};

/// The versions of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Version {
    V10,
    V11,
    #[default]
    V12,
}

impl Version {
    const ALL: [(&str, Self); 3] = [("1.0", Self::V10), ("1.1", Self::V11), ("1.2", Self::V12)];

    /// Finds a version by its name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name.trim()).map(|(_, version)| *version)
    }
}

/// What a command is for.
struct Command {
    name: &'static str,
    sender: Direction,
    action: Action,
    /// Headers that it must have, of which version on.
    must: &'static [(Header, Version)],
    /// Whether it may have a body (1.1 and 1.2 "Body").
    body: bool,
}

const fn of_client(name: &'static str, action: Action, must: &'static [(Header, Version)]) -> Command {
    Command { name, sender: Direction::Client, action, must, body: false }
}

const fn of_server(name: &'static str, action: Action, must: &'static [(Header, Version)]) -> Command {
    Command { name, sender: Direction::Server, action, must, body: false }
}

static COMMANDS: [Command; 15] = [
    of_client("CONNECT", Action::Connect, &[]),
    of_client("STOMP", Action::Connect, &[]),
    Command { body: true, ..of_client("SEND", Action::Publish, &[(Header::Destination, Version::V10)]) },
    of_client(
        "SUBSCRIBE",
        Action::Subscribe,
        &[(Header::Destination, Version::V10), (Header::Id, Version::V11)],
    ),
    of_client("UNSUBSCRIBE", Action::Unsubscribe, &[(Header::Id, Version::V11)]),
    of_client("ACK", Action::Acknowledge, &[(Header::Id, Version::V12)]),
    of_client("NACK", Action::Acknowledge, &[(Header::Id, Version::V12)]),
    of_client("BEGIN", Action::Event, &[(Header::Transaction, Version::V10)]),
    of_client("COMMIT", Action::Event, &[(Header::Transaction, Version::V10)]),
    of_client("ABORT", Action::Event, &[(Header::Transaction, Version::V10)]),
    of_client("DISCONNECT", Action::Disconnect, &[]),
    of_server("CONNECTED", Action::Connected, &[]),
    Command {
        body: true,
        ..of_server(
            "MESSAGE",
            Action::Deliver,
            &[
                (Header::Destination, Version::V10),
                (Header::MessageId, Version::V10),
                (Header::Subscription, Version::V11),
            ],
        )
    },
    of_server("RECEIPT", Action::Acknowledge, &[(Header::ReceiptId, Version::V10)]),
    Command { body: true, ..of_server("ERROR", Action::Error, &[]) },
];

#[derive(Default)]
struct Stomp {
    version: Version,
    client: Stream,
    server: Stream,
    /// Destinations by the ids of their subscriptions.
    subscriptions: Memory,
}

/// What one side has sent.
#[derive(Default)]
struct Stream {
    /// The beginning of a frame.
    pending: Vec<u8>,
    /// What is known of that frame.
    seen: Seen,
    /// Whether a frame was too long to be kept: where the next one begins is not known.
    lost: bool,
    began: bool,
    ended: bool,
}

impl Speaker for Stomp {
    fn is_within(&self, direction: Direction) -> bool {
        let stream = match direction {
            Direction::Client => &self.client,
            Direction::Server => &self.server,
        };
        !stream.pending.is_empty()
    }

    fn open(&mut self, opening: &Opening<'_>) {
        let version = match opening.subprotocol.unwrap_or_default() {
            token if token.eq_ignore_ascii_case("v10.stomp") => Version::V10,
            token if token.eq_ignore_ascii_case("v11.stomp") => Version::V11,
            _ => Version::V12,
        };
        self.version = version;
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        let stream = self.stream(message.direction);
        if stream.lost {
            walk.anomaly(Anomaly::Bound(Bound::Pending));
            return content::message(walk, message);
        }
        if stream.pending.is_empty() {
            if !message.bytes.is_empty() && line_ends(message.bytes) == message.bytes.len() {
                return walk.operation(&operation(Action::KeepAlive, None, None, None));
            }
            let mut seen = Seen::default();
            let end = self.frames(walk, message.bytes, &mut seen);
            return self.keep(walk, message.direction, message.bytes[end..].to_vec(), seen);
        }
        let mut bytes = std::mem::take(&mut stream.pending);
        let mut seen = std::mem::take(&mut stream.seen);
        if let Some(extent) = cut_short(&bytes, seen, message) {
            self.frame(walk, &bytes, &extent);
            bytes.clear();
            seen = Seen::default();
        }
        bytes.extend_from_slice(message.bytes);
        let end = self.frames(walk, &bytes, &mut seen);
        bytes.drain(..end);
        self.keep(walk, message.direction, bytes, seen);
    }
}

impl Stomp {
    fn stream(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Keeps what is not complete.
    fn keep(&mut self, walk: &mut Walk<'_>, direction: Direction, pending: Vec<u8>, seen: Seen) {
        let most = walk.limits.pending;
        let stream = self.stream(direction);
        if pending.len() > most {
            stream.lost = true;
            walk.anomaly(Anomaly::Bound(Bound::Pending));
            return content::body(walk, &pending);
        }
        (stream.pending, stream.seen) = (pending, seen);
    }

    /// Reads all frames that are complete, and tells where the first one begins that is not.
    fn frames(&mut self, walk: &mut Walk<'_>, bytes: &[u8], seen: &mut Seen) -> usize {
        let mut start = 0;
        loop {
            if seen.at == 0 {
                start += line_ends(&bytes[start..]);
            }
            let rest = &bytes[start..];
            if rest.is_empty() {
                return start;
            }
            if !may_be_frame(rest) {
                broken(walk, Breach::NotOfTheProtocol);
                content::body(walk, rest);
                *seen = Seen::default();
                return bytes.len();
            }
            let Some(extent) = seen.extent(rest) else { return start };
            self.frame(walk, rest, &extent);
            *seen = Seen::default();
            start += extent.end;
        }
    }

    /// Reads a complete frame.
    fn frame(&mut self, walk: &mut Walk<'_>, bytes: &[u8], extent: &Extent) {
        if let Some(breach) = extent.broken {
            broken(walk, breach);
        }
        let body = &bytes[extent.head.min(extent.body)..extent.body];
        let mut lines = lines(&bytes[..extent.head]);
        let name = lines.next().unwrap_or_default();
        let command = COMMANDS.iter().find(|command| command.name.as_bytes() == name);
        // Neither is escaped, so that what older versions say can be read (1.2 "Value Encoding").
        let plain = self.version == Version::V10 || matches!(name, b"CONNECT" | b"CONNECTED" | b"STOMP");
        let headers = walk.at_key(b"headers", |walk| headers::read(walk, lines, plain));
        if !body.is_empty() {
            let kind = headers.get(Header::ContentType).unwrap_or_default();
            walk.at_key(b"body", |walk| body::of_type(walk, body, kind));
        }
        let Some(command) = command else { return broken(walk, Breach::UnknownType) };
        self.judge(walk, command, &headers, body);
        self.tell(walk, command, &headers);
    }

    /// Tells what is wrong with a frame as a whole.
    fn judge(&mut self, walk: &mut Walk<'_>, command: &Command, headers: &Headers<'_>, body: &[u8]) {
        let direction = walk.direction;
        if command.sender != direction {
            return broken(walk, Breach::WrongDirection);
        }
        let begins = matches!(command.action, Action::Connect | Action::Connected);
        let stream = self.stream(direction);
        let refuses = command.action == Action::Error;
        if stream.ended || begins == stream.began && !refuses {
            broken(walk, Breach::OutOfOrder);
        }
        stream.began |= begins;
        stream.ended |= command.action == Action::Disconnect;
        match command.action {
            Action::Connect => {
                let offered = headers.get(Header::AcceptVersion).unwrap_or("1.0");
                let best = offered.split(',').filter_map(Version::named).max();
                match best {
                    Some(best) => self.version = best,
                    None => broken(walk, Breach::BadField),
                }
            }
            Action::Connected => match Version::named(headers.get(Header::Version).unwrap_or("1.0")) {
                Some(version) => self.version = version,
                None => broken(walk, Breach::BadField),
            },
            Action::Disconnect
            | Action::Subscribe
            | Action::Unsubscribe
            | Action::Publish
            | Action::Deliver
            | Action::Call
            | Action::Event
            | Action::Reply
            | Action::Error
            | Action::Acknowledge
            | Action::KeepAlive
            | Action::Stream => {}
        }
        let lacks = |header: Header| headers.get(header).is_none();
        let version = self.version;
        let missing = command.must.iter().any(|(header, since)| version >= *since && lacks(*header))
            // What took their place: 1.0 names by destination, 1.0 and 1.1 acknowledge by message.
            || command.name == "UNSUBSCRIBE" && lacks(Header::Id) && lacks(Header::Destination)
            || matches!(command.name, "ACK" | "NACK") && lacks(Header::Id) && lacks(Header::MessageId);
        if missing {
            broken(walk, Breach::MissingField);
        }
        if headers.get(Header::ContentLength).is_some_and(|length| number(length.as_bytes()).is_none()) {
            broken(walk, Breach::BadField);
        }
        if !command.body && !body.is_empty() && self.version > Version::V10 {
            broken(walk, Breach::TrailingData);
        }
    }

    /// Tells what a frame does.
    fn tell(&mut self, walk: &mut Walk<'_>, command: &Command, headers: &Headers<'_>) {
        let destination = headers.get(Header::Destination);
        // Without an id 1.0 names a subscription by its destination.
        let key = |id: Header| headers.get(id).or(destination).unwrap_or_default().as_bytes();
        let first = |one: Header, other: Header| headers.get(one).or(headers.get(other));
        let forgotten;
        let (subject, id) = match command.name {
            "SUBSCRIBE" => {
                let kept = destination.is_none_or(|destination| {
                    self.subscriptions.keep(key(Header::Id), destination, walk.limits.pending)
                });
                if !kept {
                    walk.anomaly(Anomaly::Bound(Bound::Pending));
                }
                (destination, headers.get(Header::Id))
            }
            "UNSUBSCRIBE" => {
                forgotten = self.subscriptions.take(key(Header::Id));
                (forgotten.as_deref().or(destination), headers.get(Header::Id))
            }
            "MESSAGE" => {
                let of_subscription = self.subscriptions.get(key(Header::Subscription));
                (of_subscription.or(destination), first(Header::Ack, Header::MessageId))
            }
            "ACK" | "NACK" => (destination, first(Header::Id, Header::MessageId)),
            "BEGIN" | "COMMIT" | "ABORT" => (None, headers.get(Header::Transaction)),
            "RECEIPT" | "ERROR" => (None, headers.get(Header::ReceiptId)),
            "CONNECTED" => (None, headers.get(Header::Session)),
            _ => (destination, headers.get(Header::Receipt)),
        };
        walk.operation(&operation(command.action, Some(command.name), subject, id));
    }
}

/// Tells whether a message is the first of a client.
fn is_first(message: &Message<'_>) -> bool {
    let mut lines = lines(message.bytes);
    let command = lines.next().unwrap_or_default();
    message.direction == Direction::Client
        && matches!(command, b"CONNECT" | b"STOMP")
        && lines.next().is_some_and(|line| line.is_empty() || line.contains(&b':'))
}

fn operation<'a>(
    action: Action,
    name: Option<&'a str>,
    subject: Option<&'a str>,
    id: Option<&'a str>,
) -> Operation<'a> {
    Operation { protocol: Protocol::Stomp, action, name, subject, id }
}

fn broken(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Stomp, breach));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::testing::{Notes, check_talk, read as read_all};

    const BEGIN: [&str; 2] =
        [">CONNECT\naccept-version:1.1,1.2\nhost:a\n\n\0", "<CONNECTED\nversion:1.2\nsession:s1\n\n\0"];

    /// Compares what is said after the session began.
    #[track_caller]
    fn check(texts: &[&str], expected: &[&str]) -> Notes {
        let texts = [&BEGIN, texts].concat();
        let expected = [&["connect CONNECT", "connected CONNECTED id s1"], expected].concat();
        check_talk(Protocol::Stomp, &texts, &expected)
    }

    #[test]
    fn frames_are_told_as_what_they_do() {
        check(
            &[
                ">SUBSCRIBE\nid:0\ndestination:/topic/a\nack:client\n\n\0",
                "<MESSAGE\nsubscription:0\nmessage-id:007\nack:9\ndestination:/topic/a\ncontent-type:text/plain\n\nhi\0",
                ">ACK\nid:9\ntransaction:tx1\n\n\0",
                ">NACK\nid:9\n\n\0",
                ">BEGIN\ntransaction:tx1\n\n\0",
                ">COMMIT\ntransaction:tx1\n\n\0",
                ">ABORT\ntransaction:tx1\n\n\0",
                ">SEND\ndestination:/queue/b\nreceipt:r1\n\nx\0",
                "<RECEIPT\nreceipt-id:r1\n\n\0",
                ">UNSUBSCRIBE\nid:0\n\n\0",
                "<MESSAGE\nsubscription:0\nmessage-id:8\ndestination:/topic/late\n\n\0",
                ">DISCONNECT\nreceipt:r2\n\n\0",
                "<ERROR\nreceipt-id:r2\nmessage:no\n\nwhy\0",
            ],
            &[
                "subscribe SUBSCRIBE on /topic/a id 0",
                "deliver MESSAGE on /topic/a id 9",
                "acknowledge ACK id 9",
                "acknowledge NACK id 9",
                "event BEGIN id tx1",
                "event COMMIT id tx1",
                "event ABORT id tx1",
                "publish SEND on /queue/b id r1",
                "acknowledge RECEIPT id r1",
                "unsubscribe UNSUBSCRIBE on /topic/a id 0",
                "deliver MESSAGE on /topic/late id 8",
                "disconnect DISCONNECT id r2",
                "error ERROR id r2",
            ],
        );
    }

    #[test]
    fn a_subscription_delivers_its_own_destination() {
        check(
            &[
                ">SUBSCRIBE\nid:0\ndestination:/user/queue/a\n\n\0",
                "<MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a-user7\n\n\0",
            ],
            &["subscribe SUBSCRIBE on /user/queue/a id 0", "deliver MESSAGE on /user/queue/a id 1"],
        );
    }

    #[test]
    fn several_frames_and_heart_beats_share_messages() {
        check(
            &[">\n", "<\r\n", ">\n\nSEND\ndestination:/a\n\n1\0\n\nSEND\r\ndestination:/b\r\n\r\n2\0\n", "<"],
            &["keep-alive", "keep-alive", "publish SEND on /a", "publish SEND on /b"],
        );
    }

    #[test]
    fn a_body_of_a_stated_length_holds_any_byte() {
        let notes = check(
            &[">SEND\ndestination:/a\ncontent-length:9\n\na\0b\0SEND\n\0", ">SEND\ndestination:/b\n\n\0"],
            &["publish SEND on /a", "publish SEND on /b"],
        );
        assert!(notes.values.contains(&"/body binary a\\x00b\\x00SEND\\n".to_owned()), "{:?}", notes.values);
    }

    #[test]
    fn a_wrong_length_is_told() {
        let wrong = "! its length is not what it states";
        check(&[">SEND\ndestination:/a\ncontent-length:1\n\nabc\0"], &[wrong, "publish SEND on /a"]);
        check(
            &[">SEND\ndestination:/a\ncontent-length:99\n\nabc\0", ">SEND\ndestination:/b\n\n\0"],
            &[wrong, "publish SEND on /a", "publish SEND on /b"],
        );
        check(
            &[">SEND\ndestination:/a\ncontent-length:-1\n\nabc\0"],
            &["! a field has a value that it cannot have", "publish SEND on /a"],
        );
        check(
            &[">SEND\ndestination:/a\ncontent-length:99999999999999999999999\n\nabc\0"],
            &["! a field has a value that it cannot have", "publish SEND on /a"],
        );
    }

    #[test]
    fn headers_are_values_and_their_escapes_are_resolved() {
        let notes = check(
            &[
                ">SEND\ndestination:/a\\cb\\\\c\nx\\ny:\\r\ncontent-type:application/json;charset=UTF-8\n\n{\"u\":1}\0",
            ],
            &["publish SEND on /a:b\\c"],
        );
        let last = &notes.values[notes.values.len() - 8..];
        assert_eq!(
            last,
            [
                "/headers/destination key destination",
                "/headers/destination path /a:b\\\\c",
                "/headers/x\ny key x\\ny",
                "/headers/x\ny text \\r",
                "/headers/content-type key content-type",
                "/headers/content-type text application/json;charset=UTF-8",
                "/body/u key u",
                "/body/u number 1",
            ]
        );
        let bad = "! a field has a value that it cannot have";
        check(&[">SEND\ndestination:/a\\t\n\n\0"], &[bad, "publish SEND on /a\\t"]);
        check(&[">SEND\ndestination:/a\\\n\n\0"], &[bad, "publish SEND on /a\\"]);
        check(&[">SEND\ndestination:/a\nnothing\n\n\0"], &[bad, "publish SEND on /a"]);
    }

    #[test]
    fn nothing_is_escaped_where_a_session_begins_or_in_version_1_0() {
        let notes = check_talk(
            Protocol::Stomp,
            &[
                ">CONNECT\nlogin:a\\b\nheart-beat:0,0\n\n\0",
                "<CONNECTED\nsession:x\n\n\0",
                ">SEND\ndestination:/a\\t\n\n\0",
            ],
            &["connect CONNECT", "connected CONNECTED id x", "publish SEND on /a\\t"],
        );
        assert!(notes.values.contains(&"/headers/login text a\\\\b".to_owned()), "{:?}", notes.values);
    }

    #[test]
    fn the_first_of_two_headers_counts_and_both_are_seen() {
        let notes = check(
            &[">SEND\ndestination:/ok\ndestination:/evil\n\n\0"],
            &["! a name stands twice in one object", "publish SEND on /ok"],
        );
        assert!(notes.values.iter().any(|value| value.ends_with("/evil")));
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        check(&[">FOO\na:b\n\n\0"], &["! a type that the protocol does not have"]);
        check(&[">hello"], &["! no message of the protocol"]);
        check(
            &[">SEND\0"],
            &["! no message of the protocol", "! a field that it must have is missing", "publish SEND"],
        );
        check(
            &[">SUBSCRIBE\ndestination:/a\n\n\0"],
            &["! a field that it must have is missing", "subscribe SUBSCRIBE on /a"],
        );
        check(
            &[">ACK\nmessage-id:1\n\n\0"],
            &["! a field that it must have is missing", "acknowledge ACK id 1"],
        );
        check(
            &["<MESSAGE\ndestination:/a\nmessage-id:1\n\n\0"],
            &["! a field that it must have is missing", "deliver MESSAGE on /a id 1"],
        );
        check(
            &["<SEND\ndestination:/a\n\n\0"],
            &["! sent by the side that must not send it", "publish SEND on /a"],
        );
        check(&[">BEGIN\ntransaction:1\n\nbody\0"], &["! something follows its end", "event BEGIN id 1"]);
        let early = "! sent before the session began or after it ended";
        check(&[">CONNECT\n\n\0"], &[early, "connect CONNECT"]);
        check(
            &[">DISCONNECT\n\n\0", ">SEND\ndestination:/a\n\n\0"],
            &["disconnect DISCONNECT", early, "publish SEND on /a"],
        );
        check_talk(Protocol::Stomp, &[">SEND\ndestination:/a\n\n\0"], &[early, "publish SEND on /a"]);
    }

    #[test]
    fn a_frame_that_never_ends_is_bounded() {
        let (head, piece) = (">SEND\ndestination:/a\n\n", format!(">{}", "x".repeat(700_000)));
        check(
            &[head, &piece, &piece, ">more"],
            &["! beyond the bound `pending`", "! beyond the bound `pending`"],
        );
    }

    #[test]
    fn subscriptions_are_remembered_within_a_bound() {
        let mut conversation = Stomp::default();
        let long = "d".repeat(600_000);
        for (id, kept) in [("1", true), ("2", false)] {
            assert_eq!(conversation.subscriptions.keep(id.as_bytes(), &long, 1 << 20), kept);
        }
    }

    fn frame() -> impl Strategy<Value = String> {
        let header = ("[a-z]{1,8}", "[a-z/é]{0,12}(\\\\c|\\\\n|\\\\\\\\)?");
        let body = prop_oneof!["[a-zé\":,\n\r]{0,40}", Just("{\"a\":[1,\"x\"]}".to_owned())];
        let frame = (0..4, prop::collection::vec(header, 0..4), body, any::<bool>());
        frame.prop_map(|(kind, headers, body, stated)| {
            let mut text = match kind {
                0 => "SEND\ndestination:/a\n".to_owned(),
                1 => "SUBSCRIBE\nid:1\ndestination:/b\n".to_owned(),
                2 => "SEND\r\ndestination:/c\r\n".to_owned(),
                _ => "UNSUBSCRIBE\nid:1\n".to_owned(),
            };
            headers.iter().for_each(|(name, value)| text += &format!("x-{name}:{value}\n"));
            if kind % 2 != 0 {
                return text + "\n\0";
            }
            let body = if stated { body.replace('\n', "\0") } else { body };
            if stated {
                text += &format!("content-length:{}\n", body.len());
            }
            text + "\n" + &body + "\0\n"
        })
    }

    /// All that is told, but for heart-beats: a message that holds only the end of a line is one.
    fn told(messages: &[&[u8]]) -> (Vec<String>, Vec<String>) {
        let begin = b"CONNECT\naccept-version:1.2\n\n\0".as_slice();
        let messages: Vec<_> = std::iter::once(&begin)
            .chain(messages)
            .map(|bytes| (Direction::Client, MessageKind::Binary, *bytes))
            .collect();
        let mut notes = read_all(Some(Protocol::Stomp), &messages);
        notes.said.retain(|said| said != "keep-alive");
        (notes.values, notes.said)
    }

    proptest! {
        #[test]
        fn any_split_into_messages_tells_the_same(
            frames in prop::collection::vec(frame(), 1..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream = frames.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                pieces.push(&stream[start..cut]);
                start = cut;
            }
            let whole = told(&[&stream]);
            prop_assert!(whole.1.iter().all(|said| !said.starts_with("! ") || said.contains("twice")), "{:?}", whole.1);
            prop_assert_eq!(told(&pieces), whole);
        }

        #[test]
        fn no_bytes_panic(messages in prop::collection::vec(prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(0), Just(b'\r'), Just(b':'), Just(b'\\'), Just(b'S'), any::<u8>()
        ], 0..40), 0..6)) {
            told(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}
