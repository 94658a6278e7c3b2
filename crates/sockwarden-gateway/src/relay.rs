//! Two sessions back to back, without I/O: what one peer sends is judged whole and then sent to the other.
//!
//! A message is forwarded when it is complete and has passed, in one frame. Pings are answered here. A close frame is
//! forwarded, and answered when the other side has answered it, so that what was on its way arrives first.

use std::{io::IoSlice, time::Duration};

use sockwarden_defend::{Chain, Closure, Decided, Fact as Observed, Outcome, Report, Verdict};
use sockwarden_model::{Direction, Initiator, MessageClass, Treatment, Uninspected};
use sockwarden_net::SystemMaskKeys;
use sockwarden_proto::{CloseCode, Data, Fact, Flow, FrameHeader, MessageKind, Opcode, Phase, Session};

use crate::{
    compression::Ends,
    hold::Hold,
    inflate_time::InflateTime,
    journal::Journal,
    liveness::{Due, Liveness},
    mailbox::{Dismissal, Mailbox},
    outgoing::{self, Outgoing},
    registry::Seat,
};

/// How long the application's answers to what came before a client's offence are still let through.
const DRAIN: Duration = Duration::from_secs(1);

/// The two sessions of one connection and the chain between them.
pub(crate) struct Relay {
    client: Side,
    server: Side,
    /// Whether compressed messages go out as they came; else the sessions compress, or not, by themselves.
    forwards_originals: bool,
    chain: Chain,
    journal: Journal,
    seat: Seat,
    close_timeout: Duration,
    liveness: Liveness,
    /// When the close handshake must be over, once it has begun.
    deadline: Option<Duration>,
    /// What a client that offended is told once the application has answered what came before.
    sentence: Option<(CloseCode, String)>,
    ended: Option<(CloseCode, Initiator)>,
}

struct Side {
    session: Session<SystemMaskKeys>,
    /// The pieces of a message that is not complete.
    held: Hold,
    /// What is written before the session's own output.
    outgoing: Outgoing,
    /// What the message is that has begun, and whether a defence that only observes would have stopped it.
    class: MessageClass,
    noted: bool,
    /// How long the messages of this peer take to be inflated, where compression was agreed on.
    inflating: Option<InflateTime>,
    /// Nothing more is read from this peer.
    deaf: bool,
}

impl Relay {
    /// Joins a client to an application, both handshakes done.
    pub(crate) fn new(
        chain: Chain,
        journal: Journal,
        seat: Seat,
        ends: Ends,
        close_timeout: Duration,
        liveness: Liveness,
    ) -> Self {
        let side = |session| Side {
            session,
            held: Hold::default(),
            outgoing: Outgoing::default(),
            class: MessageClass::Invalid,
            noted: false,
            inflating: ends.inflate_time.map(InflateTime::new),
            deaf: false,
        };
        Self {
            client: side(ends.client),
            server: side(ends.server),
            forwards_originals: ends.forwards_originals,
            chain,
            journal,
            seat,
            close_timeout,
            liveness,
            deadline: None,
            sentence: None,
            ended: None,
        }
    }

    /// Takes bytes that a peer sent.
    pub(crate) fn receive(&mut self, from: Direction, bytes: &mut [u8], now: Duration) {
        outgoing::lend(self.other(from).session.output());
        self.take_in(from, bytes, false, now);
        outgoing::end_loan(self.other(from).session.output());
    }

    /// Gives room for the rest of a large frame, so that it is read to where its message is held; the bytes are then told by
    /// [`Relay::received`]. `None` where they may as well be given to [`Relay::receive`].
    pub(crate) fn room(&mut self, from: Direction, least: usize) -> Option<&mut [u8]> {
        let forwards_originals = self.forwards_originals;
        let side = self.side(from);
        let pending = side.session.pending().filter(|pending| !pending.compressed || forwards_originals)?;
        let missing = usize::try_from(pending.missing).ok().filter(|missing| *missing >= least)?;
        Some(side.held.room(missing))
    }

    /// Takes `length` bytes that a peer sent and that lie at the start of [`Relay::room`].
    pub(crate) fn received(&mut self, from: Direction, length: usize, now: Duration) {
        let mut held = std::mem::take(&mut self.side(from).held);
        let complete = self.take_in(from, held.extend(length), true, now);
        match complete {
            Some((kind, compressed)) => self.send_held(from, kind, compressed, held, now),
            None if self.side(from).deaf => held.release(),
            None => self.side(from).held = held,
        }
    }

