//! The receiving half of an endpoint: bytes in, facts out.

use crate::{
    ClosePayload, FrameHeader, MessageKind, Opcode, Utf8Validator, Violation, apply_mask,
    deflate::{Buffer, Inflated, Inflater},
};

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We opened it: we mask, the peer does not.
    Client,
    /// We accepted it: the peer masks, we do not.
    Server,
}

/// How much one peer may send at once. The defaults are small; both are in bytes of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame.
    pub frame: u64,
    /// The longest message, all its fragments together.
    pub message: u64,
}

impl Default for Limits {
    /// 64 KiB each, the size that the OWASP WebSocket cheat sheet recommends.
    fn default() -> Self {
        Self { frame: 64 * 1024, message: 64 * 1024 }
    }
}

/// What a peer's bytes say, lent from the buffer that they arrived in.
///
/// The facts do not depend on how the bytes were cut into reads, except for where the payload of a frame is cut into pieces:
/// joined, the pieces between two other facts are the same. (Where a violation ends a compressed message, how much of its
/// original payload was told before may differ.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A frame's header has arrived and is legal; its payload follows.
    Frame(&'a FrameHeader),
    /// A piece of a message.
    Data(&'a Data<'a>),
    /// A ping with its payload.
    Ping(&'a [u8]),
    /// A pong with its payload.
    Pong(&'a [u8]),
    /// A close frame; nothing follows.
    Close(ClosePayload<'a>),
    /// The peer broke the protocol; nothing follows.
    Violation(Violation),
}

/// A piece of a message, unmasked, inflated and, in a text, valid as far as it goes: what precedes a wrong byte is told before
/// the violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// What the message holds.
    pub kind: MessageKind,
    /// The bytes of the piece; a character of a text may be cut at either end.
    pub bytes: &'a [u8],
    /// Of a compressed message the original payload, unmasked, from which the piece was inflated, for who forwards it: joined
    /// over all pieces it is the whole payload. One of the two may be empty where the other is not.
    pub compressed: Option<&'a [u8]>,
    /// Whether it is the first piece.
    pub begins: bool,
    /// Whether it is the last piece.
    pub ends: bool,
}

/// What is still to come of a data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Bytes of payload.
    pub missing: u64,
    /// Whether the message is compressed.
    pub compressed: bool,
}

/// What the sink wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next fact.
    Continue,
    /// Nothing for now: the bytes that are not yet consumed must be given again later, even when none are left (a frame
    /// without payload has its fact still to come).
    Stop,
}

/// Reads frames, unmasks, inflates, judges and reassembles, holding no more than a header or a control frame, and the window
/// of a peer that compresses.
#[derive(Debug)]
pub struct Receiver {
    peer_masks: bool,
    limits: Limits,
    inflater: Option<Box<Inflater>>,
    state: State,
    message: Option<Message>,
    held: Held,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Payload {
        header: FrameHeader,
        done: u64,
    },
    /// Of a frame whose payload has arrived or is about to, something is inflated that has not been told.
    Inflating {
        header: FrameHeader,
        done: u64,
    },
    /// What precedes the violation has been told.
    Failing(Violation),
    Finished,
}

/// What the bytes at the place of a header are, and how many of them belong to it.
enum Header {
    /// All of them, and more to come.
    Incomplete,
    Legal(usize, FrameHeader),
    Wrong(usize, Violation),
}

#[derive(Debug)]
struct Message {
    kind: MessageKind,
    length: u64,
    begun: bool,
    compressed: bool,
    utf8: Utf8Validator,
}

impl Receiver {
    /// Makes the receiving half of an endpoint in `role`.
    pub const fn new(role: Role, limits: Limits) -> Self {
        Self {
            peer_masks: matches!(role, Role::Server),
            limits,
            inflater: None,
            state: State::Header,
            message: None,
            held: Held::NOTHING,
        }
    }

    /// Lets the peer compress its messages (RFC 7692): RSV1 is then legal in the first frame of a message.
    ///
    /// [`Limits`] go on judging the payload as it is on the wire, the inflater's own what it holds.
    #[must_use]
    pub fn with_inflater(mut self, inflater: Inflater) -> Self {
        self.inflater = Some(Box::new(inflater));
        self
    }

    /// Tells whether a close frame or a violation has ended the peer's half.
    pub const fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Tells whether a message has begun and not ended.
    #[inline]
    pub const fn is_inside_message(&self) -> bool {
        self.message.is_some()
    }

