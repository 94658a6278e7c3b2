//! Bytes by mnemonics: what a peer puts on the wire, legal or not.

use sockwarden_proto::{
    FrameHeader, LengthForm, MessageKind, Opcode, PayloadLength, RawFrame, Role, close_payload,
};

/// The masking key of every masked frame in a script.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The bytes of one peer, frame by frame; masked as the peer's role asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    role: Role,
    bytes: Vec<u8>,
}

impl Script {
    /// Begins the bytes of a peer in `role`.
    pub const fn new(role: Role) -> Self {
        Self { role, bytes: Vec::new() }
    }

    /// Begins the bytes of a client: frames are masked with [`KEY`].
    pub const fn client() -> Self {
        Self::new(Role::Client)
    }

    /// Begins the bytes of a server: frames are not masked.
    pub const fn server() -> Self {
        Self::new(Role::Server)
    }

    /// Begins the bytes of whoever talks to an endpoint in `role`.
    pub const fn to(role: Role) -> Self {
        match role {
            Role::Client => Self::server(),
            Role::Server => Self::client(),
        }
    }

    /// Adds a whole text message.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.frame(Opcode::Text, true, text.as_bytes())
    }

    /// Adds a whole binary message.
    #[must_use]
    pub fn binary(self, bytes: &[u8]) -> Self {
        self.frame(Opcode::Binary, true, bytes)
    }

    /// Adds the first fragment of a message.
    #[must_use]
    pub fn begin(self, kind: MessageKind, bytes: &[u8]) -> Self {
        self.frame(kind.opcode(), false, bytes)
    }

    /// Adds a middle fragment.
    #[must_use]
    pub fn more(self, bytes: &[u8]) -> Self {
        self.frame(Opcode::Continuation, false, bytes)
    }

    /// Adds the last fragment.
    #[must_use]
    pub fn end(self, bytes: &[u8]) -> Self {
        self.frame(Opcode::Continuation, true, bytes)
    }

    /// Adds a ping.
    #[must_use]
    pub fn ping(self, bytes: &[u8]) -> Self {
        self.frame(Opcode::Ping, true, bytes)
    }

    /// Adds a pong.
    #[must_use]
    pub fn pong(self, bytes: &[u8]) -> Self {
        self.frame(Opcode::Pong, true, bytes)
    }

    /// Adds a close frame with a code, which need not be one that may be sent, and a reason.
    #[must_use]
    pub fn close(self, code: u16, reason: &str) -> Self {
        let payload = close_payload(sockwarden_proto::CloseCode(code), reason);
        self.frame(Opcode::Close, true, &payload)
    }

    /// Adds a close frame without payload.
    #[must_use]
    pub fn close_empty(self) -> Self {
        self.frame(Opcode::Close, true, b"")
    }

    /// Adds any frame, masked as the role asks for, its length in the shortest form.
    #[must_use]
    pub fn frame(self, opcode: Opcode, fin: bool, payload: &[u8]) -> Self {
        self.odd(opcode, payload, |header| header.fin = fin)
    }

    /// Adds a frame whose header `change` makes odd.
    #[must_use]
    pub fn odd(mut self, opcode: Opcode, payload: &[u8], change: impl FnOnce(&mut FrameHeader)) -> Self {
        let mut header = FrameHeader::new(opcode, payload.len() as u64);
        if self.role == Role::Client {
            header.mask = Some(KEY);
        }
        change(&mut header);
        RawFrame { header, payload: payload.to_vec() }.encode(&mut self.bytes);
        self
    }

    /// Adds a header that announces `length` bytes in `form`, and nothing after it.
    #[must_use]
    pub fn announce(self, opcode: Opcode, length: u64, form: LengthForm) -> Self {
        self.odd(opcode, b"", |header| header.length = PayloadLength { value: length, form })
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Gives the bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6455_5_7() {
        let check = |script: Script, expected: &[u8]| assert_eq!(script.bytes(), expected);
        check(Script::server().text("Hello"), b"\x81\x05Hello");
        check(Script::client().text("Hello"), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        check(Script::server().begin(MessageKind::Text, b"Hel").end(b"lo"), b"\x01\x03Hel\x80\x02lo");
        check(Script::server().ping(b"Hello"), b"\x89\x05Hello");
        check(Script::client().pong(b"Hello"), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert!(Script::server().binary(&[0; 256]).bytes().starts_with(b"\x82\x7e\x01\x00"));
        assert!(
            Script::server()
                .binary(&[0; 65536])
                .bytes()
                .starts_with(b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00")
        );
    }

    #[test]
    fn what_no_legal_frame_says_can_be_said() {
        let check = |script: Script, expected: &[u8]| assert_eq!(script.bytes(), expected);
        check(Script::server().close(1005, ""), b"\x88\x02\x03\xed");
        check(Script::server().close_empty(), b"\x88\x00");
        check(Script::server().odd(Opcode::Reserved(3), b"x", |h| h.rsv = 5), b"\xd3\x01x");
        check(Script::client().odd(Opcode::Text, b"x", |h| h.mask = None), b"\x81\x01x");
        check(Script::server().announce(Opcode::Ping, 1, LengthForm::Sixteen), b"\x89\x7e\x00\x01");
        check(Script::server().more(b"").raw(b"\xff"), b"\x00\x00\xff");
    }
}