    /// Judges bytes. What passes is forwarded or held; where it is held `in_place` already, tells whether the message is
    /// complete, its kind and whether it is compressed.
    fn take_in(
        &mut self,
        from: Direction,
        bytes: &mut [u8],
        in_place: bool,
        now: Duration,
    ) -> Option<(MessageKind, bool)> {
        let Self { client, server, forwards_originals, chain, journal, seat, liveness, .. } = self;
        let (source, target) = match from {
            Direction::Client => (client, server),
            Direction::Server => (server, client),
        };
        if source.deaf {
            return None;
        }
        let mut closed = None;
        let mut stopped = None;
        let mut complete = None;
        let mut passed = Passed::default();
        let tally = seat.tally();
        let mut too_slow = None;
        let Side { session, held, class, noted, inflating, .. } = source;
        if let Some(time) = inflating {
            time.start();
        }
        session.receive(bytes, |fact| {
            let observed = match &fact {
                Fact::Frame(header) => {
                    begin(header, class, noted);
                    Observed::Frame { direction: from, header }
                }
                Fact::Violation(violation) => {
                    *class = MessageClass::Invalid;
                    Observed::Violation { direction: from, violation: *violation }
                }
                Fact::Data(data) => {
                    #[cfg(test)]
                    crate::panics::on_purpose(&String::from_utf8_lossy(data.bytes));
                    if data.compressed.is_some() {
                        too_slow = inflating.as_mut().and_then(|time| time.inflated(data.ends));
                        if too_slow.is_some() {
                            tally.message(from, *class, Treatment::Block);
                            return Flow::Stop;
                        }
                        let length = data.bytes.len() as u64;
                        let inflated = Observed::Inflated { direction: from, length };
                        let judged = observe(chain, journal, &inflated, from, now);
                        *noted |= judged.noted;
                        if judged.stopped.is_some() {
                            stopped = judged.stopped;
                            tally.message(from, *class, Treatment::Block);
                            return Flow::Stop;
                        }
                    }
                    if in_place {
                        complete = data.ends.then_some((data.kind, data.compressed.is_some()));
                    } else if let Some(bytes) = forward(data, *forwards_originals, held, target) {
                        passed.add(*class, *noted, bytes);
                    }
                    if let Some(time) = inflating.as_mut().filter(|_| data.compressed.is_some()) {
                        time.start();
                    }
                    return Flow::Continue;
                }
                Fact::Close(close) => {
                    closed = Some((close.code, close.reason.to_owned()));
                    return Flow::Continue;
                }
                Fact::Ping(_) | Fact::Pong(_) => return Flow::Continue,
            };
            let judged = observe(chain, journal, &observed, from, now);
            stopped = judged.stopped;
            let control = match &fact {
                Fact::Frame(header) => control_class(header.opcode),
                Fact::Data(_) | Fact::Ping(_) | Fact::Pong(_) | Fact::Close(_) | Fact::Violation(_) => None,
            };
            match (&stopped, control) {
                (Some(_), _) => tally.message(from, control.unwrap_or(*class), Treatment::Block),
                (None, Some(class)) if judged.noted => tally.message(from, class, Treatment::Observe),
                (None, Some(class)) => tally.message(from, class, Treatment::Pass),
                (None, None) => *noted |= judged.noted,
            }
            if stopped.is_some() { Flow::Stop } else { Flow::Continue }
        });
        liveness.heard(from, session.is_inside_message(), now);
        self.account(from, &passed, now);
        if let Some((code, reason)) = closed {
            self.forward_close(from, code, &reason, now);
        }
        if let Some(decided) = stopped {
            self.stop(from, &decided, now);
            return None;
        }
        if let Some(limit) = too_slow {
            let reason = format!("inflating a message took longer than {limit:?}");
            self.cut_off(from, CloseCode::TOO_BIG, reason, "the message is too big", now);
            return None;
        }
        complete
    }

    /// Sends a message on that was held in place, without copying it.
    fn send_held(&mut self, from: Direction, kind: MessageKind, compressed: bool, held: Hold, now: Duration) {
        if let Some(length) = release(self.other(from), kind, compressed, held) {
            let mut passed = Passed::default();
            let source = self.side(from);
            passed.add(source.class, source.noted, length);
            self.account(from, &passed, now);
        }
    }

