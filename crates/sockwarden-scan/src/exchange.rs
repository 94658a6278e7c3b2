//! Everything that was said on the wire, and how it reads.

use std::time::Duration;

use sockwarden_proto::{
    CloseCode, Fact, Flow, Limits, MessageKind, Receiver, Role, Violation,
    deflate::{Agreement, InflateLimits},
    handshake::{HeadLimits, HeadViolation, ResponseHead, ResponseViolation},
};

use crate::{
    check::{Halt, Skip},
    errand::Reply,
    talk::Opening,
};

/// The connections that a check has had, in order. It is all that a check knows: the same exchange gives the same findings.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The connections.
    pub connections: Vec<Connection>,
    /// What the errands brought back.
    pub replies: Vec<Reply>,
}

impl Exchange {
    /// Gives the last connection.
    pub fn last(&self) -> Option<&Connection> {
        self.connections.last()
    }
}

/// One connection: what happened on it, byte for byte, and what that means.
#[derive(Debug)]
pub struct Connection {
    title: String,
    opening: Opening,
    records: Vec<Record>,
    /// How many records there were after each step of the check.
    steps: Vec<usize>,
    reading: Reading,
}

/// One thing that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, since the connection was begun.
    pub at: Duration,
    /// What.
    pub happening: Happening,
}

/// What can happen on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The transport is open, TLS included.
    Dialled,
    /// There is no transport, for this reason.
    NotDialled(String),
    /// We wrote these bytes.
    Sent(Vec<u8>),
    /// We could not write: the target has gone.
    SendFailed,
    /// The target wrote these bytes.
    Received(Vec<u8>),
    /// We stopped listening.
    Quiet,
    /// The target ended the connection in order.
    Closed,
    /// The target broke the connection off.
    Reset,
    /// The target sent more than is read on one connection.
    TooMuch,
}

/// What the target answered to the opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, or not all of a head.
    None,
    /// The head of an HTTP response.
    Head(ResponseHead),
    /// Something that is no HTTP response.
    Malformed(HeadViolation),
}

/// A message of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Text or binary.
    pub kind: MessageKind,
    /// What it holds.
    pub payload: Vec<u8>,
    /// How often we had written after the opening when it ended.
    pub after_sends: usize,
    /// When it ended, since the connection was begun.
    pub at: Duration,
}

/// How the target's half of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A close frame, with or without a code.
    Close(Option<CloseCode>),
    /// The transport, without a close frame.
    Transport,
    /// Frames that break the protocol, so that no more is read.
    Violation(Violation),
}

/// How large the head of an answer may be.
const HEAD: HeadLimits = HeadLimits { bytes: 32 * 1024, fields: 128, target: 0 };
/// The messages of a target are bounded by what is read on one connection.
const UNLIMITED: Limits = Limits { frame: u64::MAX, message: u64::MAX };

/// So is what they hold once they are inflated, which is an echo of ours at most.
const INFLATED: InflateLimits =
    InflateLimits { output: 16 << 20, ratio: u32::MAX, ratio_floor: 16 << 20, overhead: 16 << 20 };

/// How a close frame begins: final, opcode 8.
const CLOSE_FRAME: u8 = 0x88;

impl Connection {
    /// Begins a connection on which nothing has happened.
    pub fn new(title: String, opening: Opening) -> Self {
        Self { title, opening, records: Vec::new(), steps: Vec::new(), reading: Reading::new() }
    }

    /// Notes what happened.
    pub fn record(&mut self, at: Duration, happening: Happening) {
        if self.reading.read(&happening, at) {
            let agreed = self.agreement();
            self.reading.open(agreed.as_ref());
        }
        self.records.push(Record { at, happening });
    }

    /// Notes that what the check asked for has been done.
    pub(crate) fn end_step(&mut self) {
        self.steps.push(self.records.len());
    }

    /// Makes the connection as it was after its first `steps` steps.
    #[cfg(test)]
    pub(crate) fn as_of(&self, steps: usize) -> Self {
        let mut past = Self::new(self.title.clone(), self.opening.clone());
        for (at, record) in self.records.iter().enumerate() {
            if steps == 0 || self.steps.get(steps - 1).is_some_and(|&end| at >= end) {
                break;
            }
            past.record(record.at, record.happening.clone());
        }
        past.steps = self.steps.iter().take(steps).copied().collect();
        past
    }

