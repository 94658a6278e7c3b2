//! Tables for the sending half and the whole endpoint, and two endpoints that talk over a simulated network.

use std::time::Duration;

use sockwarden_proto::{
    CloseCode, Fact, Flow, FrameHeader, Limits, MessageKind, Opcode, Phase, RawFrame, Role, Session,
    Transmitter,
};
use sockwarden_testkit::{Clock, Cuts, End, KEY, Link, Pair, Random, Script, Seen, Transcript, listen_whole};

type TestSession = Session<fn() -> [u8; 4]>;

fn session(role: Role) -> TestSession {
    Session::new(role, Limits::default(), || KEY)
}

/// Gives a script's bytes to a session; the facts.
fn receive(session: &mut TestSession, script: Script) -> Vec<Seen> {
    let mut bytes = script.bytes();
    let mut transcript = Transcript::default();
    let consumed = session.receive(&mut bytes, |fact| {
        transcript.hear(fact);
        Flow::Continue
    });
    assert_eq!(consumed, bytes.len());
    transcript.without_frames()
}

/// Takes what a session wants written.
fn written(session: &mut TestSession) -> Vec<u8> {
    assert_eq!(session.output_len(), session.output().len());
    std::mem::take(session.output())
}

#[test]
fn a_transmitter_writes_what_a_script_of_its_role_says() {
    let check = |write: &dyn Fn(Transmitter, &mut Vec<u8>), script: &dyn Fn(Script) -> Script| {
        for role in [Role::Client, Role::Server] {
            let mut out = b"before".to_vec();
            write(Transmitter::new(role), &mut out);
            assert_eq!(
                out,
                Script::new(role)
                    .raw(b"before")
                    .bytes()
                    .into_iter()
                    .chain(script(Script::new(role)).bytes())
                    .collect::<Vec<u8>>()
            );
        }
    };
    let mut keys = || KEY;
    let k = || -> fn() -> [u8; 4] { || KEY };
    check(&|t, out| t.message(MessageKind::Text, b"hi", &mut k(), out), &|s| s.text("hi"));
    check(&|t, out| t.message(MessageKind::Binary, b"", &mut k(), out), &|s| s.binary(b""));
    for length in [125, 126, 65535, 65536] {
        let payload = vec![9; length];
        check(&|t, out| t.message(MessageKind::Binary, &payload, &mut k(), out), &|s| s.binary(&payload));
    }
    check(&|t, out| t.ping(b"p", &mut k(), out), &|s| s.ping(b"p"));
    check(&|t, out| t.pong(b"p", &mut k(), out), &|s| s.pong(b"p"));
    check(&|t, out| t.ping(&[1; 126], &mut k(), out), &|s| s.ping(&[1; 125]));
    check(&|t, out| t.pong(&[1; 9000], &mut k(), out), &|s| s.pong(&[1; 125]));
    check(&|t, out| t.frame(Opcode::Continuation, false, b"c", &mut k(), out), &|s| s.more(b"c"));
    check(&|t, out| t.close(None, "dropped", &mut k(), out), &|s| s.close_empty());
    check(&|t, out| t.close(Some(CloseCode::POLICY), "no", &mut k(), out), &|s| s.close(1008, "no"));
    // Never on the wire, whatever the caller says.
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL, CloseCode(1015), CloseCode(0), CloseCode(5000)] {
        check(&|t, out| t.close(Some(code), "x", &mut k(), out), &|s| s.close_empty());
    }
    let mut out = Vec::new();
    Transmitter::new(Role::Server).close(Some(CloseCode::NORMAL), &"é".repeat(100), &mut keys, &mut out);
    assert_eq!(out.len(), 2 + 2 + 122);
}

#[test]
fn a_client_takes_a_fresh_key_for_each_frame_and_a_server_none() {
    let mut next = 0u8;
    let mut keys = || {
        next += 1;
        [next; 4]
    };
    let mut out = Vec::new();
    for role in [Role::Client, Role::Server] {
        Transmitter::new(role).ping(b"", &mut keys, &mut out);
        Transmitter::new(role).message(MessageKind::Text, b"", &mut keys, &mut out);
    }
    let frame = RawFrame::client(Opcode::Binary, b"", &mut keys);
    assert_eq!(out, b"\x89\x80\x01\x01\x01\x01\x81\x80\x02\x02\x02\x02\x89\x00\x81\x00");
    assert_eq!(frame.header, FrameHeader::new(Opcode::Binary, 0).masked([3; 4]));
}

