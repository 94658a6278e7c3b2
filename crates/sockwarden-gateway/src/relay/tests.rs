//! Messages that a defence drops: the far end receives exactly the others, whatever was agreed and however bytes arrive.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use sockwarden_defend::{Configured, Content, Defence, Fact as Told, Guard, Hears, Switch};
use sockwarden_inspect::Opening;
use sockwarden_model::{Decision, Event, EventId, EventReceiver, Mode, Rule, event_channel, rule};
use sockwarden_net::SystemMaskKeys;
use sockwarden_proto::{
    FrameHeader, Limits, RawFrame, Role, Session,
    deflate::{Agreement, Deflater, InflateLimits, Inflater, WindowBits},
};

use super::*;
use crate::{
    counters::RouteTally,
    inflate_time::InflateTimes,
    inspection::InspectConfig,
    liveness::TimeoutsConfig,
    registry::{About, Registry},
};

rule! {
    /// # What it does
    /// Drops messages that hold a word.
    ///
    /// # Why is this bad
    /// It is only a test.
    ///
    /// # How to fix
    /// Say something else.
    static RULE = Defence {
        id: "forbidden-word",
        summary: "messages that hold a word are dropped",
        severity: Low,
        threats: [T5],
        cwe: [20],
        references: ["RFC 7692 §7.2"],
        lifecycle: Stable,
        counterparts: [],
        profile: Passive,
        may_change: "messages are missing",
    }
}

const WORD: &[u8] = b"forbidden";

#[derive(Clone, Debug)]
struct ForbiddenWord;

impl Defence for ForbiddenWord {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::MESSAGES
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(self.clone())
    }
}

impl Guard for ForbiddenWord {
    fn observe(&mut self, fact: &Told<'_>, _now: Duration) -> Verdict {
        match fact {
            Told::Content { content: Content::Whole { bytes, .. }, .. } if is_forbidden(bytes) => {
                Verdict::Drop { reason: "the word is forbidden".into() }
            }
            Told::Content { .. }
            | Told::Open(_)
            | Told::Handshake(_)
            | Told::Request(_)
            | Told::Answer(_)
            | Told::Upstream(_)
            | Told::Frame { .. }
            | Told::Inflated { .. }
            | Told::Violation { .. } => Verdict::Pass,
        }
    }
}

fn is_forbidden(bytes: &[u8]) -> bool {
    bytes.windows(WORD.len()).any(|window| window == WORD)
}

const ROOMY: u64 = 1 << 20;

fn roomy() -> (Limits, InflateLimits) {
    let inflate = InflateLimits { output: ROOMY, ratio: 5000, ratio_floor: ROOMY, overhead: ROOMY };
    (Limits { frame: ROOMY, message: ROOMY }, inflate)
}

/// What is agreed, with which side.
#[derive(Clone, Copy, Debug)]
enum Agreed {
    /// Both on the same, and originals are forwarded.
    Both(Agreement),
    /// Each on its own, or not at all.
    Apart(Option<Agreement>, Option<Agreement>),
}

impl Agreed {
    fn with(self, whose: Direction) -> Option<Agreement> {
        match (self, whose) {
            (Self::Both(agreement), _) => Some(agreement),
            (Self::Apart(client, _), Direction::Client) => client,
            (Self::Apart(_, server), Direction::Server) => server,
        }
    }

    fn ends(self) -> Ends {
        let (limits, inflate) = roomy();
        let originals = match self {
            Self::Both(agreement) => Some(agreement),
            Self::Apart(..) => None,
        };
        let end = |whose, role| {
            let session = Session::new(role, limits, SystemMaskKeys::new());
            match (self.with(whose), originals) {
                (None, _) => session,
                (Some(agreement), Some(_)) => session.with_inflater(agreement.inflater(role, inflate)),
                (Some(agreement), None) => session
                    .with_inflater(agreement.inflater(role, inflate))
                    .with_deflater(agreement.deflater(role)),
            }
        };
        Ends {
            client: end(Direction::Client, Role::Server),
            server: end(Direction::Server, Role::Client),
            originals,
            inflate_times: Some(InflateTimes {
                message: Duration::from_secs(600),
                per_second: Duration::from_secs(600),
            }),
        }
    }
}

fn relay(agreed: Agreed, mode: Mode) -> (Relay, EventReceiver) {
    let (events, receiver) = event_channel(1000);
    let link = Configured::new(ForbiddenWord, Switch::new(mode));
    let chain = Chain::new(&Arc::from([link]));
    let about = About {
        route: "app".into(),
        client: "127.0.0.1:9".parse().unwrap(),
        identity: Arc::default(),
        ticket: None,
        origin: None,
        subprotocol: None,
        tls: false,
        opened_at_ms: 1,
    };
    let seat =
        Arc::new(Registry::default()).seat(EventId::from_random(1), about, &Arc::<RouteTally>::default());
    let liveness = Liveness::new(&TimeoutsConfig::default());
    let journal = Journal::of_nobody(events);
    let inspector = InspectConfig::default().build().unwrap().begin(&Opening::default());
    (Relay::new(chain, inspector, journal, seat, agreed.ends(), Duration::from_secs(1), liveness), receiver)
}