    /// Tells after how many steps of the check the recording ends.
    #[cfg(test)]
    pub(crate) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Gives what it was for.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Gives how it was opened.
    pub const fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Gives what happened, in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Gives the answer to the opening.
    pub const fn answer(&self) -> &Answer {
        &self.reading.answer
    }

    /// Gives the status of the answer, where it is an HTTP response.
    pub const fn status(&self) -> Option<u16> {
        match &self.reading.answer {
            Answer::Head(head) => Some(head.status),
            Answer::None | Answer::Malformed(_) => None,
        }
    }

    /// Says how the opening was answered, for a person.
    pub fn answered(&self) -> String {
        match self.status() {
            Some(101) => "the connection was ended at once".to_owned(),
            Some(status) => format!("the handshake was answered {status}"),
            None => "the handshake was not answered".to_owned(),
        }
    }

    /// Gives why a check cannot go on when it is refused on a way that led inside before.
    pub(crate) fn overloaded(&self) -> Skip {
        Skip::Halted(Halt::Overloaded(self.answered()))
    }

    /// Gives why there was no transport, where there was none.
    pub fn dial_problem(&self) -> Option<&str> {
        self.records.iter().find_map(|record| match &record.happening {
            Happening::NotDialled(why) => Some(why.as_str()),
            Happening::Dialled
            | Happening::Sent(_)
            | Happening::SendFailed
            | Happening::Received(_)
            | Happening::Quiet
            | Happening::Closed
            | Happening::Reset
            | Happening::TooMuch => None,
        })
    }

    /// Tells whether the target answered 101.
    pub fn is_upgraded(&self) -> bool {
        self.status() == Some(101)
    }

    /// Tells whether more can be said: upgraded and not ended by the target.
    pub fn is_open(&self) -> bool {
        self.is_upgraded() && self.end().is_none()
    }

    /// Tells whether the target let us in: it answered 101 and did not show us the door at once by ending the connection
    /// without a word or with a code of policy or of its own (1008, 3000, 3003, 4000 and above). What it does after we have
    /// taken leave does not count.
    pub fn is_admitted(&self) -> bool {
        self.is_upgraded()
            && match self.reading.left_after.unwrap_or(self.end()) {
                None => true,
                Some(End::Close(Some(CloseCode(1008 | 3000 | 3003 | 4000..=4999)))) => false,
                Some(End::Close(_) | End::Transport | End::Violation(_)) => !self.messages().is_empty(),
            }
    }

    /// Gives what is wrong with a 101 that answered a legal handshake.
    pub fn violations(&self) -> Vec<ResponseViolation> {
        match (&self.reading.answer, &self.opening.handshake) {
            (Answer::Head(head), Some(handshake)) if head.status == 101 => {
                handshake.verify(head).err().unwrap_or_default()
            }
            (Answer::Head(_) | Answer::None | Answer::Malformed(_), Some(_) | None) => Vec::new(),
        }
    }

    /// Gives what was agreed about compression, where the opening offered it and the target took it.
    pub fn agreement(&self) -> Option<Agreement> {
        match (&self.reading.answer, &self.opening.handshake) {
            (Answer::Head(head), Some(handshake)) if head.status == 101 => {
                handshake.verify(head).ok().and_then(|accepted| accepted.deflate)
            }
            (Answer::Head(_) | Answer::None | Answer::Malformed(_), Some(_) | None) => None,
        }
    }

    /// Gives the target's whole messages, in order.
    pub fn messages(&self) -> &[Message] {
        &self.reading.messages
    }

    /// Gives the messages that came after we had written something, so that they may be answers.
    pub fn replies(&self) -> impl Iterator<Item = &Message> {
        self.reading.messages.iter().filter(|message| message.after_sends > 0)
    }

    /// Tells whether a pong with this payload has come.
    pub fn has_pong(&self, payload: &[u8]) -> bool {
        self.reading.pongs.iter().any(|(_, pong)| pong == payload)
    }

    /// Gives the pongs that have come, with when each came.
    pub fn pongs(&self) -> &[(Duration, Vec<u8>)] {
        &self.reading.pongs
    }

    /// Gives when the first ping of the target came, if one has.
    pub const fn pinged_at(&self) -> Option<Duration> {
        self.reading.pinged_at
    }

    /// Gives when the target ended the connection, if it has.
    pub const fn ended_at(&self) -> Option<Duration> {
        self.reading.ended_at
    }

