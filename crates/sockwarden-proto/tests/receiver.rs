//! Tables for the receiving half: scripts of bytes in, facts out, in both roles.

use sockwarden_proto::{
    CloseCode, Data, Fact, FrameHeader, LengthForm, Limits, MessageKind, Opcode, Receiver, Role, Violation,
};
use sockwarden_testkit::{Cuts, KEY, Random, Script, Seen, Transcript, listen, listen_whole};

use MessageKind::{Binary, Text};

const SMALL: Limits = Limits { frame: 200, message: 300 };
const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// Checks what an endpoint hears, in both roles, from the same script in any cuts and with a stop at every fact.
fn check(script: impl Fn(Script) -> Script, expected: &[Seen]) {
    for role in BOTH {
        check_in(role, SMALL, script(Script::to(role)), expected);
    }
}

/// Checks what an endpoint in one role hears; headers are left out.
fn check_in(role: Role, limits: Limits, script: Script, expected: &[Seen]) {
    let bytes = script.bytes();
    let whole = listen_whole(role, limits, &bytes);
    assert_eq!(whole.without_frames(), expected, "{role:?}: {bytes:02x?}");
    let listen = |cuts, stops: bool| listen(&mut Receiver::new(role, limits), &bytes, cuts, |_| stops);
    for cuts in [Cuts::Whole, Cuts::Every(1), Cuts::Every(2), Cuts::Random(Random::new(1), 9)] {
        assert_eq!(listen(cuts.clone(), false), whole, "{role:?} {cuts:?}: {bytes:02x?}");
        assert_eq!(listen(cuts, true), whole, "{role:?} with stops: {bytes:02x?}");
    }
    for cut in 0..bytes.len().min(300) {
        assert_eq!(listen(Cuts::At(cut), false), whole, "{role:?} cut at {cut}: {bytes:02x?}");
    }
}

/// Checks that a script is a violation, after whatever was legal before it.
fn violates(script: impl Fn(Script) -> Script, violation: Violation) {
    for role in BOTH {
        violates_in(role, script(Script::to(role)), violation);
    }
}

fn violates_in(role: Role, script: Script, violation: Violation) {
    // Nothing that follows is heard.
    let bytes = script.ping(b"late").text("late").close(1000, "late").bytes();
    let whole = listen_whole(role, SMALL, &bytes);
    assert_eq!(whole.0.last(), Some(&Seen::Violation(violation)), "{role:?}: {bytes:02x?}");
    let before: Vec<Seen> = whole.without_frames();
    check_in(role, SMALL, Script::to(role).raw(&bytes), &before);
}

fn data(kind: MessageKind, bytes: &[u8], begins: bool, ends: bool) -> Seen {
    Seen::Data { kind, bytes: bytes.to_vec(), begins, ends }
}

fn whole(kind: MessageKind, bytes: &[u8]) -> Seen {
    data(kind, bytes, true, true)
}

fn closed(code: u16, reason: &str) -> Seen {
    Seen::Close(Some(code), reason.to_owned())
}

#[test]
fn whole_messages_are_heard() {
    check(|s| s, &[]);
    check(|s| s.text("hello"), &[whole(Text, b"hello")]);
    check(|s| s.text("κόσμε 𐍈"), &[whole(Text, "κόσμε 𐍈".as_bytes())]);
    check(|s| s.binary(b"\xff\xfe"), &[whole(Binary, b"\xff\xfe")]);
    check(|s| s.text("").binary(b""), &[whole(Text, b""), whole(Binary, b"")]);
    check(|s| s.binary(&[7; 126]).text("a"), &[whole(Binary, &[7; 126]), whole(Text, b"a")]);
}

#[test]
fn fragments_are_pieces_of_one_message() {
    check(
        |s| s.begin(Text, b"ab").more(b"cd").end(b"ef").text("g"),
        &[
            data(Text, b"ab", true, false),
            data(Text, b"cd", false, false),
            data(Text, b"ef", false, true),
            whole(Text, b"g"),
        ],
    );
    // Empty fragments say nothing until the message ends.
    check(|s| s.begin(Binary, b"").more(b"").end(b""), &[whole(Binary, b"")]);
    check(
        |s| s.begin(Text, b"").more(b"a").end(b""),
        &[data(Text, b"a", true, false), data(Text, b"", false, true)],
    );
    check(|s| s.begin(Text, b"never ended"), &[data(Text, b"never ended", true, false)]);
}