#[test]
fn each_ping_is_answered_in_order_until_a_close() {
    for role in [Role::Client, Role::Server] {
        let mut s = session(role);
        let heard = receive(
            &mut s,
            Script::to(role).ping(b"1").begin(MessageKind::Text, b"a").ping(b"").end(b"").ping(b"3"),
        );
        assert_eq!(heard.len(), 5);
        assert_eq!(written(&mut s), Script::new(role).pong(b"1").pong(b"").pong(b"3").bytes());
        // A pong is not answered, asked for or not.
        receive(&mut s, Script::to(role).pong(b"1"));
        assert_eq!(written(&mut s), b"");
        // Nothing may follow our close frame (§5.5.1).
        s.close(Some(CloseCode::NORMAL), "");
        receive(&mut s, Script::to(role).ping(b"4"));
        assert_eq!(written(&mut s), Script::new(role).close(1000, "").bytes());
    }
}

#[test]
fn the_pongs_take_at_most_three_times_the_pings() {
    let pings = (0..5000).fold(Script::server(), |script, _| script.ping(b""));
    let length = pings.clone().bytes().len();
    let mut s = session(Role::Client);
    receive(&mut s, pings);
    assert_eq!(s.output_len(), 3 * length);
}

#[test]
fn the_phases_follow_the_close_frames_of_both_sides() {
    for role in [Role::Client, Role::Server] {
        let peer = || Script::to(role);
        // The peer begins.
        let mut s = session(role);
        assert_eq!((s.phase(), s.is_peer_finished()), (Phase::Open, false));
        assert_eq!(
            receive(&mut s, peer().close(1001, "x").ping(b"late")),
            [Seen::Close(Some(1001), "x".to_owned())]
        );
        assert_eq!((s.phase(), s.is_peer_finished()), (Phase::CloseReceived, true));
        s.ping(b"too late");
        assert_eq!(written(&mut s), b"");
        // What we had begun may still be sent (§5.5.1).
        s.send(MessageKind::Text, b"last");
        s.close(Some(CloseCode::GOING_AWAY), "x");
        assert_eq!(s.phase(), Phase::Closed);
        s.close(Some(CloseCode::NORMAL), "again");
        s.send(MessageKind::Text, b"too late");
        assert_eq!(written(&mut s), Script::new(role).text("last").close(1001, "x").bytes());

        // We begin; the peer still sends, then answers.
        let mut s = session(role);
        s.ping(b"p");
        s.send(MessageKind::Binary, b"m");
        s.close(None, "");
        assert_eq!(s.phase(), Phase::CloseSent);
        s.send(MessageKind::Binary, b"too late");
        s.ping(b"too late");
        assert_eq!(written(&mut s), Script::new(role).ping(b"p").binary(b"m").close_empty().bytes());
        assert_eq!(receive(&mut s, peer().text("t").close_empty()).len(), 2);
        assert_eq!((s.phase(), s.is_peer_finished()), (Phase::Closed, true));
    }
}

#[test]
fn a_violation_ends_the_peer_and_is_answered_by_the_caller() {
    for role in [Role::Client, Role::Server] {
        let mut s = session(role);
        let heard = receive(&mut s, Script::to(role).begin(MessageKind::Text, b"a").text("b").ping(b"late"));
        let Some(Seen::Violation(violation)) = heard.last() else { panic!("{heard:?}") };
        assert_eq!((s.phase(), s.is_peer_finished(), s.is_inside_message()), (Phase::Open, true, false));
        assert_eq!(written(&mut s), b"");
        s.close(Some(violation.close_code()), &violation.to_string());
        assert_eq!(s.phase(), Phase::CloseSent);
        let answer = listen_whole(opposite(role), Limits::default(), &written(&mut s));
        assert_eq!(answer.without_frames(), [Seen::Close(Some(1002), violation.to_string())]);
    }
}

#[test]
fn a_stopped_session_takes_up_where_it_was() {
    let bytes = Script::client().ping(b"1").text("a").close(1000, "").bytes();
    let mut s = session(Role::Server);
    let mut rest = bytes;
    let mut facts = 0;
    for _ in 0..20 {
        let consumed = s.receive(&mut rest, |_| {
            facts += 1;
            Flow::Stop
        });
        rest.drain(..consumed);
    }
    // Three headers, the ping, the text, the close.
    assert_eq!((facts, s.phase(), rest.len()), (6, Phase::CloseReceived, 0));
    assert_eq!(written(&mut s), Script::server().pong(b"1").bytes());
}

/// One endpoint of a simulated conversation: sends `left` messages, closes when it has sent all or the peer closes.
struct Talker {
    session: Session<Random>,
    end: End,
    sent: Vec<(MessageKind, Vec<u8>)>,
    heard: Transcript,
    left: usize,
    random: Random,
    unread: Vec<u8>,
}

