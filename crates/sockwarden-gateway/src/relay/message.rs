//! The message of one peer that is under way: held until it is complete, then sent on in the form that suits the other side.

use sockwarden_defend::{Decided, Hears};
use sockwarden_model::{Direction, MessageClass, Treatment};
use sockwarden_net::SystemMaskKeys;
use sockwarden_proto::{
    Data, FrameHeader, MessageKind, Opcode, Phase, Role, Session,
    deflate::{Agreement, Deflater},
};

use crate::{hold::Hold, inspection::Read, outgoing::Outgoing, verdicts::Judged};

/// The most that compressing one direction keeps between two messages (see `deflate`, where it is measured).
const DEFLATER: usize = 266 * 1024;

/// What senders are told about messages that were left out.
pub(super) type Refusals = Vec<(MessageKind, Vec<u8>)>;

/// What is known of a message, its bytes apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) class: MessageClass,
    /// Whether a defence that only observes would have stopped it.
    pub(super) noted: bool,
    /// Whether a part of it was not looked at.
    pub(super) partial: bool,
    /// Whether it holds a part of a packet that goes on beyond it.
    pub(super) part: bool,
    /// Whether it had to wait.
    pub(super) waited: bool,
    /// How many bytes it holds.
    pub(super) length: u64,
    /// Which of the limits for operations it counts for.
    pub(super) kinds: u32,
}

impl About {
    const fn new(class: MessageClass) -> Self {
        Self { class, noted: false, partial: false, part: false, waited: false, length: 0, kinds: 0 }
    }
}

/// What is known of the message that has begun.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) about: About,
    /// Whether it is not to be forwarded.
    pub(super) dropped: bool,
    /// Whether what it holds is kept, even if it leaves as it was compressed and no defence wants to see it.
    keeps_content: bool,
    /// What defences want to know of the whole of it.
    pub(super) reads: Hears,
    /// The pieces that have come, as they will leave.
    pub(super) held: Hold,
    /// What they hold, where a defence wants to see it and they leave as they were compressed.
    content: Option<Box<Hold>>,
}

impl UnderWay {
    pub(super) fn new() -> Self {
        Self {
            about: About::new(MessageClass::Invalid),
            dropped: false,
            keeps_content: false,
            reads: Hears::NOTHING,
            held: Hold::default(),
            content: None,
        }
    }

    /// Keeps what messages hold, so that each can leave in another form in the end.
    pub(super) const fn keep_content(&mut self) {
        self.keeps_content = true;
    }

    /// Takes note of what message begins with a frame, if one does.
    pub(super) fn begin(&mut self, header: &FrameHeader, reads: impl FnOnce() -> Hears) {
        self.about = About::new(match header.opcode {
            Opcode::Text => MessageClass::Text,
            Opcode::Binary => MessageClass::Binary,
            Opcode::Continuation | Opcode::Ping | Opcode::Pong | Opcode::Close | Opcode::Reserved(_) => {
                return;
            }
        });
        (self.dropped, self.reads) = (false, reads());
    }

    /// Tells whether the whole of it is wanted.
    pub(super) fn is_read(&self) -> bool {
        self.reads != Hears::NOTHING
    }

    /// Takes note of what is said of it, and gives what ends the connection.
    pub(super) fn heed(&mut self, judged: Judged) -> Option<Decided> {
        self.about.noted |= judged.noted;
        self.about.kinds |= judged.kinds;
        self.dropped |= judged.dropped.is_some();
        judged.stopped
    }

    /// The same of what was said when it was read.
    pub(super) fn heed_reading(&mut self, read: Read, refusals: &mut Refusals) -> Option<Decided> {
        refusals.extend(read.refusal);
        self.about.partial |= read.is_partial;
        self.about.part |= read.is_part;
        self.heed(read.judged)
    }

    /// Holds a piece until the message is complete: one that is the whole of it is not copied aside. What lies `in_place` is
    /// held already.
    pub(super) fn hold(&mut self, data: &Data<'_>, form: Form, in_place: bool) {
        if self.dropped || data.begins && data.ends {
            return;
        }
        if !in_place {
            self.held.add(form.piece(data));
        }
        if (self.is_read() || self.keeps_content) && form == Form::Original {
            self.content.get_or_insert_default().add(data.bytes);
        }
    }

    /// Gives what a complete message holds, `data` being its last piece.
    pub(super) fn content<'a>(&'a self, data: &Data<'a>, form: Form) -> &'a [u8] {
        if data.begins {
            return data.bytes;
        }
        match form {
            Form::Original => self.content.as_ref().map_or(&[], |content| content.payload()),
            Form::Plain | Form::Anew => self.held.payload(),
        }
    }

    /// Takes what is held of a complete message, `data` being its last piece, for it to leave later in `form`.
    pub(super) fn take(&mut self, data: &Data<'_>, form: Form) -> Hold {
        if data.begins {
            let mut whole = Hold::default();
            whole.add(form.piece(data));
            return whole;
        }
        self.take_held(form)
    }

    /// The same where all of it is held already. What it holds is kept where it may have to leave in another form.
    pub(super) fn take_held(&mut self, form: Form) -> Hold {
        let held = std::mem::take(&mut self.held);
        let content = self.content.take().filter(|_| form == Form::Anew);
        self.release();
        match content {
            Some(content) => {
                let mut original = held;
                original.release();
                *content
            }
            None => held,
        }
    }

    /// Tells how many bytes are held.
    pub(super) fn memory(&self) -> usize {
        self.held.memory() + self.content.as_ref().map_or(0, |content| content.memory())
    }

    /// Holds nothing any more.
    pub(super) fn release(&mut self) {
        self.held.release();
        if let Some(mut content) = self.content.take() {
            content.release();
        }
    }
}

