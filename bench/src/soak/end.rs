//! What both ends do alike: put messages into frames, and frames together into messages.

use anyhow::ensure;

use super::pressing::Pressing;
use crate::wire::{self, FrameReader, Header, Piece};

/// What came.
pub(crate) enum Incoming {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Close(Vec<u8>),
}

/// One end of one connection.
pub(crate) struct End {
    masks: bool,
    pressing: Option<Box<Pressing>>,
    reader: FrameReader,
    message: Vec<u8>,
    compressed: bool,
    control: Vec<u8>,
}

impl End {
    pub(crate) fn new(masks: bool, compressed: bool) -> Self {
        Self {
            masks,
            pressing: compressed.then(|| Box::new(Pressing::new())),
            reader: FrameReader::default(),
            message: Vec::new(),
            compressed: false,
            control: Vec::new(),
        }
    }

    /// Appends a message as so many frames.
    pub(crate) fn message(&mut self, payload: &[u8], frames: usize, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let pressed = self.pressing.as_mut().map(|pressing| pressing.press(payload)).transpose()?;
        let payload = pressed.as_deref().unwrap_or(payload);
        let each = payload.len().div_ceil(frames.max(1)).max(1);
        let count = payload.len().div_ceil(each).max(1);
        for index in 0..count {
            let part = payload.get(index * each..).unwrap_or_default();
            let part = &part[..part.len().min(each)];
            let header = Header {
                opcode: if index == 0 { wire::TEXT } else { wire::CONTINUATION },
                fin: index + 1 == count,
                rsv1: index == 0 && pressed.is_some(),
                mask: self.mask(),
                length: part.len() as u64,
            };
            wire::frame(header, part, out);
        }
        Ok(())
    }

    pub(crate) fn control(&self, opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
        let header = Header { mask: self.mask(), ..Header::whole(opcode, payload.len()) };
        wire::frame(header, payload, out);
    }

    /// Reads what came, unmasked and unpressed.
    pub(crate) fn receive(&mut self, bytes: &mut [u8]) -> anyhow::Result<Vec<Incoming>> {
        let mut incoming = Vec::new();
        let Self { masks, pressing, reader, message, compressed, control } = self;
        reader.read(bytes, |Piece { header, offset, bytes, ends }| {
            ensure!(header.mask.is_some() != *masks, "a frame is masked as it must not be");
            if header.is_control() {
                control.extend_from_slice(bytes);
                if ends {
                    let payload = std::mem::take(control);
                    match header.opcode {
                        wire::PING => incoming.push(Incoming::Ping(payload)),
                        wire::CLOSE => incoming.push(Incoming::Close(payload)),
                        _ => {}
                    }
                }
                return Ok(());
            }
            if offset == 0 && header.opcode != wire::CONTINUATION {
                ensure!(message.is_empty(), "a message begins inside another");
                *compressed = header.rsv1;
                ensure!(pressing.is_some() == header.rsv1, "compression was added or taken out");
            }
            message.extend_from_slice(bytes);
            if ends && header.fin {
                let mut payload = std::mem::take(message);
                if let Some(pressing) = pressing.as_mut().filter(|_| *compressed) {
                    payload = pressing.unpress(&mut payload)?;
                }
                incoming.push(Incoming::Message(payload));
            }
            Ok(())
        })?;
        Ok(incoming)
    }

    fn mask(&self) -> Option<[u8; 4]> {
        self.masks.then_some([0x5a, 0x17, 0xc3, 0x88])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_says_the_other_understands() {
        for compressed in [false, true] {
            let (mut one, mut other) = (End::new(true, compressed), End::new(false, compressed));
            let mut bytes = Vec::new();
            for frames in [1, 3, 100] {
                one.message(b"hello, hello, hello", frames, &mut bytes).unwrap();
            }
            one.control(wire::PING, b"x", &mut bytes);
            let incoming = other.receive(&mut bytes).unwrap();
            assert_eq!(incoming.len(), 4);
            for (index, what) in incoming.iter().enumerate() {
                match what {
                    Incoming::Message(payload) => assert_eq!(payload, b"hello, hello, hello"),
                    Incoming::Ping(payload) => assert_eq!((index, &payload[..]), (3, &b"x"[..])),
                    Incoming::Close(_) => panic!("nobody closed"),
                }
            }
        }
    }
}
