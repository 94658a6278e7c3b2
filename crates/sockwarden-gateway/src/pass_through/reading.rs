//! Reading what a request and its answer hold, before either goes on: what a WebSocket would not let through finds no other way.
//!
//! A body of long polling is several messages of one session, which goes over many requests and on over WebSocket. Any other body is
//! one message, in a conversation of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sockwarden_defend::{Chain, Closure, Decided, Fact, Hears, OpenFact, Refusal, Verdict};
use sockwarden_inspect::{Format, Opening, Protocol, polling};
use sockwarden_model::{Decision, Direction, Identity, Uninspected};
use sockwarden_proto::{
    CloseCode,
    handshake::{RequestHead, ResponseHead},
    http::Framing,
};

use sockwarden_rate::Cost;

use super::{
    config::FailKind,
    media::{Media, is_data},
};
use crate::{
    admission::{Admission, Held},
    answer::Answer,
    build::Route,
    inspection::{Body, Read},
    journal::Journal,
    talk::{Session, Talk},
    verdicts::{Judged, observe},
};

/// What browsers call the parts of a page that hold no data (Fetch, `Sec-Fetch-Dest`).
const PARTS_OF_PAGES: [&str; 10] = [
    "audio",
    "font",
    "image",
    "script",
    "serviceworker",
    "sharedworker",
    "style",
    "track",
    "video",
    "worker",
];

/// Reads one request and its answer.
pub(super) struct Reading<'a> {
    route: &'a Route,
    journal: &'a Journal,
    admission: &'a Arc<Admission>,
    /// The guards of this request.
    pub(super) own: Talk,
    poll: Option<Poll>,
    hears: Hears,
    /// How many messages the request has brought, and which limits for operations they count for.
    brought: (u32, u32),
    begun: Instant,
    /// Why a body was not looked at, by who sent it.
    overlooked: [Option<Uninspected>; 2],
    /// Counts what is held of bodies.
    held: Vec<Held>,
}

/// What a request has to do with a session of long polling.
struct Poll {
    session: Arc<Session>,
    /// The name by which it is to be remembered once the application has answered for it.
    unknown: Option<String>,
    /// Whether it is the application that names it.
    opens: bool,
    /// Whether the request brings packets: its answer brings none then.
    brings: bool,
}

/// What of an answer is to be told before it goes on.
pub(super) enum Wanted {
    /// Nothing.
    Nothing,
    /// All of it, if it is not longer than this.
    Whole(u64),
}

