//! Two sessions back to back, without I/O: what one peer sends is judged whole and then sent to the other.
//!
//! A message is forwarded when it is complete and has passed, in one frame, or dropped. Pings are answered here. A close frame is
//! forwarded, and answered when the other side has answered it, so that what was on its way arrives first.

mod gate;
mod message;
mod output;
mod overdue;
#[cfg(test)]
mod tests;
mod waiting;

use std::{sync::Arc, task::Waker, time::Duration};

use sockwarden_defend::{Chain, Closure, Decided, Fact as Observed, OpenFact, Verdict};
use sockwarden_inspect::Message;
use sockwarden_model::{Direction, Identity, Initiator, MessageClass, Treatment, Uninspected};
use sockwarden_proto::{CloseCode, Data, Fact, Flow, MessageKind, Opcode, Phase};

pub(crate) use gate::Gate;
use gate::{Admission, LastWord};
use message::{Form, Passed, Refusals, Target, UnderWay};

use crate::{
    compression::Ends,
    hold::Hold,
    inflate_time::InflateTime,
    inspection::Inspector,
    journal::Journal,
    liveness::Liveness,
    mailbox::{Dismissal, Mailbox},
    outgoing,
    registry::{Entry, Seat},
    talk::{Session, Talk},
    verdicts::observe,
};

/// How long a peer's answers to what came before the other one's offence are still let through.
const DRAIN: Duration = Duration::from_secs(1);

/// The two sessions of one connection and the chain between them.
pub(crate) struct Relay {
    client: Side,
    server: Side,
    chain: Chain,
    inspector: Inspector,
    /// The session of long polling that this connection goes on with; its guards judge then, and what was read of it is known.
    session: Option<Arc<Session>>,
    journal: Journal,
    seat: Seat,
    close_timeout: Duration,
    liveness: Liveness,
    /// When the close handshake must be over, once it has begun.
    deadline: Option<Duration>,
    /// What a peer that offended is told once the other one has answered what came before.
    sentence: Option<Sentence>,
    ended: Option<(CloseCode, Initiator)>,
}

struct Sentence {
    on: Direction,
    code: CloseCode,
    reason: String,
}

struct Side {
    target: Target,
    message: UnderWay,
    /// How long the messages of this peer take to be inflated, where compression was agreed on.
    inflating: Option<Box<InflateTime>>,
    /// Meters what this peer sends.
    gate: Option<Box<Gate>>,
    /// Nothing more is read from this peer.
    deaf: bool,
}

/// What has become of a message whose bytes were read to where they are held.
enum InPlace {
    /// It is complete and leaves from there.
    Complete(MessageKind, Form),
    /// It does not leave.
    Dropped,
}

impl Relay {
    /// Joins a client to an application, both handshakes done.
    pub(crate) fn new(
        chain: Chain,
        inspector: Inspector,
        journal: Journal,
        seat: Seat,
        ends: Ends,
        close_timeout: Duration,
        liveness: Liveness,
    ) -> Self {
        let side = |session| Side {
            target: Target::new(session, ends.originals),
            message: UnderWay::new(),
            inflating: ends.inflate_times.map(|most| Box::new(InflateTime::new(most))),
            gate: None,
            deaf: false,
        };
        Self {
            client: side(ends.client),
            server: side(ends.server),
            chain,
            inspector,
            session: None,
            journal,
            seat,
            close_timeout,
            liveness,
            deadline: None,
            sentence: None,
            ended: None,
        }
    }

    /// Goes on with a session of long polling, whose requests may still be under way.
    pub(crate) fn join(mut self, session: Option<Arc<Session>>) -> Self {
        self.session = session;
        self
    }

    /// Meters what a peer sends.
    pub(crate) fn meter(&mut self, from: Direction, gate: Gate) {
        let side = self.side(from);
        if gate.may_leave_out() {
            side.message.keep_content();
        }
        side.gate = Some(Box::new(gate));
    }

    /// Names whom to wake when an order arrives, or something that waits may leave.
    pub(crate) fn wake_by(&mut self, waker: &Waker) {
        self.mailbox().wake_me(waker);
        for side in [&mut self.client, &mut self.server] {
            side.gate.iter_mut().for_each(|gate| gate.wake_by(waker));
        }
    }