/// A peer at the far end: it compresses what it says, in fragments, and hears what the relay writes.
struct Peer {
    whose: Direction,
    role: Role,
    deflater: Option<Deflater>,
    hears: Session<fn() -> [u8; 4]>,
    heard: Vec<(MessageKind, Vec<u8>)>,
}

impl Peer {
    fn new(whose: Direction, agreed: Agreed) -> Self {
        let role = match whose {
            Direction::Client => Role::Client,
            Direction::Server => Role::Server,
        };
        let (limits, inflate) = roomy();
        let mut hears = Session::new(role, limits, (|| [0; 4]) as fn() -> [u8; 4]);
        let agreement = agreed.with(whose);
        if let Some(agreement) = agreement {
            let inflater: Inflater = agreement.inflater(role, inflate);
            hears = hears.with_inflater(inflater);
        }
        let deflater = agreement.map(|agreement| agreement.deflater(role));
        Self { whose, role, deflater, hears, heard: Vec::new() }
    }

    fn says(&mut self, message: &Message) -> Vec<u8> {
        let mut payload = message.content();
        let deflater = self.deflater.as_mut().filter(|_| message.compressed);
        let rsv = if deflater.is_some() { 4 } else { 0 };
        if let Some(deflater) = deflater {
            let content = std::mem::take(&mut payload);
            deflater.deflate(&content, &mut payload);
        }
        let mut out = Vec::new();
        let size = payload.len().div_ceil(message.fragments).max(1);
        let count = payload.chunks(size).count().max(1);
        for index in 0..count {
            let piece = payload.chunks(size).nth(index).unwrap_or_default();
            let opcode = if index == 0 { MessageKind::Text.opcode() } else { Opcode::Continuation };
            let header = FrameHeader {
                fin: index + 1 == count,
                rsv: if index == 0 { rsv } else { 0 },
                ..FrameHeader::new(opcode, piece.len() as u64)
            };
            let header = match self.role {
                Role::Client => header.masked([1, 2, 3, 4]),
                Role::Server => header,
            };
            RawFrame { header, payload: piece.to_vec() }.encode(&mut out);
        }
        out
    }

    /// Hears all that the relay has to write.
    fn hear(&mut self, relay: &mut Relay) {
        while relay.waiting(self.whose) > 0 {
            let (slices, count) = relay.output(self.whose);
            let mut bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            relay.written(self.whose, bytes.len());
            let (heard, mut held) = (&mut self.heard, Vec::new());
            self.hears.receive(&mut bytes, |fact| {
                match fact {
                    Fact::Data(data) => {
                        held.extend_from_slice(data.bytes);
                        if data.ends {
                            heard.push((data.kind, std::mem::take(&mut held)));
                        }
                    }
                    Fact::Frame(_) => {}
                    Fact::Ping(_) | Fact::Pong(_) | Fact::Close(_) | Fact::Violation(_) => {
                        panic!("{fact:?}")
                    }
                }
                Flow::Continue
            });
        }
    }
}

#[derive(Clone, Debug)]
struct Message {
    from: Direction,
    seed: u8,
    length: usize,
    forbidden: bool,
    compressed: bool,
    fragments: usize,
}

impl Message {
    /// Text that looks back into other messages, and holds the word or not.
    fn content(&self) -> Vec<u8> {
        let words = ["alpha", "beta", "gamma", "delta", "forbid", "den"];
        let mut state = u32::from(self.seed);
        let mut text = String::new();
        while text.len() < self.length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(words[(state >> 16) as usize % words.len()]);
            text.push_str(&format!(" {} ", state >> 24));
        }
        text.truncate(self.length);
        if self.forbidden {
            text.insert_str(self.length / 2, "forbidden");
        }
        text.into_bytes()
    }
}

/// Plays messages, `at_once` bytes for each read; large frames are read to where they are held, as the engine does. Gives the
/// drops that were reported.
fn play(agreed: Agreed, mode: Mode, messages: &[Message], at_once: usize) -> Vec<Mode> {
    let (mut relay, events) = relay(agreed, mode);
    let mut peers = [Direction::Client, Direction::Server].map(|whose| Peer::new(whose, agreed));
    let place = |whose| usize::from(whose == Direction::Server);
    for message in messages {
        let bytes = peers[place(message.from)].says(message);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let next = rest.len().min(at_once);
            let room = relay.room(message.from, 100).map(|room| {
                let length = next.min(room.len());
                room[..length].copy_from_slice(&rest[..length]);
                length
            });
            match room {
                Some(length) => relay.received(message.from, length, Duration::ZERO),
                None => relay.receive(message.from, &mut rest[..next].to_vec(), Duration::ZERO),
            }
            rest = &rest[room.unwrap_or(next)..];
        }
        for peer in &mut peers {
            peer.hear(&mut relay);
        }
    }
    assert!(relay.ended.is_none(), "both sides stay open");
    for (peer, from) in peers.iter().zip([Direction::Server, Direction::Client]) {
        let passes = |message: &&Message| {
            message.from == from && (mode != Mode::Block || !is_forbidden(&message.content()))
        };
        let expected: Vec<_> =
            messages.iter().filter(passes).map(|m| (MessageKind::Text, m.content())).collect();
        assert!(peer.heard == expected, "{:?} hears exactly what passes", peer.whose);
        assert!(relay.side(from).message.held.payload().is_empty());
    }
    let drops = events.try_iter().filter_map(|event| match event {
        Event::Verdict(verdict) => (verdict.decision == Decision::Drop).then_some(verdict.mode),
        Event::Open(_) | Event::Close(_) | Event::Request(_) | Event::Notice(_) | Event::Audit(_) => None,
    });
    drops.collect()
}

