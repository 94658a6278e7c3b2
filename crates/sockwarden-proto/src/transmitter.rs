//! The sending half of an endpoint: messages in, bytes out.

use crate::{CloseCode, FrameHeader, MaskKeys, MessageKind, Opcode, Role, apply_mask, close_payload};

/// Writes legal frames for one role.
#[derive(Clone, Copy, Debug)]
pub struct Transmitter {
    role: Role,
}

impl Transmitter {
    /// Makes the sending half of an endpoint in `role`.
    pub const fn new(role: Role) -> Self {
        Self { role }
    }

    /// Appends a whole message in one frame.
    #[inline]
    pub fn message(self, kind: MessageKind, payload: &[u8], keys: &mut impl MaskKeys, out: &mut Vec<u8>) {
        self.frame(kind.opcode(), true, payload, keys, out);
    }

    /// Appends a whole message in one frame whose payload is compressed (RFC 7692 §6); that permessage-deflate was agreed is
    /// the caller's part.
    #[inline]
    pub fn compressed(self, kind: MessageKind, payload: &[u8], keys: &mut impl MaskKeys, out: &mut Vec<u8>) {
        let header = FrameHeader { rsv: 4, ..FrameHeader::new(kind.opcode(), payload.len() as u64) };
        self.write(header, payload, keys, out);
    }

    /// Makes a whole message of `buffer`, in which the payload stands behind [`FrameHeader::MAX_LEN`] free bytes: writes the
    /// header right in front of it and masks it in place. Tells where the frame begins.
    pub fn seal(
        self,
        kind: MessageKind,
        compressed: bool,
        keys: &mut impl MaskKeys,
        buffer: &mut [u8],
    ) -> usize {
        let (room, payload) = buffer.split_at_mut(FrameHeader::MAX_LEN);
        let rsv = if compressed { 4 } else { 0 };
        let header = FrameHeader { rsv, ..FrameHeader::new(kind.opcode(), payload.len() as u64) };
        let header = self.own(header, keys);
        if let Some(key) = header.mask {
            apply_mask(key, 0, payload);
        }
        let (bytes, length) = header.to_bytes();
        let start = FrameHeader::MAX_LEN - length;
        room[start..].copy_from_slice(&bytes[..length]);
        start
    }

    /// Appends a ping; a payload of more than 125 bytes is cut.
    pub fn ping(self, payload: &[u8], keys: &mut impl MaskKeys, out: &mut Vec<u8>) {
        self.frame(Opcode::Ping, true, &payload[..payload.len().min(125)], keys, out);
    }

    /// Appends a pong; a payload of more than 125 bytes is cut.
    pub fn pong(self, payload: &[u8], keys: &mut impl MaskKeys, out: &mut Vec<u8>) {
        self.frame(Opcode::Pong, true, &payload[..payload.len().min(125)], keys, out);
    }

    /// Appends a close frame, empty where there is no code or one that may not be sent, such as
    /// [`CloseCode::NO_STATUS`] (RFC 6455 §7.4.1).
    pub fn close(self, code: Option<CloseCode>, reason: &str, keys: &mut impl MaskKeys, out: &mut Vec<u8>) {
        let code = code.filter(|code| code.may_be_sent());
        let payload = code.map(|code| close_payload(code, reason)).unwrap_or_default();
        self.frame(Opcode::Close, true, &payload, keys, out);
    }

    /// Appends one frame, masked where the role asks for it; that it is legal here and now is the caller's part.
    #[inline]
    pub fn frame(
        self,
        opcode: Opcode,
        fin: bool,
        payload: &[u8],
        keys: &mut impl MaskKeys,
        out: &mut Vec<u8>,
    ) {
        let header = FrameHeader { fin, ..FrameHeader::new(opcode, payload.len() as u64) };
        self.write(header, payload, keys, out);
    }

    /// Masks a header where the role asks for it.
    #[inline]
    fn own(self, header: FrameHeader, keys: &mut impl MaskKeys) -> FrameHeader {
        match self.role {
            Role::Client => header.masked(keys.next_key()),
            Role::Server => header,
        }
    }

    #[inline]
    fn write(self, header: FrameHeader, payload: &[u8], keys: &mut impl MaskKeys, out: &mut Vec<u8>) {
        let header = self.own(header, keys);
        out.reserve(FrameHeader::MAX_LEN + payload.len());
        header.encode(out);
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = header.mask {
            apply_mask(key, 0, &mut out[start..]);
        }
    }
}