    /// Tells what is still to come of a data frame whose header has arrived; `None` elsewhere. For who reads it straight to
    /// where it is to be held.
    pub fn pending(&self) -> Option<Pending> {
        let message = self.message.as_ref()?;
        match self.state {
            State::Payload { header, done } if !header.opcode.is_control() => {
                Some(Pending { missing: header.length.value - done, compressed: message.compressed })
            }
            State::Payload { .. }
            | State::Header
            | State::Inflating { .. }
            | State::Failing(_)
            | State::Finished => None,
        }
    }

    /// Reads `input`, unmasking it in place, hands each fact to `sink`, and tells how many bytes were consumed.
    ///
    /// All bytes are consumed unless the sink stops; once finished, further bytes are consumed and ignored (RFC 6455 §5.5.1).
    pub fn receive(&mut self, input: &mut [u8], mut sink: impl FnMut(Fact<'_>) -> Flow) -> usize {
        let mut consumed = 0;
        let mut buffer = Buffer::default();
        loop {
            let rest = &mut input[consumed..];
            let (taken, flow) = match self.state {
                State::Finished => return input.len(),
                State::Failing(violation) => (0, self.fail(violation, &mut sink)),
                State::Header if rest.is_empty() => return consumed,
                State::Header => match self.read_header(rest) {
                    Header::Incomplete => return input.len(),
                    Header::Wrong(taken, violation) => (taken, self.fail(violation, &mut sink)),
                    Header::Legal(taken, header) => {
                        let flow = sink(Fact::Frame(&header));
                        let rest = &mut rest[taken..];
                        if flow == Flow::Stop || rest.is_empty() && header.length.value > 0 {
                            self.state = State::Payload { header, done: 0 };
                            (taken, flow)
                        } else {
                            let (more, flow) = self.payload(header, 0, rest, &mut buffer, &mut sink);
                            (taken + more, flow)
                        }
                    }
                },
                State::Payload { header, done } if rest.is_empty() && header.length.value > done => {
                    return consumed;
                }
                State::Payload { header, done } | State::Inflating { header, done } => {
                    self.payload(header, done, rest, &mut buffer, &mut sink)
                }
            };
            consumed += taken;
            if flow == Flow::Stop {
                return consumed;
            }
        }
    }

    /// Reads of a frame's payload what is there.
    fn payload(
        &mut self,
        header: FrameHeader,
        done: u64,
        rest: &mut [u8],
        buffer: &mut Buffer,
        sink: &mut impl FnMut(Fact<'_>) -> Flow,
    ) -> (usize, Flow) {
        let missing = header.length.value - done;
        let take = rest.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
        let bytes = &mut rest[..take];
        if let Some(key) = header.mask {
            apply_mask(key, done, bytes);
        }
        if header.opcode.is_control() {
            (take, self.control(header, done, bytes, sink))
        } else if self.message.as_ref().is_some_and(|message| message.compressed) {
            self.inflate(header, done, bytes, buffer.get(), sink)
        } else {
            self.data(header, done, bytes, sink)
        }
    }

    #[inline]
    fn read_header(&mut self, input: &[u8]) -> Header {
        let before = self.held.bytes().len();
        let parsed = if before == 0 {
            FrameHeader::parse(input)
        } else {
            let take = input.len().min(FrameHeader::MAX_LEN - before);
            FrameHeader::parse(self.held.add(&input[..take]))
        };
        let Some((header, length)) = parsed else {
            // An incomplete header is shorter than MAX_LEN, so all of the input belongs to it.
            if before == 0 {
                self.held.add(input);
            }
            let start = self.held.bytes().first_chunk::<2>().map(FrameStart::of);
            return match start.map(|start| self.judge_start(start)) {
                Some(Err(violation)) => Header::Wrong(input.len(), violation),
                Some(Ok(())) | None => Header::Incomplete,
            };
        };
        if before > 0 {
            self.held = Held::NOTHING;
        }
        match self.admit(&header) {
            Ok(()) => Header::Legal(length - before, header),
            Err(violation) => Header::Wrong(length - before, violation),
        }
    }

    /// Judges what the first two bytes of a header say, whether or not the rest has arrived.
    #[inline]
    const fn judge_start(&self, start: FrameStart) -> Result<(), Violation> {
        let may_be_compressed = self.inflater.is_some() && begins(start.opcode).is_some();
        if start.rsv != 0 && !(start.rsv == RSV1 && may_be_compressed) {
            return Err(Violation::ReservedBits { rsv: start.rsv });
        }
        if let Opcode::Reserved(bits) = start.opcode {
            return Err(Violation::ReservedOpcode(bits));
        }
        match (self.peer_masks, start.masked) {
            (true, false) => return Err(Violation::UnmaskedClientFrame),
            (false, true) => return Err(Violation::MaskedServerFrame),
            (true, true) | (false, false) => {}
        }
        if start.opcode.is_control() {
            return if start.fin { Ok(()) } else { Err(Violation::FragmentedControl) };
        }
        match (self.message.is_some(), begins(start.opcode).is_some()) {
            (false, false) => Err(Violation::UnexpectedContinuation),
            (true, true) => Err(Violation::InterleavedMessage),
            (true, false) | (false, true) => Ok(()),
        }
    }

    /// Judges a header in its place and opens or continues its message.
    #[inline]
    fn admit(&mut self, header: &FrameHeader) -> Result<(), Violation> {
        self.judge_start(FrameStart::from(header))?;
        let length = header.length.value;
        if header.opcode.is_control() && length > 125 {
            return Err(Violation::OversizeControl);
        }
        if length >> 63 != 0 {
            return Err(Violation::LengthTopBit);
        }
        if !header.length.is_minimal() {
            return Err(Violation::NonMinimalLength);
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        if length > self.limits.frame {
            return Err(Violation::FrameTooBig { length, limit: self.limits.frame });
        }
        if let Some(kind) = begins(header.opcode) {
            let compressed = header.rsv == RSV1;
            let utf8 = Utf8Validator::default();
            self.message = Some(Message { kind, length: 0, begun: false, compressed, utf8 });
        }
        let Some(message) = self.message.as_mut() else { return Err(Violation::UnexpectedContinuation) };
        message.length = message.length.saturating_add(length);
        if message.length > self.limits.message {
            return Err(Violation::MessageTooBig { length: message.length, limit: self.limits.message });
        }
        if let Some(inflater) = self.inflater.as_mut().filter(|_| message.compressed) {
            inflater.announce(length);
        }
        Ok(())
    }

    /// Holds a control frame's payload until all of it has arrived.
    fn control(
        &mut self,
        header: FrameHeader,
        done: u64,
        bytes: &[u8],
        sink: &mut impl FnMut(Fact<'_>) -> Flow,
    ) -> Flow {
        let done = done + bytes.len() as u64;
        let complete = done == header.length.value;
        if !complete {
            self.held.add(bytes);
            self.state = State::Payload { header, done };
            return Flow::Continue;
        }
        self.state = State::Header;
        let mut held = std::mem::replace(&mut self.held, Held::NOTHING);
        let payload = if held.bytes().is_empty() { bytes } else { held.add(bytes) };
        match header.opcode {
            Opcode::Ping => sink(Fact::Ping(payload)),
            Opcode::Pong => sink(Fact::Pong(payload)),
            Opcode::Close => match ClosePayload::parse(payload) {
                Ok(close) => {
                    self.state = State::Finished;
                    sink(Fact::Close(close))
                }
                Err(violation) => self.fail(violation, sink),
            },
            Opcode::Continuation | Opcode::Text | Opcode::Binary | Opcode::Reserved(_) => Flow::Continue,
        }
    }

    /// Tells a piece of a message, of a text no more than is valid; what is left then begins with the wrong byte.
    fn data(
        &mut self,
        header: FrameHeader,
        done: u64,
        bytes: &mut [u8],
        sink: &mut impl FnMut(Fact<'_>) -> Flow,
    ) -> (usize, Flow) {
        self.state = State::Header;
        let Some(message) = self.message.as_mut() else { return (bytes.len(), Flow::Continue) };
        let (taken, may_end) = match message.kind {
            MessageKind::Binary => (bytes.len(), true),
            MessageKind::Text => (message.utf8.push_valid(bytes), message.utf8.is_complete()),
        };
        let (bytes, left) = bytes.split_at_mut(taken);
        let done = done + taken as u64;
        let last = header.fin && done == header.length.value;
        if bytes.is_empty() && (!left.is_empty() || last && !may_end) {
            return (left.len(), self.fail(Violation::InvalidUtf8, sink));
        }
        if let Some(key) = header.mask {
            // They are read again.
            apply_mask(key, done, left);
        }
        let ends = last && may_end;
        if done < header.length.value || last && !ends {
            self.state = State::Payload { header, done };
        }
        if bytes.is_empty() && !ends {
            return (taken, Flow::Continue);
        }
        let begins = !std::mem::replace(&mut message.begun, true);
        let kind = message.kind;
        if ends {
            self.message = None;
        }
        (taken, sink(Fact::Data(&Data { kind, bytes, compressed: None, begins, ends })))
    }

    /// Tells what a piece of a compressed message holds, as much of it as fits the buffer.
    fn inflate(
        &mut self,
        header: FrameHeader,
        done: u64,
        payload: &mut [u8],
        buffer: &mut [u8],
        sink: &mut impl FnMut(Fact<'_>) -> Flow,
    ) -> (usize, Flow) {
        let Some(inflater) = self.inflater.as_mut() else {
            return (payload.len(), self.fail(Violation::CorruptDeflate, sink));
        };
        let last = header.fin && done + payload.len() as u64 == header.length.value;
        let limits = inflater.limits();
        let violation = match inflater.inflate(payload, last, buffer) {
            Inflated::Bytes { taken, bytes, done: drained } => {
                return self.inflated(header, done, (payload, taken), (bytes, drained), last, sink);
            }
            Inflated::TooBig => Violation::InflatedTooBig { limit: limits.output },
            Inflated::RatioExceeded => Violation::RatioExceeded { limit: limits.ratio },
            Inflated::OverheadExceeded => Violation::OverheadExceeded { limit: limits.overhead },
            Inflated::Corrupt => Violation::CorruptDeflate,
            Inflated::AfterFinalBlock => Violation::AfterFinalBlock,
        };
        (payload.len(), self.fail(violation, sink))
    }

    fn inflated(
        &mut self,
        header: FrameHeader,
        done: u64,
        (payload, taken): (&mut [u8], usize),
        (bytes, drained): (&[u8], bool),
        last: bool,
        sink: &mut impl FnMut(Fact<'_>) -> Flow,
    ) -> (usize, Flow) {
        let Some(message) = self.message.as_mut() else { return (payload.len(), Flow::Continue) };
        let (compressed, left) = payload.split_at_mut(taken);
        let done = done + taken as u64;
        if let Some(key) = header.mask {
            // They are read again.
            apply_mask(key, done, left);
        }
        let (valid, may_end) = match message.kind {
            MessageKind::Binary => (bytes.len(), true),
            MessageKind::Text => (message.utf8.push_valid(bytes), message.utf8.is_complete()),
        };
        let ended = drained && last;
        let wrong = valid < bytes.len() || ended && !may_end;
        self.state = if wrong {
            State::Failing(Violation::InvalidUtf8)
        } else if !drained {
            State::Inflating { header, done }
        } else if done < header.length.value {
            State::Payload { header, done }
        } else {
            State::Header
        };
        let ends = ended && !wrong;
        if valid == 0 && taken == 0 && !ends {
            return (0, Flow::Continue);
        }
        let begins = !std::mem::replace(&mut message.begun, true);
        let kind = message.kind;
        if ends {
            self.message = None;
        }
        let data = Data { kind, bytes: &bytes[..valid], compressed: Some(compressed), begins, ends };
        (taken, sink(Fact::Data(&data)))
    }

    fn fail(&mut self, violation: Violation, sink: &mut impl FnMut(Fact<'_>) -> Flow) -> Flow {
        self.state = State::Finished;
        self.message = None;
        sink(Fact::Violation(violation))
    }
}

/// The bytes of a header or of a control frame's payload that have arrived so far: mostly none, and then no memory.
#[derive(Debug)]
struct Held(Option<Box<Begun>>);

#[derive(Debug)]
struct Begun {
    bytes: [u8; Held::MOST],
    length: usize,
}

impl Held {
    /// The longest payload of a control frame; a header is shorter.
    const MOST: usize = 125;
    const NOTHING: Self = Self(None);

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |begun| &begun.bytes[..begun.length])
    }

    /// Adds bytes and gives all; more than [`Held::MOST`] never belong together.
    fn add(&mut self, more: &[u8]) -> &[u8] {
        let begun = self.0.get_or_insert_with(|| Box::new(Begun { bytes: [0; Self::MOST], length: 0 }));
        begun.bytes[begun.length..begun.length + more.len()].copy_from_slice(more);
        begun.length += more.len();
        &begun.bytes[..begun.length]
    }
}

/// The reserved bit that marks a compressed message (RFC 7692 §6).
const RSV1: u8 = 4;

/// What the first two bytes of a header say, apart from the length.
#[derive(Clone, Copy)]
struct FrameStart {
    fin: bool,
    rsv: u8,
    opcode: Opcode,
    masked: bool,
}

impl FrameStart {
    const fn of(&[first, second]: &[u8; 2]) -> Self {
        let (fin, rsv, opcode) = FrameHeader::first_byte(first);
        Self { fin, rsv, opcode, masked: second & 0x80 != 0 }
    }

    const fn from(header: &FrameHeader) -> Self {
        Self { fin: header.fin, rsv: header.rsv, opcode: header.opcode, masked: header.mask.is_some() }
    }
}

/// Gives the kind of message that a data frame begins; a continuation begins none.
const fn begins(opcode: Opcode) -> Option<MessageKind> {
    match opcode {
        Opcode::Text => Some(MessageKind::Text),
        Opcode::Binary => Some(MessageKind::Binary),
        Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong | Opcode::Reserved(_) => None,
    }
}