/// In what form a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As what it holds: the session compresses it, or not, by itself.
    Plain,
    /// As it was compressed, since the other side has agreed on the same.
    Original,
    /// Compressed by us, as the other side has agreed.
    Anew,
}

impl Form {
    /// Gives the bytes of a piece that are held for this form.
    const fn piece<'a>(self, data: &Data<'a>) -> &'a [u8] {
        match (self, data.compressed) {
            (Self::Original, Some(original)) => original,
            (Self::Original, None) | (Self::Plain | Self::Anew, _) => data.bytes,
        }
    }
}

/// The side that is written to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) session: Session<SystemMaskKeys>,
    /// What is written before the session's own output.
    pub(super) outgoing: Outgoing,
    /// What both sides have agreed on, where compressed messages leave as they came.
    originals: Option<Agreement>,
    /// The encoder for them since they cannot leave as they came any more.
    anew: Option<Box<Deflater>>,
}

impl Target {
    pub(super) fn new(session: Session<SystemMaskKeys>, originals: Option<Agreement>) -> Self {
        Self { session, outgoing: Outgoing::default(), originals, anew: None }
    }

    /// Tells how many bytes the encoder takes, if there is one.
    pub(super) const fn memory(&self) -> usize {
        if self.anew.is_some() { DEFLATER } else { 0 }
    }

    /// Tells in what form messages leave that come compressed, or that do not.
    pub(super) const fn form(&self, compressed: bool) -> Form {
        match (&self.originals, &self.anew) {
            (Some(_), Some(_)) if compressed => Form::Anew,
            (Some(_), None) if compressed => Form::Original,
            (Some(_) | None, _) => Form::Plain,
        }
    }

    /// Takes note that a message which came `from` the other side is not forwarded.
    ///
    /// With context takeover its sender may look back into it from all that follows, and this side's window lacks it: what
    /// follows is compressed anew, for good. An encoder that starts now looks back only into what it has written itself, which
    /// is what this side has read last; so whatever its window holds from before, distances mean the same to both. It keeps to
    /// the window that was agreed. Without context takeover no message refers to another, and nothing has to change.
    pub(super) fn misses(&mut self, form: Form, from: Direction) {
        let Some(agreed) = self.originals.filter(|_| form == Form::Original) else { return };
        let (apart, role) = match from {
            Direction::Client => (agreed.client_no_context_takeover, Role::Client),
            Direction::Server => (agreed.server_no_context_takeover, Role::Server),
        };
        if !apart {
            self.anew = Some(Box::new(agreed.deflater(role)));
        }
    }

    /// Tells whether messages may still be sent: nothing may follow our close frame (RFC 6455 §5.5.1).
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.session.phase(), Phase::Open | Phase::CloseReceived)
    }

    /// Sends a message that lies whole in the buffer, and tells its length.
    pub(super) fn send(&mut self, data: &Data<'_>, form: Form) -> u64 {
        let piece = form.piece(data);
        match form {
            Form::Plain => self.session.send(data.kind, piece),
            Form::Original => self.session.send_compressed(data.kind, piece),
            Form::Anew => return self.send_anew(data.kind, piece),
        }
        piece.len() as u64
    }

    /// Sends a message from where it was held, and tells its length; `None` where nothing may be sent any more.
    pub(super) fn send_held(&mut self, kind: MessageKind, form: Form, mut held: Hold) -> Option<u64> {
        let sealed = match form {
            Form::Plain | Form::Original => self.session.seal(kind, form == Form::Original, held.with_room()),
            Form::Anew => None,
        };
        let length = held.payload().len() as u64;
        if let Some(start) = sealed {
            let (bytes, end) = held.into_parts();
            self.outgoing.push(self.session.output(), bytes, start, end);
            return Some(length);
        }
        let sent = self.is_open().then(|| match form {
            Form::Anew => self.send_anew(kind, held.payload()),
            Form::Plain | Form::Original => {
                // The session compresses it.
                self.session.send(kind, held.payload());
                length
            }
        });
        held.release();
        sent
    }

    fn send_anew(&mut self, kind: MessageKind, content: &[u8]) -> u64 {
        let mut payload = Vec::new();
        if let Some(deflater) = &mut self.anew {
            deflater.deflate(content, &mut payload);
        }
        self.session.send_compressed(kind, &payload);
        payload.len() as u64
    }
}

/// What was forwarded of one read: counted first, so that a batch costs no more than one message.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Text and binary, each passed, observed and delayed.
    counts: [[u64; 3]; 2],
    pub(super) bytes: u64,
    /// Those of which a part was not looked at.
    pub(super) partial: u64,
    pub(super) partial_bytes: u64,
}

impl Passed {
    const CLASSES: [MessageClass; 2] = [MessageClass::Text, MessageClass::Binary];
    const TREATMENTS: [Treatment; 3] = [Treatment::Pass, Treatment::Observe, Treatment::Delay];

    pub(super) fn add(&mut self, message: &About, bytes: u64) {
        let class = usize::from(message.class == MessageClass::Binary);
        let treatment = if message.noted { 1 } else { usize::from(message.waited) * 2 };
        self.counts[class][treatment] += 1;
        self.bytes += bytes;
        if message.partial {
            self.partial += 1;
            self.partial_bytes += bytes;
        }
    }

    pub(super) fn messages(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (MessageClass, Treatment, u64)> {
        let of = |class| Self::TREATMENTS.map(|treatment| (class, treatment));
        let all = Self::CLASSES.into_iter().flat_map(of).zip(self.counts.iter().flatten());
        all.filter(|(_, count)| **count > 0).map(|((class, treatment), count)| (class, treatment, *count))
    }
}