#[test]
fn control_frames_may_come_between_fragments() {
    check(
        |s| s.ping(b"").begin(Text, b"a").ping(b"1").pong(b"2").ping(&[3; 125]).end(b"b").pong(b""),
        &[
            Seen::Ping(vec![]),
            data(Text, b"a", true, false),
            Seen::Ping(b"1".to_vec()),
            Seen::Pong(b"2".to_vec()),
            Seen::Ping(vec![3; 125]),
            data(Text, b"b", false, true),
            Seen::Pong(vec![]),
        ],
    );
    check(|s| s.begin(Text, b"a").close(1001, "x"), &[data(Text, b"a", true, false), closed(1001, "x")]);
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    check(
        |s| s.begin(Text, b"\xf0").more(b"\x9f").ping(b"").more(b"\x92").end(b"\xa9"),
        &[
            data(Text, b"\xf0", true, false),
            data(Text, b"\x9f", false, false),
            Seen::Ping(vec![]),
            data(Text, b"\x92", false, false),
            data(Text, b"\xa9", false, true),
        ],
    );
}

#[test]
fn a_text_fails_at_its_first_wrong_byte() {
    let bad = Seen::Violation(Violation::InvalidUtf8);
    let mut before = Vec::new();
    let mut fails = |script: &dyn Fn(Script) -> Script, start: &[Seen]| {
        before.clear();
        before.extend_from_slice(start);
        before.push(bad.clone());
        check(script, &before);
    };
    fails(&|s| s.frame(Opcode::Text, true, b"\xff"), &[]);
    fails(&|s| s.frame(Opcode::Text, true, b"ab\xffcd"), &[data(Text, b"ab", true, false)]);
    fails(&|s| s.frame(Opcode::Text, true, b"ab\xe2\x82(cd"), &[data(Text, b"ab\xe2\x82", true, false)]);
    fails(&|s| s.frame(Opcode::Text, true, b"ab\xed\xa0\x80"), &[data(Text, b"ab\xed", true, false)]);
    fails(&|s| s.frame(Opcode::Text, true, b"ab\xf4\x90"), &[data(Text, b"ab\xf4", true, false)]);
    // The last character is incomplete when the message ends.
    fails(&|s| s.frame(Opcode::Text, true, b"ab\xe2\x82"), &[data(Text, b"ab\xe2\x82", true, false)]);
    fails(&|s| s.begin(Text, b"\xe2").end(b""), &[data(Text, b"\xe2", true, false)]);
    fails(
        &|s| s.begin(Text, b"\xe2").more(b"\x82").end(b"").ping(b""),
        &[data(Text, b"\xe2", true, false), data(Text, b"\x82", false, false)],
    );
    // The wrong byte is in another fragment than the start of its character, and the message never ends.
    fails(&|s| s.begin(Text, b"a\xe2").more(b"("), &[data(Text, b"a\xe2", true, false)]);
    // It does not wait for the rest of its frame.
    for role in BOTH {
        let cut = Script::to(role).frame(Opcode::Text, true, b"a\xffbcdef").bytes();
        let transcript = listen_whole(role, SMALL, &cut[..cut.len() - 4]);
        assert_eq!(transcript.violation(), Some(Violation::InvalidUtf8));
    }
    // A new message begins with a clean slate, and binary may hold anything.
    check(
        |s| s.begin(Binary, b"\xe2").end(b"(").text("ok"),
        &[data(Binary, b"\xe2", true, false), data(Binary, b"(", false, true), whole(Text, b"ok")],
    );
}