    /// Gives when we last wrote something.
    pub fn last_sent_at(&self) -> Option<Duration> {
        self.records.iter().rev().find(|r| matches!(r.happening, Happening::Sent(_))).map(|record| record.at)
    }

    /// Gives how the target ended the connection, if it has; a close frame counts before what follows it.
    pub const fn end(&self) -> Option<End> {
        self.reading.end()
    }

    /// Tells whether nothing more can come: the transport has ended, by whatever side.
    pub const fn is_transport_over(&self) -> bool {
        self.reading.transport_over
    }

    /// Counts the bytes that the target has sent.
    pub fn received(&self) -> usize {
        self.records
            .iter()
            .map(|record| match &record.happening {
                Happening::Received(bytes) => bytes.len(),
                Happening::Dialled
                | Happening::NotDialled(_)
                | Happening::Sent(_)
                | Happening::SendFailed
                | Happening::Quiet
                | Happening::Closed
                | Happening::Reset
                | Happening::TooMuch => 0,
            })
            .sum()
    }
}

/// What a connection's records mean so far.
#[derive(Debug)]
struct Reading {
    head: Vec<u8>,
    answer: Answer,
    /// What came along with the answer, and when.
    rest: (Vec<u8>, Duration),
    receiver: Receiver,
    partial: Vec<u8>,
    messages: Vec<Message>,
    pongs: Vec<(Duration, Vec<u8>)>,
    pinged_at: Option<Duration>,
    ended_at: Option<Duration>,
    close: Option<Option<CloseCode>>,
    violation: Option<Violation>,
    transport_over: bool,
    opened: bool,
    sends: usize,
    /// How the target had ended the connection when we took leave, if we have.
    left_after: Option<Option<End>>,
}

impl Reading {
    const fn new() -> Self {
        Self {
            head: Vec::new(),
            answer: Answer::None,
            rest: (Vec::new(), Duration::ZERO),
            receiver: Receiver::new(Role::Client, UNLIMITED),
            partial: Vec::new(),
            messages: Vec::new(),
            pongs: Vec::new(),
            pinged_at: None,
            ended_at: None,
            close: None,
            violation: None,
            transport_over: false,
            opened: false,
            sends: 0,
            left_after: None,
        }
    }

    const fn end(&self) -> Option<End> {
        match (&self.close, &self.violation) {
            (Some(code), _) => Some(End::Close(*code)),
            (None, Some(violation)) => Some(End::Violation(*violation)),
            (None, None) if self.transport_over => Some(End::Transport),
            (None, None) => None,
        }
    }

    /// Reads what happened; tells whether the answer has just opened the connection, so that what followed it in the same
    /// bytes waits for [`open`](Self::open).
    fn read(&mut self, happening: &Happening, at: Duration) -> bool {
        let mut opened = false;
        match happening {
            // The first write is the opening.
            Happening::Sent(_) if !std::mem::replace(&mut self.opened, true) => {}
            Happening::Sent(bytes) => {
                self.sends += 1;
                if bytes.first() == Some(&CLOSE_FRAME) && self.left_after.is_none() {
                    self.left_after = Some(self.end());
                }
            }
            Happening::Received(bytes) => opened = self.receive(bytes, at),
            Happening::NotDialled(_)
            | Happening::SendFailed
            | Happening::Closed
            | Happening::Reset
            | Happening::TooMuch => self.transport_over = true,
            Happening::Dialled | Happening::Quiet => {}
        }
        self.note_end(at);
        opened
    }

    /// Begins to read frames, with those that came along with the answer.
    fn open(&mut self, agreed: Option<&Agreement>) {
        if let Some(agreed) = agreed {
            let receiver = Receiver::new(Role::Client, UNLIMITED);
            self.receiver = receiver.with_inflater(agreed.inflater(Role::Client, INFLATED));
        }
        let (rest, at) = std::mem::take(&mut self.rest);
        self.frames(&rest, at);
        self.note_end(at);
    }

    const fn note_end(&mut self, at: Duration) {
        if self.ended_at.is_none() && self.end().is_some() {
            self.ended_at = Some(at);
        }
    }

