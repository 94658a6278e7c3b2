//! permessage-deflate through the receiving half and whole sessions: tables, and what another implementation wrote.

use sockwarden_proto::{
    Fact, Flow, Limits, MessageKind, Opcode, Receiver, Role, Session, Violation,
    deflate::{Agreement, InflateLimits, Inflater, WindowBits},
};
use sockwarden_testkit::{Cuts, KEY, Random, Script, Seen, listen};

use MessageKind::{Binary, Text};

const LIMITS: Limits = Limits { frame: 2000, message: 3000 };
const INFLATE: InflateLimits = InflateLimits { output: 5000, ratio: 50, ratio_floor: 1000, overhead: 500 };
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
/// A second Hello in the same context (RFC 7692 §7.2.3.2).
const AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

/// Adds a frame with RSV1.
trait Compressed {
    fn compressed(self, opcode: Opcode, fin: bool, payload: &[u8]) -> Self;
}

impl Compressed for Script {
    fn compressed(self, opcode: Opcode, fin: bool, payload: &[u8]) -> Self {
        self.odd(opcode, payload, |header| (header.rsv, header.fin) = (4, fin))
    }
}

/// Checks what an endpoint that agreed hears, in both roles, through any cuts and stops; headers are left out.
fn check(script: impl Fn(Script) -> Script, expected: &[Seen]) {
    for role in [Role::Client, Role::Server] {
        let bytes = script(Script::to(role)).bytes();
        let receiver = || Receiver::new(role, LIMITS).with_inflater(Inflater::new(true, INFLATE));
        let whole = listen(&mut receiver(), &bytes, Cuts::Whole, |_| false);
        assert_eq!(whole.without_frames(), expected, "{role:?}: {bytes:02x?}");
        for cuts in [Cuts::Whole, Cuts::Every(1), Cuts::Every(3), Cuts::Random(Random::new(1), 9)] {
            for stops in [false, true] {
                let cut = listen(&mut receiver(), &bytes, cuts.clone(), |_| stops);
                assert_eq!(cut, whole, "{role:?} {cuts:?} {stops}: {bytes:02x?}");
            }
        }
    }
}

fn violates(script: impl Fn(Script) -> Script, before: &[Seen], violation: Violation) {
    let expected = [before, &[Seen::Violation(violation)]].concat();
    check(|s| script(s).text("late"), &expected);
}

fn data(kind: MessageKind, bytes: &[u8], begins: bool, ends: bool) -> Seen {
    Seen::Data { kind, bytes: bytes.to_vec(), begins, ends }
}

fn whole(kind: MessageKind, bytes: &[u8]) -> Seen {
    data(kind, bytes, true, true)
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Agreement::default().deflater(Role::Server).deflate(message, &mut payload);
    payload
}

#[test]
fn a_compressed_message_is_heard_as_what_it_holds() {
    check(|s| s.compressed(Opcode::Text, true, HELLO), &[whole(Text, b"Hello")]);
    check(|s| s.compressed(Opcode::Binary, true, b"\x00"), &[whole(Binary, b"")]);
    // Both kinds of messages may follow each other; one that is not compressed leaves the context alone.
    check(
        |s| s.compressed(Opcode::Text, true, HELLO).text("plain").compressed(Opcode::Binary, true, AGAIN),
        &[whole(Text, b"Hello"), whole(Text, b"plain"), whole(Binary, b"Hello")],
    );
    // Fragments (RFC 7692 §7.2.3.1), the last one empty (§7.2.3.6), with control frames between.
    check(
        |s| {
            let s = s.compressed(Opcode::Text, false, &HELLO[..3]).ping(b"?");
            s.more(&HELLO[3..]).end(b"").compressed(Opcode::Text, true, AGAIN)
        },
        &[
            data(Text, b"He", true, false),
            Seen::Ping(b"?".to_vec()),
            data(Text, b"llo", false, false),
            data(Text, b"", false, true),
            whole(Text, b"Hello"),
        ],
    );
    // Much from little.
    let long = Random::new(1).text(40);
    let long: String = long.chars().cycle().take(900).collect();
    let payload = deflated(long.as_bytes());
    check(|s| s.compressed(Opcode::Text, true, &payload), &[whole(Text, long.as_bytes())]);
}

