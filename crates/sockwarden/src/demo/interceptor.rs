//! What an attacker on the path does with the bytes of one direction: reads what can be read, rewrites it, passes it on.

use sockwarden_proto::{FrameHeader, PayloadLength, RawFrame, apply_mask, handshake::find_end_of_head};

/// How much is remembered of one connection's direction.
const REMEMBERED: usize = 256 * 1024;
/// The longest head or frame that is held back to be read whole; what is longer passes unread.
const HELD: usize = 1024 * 1024;
/// A TLS record of the handshake begins with it (RFC 8446 §5.1); no request or status line does.
const TLS_HANDSHAKE: u8 = 22;

/// One direction of a connection that an attacker sits on.
#[derive(Debug)]
pub(crate) struct Interceptor {
    state: State,
    held: Vec<u8>,
    /// A line to slip into the head.
    line: Option<String>,
    rewrites: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Beginning,
    Head,
    Frames,
    /// Ciphertext, or what is too long to be held.
    Opaque,
}

impl Interceptor {
    /// Slips `line` into the head, and in messages puts the second text of each pair in the place of the first.
    pub(crate) const fn new(line: Option<String>, rewrites: Vec<(String, String)>) -> Self {
        Self { state: State::Beginning, held: Vec::new(), line, rewrites }
    }

    /// Takes bytes, appends what it can make of them to `heard` (messages unmasked, ciphertext as it is), and gives the
    /// bytes to send on.
    pub(crate) fn pass(&mut self, bytes: &[u8], heard: &mut Vec<u8>) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(bytes.len());
        loop {
            match self.state {
                State::Beginning => match self.held.first() {
                    None => return out,
                    Some(&TLS_HANDSHAKE) => self.state = State::Opaque,
                    Some(_) => self.state = State::Head,
                },
                State::Head => match find_end_of_head(&self.held) {
                    Some(length) => self.head(length, heard, &mut out),
                    None if self.held.len() > HELD => self.state = State::Opaque,
                    None => return out,
                },
                State::Frames => match self.frame() {
                    Some(frame) => self.rewritten(frame, heard).encode(&mut out),
                    None if self.held.len() > HELD => self.state = State::Opaque,
                    None => return out,
                },
                State::Opaque => {
                    remember(heard, &self.held);
                    out.append(&mut self.held);
                    return out;
                }
            }
        }
    }

    fn head(&mut self, length: usize, heard: &mut Vec<u8>, out: &mut Vec<u8>) {
        let rest = self.held.split_off(length);
        let mut head = std::mem::replace(&mut self.held, rest);
        remember(heard, &head);
        if let Some(line) = self.line.take() {
            // Before the empty line that ends the head.
            head.truncate(head.len().saturating_sub(2));
            head.extend_from_slice(line.as_bytes());
            head.extend_from_slice(b"\r\n\r\n");
        }
        let is_refusal =
            head.starts_with(b"HTTP/") && !head.get(8..).is_some_and(|rest| rest.starts_with(b" 101"));
        self.state = if is_refusal { State::Opaque } else { State::Frames };
        out.extend_from_slice(&head);
    }

    /// Gives what was held back when the direction ends.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Takes a whole frame from what is held, unmasked.
    fn frame(&mut self) -> Option<RawFrame> {
        let (header, start) = FrameHeader::parse(&self.held)?;
        let length = usize::try_from(header.length.value).ok()?;
        let end = start.checked_add(length).filter(|&end| end <= self.held.len())?;
        let mut payload = self.held[start..end].to_vec();
        if let Some(key) = header.mask {
            apply_mask(key, 0, &mut payload);
        }
        self.held.drain(..end);
        Some(RawFrame { header, payload })
    }

    fn rewritten(&self, mut frame: RawFrame, heard: &mut Vec<u8>) -> RawFrame {
        remember(heard, &frame.payload);
        let Ok(text) = std::str::from_utf8(&frame.payload) else { return frame };
        let mut text = text.to_owned();
        for (from, to) in &self.rewrites {
            text = text.replace(from, to);
        }
        if text.as_bytes() != frame.payload {
            frame.payload = text.into_bytes();
            frame.header.length = PayloadLength::minimal(frame.payload.len() as u64);
        }
        frame
    }
}