    /// Counts what was forwarded.
    fn account(&mut self, from: Direction, passed: &Passed, now: Duration) {
        let messages = passed.messages();
        if messages == 0 {
            return;
        }
        let tally = self.seat.tally();
        for (class, treatment, count) in passed.counts() {
            tally.messages(from, class, treatment, count);
        }
        tally.bytes(from, passed.bytes);
        let live = self.seat.traffic(from);
        live.add(messages, passed.bytes);
        if self.chain.overlooks_messages() {
            tally.uninspected(Uninspected::DefenceOff, messages);
            live.overlooked(messages, passed.bytes);
        }
        self.liveness.forwarded(now);
    }

    /// Takes note that a peer has vanished without a close frame.
    pub(crate) fn vanished(&mut self, from: Direction, now: Duration) {
        self.side(from).deaf = true;
        let (code, initiator) = match from {
            Direction::Client => (CloseCode::GOING_AWAY, Initiator::Client),
            Direction::Server => (CloseCode::BAD_GATEWAY, Initiator::Server),
        };
        self.end(CloseCode::ABNORMAL, initiator, now);
        if from == Direction::Server {
            self.pass_sentence();
        }
        self.other(from).session.close(Some(code), "the other side is gone");
        self.forget_output(from);
    }

    /// Tells both sides that the gateway stops; who closes already is left to it.
    pub(crate) fn go_away(&mut self, now: Duration) {
        self.go_away_because("the gateway stops", now);
    }

    /// Takes note that a peer takes in what it is sent.
    pub(crate) fn takes(&mut self, to: Direction, now: Duration) {
        self.liveness.takes(to, now);
    }

    /// Takes note that time has passed.
    pub(crate) fn tick(&mut self, now: Duration) {
        while self.ended.is_none()
            && let Some(due) = self.liveness.due(now)
        {
            self.fall_due(due, now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.pass_sentence();
            for direction in [Direction::Client, Direction::Server] {
                let side = self.side(direction);
                side.deaf = true;
                side.session.close(Some(CloseCode::GOING_AWAY), "");
            }
        }
    }

    /// Tells when [`Relay::tick`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        if self.ended.is_some() { self.deadline } else { self.liveness.deadline() }
    }

    /// Tells whether bytes of a peer may be read: its own half is open and the other one's output is not full.
    pub(crate) fn wants(&mut self, from: Direction, write_buffer: usize) -> bool {
        let full = self.waiting(Direction::Client).max(self.waiting(Direction::Server)) >= write_buffer;
        let side = self.side(from);
        !full && !side.deaf && !side.session.is_peer_finished()
    }

    /// Tells how many bytes wait to be written to a peer.
    pub(crate) fn waiting(&mut self, to: Direction) -> usize {
        let Side { session, outgoing, .. } = self.side(to);
        outgoing.len(session.output())
    }

    /// Tells how many bytes are held: pieces of messages, and what waits to be written.
    pub(crate) fn memory(&mut self) -> u64 {
        let waiting = self.waiting(Direction::Client) + self.waiting(Direction::Server);
        (waiting + self.client.held.memory() + self.server.held.memory()) as u64
    }

    /// Gives what is to be written to a peer, as far as it is written at once, and the number of slices.
    pub(crate) fn output(&mut self, to: Direction) -> ([IoSlice<'_>; outgoing::AT_ONCE], usize) {
        let Side { session, outgoing, .. } = self.side(to);
        outgoing.slices(session.output())
    }

    /// Takes note that so many bytes of the output are written.
    pub(crate) fn written(&mut self, to: Direction, length: usize) {
        let Side { session, outgoing, .. } = self.side(to);
        outgoing.advance(session.output(), length);
    }

    /// Takes note that a peer takes no more for now.
    pub(crate) fn stalled(&mut self, to: Direction) {
        let Side { session, outgoing, .. } = self.side(to);
        outgoing.settle(session.output());
    }

    /// Gives up what waits to be written to a peer.
    pub(crate) fn forget_output(&mut self, to: Direction) {
        let Side { session, outgoing, .. } = self.side(to);
        outgoing.clear(session.output());
    }

    /// Tells whether nothing more will be forwarded either way.
    pub(crate) fn is_over(&self) -> bool {
        let done = |side: &Side| side.session.phase() == Phase::Closed || side.deaf;
        self.ended.is_some() && self.sentence.is_none() && done(&self.client) && done(&self.server)
    }

    /// Takes note of how long [`Relay::receive`] took.
    pub(crate) fn received_in(&self, took: Duration) {
        self.journal.tally().inspected(took);
    }

    /// Gives where orders from outside arrive.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        self.seat.mailbox()
    }