impl Talker {
    fn new(role: Role, seed: u64) -> Self {
        Self {
            session: Session::new(role, Limits::default(), Random::new(seed)),
            end: if role == Role::Client { End::Client } else { End::Server },
            sent: Vec::new(),
            heard: Transcript::default(),
            left: 20,
            random: Random::new(seed + 1),
            unread: Vec::new(),
        }
    }

    fn step(&mut self, pair: &mut Pair, clock: &Clock) {
        if let Some(arrived) = pair.read(self.end, clock.now()) {
            self.unread.extend(arrived);
        }
        let (heard, random) = (&mut self.heard, &mut self.random);
        let consumed = self.session.receive(&mut self.unread, |fact| {
            assert!(!matches!(fact, Fact::Violation(_)), "{fact:?}");
            heard.hear(fact);
            if random.percent(20) { Flow::Stop } else { Flow::Continue }
        });
        self.unread.drain(..consumed);
        match self.session.phase() {
            Phase::Open if self.left == 0 => self.session.close(Some(CloseCode::NORMAL), "done"),
            Phase::Open if self.session.output_len() < 4096 => self.say(),
            Phase::CloseReceived => self.session.close(Some(CloseCode::NORMAL), ""),
            Phase::Open | Phase::CloseSent | Phase::Closed => {}
        }
        let output = self.session.output();
        let written = pair.write(self.end, output, clock.now());
        output.drain(..written);
    }

    fn say(&mut self) {
        let length = self.random.pick(&[0, 1, 125, 126, 1000, 65535, 65536]);
        let message = if self.random.percent(50) {
            (MessageKind::Binary, self.random.bytes(length))
        } else {
            (MessageKind::Text, "x".repeat(length).into_bytes())
        };
        self.session.send(message.0, &message.1);
        self.session.ping(b"still there?");
        self.sent.push(message);
        self.left -= 1;
    }
}

#[test]
fn two_sessions_understand_each_other_over_any_network() {
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let mut link = || Link {
            latency: Duration::from_millis(random.below(50) as u64),
            chunk: random.pick(&[1, 7, 1000, 65536]),
            window: random.pick(&[1000, 65536]),
            random: random.percent(50).then(|| Random::new(seed)),
        };
        let mut pair = Pair::new(link(), link());
        let mut clock = Clock::new();
        let mut talkers = [Talker::new(Role::Client, seed), Talker::new(Role::Server, seed + 1000)];
        // In some the client has nothing to say: one closes, the other still talks.
        talkers[0].left = if seed % 3 == 0 { 0 } else { 20 };
        let mut steps = 0u32;
        let closed = |t: &mut Talker| t.session.phase() == Phase::Closed && t.session.output_len() == 0;
        while !talkers.iter_mut().all(closed) {
            talkers.iter_mut().for_each(|t| t.step(&mut pair, &clock));
            clock.advance(Duration::from_millis(1));
            steps += 1;
            assert!(
                steps < 3_000_000,
                "seed {seed}: {talkers:?}",
                talkers = talkers.each_ref().map(|t| t.session.phase())
            );
        }
        let [client, server] = &talkers;
        for (speaker, listener) in [(client, server), (server, client)] {
            assert_eq!(listener.heard.messages(), speaker.sent, "seed {seed}");
            assert!(listener.heard.is_closed() && listener.heard.violation().is_none());
        }
    }
}

#[test]
fn close_frames_that_cross_close_both_sides() {
    let (mut client, mut server) = (session(Role::Client), session(Role::Server));
    client.close(Some(CloseCode::NORMAL), "c");
    server.close(Some(CloseCode::GOING_AWAY), "s");
    let (to_server, to_client) = (written(&mut client), written(&mut server));
    assert_eq!(
        receive(&mut server, Script::client().raw(&to_server)),
        [Seen::Close(Some(1000), "c".to_owned())]
    );
    assert_eq!(
        receive(&mut client, Script::server().raw(&to_client)),
        [Seen::Close(Some(1001), "s".to_owned())]
    );
    assert_eq!((client.phase(), server.phase()), (Phase::Closed, Phase::Closed));
    // Neither says more.
    client.close(None, "");
    assert_eq!((written(&mut client), written(&mut server)), (vec![], vec![]));
}

#[test]
fn a_script_is_heard_the_same_through_a_session_as_through_a_receiver() {
    let script =
        Script::client().begin(MessageKind::Text, b"a").ping(b"p").end(b"b").binary(b"c").close_empty();
    let mut s = session(Role::Server);
    let direct = sockwarden_testkit::listen(
        &mut sockwarden_proto::Receiver::new(Role::Server, Limits::default()),
        &script.clone().bytes(),
        Cuts::Every(1),
        |_| false,
    );
    assert_eq!(receive(&mut s, script), direct.without_frames());
}

const fn opposite(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}
