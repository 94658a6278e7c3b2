//! Frames and messages: a table of streams, legal and illegal, and seeded random ones.

use std::collections::BTreeSet;

use sockwarden_proto::{LengthForm, Limits, MessageKind, Opcode, PayloadLength, Role, Violation};
use sockwarden_testkit::{HostilePeer, KEY, Random, Script, Weights};

use crate::peers::{End, Outcome, fastwebsockets, ours, tungstenite};

const LIMITS: Limits = Limits { frame: 2000, message: 3000 };

/// Another implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Tungstenite,
    FastWebSockets,
}

/// What the other one makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theirs {
    /// It stops at the same place with the same messages, and calls it something else.
    Ends(End),
    /// It says nothing until the frame is complete, and then sees it.
    Waits,
    /// It sees nothing wrong and goes on.
    GoesOn,
}

/// A known difference.
struct Difference {
    peer: Peer,
    ours: fn(End, Option<Violation>) -> bool,
    theirs: Theirs,
    /// Why, and who is right by which section of RFC 6455.
    reason: &'static str,
}

/// Every known difference.
const DIFFERENCES: &[Difference] = &[
    Difference {
        peer: Peer::Tungstenite,
        ours: |end, _| end == End::Closed(Some(1014)),
        theirs: Theirs::Ends(End::Protocol),
        reason: "1014 was registered with IANA after the RFC; §7.4.2 leaves 1000 to 2999 to the registry: ours",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |end, _| end == End::Closed(Some(1014)),
        theirs: Theirs::Ends(End::Protocol),
        reason: "as above, from the same table of codes: ours",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| violation == Some(Violation::LengthTopBit),
        theirs: Theirs::Ends(End::TooBig),
        reason: "takes the length for a size first; §5.2 says that the top bit must be 0: ours, both fail",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation == Some(Violation::LengthTopBit),
        theirs: Theirs::Ends(End::TooBig),
        reason: "as above",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| violation == Some(Violation::NonMinimalLength),
        theirs: Theirs::GoesOn,
        reason: "does not check the form of a length; §5.2: the minimal number of bytes MUST be used: ours",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation == Some(Violation::NonMinimalLength),
        theirs: Theirs::GoesOn,
        reason: "as above",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| violation.is_some_and(is_in_header),
        theirs: Theirs::Waits,
        reason: "judges a header when the payload has arrived; §7.1.7 asks for no haste: both, ours sooner",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| violation.is_some_and(is_in_header),
        theirs: Theirs::Ends(End::TooBig),
        reason: "looks at the size before the rest of a header that is wrong twice (§7.1.7): both",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| matches!(violation, Some(Violation::MessageTooBig { .. })),
        theirs: Theirs::Waits,
        reason: "counts a fragment when it has arrived, ours when it is announced (§10.4 sets no rule): both",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| violation == Some(Violation::InvalidUtf8),
        theirs: Theirs::Waits,
        reason: "validates whole frames; §8.1 sets no moment: both, ours sooner",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation == Some(Violation::InvalidUtf8),
        theirs: Theirs::Waits,
        reason: "as above",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation.is_some_and(is_in_header),
        theirs: Theirs::Waits,
        reason: "judges continuations when the payload has arrived, as tungstenite: both, ours sooner",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation.is_some_and(is_in_header),
        theirs: Theirs::Ends(End::TooBig),
        reason: "looks at the size before the place of a continuation (§7.1.7): both",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| {
            matches!(violation, Some(Violation::UnmaskedClientFrame | Violation::MaskedServerFrame))
        },
        theirs: Theirs::GoesOn,
        reason: "does not check masks, and hands over what is masked; §5.1: MUST close the connection: ours",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation == Some(Violation::OversizeControl),
        theirs: Theirs::GoesOn,
        reason: "checks the size of pings only; §5.5: all control frames have at most 125 bytes: ours",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation == Some(Violation::InterleavedMessage),
        theirs: Theirs::GoesOn,
        reason: "forgets the first of two fragmented messages; §5.4: fragments MUST NOT be interleaved: ours",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| violation == Some(Violation::InvalidUtf8),
        theirs: Theirs::GoesOn,
        reason: "drops a character that the last fragment cuts; §8.1: MUST fail the connection: ours",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| matches!(violation, Some(Violation::MessageTooBig { .. })),
        theirs: Theirs::GoesOn,
        reason: "has no limit for a message in fragments; §10.4 asks for one: ours",
    },
    Difference {
        peer: Peer::Tungstenite,
        ours: |_, violation| matches!(violation, Some(Violation::InvalidCloseCode(_))),
        theirs: Theirs::Ends(End::Utf8),
        reason: "looks at the reason before the code of a close frame that is wrong twice (§7.4, §8.1): both",
    },
    Difference {
        peer: Peer::FastWebSockets,
        ours: |_, violation| matches!(violation, Some(Violation::InvalidCloseCode(_))),
        theirs: Theirs::Ends(End::Utf8),
        reason: "as above",
    },
];

