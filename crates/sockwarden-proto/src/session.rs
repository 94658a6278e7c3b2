//! A whole endpoint: both halves, pings answered, the close handshake finished.

use crate::{
    CloseCode, Fact, Flow, Limits, MaskKeys, MessageKind, Pending, Receiver, Role, Transmitter,
    deflate::{Deflater, Inflater},
};

/// How far the close handshake has come (RFC 6455 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Neither side has sent a close frame.
    Open,
    /// We have sent one and wait for the peer's.
    CloseSent,
    /// The peer has sent one and waits for ours.
    CloseReceived,
    /// Both have; the transport may be ended, by the server first (§7.1.1).
    Closed,
}

/// An endpoint of one connection.
///
/// Give it bytes with [`Session::receive`], act on the facts, then write and clear what [`Session::output`] holds.
#[derive(Debug)]
pub struct Session<K> {
    receiver: Receiver,
    transmitter: Transmitter,
    deflater: Option<Deflater>,
    keys: K,
    phase: Phase,
    output: Vec<u8>,
}

impl<K: MaskKeys> Session<K> {
    /// Makes an endpoint in `role`; a server's `keys` are never asked.
    pub const fn new(role: Role, limits: Limits, keys: K) -> Self {
        Self {
            receiver: Receiver::new(role, limits),
            transmitter: Transmitter::new(role),
            deflater: None,
            keys,
            phase: Phase::Open,
            output: Vec::new(),
        }
    }

    /// Lets the peer compress its messages (RFC 7692).
    #[must_use]
    pub fn with_inflater(mut self, inflater: Inflater) -> Self {
        self.receiver = self.receiver.with_inflater(inflater);
        self
    }

    /// Compresses the messages that are sent from now on (RFC 7692).
    #[must_use]
    pub fn with_deflater(mut self, deflater: Deflater) -> Self {
        self.deflater = Some(deflater);
        self
    }

    /// Tells how far the close handshake has come.
    #[inline]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Tells whether the peer's half has ended by a close frame or a violation.
    pub const fn is_peer_finished(&self) -> bool {
        self.receiver.is_finished()
    }

    /// Tells whether a message of the peer has begun and not ended.
    pub const fn is_inside_message(&self) -> bool {
        self.receiver.is_inside_message()
    }

    /// Reads `input` as [`Receiver::receive`] does. Each ping is answered by a pong in the output; a close frame and a
    /// violation are left to the caller to answer with [`Session::close`].
    ///
    /// The pongs take at most three times the bytes of `input` (empty pings from a server, answered with a mask), so the
    /// output is bounded for a caller who stops reading while it cannot write.
    pub fn receive(&mut self, input: &mut [u8], mut sink: impl FnMut(Fact<'_>) -> Flow) -> usize {
        let Self { receiver, transmitter, keys, phase, output, .. } = self;
        receiver.receive(input, |fact| {
            match fact {
                Fact::Ping(payload) if *phase == Phase::Open => transmitter.pong(payload, keys, output),
                Fact::Close(_) => {
                    *phase = if *phase == Phase::Open { Phase::CloseReceived } else { Phase::Closed };
                }
                Fact::Frame(_) | Fact::Data(_) | Fact::Ping(_) | Fact::Pong(_) | Fact::Violation(_) => {}
            }
            sink(fact)
        })
    }

    /// Queues a message, compressed where it is to be; does nothing once we have sent a close frame.
    #[inline]
    pub fn send(&mut self, kind: MessageKind, payload: &[u8]) {
        let Self { transmitter, deflater, keys, phase, output, .. } = self;
        match (*phase, deflater) {
            (Phase::CloseSent | Phase::Closed, _) => {}
            (Phase::Open | Phase::CloseReceived, None) => transmitter.message(kind, payload, keys, output),
            (Phase::Open | Phase::CloseReceived, Some(deflater)) => {
                let mut compressed = Vec::new();
                deflater.deflate(payload, &mut compressed);
                transmitter.compressed(kind, &compressed, keys, output);
            }
        }
    }

    /// Queues a message that is compressed already, as the agreement with this peer has it; does nothing once we have sent
    /// a close frame.
    #[inline]
    pub fn send_compressed(&mut self, kind: MessageKind, payload: &[u8]) {
        if matches!(self.phase, Phase::Open | Phase::CloseReceived) {
            self.transmitter.compressed(kind, payload, &mut self.keys, &mut self.output);
        }
    }

    /// Makes a whole message of `buffer` as [`Transmitter::seal`] does, without queueing it, and tells where the frame
    /// begins; it is to be written after what [`Session::output`] holds now. `None` where nothing may be sent any more, and
    /// where this session compresses what is not compressed yet.
    pub fn seal(&mut self, kind: MessageKind, compressed: bool, buffer: &mut [u8]) -> Option<usize> {
        let open = matches!(self.phase, Phase::Open | Phase::CloseReceived);
        let fits = open && (compressed || self.deflater.is_none());
        fits.then(|| self.transmitter.seal(kind, compressed, &mut self.keys, buffer))
    }

    /// Tells what is still to come of a data frame, as [`Receiver::pending`] does.
    pub fn pending(&self) -> Option<Pending> {
        self.receiver.pending()
    }

    /// Queues a ping; does nothing once a close frame was sent or received.
    pub fn ping(&mut self, payload: &[u8]) {
        if self.phase == Phase::Open {
            self.transmitter.ping(payload, &mut self.keys, &mut self.output);
        }
    }

    /// Queues our close frame, once; later calls do nothing.
    pub fn close(&mut self, code: Option<CloseCode>, reason: &str) {
        self.phase = match self.phase {
            Phase::Open => Phase::CloseSent,
            Phase::CloseReceived => Phase::Closed,
            Phase::CloseSent | Phase::Closed => return,
        };
        self.transmitter.close(code, reason, &mut self.keys, &mut self.output);
    }

    /// Tells how many bytes wait to be written.
    pub const fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Gives the bytes to write; the caller clears what it has written.
    #[inline]
    pub const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }
}