    fn receive(&mut self, bytes: &[u8], at: Duration) -> bool {
        match &self.answer {
            Answer::Head(head) if head.status == 101 => {
                self.frames(bytes, at);
                return false;
            }
            Answer::Head(_) | Answer::Malformed(_) => return false,
            Answer::None => {}
        }
        self.head.extend_from_slice(bytes);
        match ResponseHead::parse(&self.head, HEAD) {
            Ok(None) => {}
            Err(violation) => self.answer = Answer::Malformed(violation),
            Ok(Some((head, length))) => {
                let upgraded = head.status == 101;
                self.answer = Answer::Head(head);
                self.rest = (self.head.split_off(length), at);
                return upgraded;
            }
        }
        false
    }

    fn frames(&mut self, bytes: &[u8], at: Duration) {
        let Self { receiver, partial, messages, pongs, pinged_at, close, violation, sends, .. } = self;
        receiver.receive(&mut bytes.to_vec(), |fact| {
            match fact {
                Fact::Data(data) => {
                    partial.extend_from_slice(data.bytes);
                    if data.ends {
                        let payload = std::mem::take(partial);
                        messages.push(Message { kind: data.kind, payload, after_sends: *sends, at });
                    }
                }
                Fact::Pong(payload) => pongs.push((at, payload.to_vec())),
                Fact::Ping(_) => {
                    pinged_at.get_or_insert(at);
                }
                Fact::Close(payload) => *close = Some(payload.code),
                Fact::Violation(broken) => *violation = Some(broken),
                Fact::Frame(_) => {}
            }
            Flow::Continue
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(happenings: &[Happening]) -> Connection {
        let mut connection = Connection::new("test".into(), Opening::raw(b"GET".to_vec()));
        for happening in happenings {
            connection.record(Duration::ZERO, happening.clone());
        }
        connection
    }

    const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

    fn received(bytes: &[u8]) -> Happening {
        Happening::Received(bytes.to_vec())
    }

    #[test]
    fn any_cut_of_the_targets_bytes_reads_the_same() {
        let all = [UPGRADED, b"\x81\x05hello\x8a\x01x\x88\x02\x03\xe8"].concat();
        for cut in 0..=all.len() {
            let (a, b) = all.split_at(cut);
            let connection = connection(&[Happening::Sent(vec![]), received(a), received(b)]);
            assert_eq!(connection.messages().len(), 1);
            assert_eq!(connection.messages()[0].payload, b"hello");
            assert!(connection.has_pong(b"x"));
            assert_eq!(connection.end(), Some(End::Close(Some(CloseCode::NORMAL))));
        }
    }

    #[test]
    fn only_who_stays_or_speaks_lets_us_in() {
        let check = |happenings: &[Happening], expected| {
            assert_eq!(connection(happenings).is_admitted(), expected, "{happenings:?}");
        };
        check(&[received(UPGRADED)], true);
        check(&[received(b"HTTP/1.1 403 Forbidden\r\n\r\n")], false);
        check(&[received(UPGRADED), Happening::Closed], false);
        check(&[received(UPGRADED), received(b"\x81\x02hi"), Happening::Closed], true);
        check(&[received(UPGRADED), received(b"\x81\x02hi\x88\x02\x03\xf0")], false);
        check(&[received(UPGRADED), received(b"\x88\x02\x0f\xa1")], false);
        let sent = |bytes: &[u8]| Happening::Sent(bytes.to_vec());
        check(&[sent(b"GET"), received(UPGRADED), sent(b"\x88\x80"), Happening::Closed], true);
    }

    #[test]
    fn a_reply_is_what_comes_after_we_wrote() {
        let sent = || Happening::Sent(vec![]);
        let connection = connection(&[
            sent(),
            received(UPGRADED),
            received(b"\x81\x02hi"),
            sent(),
            received(b"\x81\x02yo"),
        ]);
        let replies: Vec<&[u8]> = connection.replies().map(|m| m.payload.as_slice()).collect();
        assert_eq!(replies, [b"yo"]);
    }

    #[test]
    fn the_past_is_a_prefix() {
        let mut whole = Connection::new("test".into(), Opening::raw(vec![]));
        whole.record(Duration::ZERO, received(UPGRADED));
        whole.end_step();
        whole.record(Duration::ZERO, Happening::Closed);
        whole.end_step();
        assert_eq!(whole.as_of(1).records().len(), 1);
        assert_eq!(whole.as_of(2).records(), whole.records());
        assert!(whole.as_of(1).is_open());
    }
}