fn message(from: Direction, length: usize, forbidden: bool) -> Message {
    Message { from, seed: 7, length, forbidden, compressed: true, fragments: 1 }
}

#[test]
fn after_a_drop_with_context_takeover_what_follows_is_compressed_anew() {
    for from in [Direction::Client, Direction::Server] {
        // All of them say the same: each would look back into the one that the far end has not seen.
        let messages = [false, true, false, true, false].map(|forbidden| message(from, 900, forbidden));
        let drops = play(Agreed::Both(Agreement::default()), Mode::Block, &messages, 10_000);
        assert_eq!(drops, [Mode::Block; 2]);
    }
}

#[test]
fn until_a_drop_and_in_the_other_direction_originals_pass() {
    let agreed = Agreed::Both(Agreement::default());
    let (mut relay, _events) = relay(agreed, Mode::Block);
    let form = |relay: &mut Relay, from| relay.other(from).target.form(true);
    let mut client = Peer::new(Direction::Client, agreed);
    let mut says = |relay: &mut Relay, compressed: bool, forbidden: bool| {
        let message = Message { compressed, ..message(Direction::Client, 900, forbidden) };
        relay.receive(Direction::Client, &mut client.says(&message), Duration::ZERO);
        (form(relay, Direction::Client), form(relay, Direction::Server))
    };
    assert_eq!(says(&mut relay, true, false), (Form::Original, Form::Original));
    // What was not compressed is in nobody's window.
    assert_eq!(says(&mut relay, false, true), (Form::Original, Form::Original));
    let before = relay.memory();
    assert_eq!(says(&mut relay, true, true), (Form::Anew, Form::Original));
    assert_eq!(relay.memory() - before, 266 * 1024, "the encoder is counted");
    assert_eq!(says(&mut relay, true, false), (Form::Anew, Form::Original));
}

#[test]
fn without_context_takeover_originals_go_on_passing() {
    let apart = Agreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Agreement::default()
    };
    let (mut relay, _events) = relay(Agreed::Both(apart), Mode::Block);
    let mut client = Peer::new(Direction::Client, Agreed::Both(apart));
    let bytes = client.says(&message(Direction::Client, 900, true));
    relay.receive(Direction::Client, &mut bytes.clone(), Duration::ZERO);
    assert_eq!(relay.waiting(Direction::Server), 0);
    assert_eq!(relay.server.target.form(true), Form::Original);
}

#[test]
fn a_drop_that_is_only_observed_is_noted_and_nothing_is_missing() {
    let agreed = Agreed::Both(Agreement::default());
    let messages = [message(Direction::Client, 500, true), message(Direction::Server, 30_000, true)];
    assert_eq!(play(agreed, Mode::Observe, &messages, 700), [Mode::Observe; 2]);
    assert_eq!(play(agreed, Mode::Off, &messages, 700), []);
}

fn agreements() -> impl Strategy<Value = Agreement> {
    let bits = || proptest::option::of((8u8..=15).prop_map(|bits| WindowBits::new(bits).unwrap()));
    (any::<bool>(), any::<bool>(), bits(), bits()).prop_map(|(server, client, of_server, of_client)| {
        Agreement {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits: of_server,
            client_max_window_bits: of_client,
        }
    })
}

fn all_agreed() -> impl Strategy<Value = Agreed> {
    let one = || proptest::option::of(agreements());
    prop_oneof![
        3 => agreements().prop_map(Agreed::Both),
        1 => (one(), one()).prop_map(|(client, server)| Agreed::Apart(client, server)),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let direction = prop_oneof![Just(Direction::Client), Just(Direction::Server)];
    let length = prop_oneof![4 => 0usize..3_000, 1 => 0usize..100_000];
    let one =
        (direction, 0u8..4, length, proptest::bool::weighted(0.3), proptest::bool::weighted(0.8), 1usize..5);
    let one = one.prop_map(|(from, seed, length, forbidden, compressed, fragments)| Message {
        from,
        seed,
        length,
        forbidden,
        compressed,
        fragments,
    });
    proptest::collection::vec(one, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_far_end_receives_exactly_what_was_not_dropped(
        agreed in all_agreed(),
        messages in messages(),
        at_once in prop_oneof![50usize..2_000, Just(16 * 1024), Just(1 << 20)],
    ) {
        let forbidden = messages.iter().filter(|message| is_forbidden(&message.content())).count();
        prop_assert_eq!(play(agreed, Mode::Block, &messages, at_once).len(), forbidden);
    }
}
