//! One frame's header (RFC 6455 §5.2): read, represented and written as it is, legal or not.

use crate::{MaskKeys, Opcode, apply_mask};

/// A frame's header as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether the frame is the last of its message.
    pub fin: bool,
    /// The three reserved bits, RSV1 as 4, RSV2 as 2, RSV3 as 1.
    pub rsv: u8,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key; a client's frames have one, a server's have none.
    pub mask: Option<[u8; 4]>,
    /// How many bytes of payload follow, and how that is written.
    pub length: PayloadLength,
}

/// The length of a payload and the form in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLength {
    /// Bytes of payload.
    pub value: u64,
    /// The form in which it is written, not always the shortest.
    pub form: LengthForm,
}

/// The three forms of a payload length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthForm {
    /// In 7 bits: up to 125.
    Seven,
    /// In 16 further bits.
    Sixteen,
    /// In 64 further bits, of which the first must be zero.
    SixtyFour,
}

impl PayloadLength {
    /// Writes `value` in the shortest form.
    #[inline]
    pub const fn minimal(value: u64) -> Self {
        let form = match value {
            0..=125 => LengthForm::Seven,
            126..=0xffff => LengthForm::Sixteen,
            _ => LengthForm::SixtyFour,
        };
        Self { value, form }
    }

    /// Tells whether the form is the shortest.
    #[inline]
    pub fn is_minimal(self) -> bool {
        self.form == Self::minimal(self.value).form
    }
}

impl FrameHeader {
    /// The longest header: 2 bytes, 8 of length, 4 of mask.
    pub const MAX_LEN: usize = 14;

    /// Makes the header of a whole, unmasked, legal frame.
    #[inline]
    pub const fn new(opcode: Opcode, length: u64) -> Self {
        Self { fin: true, rsv: 0, opcode, mask: None, length: PayloadLength::minimal(length) }
    }

    /// Sets the masking key.
    #[must_use]
    pub const fn masked(mut self, key: [u8; 4]) -> Self {
        self.mask = Some(key);
        self
    }

    /// Reads a header from the start of `bytes` and tells how many bytes it took; `None` while it is incomplete.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
        let (value, form, rest) = match second & 0x7f {
            126 => {
                let (value, rest) = rest.split_first_chunk::<2>()?;
                (u64::from(u16::from_be_bytes(*value)), LengthForm::Sixteen, rest)
            }
            127 => {
                let (value, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*value), LengthForm::SixtyFour, rest)
            }
            short => (u64::from(short), LengthForm::Seven, rest),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk::<4>()?;
            (Some(*key), rest)
        };
        let (fin, rsv, opcode) = Self::first_byte(first);
        let header = Self { fin, rsv, opcode, mask, length: PayloadLength { value, form } };
        Some((header, bytes.len() - rest.len()))
    }

    /// Reads the final bit, the reserved bits and the opcode.
    #[inline]
    pub(crate) const fn first_byte(first: u8) -> (bool, u8, Opcode) {
        (first & 0x80 != 0, first >> 4 & 0x7, Opcode::from_bits(first))
    }

    /// Appends the header to `out`, as it is. A value that does not fit the form it is to be written in is cut to it.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (bytes, length) = self.to_bytes();
        out.extend_from_slice(&bytes[..length]);
    }

    /// Gives the header as [`FrameHeader::encode`] writes it, and its length.
    #[inline]
    pub(crate) fn to_bytes(self) -> ([u8; Self::MAX_LEN], usize) {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[0] = u8::from(self.fin) << 7 | (self.rsv & 0x7) << 4 | self.opcode.bits();
        let masked = u8::from(self.mask.is_some()) << 7;
        let value = self.length.value;
        let mut length = match self.length.form {
            LengthForm::Seven => {
                bytes[1] = masked | (value & 0x7f) as u8;
                2
            }
            LengthForm::Sixteen => {
                bytes[1] = masked | 126;
                bytes[2..4].copy_from_slice(&((value & 0xffff) as u16).to_be_bytes());
                4
            }
            LengthForm::SixtyFour => {
                bytes[1] = masked | 127;
                bytes[2..10].copy_from_slice(&value.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.mask {
            bytes[length..length + 4].copy_from_slice(&key);
            length += 4;
        }
        (bytes, length)
    }
}

/// Any frame whatsoever, for those who must send what the protocol forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The header, written as it is.
    pub header: FrameHeader,
    /// The payload before masking; its length need not be what the header says.
    pub payload: Vec<u8>,
}

impl RawFrame {
    /// Makes a whole, legal frame of a client: masked with the next of `keys`.
    pub fn client(opcode: Opcode, payload: &[u8], keys: &mut impl MaskKeys) -> Self {
        let header = FrameHeader::new(opcode, payload.len() as u64).masked(keys.next_key());
        Self { header, payload: payload.to_vec() }
    }

    /// Appends the frame to `out`, its payload masked where the header has a key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        let start = out.len();
        out.extend_from_slice(&self.payload);
        if let Some(key) = self.header.mask {
            apply_mask(key, 0, &mut out[start..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_length_is_read_and_written_as_it_is() {
        let check = |bytes: &[u8], value, form, minimal| {
            let (header, taken) = FrameHeader::parse(bytes).unwrap();
            assert_eq!((header.length.value, header.length.form, taken), (value, form, bytes.len()));
            assert_eq!(header.length.is_minimal(), minimal);
            let mut out = Vec::new();
            header.encode(&mut out);
            assert_eq!(out, bytes);
            for cut in 0..bytes.len() {
                assert_eq!(FrameHeader::parse(&bytes[..cut]), None);
            }
        };
        check(&[0x81, 0], 0, LengthForm::Seven, true);
        check(&[0x82, 125], 125, LengthForm::Seven, true);
        check(&[0x82, 126, 0, 125], 125, LengthForm::Sixteen, false);
        check(&[0x82, 126, 0, 126], 126, LengthForm::Sixteen, true);
        check(&[0x82, 126, 0xff, 0xff], 65535, LengthForm::Sixteen, true);
        check(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 65535, LengthForm::SixtyFour, false);
        check(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65536, LengthForm::SixtyFour, true);
        check(&[0x82, 127, 0xff, 0, 0, 0, 0, 1, 0, 0], 0xff00_0000_0001_0000, LengthForm::SixtyFour, true);
        check(&[0x82, 0xfe, 0, 126, 1, 2, 3, 4], 126, LengthForm::Sixteen, true);
    }

    #[test]
    fn every_first_byte_survives() {
        for first in 0..=255u8 {
            let (header, _) = FrameHeader::parse(&[first, 0]).unwrap();
            let mut out = Vec::new();
            header.encode(&mut out);
            assert_eq!(out, [first, 0]);
        }
    }
}