/// Tells whether a violation stands in a header, apart from its size.
fn is_in_header(violation: Violation) -> bool {
    match violation {
        Violation::ReservedBits { .. }
        | Violation::ReservedOpcode(_)
        | Violation::UnmaskedClientFrame
        | Violation::MaskedServerFrame
        | Violation::LengthTopBit
        | Violation::NonMinimalLength
        | Violation::FragmentedControl
        | Violation::OversizeControl
        | Violation::UnexpectedContinuation
        | Violation::InterleavedMessage => true,
        Violation::InvalidUtf8
        | Violation::ClosePayloadTooShort
        | Violation::InvalidCloseCode(_)
        | Violation::CloseReasonNotUtf8
        | Violation::FrameTooBig { .. }
        | Violation::MessageTooBig { .. }
        | Violation::CorruptDeflate
        | Violation::AfterFinalBlock
        | Violation::InflatedTooBig { .. }
        | Violation::RatioExceeded { .. }
        | Violation::OverheadExceeded { .. } => false,
    }
}

/// Streams that a peer of an endpoint in `role` may send, by name.
fn table(role: Role) -> Vec<(String, Script)> {
    use MessageKind::{Binary, Text};
    let s = || Script::to(role);
    let wide = LengthForm::SixtyFour;
    let mut table: Vec<(String, Script)> = Vec::new();
    let mut add = |name: &str, script: Script| table.push((name.to_owned(), script));
    add("nothing", s());
    add("messages", s().text("a").binary(b"\xff").text("").binary(b""));
    add("sizes", s().binary(&[1; 125]).binary(&[1; 126]).binary(&[1; 127]).text(&"x".repeat(2000)));
    add("characters", s().text("κόσμε 𐍈 \u{10ffff} \0"));
    add("fragments", s().begin(Text, b"a").more(b"").more(b"b").end(b"").begin(Binary, b"").end(b"c"));
    add("control between fragments", s().begin(Text, b"a").ping(b"1").pong(b"2").end(b"b").ping(&[0; 125]));
    add("a character over fragments", s().begin(Text, b"\xf0").more(b"\x9f").more(b"\x92").end(b"\xa9"));
    add("a message that never ends", s().text("a").begin(Binary, b"b").more(b"c"));
    add("a header that never ends", s().text("a").raw(b"\x81"));
    add("close without code", s().text("a").close_empty());
    add("close inside a message", s().begin(Text, b"a").close(1001, "x"));
    add("nothing counts after a close", s().close(1000, "").raw(b"\xff\xff\xff\xff"));
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    {
        add(&format!("close {code}"), s().close(code, "why"));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        add(&format!("close with wrong code {code}"), s().text("a").close(code, "why"));
    }
    add("close with half a code", s().frame(Opcode::Close, true, b"\x03"));
    add("close with a wrong reason", s().frame(Opcode::Close, true, b"\x03\xe8\xff"));
    for rsv in 1..=7 {
        add(&format!("rsv {rsv}"), s().text("a").odd(Opcode::Text, b"b", |h| h.rsv = rsv));
    }
    for bits in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        add(&format!("opcode {bits}"), s().text("a").frame(Opcode::Reserved(bits), true, b"b").text("c"));
    }
    add("wrong code and reason", s().frame(Opcode::Close, true, b"\x03\xe7\xff"));
    add(
        "rsv in a header whose payload has not arrived",
        s().odd(Opcode::Text, b"", |h| {
            h.rsv = 4;
            h.length = PayloadLength::minimal(5);
        }),
    );
    add(
        "rsv in a header that is too big besides",
        s().odd(Opcode::Text, b"", |h| {
            h.rsv = 4;
            h.length = PayloadLength::minimal(5000);
        }),
    );
    add(
        "continuation of nothing that has not arrived",
        s().announce(Opcode::Continuation, 5, LengthForm::Seven),
    );
    add("continuation of nothing that is too big", {
        s().announce(Opcode::Continuation, 5000, LengthForm::Sixteen)
    });
    match role {
        Role::Server => add("no mask", s().text("a").odd(Opcode::Text, b"b", |h| h.mask = None).text("c")),
        Role::Client => {
            add("a mask", s().text("a").odd(Opcode::Text, b"b", |h| h.mask = Some(KEY)).text("c"))
        }
    }
    add("top bit", s().text("a").announce(Opcode::Binary, 1 << 63, wide));
    add("length of ones", s().text("a").announce(Opcode::Binary, u64::MAX, wide));
    add(
        "long form of 125",
        s().odd(Opcode::Text, &[b'x'; 125], |h| h.length.form = LengthForm::Sixteen).text("c"),
    );
    add("longest form of 126", s().odd(Opcode::Text, &[b'x'; 126], |h| h.length.form = wide).text("c"));
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        add(&format!("{opcode:?} in a fragment"), s().text("a").frame(opcode, false, b"").text("c"));
        add(&format!("{opcode:?} of 126"), s().text("a").frame(opcode, true, &[b'x'; 126]).text("c"));
        let form = LengthForm::Sixteen;
        add(
            &format!("{opcode:?} in a long form"),
            s().odd(opcode, b"\x03\xe8", |h| h.length.form = form).text("c"),
        );
    }
    add("continuation of nothing", s().text("a").end(b"b").text("c"));
    add("fragment of nothing", s().text("a").more(b"b").end(b"c").text("d"));
    add("whole message in a message", s().begin(Text, b"a").text("b").end(b"c").text("d"));
    add("begun message in a message", s().begin(Text, b"a").begin(Text, b"b").end(b"c").text("d"));
    add("wrong byte", s().text("a").frame(Opcode::Text, true, b"b\xffc").text("d"));
    add("surrogate", s().text("a").frame(Opcode::Text, true, b"\xed\xa0\x80").text("d"));
    add("too large a character", s().frame(Opcode::Text, true, b"\xf4\x90\x80\x80"));
    add("overlong", s().frame(Opcode::Text, true, b"\xc0\xaf"));
    add("cut character at the end", s().text("a").frame(Opcode::Text, true, b"\xe2\x82").text("d"));
    add("cut character at the end of fragments", s().begin(Text, b"\xe2").end(b"\x82").text("d"));
    add("wrong byte in a fragment that does not end", s().begin(Text, b"a\xff"));
    add("wrong byte at a fragment's border", s().begin(Text, b"a\xe2").more(b"("));
    add("wrong byte in a frame that has not arrived", {
        let bytes = s().frame(Opcode::Text, true, b"a\xffbcdef").bytes();
        s().raw(&bytes[..bytes.len() - 2])
    });
    add("frame at the limit", s().binary(&[1; 2000]).text("a"));
    add("frame over the limit", s().text("a").binary(&[1; 2001]).text("c"));
    add("announced frame over the limit", s().text("a").announce(Opcode::Binary, 1 << 40, wide));
    add("message at the limit", s().begin(Binary, &[1; 2000]).end(&[1; 1000]).text("a"));
    add("message over the limit", s().text("a").begin(Binary, &[1; 2000]).end(&[1; 1001]).text("c"));
    add("message announced over the limit", {
        s().begin(Binary, &[1; 2000]).announce(Opcode::Continuation, 1500, LengthForm::Sixteen)
    });
    table
}