#[test]
fn rsv1_belongs_to_the_first_frame_of_a_message_alone() {
    let rsv = |rsv| Violation::ReservedBits { rsv };
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        violates(|s| s.compressed(opcode, true, b""), &[], rsv(4));
    }
    violates(|s| s.compressed(Opcode::Continuation, true, b""), &[], rsv(4));
    violates(
        |s| {
            s.compressed(Opcode::Text, false, &HELLO[..3]).compressed(Opcode::Continuation, true, &HELLO[3..])
        },
        &[data(Text, b"He", true, false)],
        rsv(4),
    );
    violates(
        |s| s.begin(Text, b"a").compressed(Opcode::Continuation, true, b""),
        &[data(Text, b"a", true, false)],
        rsv(4),
    );
    for bits in [1, 2, 3, 5, 6, 7] {
        violates(|s| s.odd(Opcode::Text, HELLO, |h| h.rsv = bits), &[], rsv(bits));
    }
    violates(|s| s.compressed(Opcode::Reserved(3), true, b""), &[], rsv(4));
    // Without an agreement it belongs nowhere.
    for role in [Role::Client, Role::Server] {
        let bytes = Script::to(role).compressed(Opcode::Text, true, HELLO).bytes();
        let heard = listen(&mut Receiver::new(role, LIMITS), &bytes, Cuts::Whole, |_| false);
        assert_eq!(heard.0, [Seen::Violation(rsv(4))]);
    }
}

#[test]
fn utf8_is_judged_on_what_a_text_holds() {
    let bad = Violation::InvalidUtf8;
    let compressed = |bytes: &[u8]| {
        let payload = deflated(bytes);
        move |s: Script| s.compressed(Opcode::Text, true, &payload)
    };
    check(compressed("κόσμε 𐍈".as_bytes()), &[whole(Text, "κόσμε 𐍈".as_bytes())]);
    violates(compressed(b"ok \xff ok"), &[data(Text, b"ok ", true, false)], bad);
    violates(compressed(b"\xff"), &[], bad);
    violates(compressed(b"ok \xe2\x82"), &[data(Text, b"ok \xe2\x82", true, false)], bad);
    violates(compressed(b"ok \xed\xa0\x80"), &[data(Text, b"ok \xed", true, false)], bad);
    // What is wrong first is told, the wrong byte or the limit.
    let long = |wrong: usize| [&vec![b'x'; wrong][..], &[0xff], &vec![b'x'; 5999 - wrong]].concat();
    violates(compressed(&long(900)), &[data(Text, &[b'x'; 900], true, false)], bad);
    let most = deflated(&long(5500)).len() * 50;
    assert!(most > 1000 && most < 5000);
    let exceeded = Violation::RatioExceeded { limit: 50 };
    violates(compressed(&long(5500)), &[data(Text, &vec![b'x'; most], true, false)], exceeded);
    // In binary anything goes.
    let payload = deflated(b"\xff");
    check(|s| s.compressed(Opcode::Binary, true, &payload), &[whole(Binary, b"\xff")]);
}