#[test]
fn each_violation_is_named_in_both_roles() {
    use Violation as V;
    for rsv in 1..=7 {
        violates(move |s| s.odd(Opcode::Text, b"x", |h| h.rsv = rsv), V::ReservedBits { rsv });
        violates(move |s| s.odd(Opcode::Ping, b"", |h| h.rsv = rsv), V::ReservedBits { rsv });
    }
    for bits in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        violates(move |s| s.frame(Opcode::Reserved(bits), true, b""), V::ReservedOpcode(bits));
        violates(
            move |s| s.begin(Text, b"a").frame(Opcode::Reserved(bits), false, b"x"),
            V::ReservedOpcode(bits),
        );
    }
    for opcode in
        [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong, Opcode::Close, Opcode::Continuation]
    {
        let unmasked = Script::client().odd(opcode, b"", |h| h.mask = None);
        violates_in(Role::Server, unmasked, V::UnmaskedClientFrame);
        let masked = Script::server().odd(opcode, b"", |h| h.mask = Some(KEY));
        violates_in(Role::Client, masked, V::MaskedServerFrame);
        // A key of zeros changes no byte and is a mask all the same.
        let zeros = Script::server().odd(opcode, b"", |h| h.mask = Some([0; 4]));
        violates_in(Role::Client, zeros, V::MaskedServerFrame);
    }
    let long = LengthForm::SixtyFour;
    violates(|s| s.announce(Opcode::Binary, 1 << 63, long), V::LengthTopBit);
    violates(|s| s.announce(Opcode::Text, u64::MAX, long), V::LengthTopBit);
    for length in [0, 1, 125] {
        violates(move |s| s.announce(Opcode::Text, length, LengthForm::Sixteen), V::NonMinimalLength);
        violates(move |s| s.announce(Opcode::Ping, length, LengthForm::Sixteen), V::NonMinimalLength);
        violates(move |s| s.announce(Opcode::Binary, length, long), V::NonMinimalLength);
    }
    violates(|s| s.announce(Opcode::Binary, 65535, long), V::NonMinimalLength);
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        violates(move |s| s.frame(opcode, false, b""), V::FragmentedControl);
        violates(move |s| s.begin(Text, b"a").frame(opcode, false, b"x"), V::FragmentedControl);
        violates(move |s| s.frame(opcode, true, &[0; 126]), V::OversizeControl);
        violates(move |s| s.announce(opcode, 1 << 63, long), V::OversizeControl);
    }
    violates(|s| s.end(b"x"), V::UnexpectedContinuation);
    violates(|s| s.more(b""), V::UnexpectedContinuation);
    violates(|s| s.text("a").end(b"x"), V::UnexpectedContinuation);
    violates(|s| s.begin(Text, b"a").end(b"b").end(b"c"), V::UnexpectedContinuation);
    violates(|s| s.begin(Text, b"a").text("b"), V::InterleavedMessage);
    violates(|s| s.begin(Binary, b"").ping(b"").begin(Binary, b""), V::InterleavedMessage);
    violates(|s| s.frame(Opcode::Close, true, b"\x03"), V::ClosePayloadTooShort);
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        violates(move |s| s.close(code, ""), V::InvalidCloseCode(code));
        violates(move |s| s.begin(Text, b"a").close(code, "why"), V::InvalidCloseCode(code));
    }
    violates(|s| s.frame(Opcode::Close, true, b"\x03\xe8\xce\xba\xe1"), V::CloseReasonNotUtf8);
}

#[test]
fn the_first_two_bytes_of_a_header_are_judged_without_the_rest() {
    use Violation as V;
    let check = |role, before: Script, start: [u8; 2], violation| {
        let heard = listen_whole(role, SMALL, &before.clone().raw(&start).bytes());
        assert_eq!(heard.violation(), violation, "{role:?} {start:02x?}");
        // The length is not known, nor is the opcode enough alone.
        assert_eq!(listen_whole(role, SMALL, &before.raw(&start[..1]).bytes()).violation(), None);
    };
    let (c, s) = (Script::client, Script::server);
    check(Role::Server, c(), [0xc1, 0xfe], Some(V::ReservedBits { rsv: 4 }));
    check(Role::Client, s(), [0x83, 0x7f], Some(V::ReservedOpcode(3)));
    check(Role::Server, c(), [0x81, 0x7e], Some(V::UnmaskedClientFrame));
    check(Role::Client, s(), [0x81, 0x85], Some(V::MaskedServerFrame));
    check(Role::Server, c(), [0x09, 0x85], Some(V::FragmentedControl));
    check(Role::Server, c(), [0x80, 0x85], Some(V::UnexpectedContinuation));
    check(Role::Server, c().begin(Text, b"a"), [0x81, 0x85], Some(V::InterleavedMessage));
    check(Role::Server, c().begin(Text, b"a"), [0x80, 0x85], None);
    // Too long or not the shortest form: that takes the whole length to say.
    check(Role::Client, s(), [0x89, 0x7e], None);
    check(Role::Client, s(), [0x82, 0x7f], None);
}