/// Compares both others with ours; keeps the index of each listed difference, and the text of each that is not.
fn compare(name: &str, role: Role, bytes: &[u8], listed: &mut BTreeSet<usize>, unlisted: &mut Vec<String>) {
    let (mine, violation) = ours(role, LIMITS, bytes);
    let read = |peer, bytes: &[u8]| match peer {
        Peer::Tungstenite => tungstenite(role, LIMITS, bytes),
        Peer::FastWebSockets => fastwebsockets(role, LIMITS, bytes),
    };
    for peer in [Peer::Tungstenite, Peer::FastWebSockets] {
        let theirs = read(peer, bytes);
        if theirs == mine {
            continue;
        }
        let is_as_listed = |listed| match listed {
            Theirs::Ends(end) => theirs.end == end && theirs.messages == mine.messages,
            Theirs::Waits => {
                // Zeros complete any frame within the limit, and make no message of their own.
                let after = read(peer, &[bytes, &[0; 14 + LIMITS.frame as usize]].concat());
                theirs.end == End::Open
                    && theirs.messages == mine.messages
                    && after.end != End::Open
                    && after.messages == mine.messages
            }
            Theirs::GoesOn => theirs.messages.starts_with(&mine.messages),
        };
        let index = DIFFERENCES.iter().position(|difference| {
            difference.peer == peer
                && (difference.ours)(mine.end, violation)
                && is_as_listed(difference.theirs)
        });
        if let Some(index) = index {
            listed.insert(index);
        } else if unlisted.len() < 50 {
            let (mine, theirs) = (brief(&mine), brief(&theirs));
            let start = &bytes[..bytes.len().min(40)];
            unlisted.push(format!(
                "{name} as {role:?}: ours {mine}, {violation:?}; {peer:?} {theirs}; {} bytes {start:02x?}",
                bytes.len()
            ));
        }
    }
}

