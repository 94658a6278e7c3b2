//! Frames as both ends of a benchmark read and write them: legal ones only, and as little work as can be.
//!
//! On purpose not the codec that is measured: a mistake there cannot hide in both ends.

use anyhow::bail;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The longest header (RFC 6455 §5.2).
const LONGEST_HEADER: usize = 14;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: u8,
    pub(crate) fin: bool,
    /// Whether the message is compressed (RFC 7692).
    pub(crate) rsv1: bool,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) length: u64,
}

impl Header {
    /// The header of a frame that is a whole message, unmasked.
    pub(crate) const fn whole(opcode: u8, length: usize) -> Self {
        Self { opcode, fin: true, rsv1: false, mask: None, length: length as u64 }
    }

    pub(crate) const fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }

    /// Appends the header's bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.fin) << 7 | u8::from(self.rsv1) << 6 | self.opcode);
        let masked = u8::from(self.mask.is_some()) << 7;
        match self.length {
            0..=125 => out.push(masked | self.length as u8),
            126..=0xffff => {
                out.push(masked | 126);
                out.extend_from_slice(&(self.length as u16).to_be_bytes());
            }
            _ => {
                out.push(masked | 127);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }

    /// Reads a header and tells its length; `None` while it is incomplete.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[first, second, ..] = bytes else { return None };
        let (length, mut at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            mask = Some(*bytes.get(at..)?.first_chunk()?);
            at += 4;
        }
        let header =
            Self { opcode: first & 0x0f, fin: first & 0x80 != 0, rsv1: first & 0x40 != 0, mask, length };
        Some((header, at))
    }
}

/// Appends a frame, masked where its header has a key.
pub(crate) fn frame(header: Header, payload: &[u8], out: &mut Vec<u8>) {
    header.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.mask {
        apply_mask(key, 0, &mut out[start..]);
    }
}

/// A piece of a frame's payload, unmasked.
pub(crate) struct Piece<'a> {
    pub(crate) header: Header,
    /// Where in the payload it begins.
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    /// Whether it is the frame's last.
    pub(crate) ends: bool,
}

/// Cuts a stream of bytes into frames, holding no more than an incomplete header.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    held: [u8; LONGEST_HEADER],
    held_len: usize,
    /// The frame whose payload arrives, and how much of it has.
    inside: Option<(Header, u64)>,
}

impl FrameReader {
    /// Hands every piece of payload in `input` to `take`; an empty payload is an empty piece.
    pub(crate) fn read(
        &mut self,
        mut input: &mut [u8],
        mut take: impl FnMut(Piece<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            let (header, done) = match self.inside.take() {
                Some(inside) => inside,
                None => {
                    let (header, used) = if self.held_len == 0 {
                        match Header::parse(input) {
                            Some(parsed) => parsed,
                            None => return self.hold(input),
                        }
                    } else {
                        let before = self.held_len;
                        let more = input.len().min(LONGEST_HEADER - before);
                        self.held[before..before + more].copy_from_slice(&input[..more]);
                        match Header::parse(&self.held[..before + more]) {
                            Some((header, length)) => (header, length - before),
                            None => return self.hold(input),
                        }
                    };
                    self.held_len = 0;
                    input = &mut input[used..];
                    (header, 0)
                }
            };
            let missing = header.length - done;
            let here = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
            let ends = here as u64 == missing;
            let (bytes, rest) = input.split_at_mut(here);
            if let Some(key) = header.mask {
                apply_mask(key, done, bytes);
            }
            if !ends {
                self.inside = Some((header, done + here as u64));
            }
            if ends || here > 0 {
                take(Piece { header, offset: done, bytes, ends })?;
            }
            if rest.is_empty() {
                return Ok(());
            }
            input = rest;
        }
    }

    /// Whether the stream stands between two frames.
    #[cfg(test)]
    const fn is_between_frames(&self) -> bool {
        self.inside.is_none() && self.held_len == 0
    }

    fn hold(&mut self, input: &[u8]) -> anyhow::Result<()> {
        let end = self.held_len + input.len();
        let Some(room) = self.held.get_mut(self.held_len..end) else { bail!("a header does not end") };
        room.copy_from_slice(input);
        self.held_len = end;
        Ok(())
    }
}

/// Masks or unmasks bytes of which the first stands at `offset` in the payload.
pub(crate) fn apply_mask(key: [u8; 4], offset: u64, bytes: &mut [u8]) {
    let mut key = key;
    key.rotate_left((offset % 4) as usize);
    let wide = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, k) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= k;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (length, mask) in [(0, None), (5, Some([1, 2, 3, 4])), (126, None), (70_000, Some([9, 8, 7, 6]))]
        {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            frame(Header { mask, ..Header::whole(TEXT, length) }, &payload, &mut stream);
            expected.push(payload);
        }
        for cut in [1, 2, 3, 7, 100, 65_536, usize::MAX] {
            let mut reader = FrameReader::default();
            let mut found = vec![Vec::new()];
            let mut bytes = stream.clone();
            for chunk in bytes.chunks_mut(cut) {
                let take = |piece: Piece<'_>| {
                    let payload = found.last_mut().unwrap();
                    assert_eq!(piece.offset, payload.len() as u64);
                    payload.extend_from_slice(piece.bytes);
                    if piece.ends {
                        found.push(Vec::new());
                    }
                    Ok(())
                };
                reader.read(chunk, take).unwrap();
            }
            assert!(reader.is_between_frames());
            assert_eq!(found.pop(), Some(Vec::new()));
            assert_eq!(found, expected, "cut every {cut}");
        }
    }

    #[test]
    fn the_example_of_rfc_6455_5_7() {
        let mut out = Vec::new();
        let header = Header { mask: Some([0x37, 0xfa, 0x21, 0x3d]), ..Header::whole(TEXT, 5) };
        frame(header, b"Hello", &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