impl<'a> Reading<'a> {
    /// Begins with a request that its guards have let in, and tells them so.
    pub(super) fn begin(
        (route, journal, admission): (&'a Route, &'a Journal, &'a Arc<Admission>),
        head: &RequestHead,
        chain: Chain,
        identity: &Identity,
    ) -> Result<Self, Answer> {
        let begun = Instant::now();
        let hears = chain.reads();
        let opening = Opening { subprotocol: None, target: &head.target };
        let inspector = route.inspection.begin(&opening);
        let protocol = inspector.protocol().map(|(protocol, _)| protocol);
        let known = route.inspection.sessions.find(&head.target, identity, &inspector, begun);
        let in_packets = known.is_some() || matches!(protocol, Some(Protocol::EngineIo | Protocol::SocketIo));
        let (own, of_session) =
            if in_packets { (route.inspection.begin_plainly(), Some(inspector)) } else { (inspector, None) };
        let mut reading = Self {
            route,
            journal,
            admission,
            own: Talk { chain, inspector: own },
            poll: None,
            hears,
            brought: (0, 0),
            begun,
            overlooked: [None; 2],
            held: Vec::new(),
        };
        let open = |protocol| OpenFact { identity, protocol, target: &head.target, in_bodies: true };
        let judged = tell_open(&mut reading.own.chain, journal, open(protocol.filter(|_| !in_packets)));
        reading.settle(judged, Direction::Client)?;
        if let Some(inspector) = of_session.filter(|_| polling::is_poll(&head.method, &head.target)) {
            let named = polling::session_of(&head.target);
            let unknown = if known.is_some() { None } else { named.clone() };
            let session = match known {
                Some(session) => session,
                None => {
                    let mut talk = Talk { chain: Chain::new(&route.defences), inspector };
                    let judged = tell_open(&mut talk.chain, journal, open(protocol));
                    reading.settle(judged, Direction::Client)?;
                    Arc::new(Session::new(identity.clone(), talk, begun))
                }
            };
            let brings = head.method != "GET";
            reading.poll = Some(Poll { session, unknown, opens: named.is_none(), brings });
        }
        reading.query(&head.target)?;
        Ok(reading)
    }

    /// Tells whether bodies are read at all.
    pub(super) fn reads(&self) -> bool {
        self.hears.any(Hears::CONTENT | Hears::MESSAGES)
    }

    /// Tells whether the application is asked for an answer that is not compressed. What a browser says that it asks for is no data: a
    /// part of a page stays compressed, and who lies about that gets nothing that is to be read.
    pub(super) fn wants_plain(&self, head: &RequestHead) -> bool {
        let for_page = head.headers.text("sec-fetch-dest").is_some_and(|kind| PARTS_OF_PAGES.contains(&kind));
        self.reads() && !for_page
    }

    /// Gives the most bytes that are held of a body to be read; `None` where the request's is not to be, since nobody hears of it or
    /// it cannot be.
    pub(super) fn wants_request(
        &mut self,
        head: &RequestHead,
        framing: Framing,
    ) -> Result<Option<u64>, Answer> {
        let is_empty = matches!(framing, Framing::None | Framing::Length(0));
        if !self.reads() || is_empty {
            return Ok(None);
        }
        if Media::of(&head.headers) == Media::Encoded {
            self.overlook(Direction::Client, Uninspected::Encoding)?;
            return Ok(None);
        }
        self.hold(Direction::Client, framing)
    }

    /// Judges the request's body; gives what of it goes on.
    pub(super) fn request(&mut self, head: &RequestHead, body: Vec<u8>) -> Result<Vec<u8>, Answer> {
        if body.is_empty() {
            return Ok(body);
        }
        if self.poll.is_some() {
            return self.packets(Direction::Client, body);
        }
        self.whole(Direction::Client, Media::of(&head.headers), &body)?;
        Ok(body)
    }

    /// Takes note that a body is longer than may be held.
    pub(super) fn exceeded(&mut self, from: Direction) -> Result<(), Answer> {
        self.overlook(from, Uninspected::Bound)
    }

    /// Tells whether an answer's body is to be read.
    pub(super) fn wants_answer(&mut self, head: &ResponseHead, framing: Framing) -> Result<Wanted, Answer> {
        if !self.reads() || matches!(framing, Framing::None | Framing::Length(0)) {
            return Ok(Wanted::Nothing);
        }
        let is_poll = self.poll.is_some() && head.status == 200;
        if !is_poll && !is_data(&head.headers) {
            self.overlooked[Direction::Server as usize] = Some(Uninspected::MediaType);
            return Ok(Wanted::Nothing);
        }
        if Media::of(&head.headers) == Media::Encoded {
            self.overlook(Direction::Server, Uninspected::Encoding)?;
            return Ok(Wanted::Nothing);
        }
        // Nobody can tell what the whole holds by a part of it.
        if head.status == 206 {
            self.overlook(Direction::Server, Uninspected::Bound)?;
            return Ok(Wanted::Nothing);
        }
        Ok(self.hold(Direction::Server, framing)?.map_or(Wanted::Nothing, Wanted::Whole))
    }

    /// Judges an answer's body; gives what of it goes on.
    pub(super) fn answer(&mut self, head: &ResponseHead, body: Vec<u8>) -> Result<Vec<u8>, Answer> {
        let Some(poll) = self.poll.as_ref().filter(|_| head.status == 200) else {
            if !body.is_empty() {
                self.whole(Direction::Server, Media::of(&head.headers), &body)?;
            }
            return Ok(body);
        };
        let brings = poll.brings;
        self.remember(&body);
        if !brings {
            return self.packets(Direction::Server, body);
        }
        // That is what servers say when they have taken packets; clients do not read it.
        if !body.eq_ignore_ascii_case(b"ok") {
            self.whole(Direction::Server, Media::of(&head.headers), &body)?;
        }
        Ok(body)
    }

    /// Counts what went by without having been looked at, and gives how many bytes were.
    pub(super) fn account(&self, bytes: [u64; 2]) -> [u64; 2] {
        let is_off = self.own.chain.overlooks_content();
        let mut inspected = bytes;
        for from in [Direction::Client, Direction::Server] {
            let why = if is_off { Some(Uninspected::DefenceOff) } else { self.overlooked[from as usize] };
            if let Some(why) = why.filter(|_| bytes[from as usize] > 0) {
                inspected[from as usize] = 0;
                self.route.tally.uninspected(from, why, 1);
                self.journal.overlooked(from, why);
            }
        }
        inspected
    }

    /// Tells how many messages the request has brought, and what one of them costs. A body that nobody has read is one.
    pub(super) fn brought(&self, body: &super::Body) -> (u32, Cost) {
        let (read, kinds) = self.brought;
        let has_body = !matches!(body.framing, Framing::None | Framing::Length(0));
        let messages = read.max(u32::from(has_body));
        (messages, Cost { bytes: body.first.len() as u64 / u64::from(messages.max(1)), kinds })
    }

    fn query(&mut self, target: &str) -> Result<(), Answer> {
        let Some((_, query)) = target.split_once('?').filter(|(_, query)| !query.is_empty()) else {
            return Ok(());
        };
        let Talk { chain, inspector } = &mut self.own;
        let read = inspector.read_query(query.as_bytes(), self.hears, chain, self.journal, Duration::ZERO);
        self.heed(read, Direction::Client)
    }

    /// Reads a body that is one message.
    fn whole(&mut self, from: Direction, media: Media, bytes: &[u8]) -> Result<(), Answer> {
        let format = match media {
            Media::Declared(format) => Some(format),
            Media::Unstated => None,
            Media::Encoded => Some(Format::Bytes),
        };
        let now = self.begun.elapsed();
        let Talk { chain, inspector } = &mut self.own;
        let body = Body { direction: from, format, bytes };
        let read = inspector.read_body(&body, self.hears, chain, self.journal, now);
        if from == Direction::Client {
            self.brought = (1, read.judged.kinds);
        }
        self.heed(read, from)
    }

    /// Reads the packets of a body of long polling. One that is dropped is left out; what is worse stops the body.
    fn packets(&mut self, from: Direction, bytes: Vec<u8>) -> Result<Vec<u8>, Answer> {
        let Some(poll) = &self.poll else { return Ok(bytes) };
        let session = Arc::clone(&poll.session);
        let now = session.lasted(Instant::now());
        let mut talk = session.talk();
        let Talk { chain, inspector } = &mut *talk;
        let (hears, journal) = (self.hears, self.journal);
        let mut is_partial = false;
        let (mut messages, mut kinds) = (0, 0);
        let mut read = |bytes: &[u8]| {
            let body = Body { direction: from, format: None, bytes };
            let read = inspector.read_body(&body, hears, chain, journal, now);
            is_partial |= read.is_partial;
            messages += 1;
            kinds |= read.judged.kinds;
            read.judged
        };
        let left = if polling::is_wrapped(&bytes) {
            let Judged { stopped, dropped, noted: _, kinds: _ } = read(&bytes);
            stopped.or(dropped).map_or(Ok(None), Err)
        } else {
            let left = polling::filtered(&bytes, from, |packet| {
                let Judged { stopped, dropped, noted: _, kinds: _ } = read(packet);
                if let Some(dropped) = &dropped {
                    journal.decided(dropped, Some(from));
                }
                stopped.map_or(Ok(dropped.is_none()), Err)
            });
            left.map(|left| (*left != *bytes).then(|| left.into_owned()))
        };
        drop(talk);
        if from == Direction::Client {
            self.brought = (messages, kinds);
        }
        match left {
            Ok(left) => {
                self.partial(is_partial, from);
                Ok(left.unwrap_or(bytes))
            }
            Err(decided) => Err(self.refused(&decided, from)),
        }
    }

    /// Remembers the session under the name that the application has given it, or has answered to.
    fn remember(&mut self, body: &[u8]) {
        let Some(poll) = &mut self.poll else { return };
        let name = if poll.opens { self.own.inspector.opened(body) } else { poll.unknown.take() };
        if let Some(name) = name
            && self.route.inspection.sessions.enter(&name, &poll.session, Instant::now())
        {
            self.journal.forgot_session();
        }
    }

    /// Makes room for a body; `None` where it is known to be longer than may be held.
    fn hold(&mut self, from: Direction, framing: Framing) -> Result<Option<u64>, Answer> {
        let most = self.route.config().http_limits.inspected_body.as_u64();
        let expected = if let Framing::Length(length) = framing { length } else { most };
        if expected > most {
            self.overlook(from, Uninspected::Bound)?;
            return Ok(None);
        }
        self.held.push(self.admission.hold(expected));
        Ok(Some(most))
    }

    /// Takes note of a body that is not looked at, or refuses it.
    fn overlook(&mut self, from: Direction, why: Uninspected) -> Result<(), Answer> {
        let is_closed = self.route.config().http_limits.fail == FailKind::Closed;
        if !is_closed || !self.own.chain.stops_messages() {
            self.overlooked[from as usize] = Some(why);
            return Ok(());
        }
        let (status, what, told) = match why {
            Uninspected::Encoding => {
                (415, "is encoded in a way that is not decoded", "the body cannot be read")
            }
            Uninspected::Bound | Uninspected::DefenceOff | Uninspected::MediaType => (
                413,
                "is longer than `http_limits.inspected_body` allows",
                "the body is too large to be read",
            ),
        };
        let (status, whose) = match from {
            Direction::Client => (status, "the request's"),
            Direction::Server => (502, "the answer's"),
        };
        let id = self.journal.failure(status, &format!("{whose} body {what}, and defences are to read it"));
        Err(Answer::new(status, format!("Refused: {told}.\nEvent: {id}")))
    }

    fn partial(&mut self, is_partial: bool, from: Direction) {
        if is_partial {
            self.overlooked[from as usize] = Some(Uninspected::Bound);
        }
    }

    fn heed(&mut self, read: Read, from: Direction) -> Result<(), Answer> {
        self.partial(read.is_partial, from);
        self.settle(read.judged, from)
    }

    fn settle(&self, judged: Judged, from: Direction) -> Result<(), Answer> {
        match judged.stopped.or(judged.dropped) {
            Some(decided) => Err(self.refused(&decided, from)),
            None => Ok(()),
        }
    }

    /// Reports a verdict as the status that answers it.
    fn refused(&self, decided: &Decided, from: Direction) -> Answer {
        let not_allowed = "what it says is not allowed";
        let (status, reason, told) = match &decided.verdict {
            Verdict::Close(Closure { code, reason, told, limit: _ }) => {
                (status_of(*code), reason.as_str(), *told)
            }
            Verdict::Refuse(Refusal { status, reason, told }) => (*status, reason.as_str(), *told),
            Verdict::Drop { reason } => (403, reason.as_str(), not_allowed),
            Verdict::Pass | Verdict::Count(_) | Verdict::Identified(_) | Verdict::Ask(_) => {
                (403, "", not_allowed)
            }
        };
        let status = if from == Direction::Server { 502 } else { status };
        let decision = Decision::Refuse(status);
        let id = self.journal.verdict(decided.rule, decided.mode, decision, Some(from), reason.to_owned());
        Answer::new(status, format!("Refused by {}: {told}.\nEvent: {id}", decided.rule.id))
    }
}

/// Tells guards that what follows are messages in bodies.
fn tell_open(chain: &mut Chain, journal: &Journal, open: OpenFact<'_>) -> Judged {
    observe(chain, journal, &Fact::Open(open), Direction::Client, Duration::ZERO)
}

/// Says as a status what a close code says on a WebSocket.
const fn status_of(code: CloseCode) -> u16 {
    match code {
        CloseCode::TOO_BIG => 413,
        CloseCode::INVALID_DATA | CloseCode::PROTOCOL_ERROR => 400,
        _ => 403,
    }
}