    /// Tells the chain that the connection is established; it may end it at once. A session that goes on was opened before.
    pub(crate) fn open(&mut self, identity: &Identity, target: &str, now: Duration) {
        if self.session.is_some() {
            return;
        }
        let protocol = self.inspector.protocol().map(|(protocol, _)| protocol);
        let fact = Observed::Open(OpenFact { identity, protocol, target, in_bodies: false });
        let judged = observe(&mut self.chain, &self.journal, &fact, Direction::Client, now);
        if let Some(decided) = judged.stopped {
            self.stop(Direction::Client, &decided, now);
        }
    }

    /// Takes bytes that a peer sent.
    pub(crate) fn receive(&mut self, from: Direction, bytes: &mut [u8], now: Duration) {
        outgoing::lend(self.other(from).target.session.output());
        self.with_session(|relay| relay.take_in(from, bytes, false, now));
        outgoing::end_loan(self.other(from).target.session.output());
    }

    /// Gives room for the rest of a large frame, so that it is read to where its message is held; the bytes are then told by
    /// [`Relay::received`]. `None` where they may as well be given to [`Relay::receive`].
    pub(crate) fn room(&mut self, from: Direction, least: usize) -> Option<&mut [u8]> {
        let form = self.other(from).target.form(true);
        let side = self.side(from);
        let pending = side.target.session.pending();
        let pending = pending.filter(|pending| !pending.compressed || form == Form::Original)?;
        let missing = usize::try_from(pending.missing).ok().filter(|missing| *missing >= least)?;
        (!side.message.dropped).then(|| side.message.held.room(missing))
    }

    /// Takes `length` bytes that a peer sent and that lie at the start of [`Relay::room`].
    pub(crate) fn received(&mut self, from: Direction, length: usize, now: Duration) {
        self.with_session(|relay| relay.take_in_place(from, length, now));
    }

    /// Judges with the guards of the session that goes on, if one does: they are borrowed for a turn, in which nothing waits.
    fn with_session<R>(&mut self, turn: impl FnOnce(&mut Self) -> R) -> R {
        let Some(session) = self.session.clone() else { return turn(self) };
        let mut talk = session.talk();
        let Talk { chain, inspector } = &mut *talk;
        let mut swap = |relay: &mut Self| {
            std::mem::swap(&mut relay.chain, chain);
            std::mem::swap(&mut relay.inspector, inspector);
        };
        swap(self);
        let result = turn(self);
        swap(self);
        result
    }

    fn take_in_place(&mut self, from: Direction, length: usize, now: Duration) {
        let mut held = std::mem::take(&mut self.side(from).message.held);
        match self.take_in(from, held.extend(length), true, now) {
            Some(InPlace::Complete(kind, form)) => self.pass_held(from, kind, form, held, now),
            Some(InPlace::Dropped) => held.release(),
            None if self.side(from).deaf => held.release(),
            None => self.side(from).message.held = held,
        }
    }

