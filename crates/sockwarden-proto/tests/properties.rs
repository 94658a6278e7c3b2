//! What holds for any bytes: properties over generated input.

use proptest::prelude::*;
use sockwarden_proto::{
    CloseCode, FrameHeader, LengthForm, Limits, MessageKind, Opcode, PayloadLength, Receiver, Role,
    Transmitter,
    deflate::{Agreement, InflateLimits},
    handshake::{ClientHandshake, HeadLimits, RequestHead, UpgradeRequest},
};
use sockwarden_testkit::{
    Cuts, Deed, HostilePeer, Random, Seen, Transcript, Weights, listen, listen_whole, parsers,
};

const LIMITS: Limits = Limits { frame: 70_000, message: 80_000 };

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

const fn peer_of(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Bytes that look like heads: pieces that matter, in any order, and a few random bytes.
fn head_like(start: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "Host: a.example\r\n", "Upgrade: websocket\r\n", "Connection: keep-alive, Upgrade\r\n", "X:\t v \t\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Protocol: a, b\r\n",
            "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Origin: null\r\n", "Sec-WebSocket-Extensions: x; y=\"a,b\"\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec!["\r\n", "\n", "\r", "\r\r\n", " ", "\t", ":", "\0", "\x0c", "\u{e9}", "HTTP/1.1", ","])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    (prop::collection::vec(piece, 0..12), any::<bool>(), 0..4usize).prop_map(move |(pieces, ends, after)| {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend(pieces.concat());
        if ends {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(&b"late"[..after]);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_header_is_read_as_it_was_written(
        fin: bool, rsv in 0..8u8, opcode in 0..16u8, mask: Option<[u8; 4]>, value: u64, form in 0..3, after: [u8; 3],
    ) {
        let (form, value) = match form {
            0 => (LengthForm::Seven, value % 126),
            1 => (LengthForm::Sixteen, value & 0xffff),
            _ => (LengthForm::SixtyFour, value),
        };
        let opcode = Opcode::from_bits(opcode);
        let header = FrameHeader { fin, rsv, opcode, mask, length: PayloadLength { value, form } };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let length = bytes.len();
        prop_assert!(length <= FrameHeader::MAX_LEN);
        bytes.extend_from_slice(&after);
        prop_assert_eq!(FrameHeader::parse(&bytes), Some((header, length)));
        parsers::frame_header(&bytes);
    }

    #[test]
    fn what_a_transmitter_writes_a_receiver_reads(
        role in role(), seed: u64,
        messages in prop::collection::vec((any::<bool>(), prop_oneof![0..300usize, Just(65535), Just(65536)], 0..130usize), 0..6),
        code in prop_oneof![1000..=1003u16, 1007..=1014u16, 3000..=4999u16], reason in ".{0,60}",
    ) {
        let mut random = Random::new(seed);
        let (transmitter, mut keys, mut out) = (Transmitter::new(role), random.clone(), Vec::new());
        let mut expected = Vec::new();
        for (is_text, length, ping) in messages {
            let (kind, payload) = if is_text {
                (MessageKind::Text, random.text(length).into_bytes())
            } else {
                (MessageKind::Binary, random.bytes(length))
            };
            transmitter.message(kind, &payload, &mut keys, &mut out);
            expected.push(Seen::Data { kind, bytes: payload, begins: true, ends: true });
            let ping = random.bytes(ping);
            transmitter.ping(&ping, &mut keys, &mut out);
            transmitter.pong(&ping, &mut keys, &mut out);
            let cut = ping[..ping.len().min(125)].to_vec();
            expected.extend([Seen::Ping(cut.clone()), Seen::Pong(cut)]);
        }
        transmitter.close(Some(CloseCode(code)), &reason, &mut keys, &mut out);
        expected.push(Seen::Close(Some(code), reason[..reason.floor_char_boundary(123)].to_owned()));
        let heard = listen_whole(peer_of(role), LIMITS, &out);
        prop_assert_eq!(heard.without_frames(), expected);
    }

    #[test]
    fn a_legal_peer_is_heard_as_it_spoke_through_any_cuts(role in role(), seed: u64, most in 1..3000usize) {
        let (bytes, deeds) = HostilePeer::new(seed, peer_of(role), LIMITS, Weights::LEGAL).act(10);
        let heard = heard_through_any_cuts(role, &bytes, seed, most);
        prop_assert_eq!(heard.violation(), None);
        prop_assert_eq!(deeds_of(&heard), spoken(&deeds));
    }

    #[test]
    fn a_hostile_peer_is_heard_up_to_the_violation_it_committed(role in role(), seed: u64, most in 1..300usize) {
        let small = Limits { frame: 700, message: 900 };
        let (mut bytes, deeds) = HostilePeer::new(seed, peer_of(role), small, Weights::HOSTILE).act(60);
        let whole = listen_whole(role, small, &bytes);
        prop_assert_eq!(deeds_of(&whole), spoken(&deeds));
        if matches!(deeds.last(), Some(Deed::Close(..) | Deed::Violation(_))) {
            bytes.extend(Random::new(seed).bytes(40));
        }
        let cut = listen(&mut Receiver::new(role, small), &bytes, Cuts::Random(Random::new(seed), most), |_| false);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn mutated_traffic_is_heard_the_same_through_any_cuts(
        role in role(), seed: u64, most in 1..300usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let small = Limits { frame: 700, message: 900 };
        let (mut bytes, _) = HostilePeer::new(seed, peer_of(role), small, Weights::LEGAL).act(12);
        for (at, to) in changes.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = *to;
        }
        heard_through_any_cuts(role, &bytes, seed, most);
    }

    #[test]
    fn random_bytes_are_heard_the_same_through_any_cuts(role in role(), seed: u64, length in 0..400usize) {
        let bytes = Random::new(seed).bytes(length);
        heard_through_any_cuts(role, &bytes, seed, 20);
    }

    #[test]
    fn a_request_head_never_says_two_things(bytes in head_like("GET /chat HTTP/1.1\r\n")) {
        parsers::request_head(&bytes);
    }

    #[test]
    fn a_response_head_never_says_two_things(bytes in head_like("HTTP/1.1 101 Switching Protocols\r\n")) {
        parsers::response_head(&bytes);
    }

    #[test]
    fn no_bytes_at_all_upset_a_parser(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,80}") {
        for (_, parser) in parsers::ALL {
            parser(&bytes);
            parser(text.as_bytes());
        }
    }

    #[test]
    fn a_url_and_an_origin_survive_being_written(
        scheme in "(ws|wss|http|https|WSS|ftp)", host in r"([a-zA-Z0-9_.-]{1,20}|\[[0-9a-f:.]{2,20}\])", port in "(:[0-9]{0,6})?",
        rest in r"([/?][!-~]{0,20})?",
    ) {
        parsers::url(format!("{scheme}://{host}{port}{rest}").as_bytes());
        parsers::origin(format!("{scheme}://{host}{port}").as_bytes());
    }

    #[test]
    fn a_handshake_of_ours_has_no_violation(
        random: [u8; 16], host in "[a-z0-9]{1,20}(:[1-9][0-9]{0,3})?", target in "/[!-\"$-~]{0,30}",
        protocols in prop::collection::hash_set("[a-z.]{1,8}", 0..4), value in "[!-~]([ -~]{0,20}[!-~])?",
    ) {
        let key = ClientHandshake::key_from_random(random);
        let mut handshake = ClientHandshake::new(&host, &target, &key).with_header("X-Any", value.clone());
        handshake.protocols = protocols.into_iter().collect();
        let bytes = handshake.encode();
        let (head, length) = RequestHead::parse(&bytes, HeadLimits::default()).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(head.headers.first("x-any"), Some(value.as_bytes()));
        let request = UpgradeRequest::judge(head, 0);
        prop_assert_eq!(&request.violations, &[]);
        prop_assert_eq!(request.protocols(), handshake.protocols);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn what_is_compressed_is_heard_through_any_cuts(
        role in role(), seed: u64, most in 1..3000usize, apart: bool,
        lengths in prop::collection::vec(prop_oneof![0..300usize, Just(17_000), Just(40_000)], 1..4), noise in 0..100u32,
    ) {
        let mut random = Random::new(seed);
        let agreement = Agreement { server_no_context_takeover: apart, client_no_context_takeover: apart, ..Agreement::default() };
        let (transmitter, mut keys, mut out) = (Transmitter::new(role), random.clone(), Vec::new());
        let mut deflater = agreement.deflater(role);
        let mut expected = Vec::new();
        for length in lengths {
            let byte = random.bits() as u8;
            let message: Vec<u8> =
                random.bytes(length).iter().map(|&b| if u32::from(b) % 100 < noise { b } else { byte }).collect();
            let mut payload = Vec::new();
            deflater.deflate(&message, &mut payload);
            transmitter.compressed(MessageKind::Binary, &payload, &mut keys, &mut out);
            expected.push((MessageKind::Binary, message));
        }
        let inflate = InflateLimits { output: LIMITS.message, ratio: 1100, ..InflateLimits::default() };
        let roomy = Limits { frame: 80_100, message: 80_100 };
        let receiver = || Receiver::new(peer_of(role), roomy).with_inflater(agreement.inflater(peer_of(role), inflate));
        let whole = listen(&mut receiver(), &out, Cuts::Whole, |_| false);
        prop_assert!(whole.messages() == expected);
        let mut stops = Random::new(seed);
        let cut = listen(&mut receiver(), &out, Cuts::Random(Random::new(seed), most), |_| stops.percent(30));
        prop_assert!(cut == whole);
    }

    #[test]
    fn mutated_compressed_messages_are_heard_the_same_through_any_cuts(
        seed: u64, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), length in 0..1500usize,
    ) {
        let mut random = Random::new(seed);
        let mut deflater = Agreement::default().deflater(Role::Client);
        let (mut keys, mut out, mut last) = (random.clone(), Vec::new(), Vec::new());
        for kind in [MessageKind::Text, MessageKind::Binary, MessageKind::Text] {
            last.clear();
            deflater.deflate(random.text(length).as_bytes(), &mut last);
            Transmitter::new(Role::Client).compressed(kind, &last, &mut keys, &mut out);
        }
        for (at, to) in changes {
            let index = at.index(out.len());
            out[index] = to;
            let index = at.index(last.len());
            last[index] = to;
        }
        parsers::receiver_deflate(&out);
        parsers::inflater(&last);
    }
}

/// Hears bytes in one read and checks that other cuts and stops say the same.
fn heard_through_any_cuts(role: Role, bytes: &[u8], seed: u64, most: usize) -> Transcript {
    let whole = listen_whole(role, LIMITS, bytes);
    let mut stops = Random::new(seed);
    let all = [
        Cuts::Every(1),
        Cuts::Random(Random::new(seed), most),
        Cuts::At((seed as usize) % (bytes.len() + 1)),
    ];
    for cuts in all {
        let cut = listen(&mut Receiver::new(role, LIMITS), bytes, cuts.clone(), |_| stops.percent(30));
        assert_eq!(cut, whole, "{cuts:?}");
    }
    whole
}

/// What a peer did, apart from fragments that end nothing.
fn spoken(deeds: &[Deed]) -> Vec<Deed> {
    deeds.iter().filter(|deed| **deed != Deed::Fragment).cloned().collect()
}

/// What a transcript says the peer did, in the same terms.
fn deeds_of(transcript: &Transcript) -> Vec<Deed> {
    let mut messages = transcript.messages().into_iter();
    let mut deeds = Vec::new();
    for seen in &transcript.0 {
        match seen {
            Seen::Frame(_) | Seen::Data { ends: false, .. } => {}
            Seen::Data { ends: true, .. } => {
                deeds.extend(messages.next().map(|(kind, bytes)| Deed::Message(kind, bytes)));
            }
            Seen::Ping(payload) => deeds.push(Deed::Ping(payload.clone())),
            Seen::Pong(payload) => deeds.push(Deed::Pong(payload.clone())),
            Seen::Close(code, reason) => deeds.push(Deed::Close(*code, reason.clone())),
            Seen::Violation(violation) => deeds.push(Deed::Violation(*violation)),
        }
    }
    deeds
}