#[test]
fn a_limit_is_kept_to_the_byte() {
    use Violation as V;
    let (at, over) = ([1; 200], [1; 201]);
    check(|s| s.binary(&at), &[whole(Binary, &at)]);
    violates(|s| s.binary(&over), V::FrameTooBig { length: 201, limit: 200 });
    violates(
        |s| s.announce(Opcode::Binary, (1 << 63) - 1, LengthForm::SixtyFour),
        V::FrameTooBig { length: (1 << 63) - 1, limit: 200 },
    );
    check(
        |s| s.begin(Binary, &at).end(&at[..100]),
        &[data(Binary, &at, true, false), data(Binary, &at[..100], false, true)],
    );
    let too_big = V::MessageTooBig { length: 301, limit: 300 };
    violates(|s| s.begin(Binary, &at).end(&at[..101]), too_big);
    // It is the header that tells, before any byte of the payload.
    violates(
        |s| s.begin(Binary, &at).more(&at[..100]).announce(Opcode::Continuation, 1, LengthForm::Seven),
        too_big,
    );
    // The next message counts anew, and control frames do not count.
    check(
        |s| s.begin(Binary, &at).ping(&[0; 125]).end(&at[..100]).binary(&at),
        &[
            data(Binary, &at, true, false),
            Seen::Ping(vec![0; 125]),
            data(Binary, &at[..100], false, true),
            whole(Binary, &at),
        ],
    );
    // A limit of nothing lets empty messages pass; the largest limits do not overflow.
    for role in BOTH {
        let none = Limits { frame: 0, message: 0 };
        check_in(
            role,
            none,
            Script::to(role).text("").ping(b"x"),
            &[whole(Text, b""), Seen::Ping(b"x".to_vec())],
        );
        let all = Limits { frame: u64::MAX, message: u64::MAX };
        let huge = Script::to(role).announce(Opcode::Binary, (1 << 63) - 1, LengthForm::SixtyFour);
        check_in(role, all, huge.raw(b"abc"), &[data(Binary, &listen_payload(role, b"abc"), true, false)]);
    }
}

#[test]
fn a_close_frame_is_heard_and_nothing_after_it() {
    check(|s| s.close_empty().text("late"), &[Seen::Close(None, String::new())]);
    check(|s| s.close(1000, "bye").close(1000, "again").raw(b"\xff\xff"), &[closed(1000, "bye")]);
    let longest = "é".repeat(61) + "x";
    check(|s| s.close(4999, &longest).ping(b""), &[closed(4999, &longest)]);
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    {
        check(move |s| s.close(code, ""), &[closed(code, "")]);
    }
}

#[test]
fn a_header_is_told_before_its_payload_arrives() {
    for role in BOTH {
        let bytes = Script::to(role).begin(Text, b"abc").bytes();
        let mut receiver = Receiver::new(role, SMALL);
        let header_length = bytes.len() - 3;
        let transcript = listen(&mut receiver, &bytes[..header_length], Cuts::Whole, |_| false);
        let mask = (role == Role::Server).then_some(KEY);
        let expected = FrameHeader { fin: false, mask, ..FrameHeader::new(Opcode::Text, 3) };
        assert_eq!(transcript, Transcript(vec![Seen::Frame(expected)]));
        assert!(receiver.is_inside_message() && !receiver.is_finished());
    }
}