    /// Judges bytes. What passes is forwarded or held; where it is held `in_place` already, tells what has become of the message
    /// once it is complete.
    fn take_in(
        &mut self,
        from: Direction,
        bytes: &mut [u8],
        in_place: bool,
        now: Duration,
    ) -> Option<InPlace> {
        let Self { client, server, chain, inspector, journal, seat, liveness, .. } = self;
        let (source, other) = match from {
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
        let mut waits = None;
        let mut refusals = Refusals::new();
        let mut too_slow = None;
        let tally = seat.tally();
        let to = &mut other.target;
        let Side { target: Target { session, .. }, message, inflating, gate, .. } = source;
        if let Some(time) = inflating {
            time.start();
        }
        session.receive(bytes, |fact| {
            let observed = match &fact {
                Fact::Frame(header) => {
                    message.begin(header, || chain.reads());
                    Observed::Frame { direction: from, header }
                }
                Fact::Violation(violation) => {
                    message.about.class = MessageClass::Invalid;
                    Observed::Violation { direction: from, violation: *violation }
                }
                Fact::Data(data) => {
                    #[cfg(test)]
                    crate::panics::on_purpose(&String::from_utf8_lossy(data.bytes));
                    let form = to.form(data.compressed.is_some());
                    if data.compressed.is_some() {
                        too_slow = inflating.as_mut().and_then(|time| time.inflated(data.ends));
                        if too_slow.is_some() {
                            tally.message(from, message.about.class, Treatment::Block);
                            return Flow::Stop;
                        }
                        let length = data.bytes.len() as u64;
                        let inflated = Observed::Inflated { direction: from, length };
                        stopped = message.heed(observe(chain, journal, &inflated, from, now));
                    }
                    message.about.length += data.bytes.len() as u64;
                    if stopped.is_none() && to.is_open() {
                        message.hold(data, form, in_place);
                        // What is read to where it is held, and is what it holds, is judged there.
                        let elsewhere = in_place && form == Form::Plain;
                        if data.ends && message.is_read() && !message.dropped && !elsewhere {
                            let bytes = message.content(data, form);
                            let whole = Message { direction: from, kind: data.kind, bytes };
                            let read = inspector.read(&whole, message.reads, chain, journal, now);
                            stopped = message.heed_reading(read, &mut refusals);
                        }
                    }
                    if stopped.is_some() {
                        tally.message(from, message.about.class, Treatment::Block);
                        return Flow::Stop;
                    }
                    if data.ends {
                        if message.dropped {
                            tally.message(from, message.about.class, Treatment::Block);
                            to.misses(form, from);
                            complete = Some(InPlace::Dropped);
                            message.release();
                        } else if in_place {
                            complete = Some(InPlace::Complete(data.kind, form));
                        } else if let Some(gate) = gate {
                            match gate.admit(&mut message.about, now) {
                                Admission::Pass => {}
                                Admission::Excess(news) => _ = news.then(|| waits.get_or_insert(false)),
                                Admission::Wait(news) => {
                                    _ = news.then(|| waits.insert(true));
                                    let form = gate.form(to, form, from);
                                    gate.hold(data.kind, form, message.take(data, form), message.about, now);
                                }
                                Admission::Banned(left) => {
                                    stopped = Some(gate::shut_out(left));
                                    tally.message(from, message.about.class, Treatment::Block);
                                    return Flow::Stop;
                                }
                            }
                            if !message.about.waited
                                && let Some(length) = forward(message, data, form, to)
                            {
                                passed.add(&message.about, length);
                            }
                        } else if let Some(length) = forward(message, data, form, to) {
                            passed.add(&message.about, length);
                        }
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
            let control = match &fact {
                Fact::Frame(header) => control_class(header.opcode),
                Fact::Data(_) | Fact::Ping(_) | Fact::Pong(_) | Fact::Close(_) | Fact::Violation(_) => None,
            };
            let judged = observe(chain, journal, &observed, from, now);
            let noted = judged.noted;
            stopped = match control {
                // A control frame is not part of the message that it comes in the middle of.
                Some(_) => judged.stopped,
                None => message.heed(judged),
            };
            match (&stopped, control) {
                (Some(_), _) => tally.message(from, control.unwrap_or(message.about.class), Treatment::Block),
                (None, Some(class)) if noted => tally.message(from, class, Treatment::Observe),
                (None, Some(class)) => tally.message(from, class, Treatment::Pass),
                (None, None) => {}
            }
            if stopped.is_some() { Flow::Stop } else { Flow::Continue }
        });
        liveness.heard(from, session.is_inside_message(), now);
        self.account(from, &passed, now);
        self.tell_refusals(from, &refusals);
        if let Some(waits) = waits {
            self.tell_of_excess(from, waits);
        }
        if let Some((code, reason)) = closed {
            self.hear_close(from, code, reason, now);
        }
        if let Some(decided) = stopped {
            self.stop(from, &decided, now);
            return None;
        }
        if let Some(slow) = too_slow {
            self.cut_off(from, slow.limit, slow.reason(), "what it holds is too big", now);
            return None;
        }
        complete
    }

    /// Sends a message on that was held in place, without copying it, if it passes.
    fn pass_held(&mut self, from: Direction, kind: MessageKind, form: Form, mut held: Hold, now: Duration) {
        let Self { client, server, chain, inspector, journal, seat, .. } = self;
        let (source, other) = match from {
            Direction::Client => (client, server),
            Direction::Server => (server, client),
        };
        let Side { message, gate, .. } = source;
        let (mut stopped, mut waits) = (None, None);
        let mut refusals = Refusals::new();
        if message.is_read() && form == Form::Plain && other.target.is_open() {
            let whole = Message { direction: from, kind, bytes: held.payload() };
            let read = inspector.read(&whole, message.reads, chain, journal, now);
            stopped = message.heed_reading(read, &mut refusals);
        }
        let admission = match gate {
            Some(gate) if stopped.is_none() && !message.dropped => gate.admit(&mut message.about, now),
            Some(_) | None => Admission::Pass,
        };
        match (admission, gate) {
            (Admission::Banned(left), _) => stopped = Some(gate::shut_out(left)),
            (Admission::Excess(news), _) => waits = news.then_some(false),
            (Admission::Wait(news), Some(gate)) => {
                waits = news.then_some(true);
                let form = gate.form(&mut other.target, form, from);
                message.held = std::mem::take(&mut held);
                gate.hold(kind, form, message.take_held(form), message.about, now);
            }
            (Admission::Pass | Admission::Wait(_), _) => {}
        }
        message.release();
        let about = message.about;
        if stopped.is_some() || message.dropped {
            seat.tally().message(from, about.class, Treatment::Block);
            held.release();
        } else if !about.waited
            && let Some(length) = other.target.send_held(kind, form, held)
        {
            let mut passed = Passed::default();
            passed.add(&about, length);
            self.account(from, &passed, now);
        }
        self.tell_refusals(from, &refusals);
        if let Some(waits) = waits {
            self.tell_of_excess(from, waits);
        }
        if let Some(decided) = stopped {
            self.stop(from, &decided, now);
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
            tally.uninspected(from, Uninspected::DefenceOff, messages);
            self.journal.overlooked(from, Uninspected::DefenceOff);
            live.overlooked(messages, passed.bytes);
        } else if passed.partial > 0 {
            tally.uninspected(from, Uninspected::Bound, passed.partial);
            self.journal.overlooked(from, Uninspected::Bound);
            live.overlooked(passed.partial, passed.partial_bytes);
        }
        self.liveness.forwarded(now);
    }

    /// Takes note that a peer has vanished without a close frame.
    pub(crate) fn vanished(&mut self, from: Direction, now: Duration) {
        self.side(from).deaf = true;
        if self.defer(from, LastWord::Gone) {
            self.forget_output(from);
            return;
        }
        let (code, initiator) = match from {
            Direction::Client => (CloseCode::GOING_AWAY, Initiator::Client),
            Direction::Server => (CloseCode::BAD_GATEWAY, Initiator::Server),
        };
        self.end(CloseCode::ABNORMAL, initiator, now);
        self.pass_sentence_on(opposite(from));
        self.other(from).target.session.close(Some(code), "the other side is gone");
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
        self.expire(now);
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.sentence.take().into_iter().for_each(|sentence| self.pass(sentence));
            for direction in [Direction::Client, Direction::Server] {
                let side = self.side(direction);
                side.deaf = true;
                side.target.session.close(Some(CloseCode::GOING_AWAY), "");
            }
        }
    }

    /// Tells when [`Relay::tick`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        if self.ended.is_some() {
            return self.deadline;
        }
        let overdue = [&self.client, &self.server].map(|side| side.gate.as_ref()?.deadline());
        overdue.into_iter().chain([self.liveness.deadline()]).flatten().min()
    }

    /// Tells whether bytes of a peer may be read: its own half is open and the other one's output is not full.
    pub(crate) fn wants(&mut self, from: Direction, write_buffer: usize, now: Duration) -> bool {
        let [own, others] = [from, opposite(from)].map(|peer| self.waiting(peer) >= write_buffer);
        let waits = self.side(from).gate.as_mut().is_some_and(|gate| gate.is_full());
        // Who is not listened to for another's sake is not silent.
        self.liveness.listens(from, own || !(others || waits), now);
        let full = own || others || waits;
        let side = self.side(from);
        !full && !side.deaf && !side.target.session.is_peer_finished()
    }

    /// Tells how many bytes are held: pieces of messages, what waits to be written, and what compressing anew needs.
    pub(crate) fn memory(&mut self) -> u64 {
        let waiting = self.waiting(Direction::Client) + self.waiting(Direction::Server);
        let of = |side: &Side| {
            let waiting = side.gate.as_ref().map_or(0, |gate| gate.memory());
            side.message.memory() + side.target.memory() + waiting
        };
        (waiting + of(&self.client) + of(&self.server)) as u64
    }

    /// Tells whether nothing more will be forwarded either way.
    pub(crate) fn is_over(&self) -> bool {
        let done = |side: &Side| side.target.session.phase() == Phase::Closed || side.deaf;
        self.ended.is_some() && self.sentence.is_none() && done(&self.client) && done(&self.server)
    }

    /// Takes note of how long [`Relay::receive`] took.
    pub(crate) fn received_in(&self, took: Duration) {
        self.journal.tally().inspected(took);
    }

    /// Gives what is known of the session.
    pub(crate) fn entry(&self) -> &Entry {
        self.seat.entry()
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
        let protocol = self.inspector.protocol();
        self.journal.close(code.0, initiator, duration_ms, [from_client, from_server], protocol);
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
        if !self.pass_sentence_on(opposite(from)) {
            self.other(from).target.session.close(code, reason);
        }
    }

    /// Carries out a close that a defence decided.
    fn stop(&mut self, from: Direction, decided: &Decided, now: Duration) {
        let Verdict::Close(Closure { code, told, .. }) = &decided.verdict else { return };
        self.stop_and_tell(from, decided, *code, told, now);
    }

    fn stop_and_tell(
        &mut self,
        from: Direction,
        decided: &Decided,
        code: CloseCode,
        told: &str,
        now: Duration,
    ) {
        let id = self.journal.decided(decided, Some(from));
        self.end(code, Initiator::Gateway, now);
        self.side(from).deaf = true;
        self.other(from).target.session.close(Some(CloseCode::GOING_AWAY), &format!("event {id}"));
        let reason = format!("{told} (event {id})");
        let sentence = Sentence { on: from, code, reason };
        // The other peer may still be answering what came before the offence; its close frame says that it has.
        if self.other(from).target.session.phase() == Phase::CloseSent {
            self.sentence = Some(sentence);
            self.deadline = Some(now + DRAIN.min(self.close_timeout));
        } else {
            self.pass(sentence);
        }
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
            self.side(direction).target.session.close(Some(code), reason);
        }
    }