fn remember(heard: &mut Vec<u8>, bytes: &[u8]) {
    let room = REMEMBERED.saturating_sub(heard.len());
    heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::Opcode;

    use super::*;

    const HEAD: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn a_masked_message_is_read_and_altered_whatever_the_reads() {
        let sent = [HEAD, &frame("berth 2 is free, lantern")].concat();
        let expected = [HEAD, &frame("berth 9 is free, lantern")].concat();
        for size in 1..=sent.len() {
            let mut interceptor = Interceptor::new(None, vec![("berth 2".into(), "berth 9".into())]);
            let mut heard = Vec::new();
            let passed: Vec<u8> =
                sent.chunks(size).flat_map(|chunk| interceptor.pass(chunk, &mut heard)).collect();
            assert_eq!(passed, expected, "reads of {size}");
            assert!(heard.ends_with(b"berth 2 is free, lantern"), "reads of {size}");
        }
    }

    #[test]
    fn a_text_of_another_length_gets_a_header_of_that_length() {
        let mut interceptor = Interceptor::new(None, vec![("a".into(), "b".repeat(300))]);
        interceptor.pass(HEAD, &mut Vec::new());
        assert_eq!(interceptor.pass(&frame("a"), &mut Vec::new()), frame(&"b".repeat(300)));
    }

    #[test]
    fn a_line_is_slipped_into_the_first_head_only() {
        let mut interceptor = Interceptor::new(Some("Cookie: a=b".into()), Vec::new());
        let passed = interceptor.pass(HEAD, &mut Vec::new());
        assert_eq!(passed, b"GET /ws HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n");
        assert_eq!(interceptor.pass(&frame("x"), &mut Vec::new()), frame("x"));
    }

    #[test]
    fn a_refusal_passes_with_its_body() {
        let mut interceptor = Interceptor::new(None, Vec::new());
        let refusal = b"HTTP/1.1 403 Forbidden\r\n\r\nRefused";
        assert_eq!(interceptor.pass(refusal, &mut Vec::new()), refusal);
    }

    #[test]
    fn what_is_held_back_comes_out_at_the_end() {
        let mut interceptor = Interceptor::new(None, Vec::new());
        interceptor.pass(HEAD, &mut Vec::new());
        assert_eq!(interceptor.pass(b"\x81\x05he", &mut Vec::new()), b"");
        assert_eq!(interceptor.end(), b"\x81\x05he");
    }

    #[test]
    fn ciphertext_passes_as_it_is() {
        let mut interceptor =
            Interceptor::new(Some("Cookie: a=b".into()), vec![("secret".into(), "public".into())]);
        let mut heard = Vec::new();
        let record = [&[22, 3, 1, 0, 9][..], b"secret\r\n\r\n"].concat();
        assert_eq!(interceptor.pass(&record, &mut heard), record);
        assert_eq!(heard, record);
    }

    #[test]
    fn what_is_too_long_passes_and_memory_has_an_end() {
        let mut interceptor = Interceptor::new(None, Vec::new());
        interceptor.pass(HEAD, &mut Vec::new());
        let mut long = Vec::new();
        FrameHeader::new(Opcode::Text, 8 << 20).encode(&mut long);
        long.resize(long.len() + (8 << 20), b'x');
        let mut heard = Vec::new();
        let passed: usize = long.chunks(60_000).map(|c| interceptor.pass(c, &mut heard).len()).sum();
        assert_eq!((passed, heard.len()), (long.len(), REMEMBERED));
    }

    fn frame(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        RawFrame::client(Opcode::Text, text.as_bytes(), &mut || [7, 1, 200, 33]).encode(&mut out);
        out
    }
}