    /// Closes both sides by an order from outside; a connection that is closing already is left to it.
    pub(crate) fn dismiss(&mut self, order: &Dismissal, now: Duration) {
        self.close_both(order.code, &order.reason, order.initiator, now);
    }

    /// Reports that a mistake of ours ends the connection.
    pub(crate) fn report_panic(&self) {
        self.journal.panicked();
    }

    /// Reports how the connection ended, and gives up its seat.
    pub(crate) fn finish(self, duration: Duration) {
        let (code, initiator) = self.ended.unwrap_or((CloseCode::ABNORMAL, Initiator::Gateway));
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let [from_client, from_server] =
            [Direction::Client, Direction::Server].map(|from| self.seat.traffic(from).get());
        self.journal.close(code.0, initiator, duration_ms, from_client, from_server);
    }

    const fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    const fn other(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.server,
            Direction::Server => &mut self.client,
        }
    }

    fn forward_close(&mut self, from: Direction, code: Option<CloseCode>, reason: &str, now: Duration) {
        let initiator = match from {
            Direction::Client => Initiator::Client,
            Direction::Server => Initiator::Server,
        };
        self.end(code.unwrap_or(CloseCode::NO_STATUS), initiator, now);
        if from == Direction::Server && self.sentence.is_some() {
            self.pass_sentence();
        } else {
            self.other(from).session.close(code, reason);
        }
    }

    /// Carries out a close that a defence decided.
    fn stop(&mut self, from: Direction, decided: &Decided, now: Duration) {
        let Verdict::Close(Closure { code, told, .. }) = &decided.verdict else { return };
        let id = self.journal.decided(decided, Some(from));
        self.end(*code, Initiator::Gateway, now);
        self.side(from).deaf = true;
        self.other(from).session.close(Some(CloseCode::GOING_AWAY), &format!("event {id}"));
        let reason = format!("{told} (event {id})");
        match from {
            // The application may still be answering what came before the offence; its close frame says that it has.
            Direction::Client if self.server.session.phase() == Phase::CloseSent => {
                self.sentence = Some((*code, reason));
                self.deadline = Some(now + DRAIN.min(self.close_timeout));
            }
            Direction::Client | Direction::Server => self.side(from).session.close(Some(*code), &reason),
        }
    }

    fn fall_due(&mut self, due: Due, now: Duration) {
        match due {
            Due::Ping(peer) => self.side(peer).session.ping(b""),
            Due::Silent(peer) => self.vanished(peer, now),
            Due::SlowMessage(peer, limit) => {
                let reason = format!("a message took longer than {limit:?}");
                self.cut_off(peer, CloseCode::POLICY, reason, "the message took too long", now);
            }
            Due::Idle(limit) => self.go_away_because(&format!("idle for {limit:?}"), now),
            Due::TooOld(limit) => self.go_away_because(&format!("open for {limit:?}"), now),
        }
    }

    /// Closes both sides because of a peer whose message is slow; no defence decided it.
    fn cut_off(&mut self, peer: Direction, code: CloseCode, reason: String, told: &str, now: Duration) {
        let id = self.journal.closed(peer, code.0, reason);
        self.end(code, Initiator::Gateway, now);
        self.side(peer).deaf = true;
        self.side(peer).session.close(Some(code), &format!("{told} (event {id})"));
        self.other(peer).session.close(Some(CloseCode::GOING_AWAY), &format!("event {id}"));
    }

    fn go_away_because(&mut self, reason: &str, now: Duration) {
        self.close_both(CloseCode::GOING_AWAY, reason, Initiator::Gateway, now);
    }

    /// Closes both sides with the same words; who closes already is left to it.
    fn close_both(&mut self, code: CloseCode, reason: &str, initiator: Initiator, now: Duration) {
        if self.ended.is_some() {
            return;
        }
        self.end(code, initiator, now);
        for direction in [Direction::Client, Direction::Server] {
            self.side(direction).session.close(Some(code), reason);
        }
    }

    fn pass_sentence(&mut self) {
        if let Some((code, reason)) = self.sentence.take() {
            self.client.session.close(Some(code), &reason);
        }
    }

    fn end(&mut self, code: CloseCode, initiator: Initiator, now: Duration) {
        self.ended.get_or_insert((code, initiator));
        self.seat.is_closing();
        self.deadline.get_or_insert(now + self.close_timeout);
    }
}