    /// Tells a peer that offended what it has to be told, if that waits; tells whether it did.
    fn pass_sentence_on(&mut self, peer: Direction) -> bool {
        let sentence = self.sentence.take_if(|sentence| sentence.on == peer);
        let waited = sentence.is_some();
        sentence.into_iter().for_each(|sentence| self.pass(sentence));
        waited
    }

    fn pass(&mut self, Sentence { on, code, reason }: Sentence) {
        self.side(on).target.session.close(Some(code), &reason);
    }

    fn end(&mut self, code: CloseCode, initiator: Initiator, now: Duration) {
        // What still waits does not leave any more.
        for side in [&mut self.client, &mut self.server] {
            side.gate.iter_mut().for_each(|gate| gate.clear());
        }
        self.ended.get_or_insert((code, initiator));
        self.seat.is_closing();
        self.deadline.get_or_insert(now + self.close_timeout);
    }
}

const fn opposite(peer: Direction) -> Direction {
    match peer {
        Direction::Client => Direction::Server,
        Direction::Server => Direction::Client,
    }
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

/// Sends a message on that is complete, and tells its length; `None` where nothing may be sent any more.
fn forward(message: &mut UnderWay, data: &Data<'_>, form: Form, to: &mut Target) -> Option<u64> {
    if !to.is_open() {
        message.release();
        return None;
    }
    if data.begins {
        return Some(to.send(data, form));
    }
    let held = std::mem::take(&mut message.held);
    message.release();
    to.send_held(data.kind, form, held)
}