#[test]
fn a_stop_before_a_payload_leaves_it_masked_and_unread() {
    let mut bytes = Script::client().text("abc").bytes();
    let original = bytes.clone();
    let mut receiver = Receiver::new(Role::Server, SMALL);
    let consumed = receiver.receive(&mut bytes, |_| sockwarden_proto::Flow::Stop);
    assert_eq!((consumed, &bytes), (6, &original));
    let mut heard = None;
    receiver.receive(&mut bytes[consumed..], |fact| {
        if let Fact::Data(&Data { bytes, ends, .. }) = fact {
            heard = Some((bytes.to_vec(), ends));
        }
        sockwarden_proto::Flow::Continue
    });
    assert_eq!(heard, Some((b"abc".to_vec(), true)));
}

#[test]
fn a_frame_without_payload_has_its_fact_after_a_stop_though_no_byte_is_left() {
    let mut receiver = Receiver::new(Role::Client, SMALL);
    let mut bytes = Script::server().ping(b"").bytes();
    assert_eq!(receiver.receive(&mut bytes, |_| sockwarden_proto::Flow::Stop), 2);
    let mut pinged = false;
    receiver.receive(&mut [], |fact| {
        pinged = fact == Fact::Ping(b"");
        sockwarden_proto::Flow::Continue
    });
    assert!(pinged);
}

#[test]
fn what_a_receiver_says_of_itself_follows_the_facts() {
    let after = |script: Script| {
        let mut receiver = Receiver::new(Role::Server, SMALL);
        listen(&mut receiver, &script.bytes(), Cuts::Whole, |_| false);
        (receiver.is_inside_message(), receiver.is_finished())
    };
    let c = Script::client;
    assert_eq!(after(c()), (false, false));
    assert_eq!(after(c().text("a")), (false, false));
    assert_eq!(after(c().begin(Text, b"")), (true, false));
    assert_eq!(after(c().begin(Text, b"a").ping(b"")), (true, false));
    assert_eq!(after(c().begin(Text, b"a").end(b"")), (false, false));
    assert_eq!(after(c().close_empty()), (false, true));
    assert_eq!(after(c().begin(Text, b"a").close_empty()), (true, true));
    assert_eq!(after(c().begin(Text, b"a").text("b")), (false, true));
}

#[test]
fn each_violation_has_the_close_code_that_autobahn_and_the_rfc_ask_for() {
    let check = |violation: Violation, code, section| {
        assert_eq!((violation.close_code(), violation.section()), (code, section), "{violation}");
    };
    let protocol = CloseCode::PROTOCOL_ERROR;
    check(Violation::ReservedBits { rsv: 4 }, protocol, "§5.2");
    check(Violation::ReservedOpcode(3), protocol, "§5.2");
    check(Violation::LengthTopBit, protocol, "§5.2");
    check(Violation::NonMinimalLength, protocol, "§5.2");
    check(Violation::UnmaskedClientFrame, protocol, "§5.1");
    check(Violation::MaskedServerFrame, protocol, "§5.1");
    check(Violation::FragmentedControl, protocol, "§5.5");
    check(Violation::OversizeControl, protocol, "§5.5");
    check(Violation::UnexpectedContinuation, protocol, "§5.4");
    check(Violation::InterleavedMessage, protocol, "§5.4");
    check(Violation::ClosePayloadTooShort, protocol, "§5.5.1");
    check(Violation::InvalidCloseCode(1005), protocol, "§7.4");
    check(Violation::CloseReasonNotUtf8, CloseCode::INVALID_DATA, "§5.5.1");
    check(Violation::InvalidUtf8, CloseCode::INVALID_DATA, "§8.1");
    check(Violation::FrameTooBig { length: 2, limit: 1 }, CloseCode::TOO_BIG, "§10.4");
    check(Violation::MessageTooBig { length: 2, limit: 1 }, CloseCode::TOO_BIG, "§10.4");
}

/// Gives what raw bytes after a script's header read as: a server unmasks them.
fn listen_payload(role: Role, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if role == Role::Server {
        sockwarden_proto::apply_mask(KEY, 0, &mut bytes);
    }
    bytes
}
