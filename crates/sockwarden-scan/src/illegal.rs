//! Frames that RFC 6455 forbids.

use sockwarden_proto::{FrameHeader, LengthForm, MaskKeys, Opcode, PayloadLength, RawFrame, Violation};

use crate::dice::Dice;

/// One way to break the rules of framing.
pub(crate) struct Case {
    /// What is wrong.
    pub(crate) title: &'static str,
    /// The section of RFC 6455 that forbids it.
    pub(crate) section: &'static str,
    /// The bytes on the wire.
    pub(crate) frames: fn(&mut Dice) -> Vec<u8>,
    /// What shows that they were processed.
    pub(crate) sign: Sign,
}

/// What shows that illegal frames were processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The ping after them is answered.
    Pong,
    /// The malformed close frame comes back, which is this violation of the target's own.
    ClosedAlike(Violation),
}

/// Every case, in the order in which they are tried.
pub(crate) const CASES: &[Case] = &[
    case("RSV1 without an extension", "§5.2", |dice| text(dice, |h| h.rsv = 4)),
    case("RSV2", "§5.2", |dice| text(dice, |h| h.rsv = 2)),
    case("RSV3", "§5.2", |dice| text(dice, |h| h.rsv = 1)),
    case("the reserved data opcode 0x3", "§5.2", |dice| text(dice, |h| h.opcode = Opcode::Reserved(3))),
    case("the reserved data opcode 0x7", "§5.2", |dice| text(dice, |h| h.opcode = Opcode::Reserved(7))),
    case("the reserved control opcode 0xB", "§5.2", |dice| text(dice, |h| h.opcode = Opcode::Reserved(0xb))),
    case("the reserved control opcode 0xF", "§5.2", |dice| text(dice, |h| h.opcode = Opcode::Reserved(0xf))),
    case("an unmasked frame", "§5.1", |dice| text(dice, |h| h.mask = None)),
    case("a 64-bit length with its top bit set", "§5.2", |dice| {
        text(dice, |h| {
            h.length = PayloadLength { value: 1 << 63 | h.length.value, form: LengthForm::SixtyFour };
        })
    }),
    case("a 16-bit length where 7 bits do", "§5.2", |dice| {
        text(dice, |h| h.length.form = LengthForm::Sixteen)
    }),
    case("a 64-bit length where 7 bits do", "§5.2", |dice| {
        text(dice, |h| h.length.form = LengthForm::SixtyFour)
    }),
    case("a ping of 126 bytes", "§5.5", |dice| frame(dice, Opcode::Ping, true, &[b'p'; 126])),
    case("a fragmented ping", "§5.5", |dice| frame(dice, Opcode::Ping, false, b"frag")),
    case("a text that is no UTF-8", "§8.1", |dice| frame(dice, Opcode::Text, true, b"\xce\xba\xed\xa0\x80")),
    case("a continuation of nothing", "§5.4", |dice| frame(dice, Opcode::Continuation, true, b"more")),
    case("a message inside a fragmented one", "§5.4", |dice| {
        [frame(dice, Opcode::Text, false, b"one"), frame(dice, Opcode::Text, true, b"two")].concat()
    }),
    close("a close frame of one byte", "§5.5.1", Violation::ClosePayloadTooShort, |dice| {
        frame(dice, Opcode::Close, true, &[3])
    }),
    close("the close code 999", "§7.4.2", Violation::InvalidCloseCode(999), |dice| {
        frame(dice, Opcode::Close, true, &999u16.to_be_bytes())
    }),
    close("the close code 1005", "§7.4.1", Violation::InvalidCloseCode(1005), |dice| {
        frame(dice, Opcode::Close, true, &1005u16.to_be_bytes())
    }),
    close("the close code 2999", "§7.4.2", Violation::InvalidCloseCode(2999), |dice| {
        frame(dice, Opcode::Close, true, &2999u16.to_be_bytes())
    }),
];

const fn case(title: &'static str, section: &'static str, frames: fn(&mut Dice) -> Vec<u8>) -> Case {
    Case { title, section, frames, sign: Sign::Pong }
}

const fn close(
    title: &'static str,
    section: &'static str,
    alike: Violation,
    frames: fn(&mut Dice) -> Vec<u8>,
) -> Case {
    Case { title, section, frames, sign: Sign::ClosedAlike(alike) }
}

/// Makes a short text whose header is then spoilt.
fn text(dice: &mut Dice, spoil: fn(&mut FrameHeader)) -> Vec<u8> {
    let mut frame = RawFrame::client(Opcode::Text, b"sockwarden", dice);
    spoil(&mut frame.header);
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn frame(dice: &mut Dice, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let header =
        FrameHeader { fin, ..FrameHeader::new(opcode, payload.len() as u64).masked(dice.next_key()) };
    let mut out = Vec::new();
    RawFrame { header, payload: payload.to_vec() }.encode(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::{Fact, Flow, Limits, Receiver, Role};

    use super::*;

    #[test]
    fn every_case_is_a_violation() {
        for case in CASES {
            let mut violation = None;
            Receiver::new(Role::Server, Limits::default()).receive(
                &mut (case.frames)(&mut Dice::new(1)),
                |fact| {
                    if let Fact::Violation(found) = fact {
                        violation = Some(found);
                    }
                    Flow::Continue
                },
            );
            let violation = violation.unwrap_or_else(|| panic!("{} is legal", case.title));
            assert!(case.section.starts_with(violation.section()), "{} {violation}", case.title);
        }
    }
}