fn brief(outcome: &Outcome) -> String {
    let lengths: Vec<usize> = outcome.messages.iter().map(|(_, bytes)| bytes.len()).collect();
    format!("{lengths:?} {:?}", outcome.end)
}

#[test]
fn the_table_differs_only_as_listed_and_every_listed_difference_occurs() {
    let (mut listed, mut unlisted) = (BTreeSet::new(), Vec::new());
    for role in [Role::Client, Role::Server] {
        for (name, script) in table(role) {
            compare(&name, role, &script.bytes(), &mut listed, &mut unlisted);
        }
    }
    assert!(unlisted.is_empty(), "not on the list:\n{}", unlisted.join("\n"));
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        assert!(listed.contains(&index), "no longer occurs: {:?}: {}", difference.peer, difference.reason);
    }
}

#[test]
fn random_traffic_differs_only_as_listed() {
    let (mut listed, mut unlisted) = (BTreeSet::new(), Vec::new());
    for seed in 0..3000 {
        let (role, peer) =
            if seed % 2 == 0 { (Role::Server, Role::Client) } else { (Role::Client, Role::Server) };
        let weights = if seed % 3 == 0 { Weights::LEGAL } else { Weights::HOSTILE };
        let (mut bytes, _) = HostilePeer::new(seed, peer, LIMITS, weights).act(25);
        compare("seeded", role, &bytes, &mut listed, &mut unlisted);
        let mut random = Random::new(seed);
        for _ in 0..random.below(3) * bytes.len().min(1) {
            let at = random.below(bytes.len());
            bytes[at] = random.bytes(1)[0];
        }
        compare("mutated", role, &bytes, &mut listed, &mut unlisted);
        let length = random.below(60);
        compare("noise", role, &random.bytes(length), &mut listed, &mut unlisted);
    }
    assert!(unlisted.is_empty(), "not on the list:\n{}", unlisted.join("\n"));
}