#[test]
fn what_cannot_be_inflated_is_a_violation() {
    let binary = |payload: &'static [u8]| move |s: Script| s.compressed(Opcode::Binary, true, payload);
    violates(binary(b""), &[], Violation::CorruptDeflate);
    violates(binary(b"\x06"), &[], Violation::CorruptDeflate);
    violates(binary(AGAIN), &[data(Binary, b"H", true, false)], Violation::CorruptDeflate);
    violates(binary(&HELLO[..4]), &[data(Binary, b"Hel", true, false)], Violation::CorruptDeflate);
    violates(
        binary(b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"),
        &[data(Binary, b"Hello", true, false)],
        Violation::AfterFinalBlock,
    );
    // It does not wait for the rest of its frame.
    violates(
        |s| {
            s.odd(Opcode::Binary, b"\x06", |h| {
                (h.rsv, h.length) = (4, sockwarden_proto::PayloadLength::minimal(9))
            })
        },
        &[],
        Violation::CorruptDeflate,
    );
}

#[test]
fn a_bomb_is_stopped_at_the_byte_where_it_exceeds_a_limit() {
    let bomb = deflated(&[0; 100_000]);
    assert!(bomb.len() > 100 && bomb.len() < 2000);
    violates(
        |s| s.compressed(Opcode::Binary, true, &bomb),
        &[data(Binary, &[0; 5000], true, false)],
        Violation::InflatedTooBig { limit: 5000 },
    );
    // In a small fragment it is the ratio that stops it, judged by what was announced.
    violates(
        |s| s.compressed(Opcode::Binary, false, &bomb[..30]),
        &[data(Binary, &[0; 1500], true, false)],
        Violation::RatioExceeded { limit: 50 },
    );
    // The limits of the payload on the wire hold as ever.
    violates(
        |s| s.compressed(Opcode::Binary, true, &[0; 2001]),
        &[],
        Violation::FrameTooBig { length: 2001, limit: 2000 },
    );
}

#[test]
fn the_original_payload_is_told_with_what_it_holds() {
    let long = vec![b'x'; 4900];
    let payload = deflated(&long);
    for cut in [1, 7, 1000] {
        let inflate = InflateLimits { ratio: 1000, ..INFLATE };
        let mut receiver = Receiver::new(Role::Client, LIMITS).with_inflater(Inflater::new(true, inflate));
        let script = Script::server().compressed(Opcode::Text, false, &payload[..3]).end(&payload[3..]);
        let (mut original, mut held) = (Vec::new(), Vec::new());
        for piece in script.text("plain").bytes().chunks_mut(cut) {
            receiver.receive(piece, |fact| {
                if let Fact::Data(data) = fact {
                    held.extend_from_slice(data.bytes);
                    original.extend_from_slice(data.compressed.unwrap_or(b"|"));
                }
                Flow::Continue
            });
        }
        assert_eq!(held, [&long[..], b"plain"].concat());
        assert!(original.starts_with(&payload) && original[payload.len()..].iter().all(|&b| b == b'|'));
    }
}

#[test]
fn two_sessions_understand_each_other_under_every_agreement() {
    let bits = |bits| WindowBits::new(bits);
    for server_max_window_bits in [None, bits(8), bits(9), bits(15)] {
        for flags in 0..4 {
            let agreement = Agreement {
                server_no_context_takeover: flags & 1 != 0,
                client_no_context_takeover: flags & 2 != 0,
                server_max_window_bits,
                client_max_window_bits: server_max_window_bits,
            };
            let limits = Limits { frame: 1 << 20, message: 1 << 20 };
            let inflate = InflateLimits { output: 1 << 20, ..InflateLimits::default() };
            let mut ends = [Role::Client, Role::Server].map(|role| {
                Session::new(role, limits, || KEY)
                    .with_inflater(agreement.inflater(role, inflate))
                    .with_deflater(agreement.deflater(role))
            });
            let mut random = Random::new(7);
            for round in 0..12 {
                let length = random.pick(&[0, 1, 40, 700, 20_000]);
                let message = random.text(length);
                let (from, to) = (round % 2, 1 - round % 2);
                ends[from].send(Text, message.as_bytes());
                let mut bytes = std::mem::take(ends[from].output());
                let mut held = Vec::new();
                ends[to].receive(&mut bytes, |fact| {
                    match fact {
                        Fact::Data(data) => held.extend_from_slice(data.bytes),
                        Fact::Frame(header) => assert_eq!(header.rsv, 4),
                        Fact::Ping(_) | Fact::Pong(_) | Fact::Close(_) | Fact::Violation(_) => {
                            panic!("{fact:?}")
                        }
                    }
                    Flow::Continue
                });
                assert!(held == message.as_bytes(), "{agreement}, round {round}");
            }
        }
    }
}

/// Payloads that node's ws 8.23.0 wrote for the same messages.
#[test]
fn what_another_implementation_compressed_is_understood() {
    let messages = [
        "Hello",
        "Hello",
        r#"{"type":"tick","id":1,"price":10.5}"#,
        r#"{"type":"tick","id":2,"price":10.75}"#,
        "κόσμε κόσμε",
        "",
        r#"{"type":"tick","id":3,"price":11}"#,
    ];
    let kept = [
        "f248cdc9c90700",
        "f200110000",
        "aa562aa92c4855b2522ac94cce56d251ca4c51b232d4512a28ca4c4e55b23234d033ad0500",
        "c2a6c4085989b9692d00",
        "3ab7eb7ccff9e6737bce6d5540300100",
        "00",
        "c2a6d118a1d1b01600",
    ];
    let apart = [
        "f248cdc9c90700",
        "f248cdc9c90700",
        "aa562aa92c4855b2522ac94cce56d251ca4c51b232d4512a28ca4c4e55b23234d033ad0500",
        "aa562aa92c4855b2522ac94cce56d251ca4c51b232d2512a28ca4c4e55b23234d03337ad0500",
        "3ab7eb7ccff9e6737bce6d553807670200",
        "00",
        "aa562aa92c4855b2522ac94cce56d251ca4c51b232d6512a28ca4c4e55b23234ac0500",
    ];
    for (takeover, payloads) in [(true, kept), (false, apart), (true, apart)] {
        let inflater = Inflater::new(takeover, InflateLimits::default());
        let mut receiver = Receiver::new(Role::Server, LIMITS).with_inflater(inflater);
        let bytes = payloads.iter().fold(Script::client(), |s, payload| {
            let payload: Vec<u8> = (0..payload.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&payload[at..at + 2], 16).unwrap())
                .collect();
            s.compressed(Opcode::Text, true, &payload)
        });
        let heard = listen(&mut receiver, &bytes.bytes(), Cuts::Every(5), |_| false).messages();
        let expected: Vec<_> = messages.iter().map(|message| (Text, message.as_bytes().to_vec())).collect();
        assert_eq!(heard, expected);
    }
}