/// Takes note of what message begins with a frame.
fn begin(header: &FrameHeader, class: &mut MessageClass, noted: &mut bool) {
    *class = match header.opcode {
        Opcode::Text => MessageClass::Text,
        Opcode::Binary => MessageClass::Binary,
        Opcode::Continuation | Opcode::Ping | Opcode::Pong | Opcode::Close | Opcode::Reserved(_) => return,
    };
    *noted = false;
}

/// Names a control frame; it may come in the middle of a message.
const fn control_class(opcode: Opcode) -> Option<MessageClass> {
    match opcode {
        Opcode::Ping => Some(MessageClass::Ping),
        Opcode::Pong => Some(MessageClass::Pong),
        Opcode::Close => Some(MessageClass::Close),
        Opcode::Text | Opcode::Binary | Opcode::Continuation | Opcode::Reserved(_) => None,
    }
}

/// Sends a message on once it is complete, and tells its length then; one that lies whole in the buffer is not copied aside.
/// What is held and sent is the original payload where that is forwarded, else what it holds.
fn forward(data: &Data<'_>, forwards_originals: bool, held: &mut Hold, target: &mut Side) -> Option<u64> {
    if !is_open(&target.session) {
        held.release();
        return None;
    }
    let original = data.compressed.filter(|_| forwards_originals);
    let piece = original.unwrap_or(data.bytes);
    if !(data.begins && data.ends) {
        held.add(piece);
        return if data.ends {
            release(target, data.kind, original.is_some(), std::mem::take(held))
        } else {
            None
        };
    }
    match original {
        Some(_) => target.session.send_compressed(data.kind, piece),
        None => target.session.send(data.kind, piece),
    }
    Some(piece.len() as u64)
}

/// Sends a message on from where it was held, and tells its length; `None` where nothing may be sent any more.
fn release(target: &mut Side, kind: MessageKind, compressed: bool, mut held: Hold) -> Option<u64> {
    let length = held.payload().len() as u64;
    match target.session.seal(kind, compressed, held.with_room()) {
        Some(start) => {
            let (bytes, end) = held.into_parts();
            target.outgoing.push(target.session.output(), bytes, start, end);
            Some(length)
        }
        None => {
            let open = is_open(&target.session);
            if open {
                // The session compresses it.
                target.session.send(kind, held.payload());
            }
            held.release();
            open.then_some(length)
        }
    }
}

/// Tells whether a peer may still be sent messages: nothing may follow our close frame (RFC 6455 §5.5.1).
const fn is_open(session: &Session<SystemMaskKeys>) -> bool {
    matches!(session.phase(), Phase::Open | Phase::CloseReceived)
}

/// What was forwarded of one read: counted first, so that a batch costs no more than one message.
#[derive(Debug, Default)]
struct Passed {
    /// Text and binary, each passed and observed.
    counts: [[u64; 2]; 2],
    bytes: u64,
}

impl Passed {
    const CLASSES: [MessageClass; 2] = [MessageClass::Text, MessageClass::Binary];
    const TREATMENTS: [Treatment; 2] = [Treatment::Pass, Treatment::Observe];

    fn add(&mut self, class: MessageClass, noted: bool, bytes: u64) {
        self.counts[usize::from(class == MessageClass::Binary)][usize::from(noted)] += 1;
        self.bytes += bytes;
    }

    fn messages(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    fn counts(&self) -> impl Iterator<Item = (MessageClass, Treatment, u64)> {
        let of = |class| Self::TREATMENTS.map(|treatment| (class, treatment));
        let all = Self::CLASSES.into_iter().flat_map(of).zip(self.counts.iter().flatten());
        all.filter(|(_, count)| **count > 0).map(|((class, treatment), count)| (class, treatment, *count))
    }
}

/// What the chain says of a fact.
struct Judged {
    stopped: Option<Decided>,
    /// Whether a guard that only observes would have stopped it.
    noted: bool,
}

/// Asks the chain and reports what guards that only observe have seen.
fn observe(
    chain: &mut Chain,
    journal: &Journal,
    fact: &Observed<'_>,
    from: Direction,
    now: Duration,
) -> Judged {
    let mut report = Report::default();
    let outcome = chain.observe(fact, now, &mut report);
    for noted in &report.noted {
        journal.decided(noted, Some(from));
    }
    let stopped = match outcome {
        Outcome::Pass | Outcome::Ask { .. } => None,
        Outcome::Stop(decided) => Some(decided),
    };
    Judged { stopped, noted: !report.noted.is_empty() }
}
