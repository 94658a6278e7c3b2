//! A peer that behaves until it does not, and says what it did.

use sockwarden_proto::{CloseCode, LengthForm, Limits, MessageKind, Opcode, Role, Violation, close_payload};

use crate::{Random, Script};

/// How often a [`HostilePeer`] does what, relative to each other; a weight of 0 is never.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Whole messages and fragments.
    pub data: usize,
    /// Pings and pongs.
    pub control: usize,
    /// A close frame, after which the peer is silent.
    pub close: usize,
    /// A violation, after which the peer is silent.
    pub violation: usize,
}

impl Weights {
    /// A peer that never breaks the protocol.
    pub const LEGAL: Self = Self { data: 20, control: 8, close: 1, violation: 0 };
    /// A peer that breaks it before long.
    pub const HOSTILE: Self = Self { data: 20, control: 8, close: 1, violation: 3 };
}

/// What a [`HostilePeer`] did with some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Sent a fragment that does not end its message.
    Fragment,
    /// Ended a message.
    Message(MessageKind, Vec<u8>),
    /// Sent a ping.
    Ping(Vec<u8>),
    /// Sent a pong.
    Pong(Vec<u8>),
    /// Sent a close frame.
    Close(Option<u16>, String),
    /// Broke the protocol.
    Violation(Violation),
}

/// A seeded peer: an iterator of bytes and of what they do, until it closes or breaks the protocol.
///
/// Its messages stay within the limits that it is made with, unless a violation says otherwise.
#[derive(Clone, Debug)]
pub struct HostilePeer {
    role: Role,
    limits: Limits,
    weights: Weights,
    random: Random,
    open: Option<Open>,
    finished: bool,
}

/// A fragmented message under way: all of it, and how much was sent.
#[derive(Clone, Debug)]
struct Open {
    kind: MessageKind,
    whole: Vec<u8>,
    sent: usize,
}

impl HostilePeer {
    /// Makes a peer in `role`, facing an endpoint with `limits`.
    pub const fn new(seed: u64, role: Role, limits: Limits, weights: Weights) -> Self {
        Self { role, limits, weights, random: Random::new(seed), open: None, finished: false }
    }

    /// Does at most `steps` things; gives all their bytes and what each was.
    pub fn act(&mut self, steps: usize) -> (Vec<u8>, Vec<Deed>) {
        let (bytes, deeds): (Vec<_>, Vec<_>) = self.take(steps).unzip();
        (bytes.concat(), deeds)
    }

    fn data(&mut self) -> (Script, Deed) {
        let Some(mut open) = self.open.take() else { return self.begin() };
        let left = open.whole.len() - open.sent;
        let ends = self.random.percent(40);
        let length = if ends { left } else { self.random.below(left + 1) };
        let piece = &open.whole[open.sent..open.sent + length];
        let script = Script::new(self.role).frame(Opcode::Continuation, ends, piece);
        if ends {
            return (script, Deed::Message(open.kind, open.whole));
        }
        open.sent += length;
        self.open = Some(open);
        (script, Deed::Fragment)
    }

    fn begin(&mut self) -> (Script, Deed) {
        let most = usize::try_from(self.limits.frame.min(self.limits.message)).unwrap_or(usize::MAX);
        let length = match self.random.below(10) {
            0 => 0,
            1 => self.random.pick(&[125, 126, 127, 65535, 65536, 70_000, most]),
            _ => self.random.below(300),
        };
        let length = length.min(most);
        let (kind, whole) = if self.random.percent(50) {
            (MessageKind::Binary, self.random.bytes(length))
        } else {
            let mut text = self.random.text(length);
            text.truncate(text.floor_char_boundary(length));
            (MessageKind::Text, text.into_bytes())
        };
        let script = Script::new(self.role);
        if self.random.percent(50) {
            return (script.frame(kind.opcode(), true, &whole), Deed::Message(kind, whole));
        }
        let sent = self.random.below(whole.len() + 1);
        let script = script.begin(kind, &whole[..sent]);
        self.open = Some(Open { kind, whole, sent });
        (script, Deed::Fragment)
    }

    fn control(&mut self) -> (Script, Deed) {
        let length = self.random.pick(&[0, 1, 4, 125]);
        let payload = self.random.bytes(length);
        let script = Script::new(self.role);
        if self.random.percent(60) {
            (script.ping(&payload), Deed::Ping(payload))
        } else {
            (script.pong(&payload), Deed::Pong(payload))
        }
    }

    fn close(&mut self) -> (Script, Deed) {
        let script = Script::new(self.role);
        if self.random.percent(25) {
            return (script.close_empty(), Deed::Close(None, String::new()));
        }
        let code = self.random.pick(&[1000, 1001, 1003, 1008, 1011, 1014, 3000, 3999, 4000, 4999]);
        let length = self.random.pick(&[0, 1, 60, 119]);
        let reason = self.random.text(length);
        (script.close(code, &reason), Deed::Close(Some(code), reason))
    }

    /// Breaks the protocol in one of the ways that are open at this moment.
    fn violate(&mut self) -> (Script, Deed) {
        let script = Script::new(self.role);
        let data = if self.open.is_some() { Opcode::Continuation } else { Opcode::Binary };
        let sent = self.open.as_ref().map_or(0, |open| open.sent as u64);
        let is_text = self.open.as_ref().is_none_or(|open| open.kind == MessageKind::Text);
        let too_long = self.limits.message.saturating_add(1) - sent;
        let (script, violation) = match self.random.below(14) {
            0 => {
                let rsv = self.random.pick(&[1, 2, 3, 4, 5, 6, 7]);
                (script.odd(data, b"x", |h| h.rsv = rsv), Violation::ReservedBits { rsv })
            }
            1 => {
                let bits = self.random.pick(&[3, 4, 5, 6, 7, 11, 12, 13, 14, 15]);
                (script.frame(Opcode::Reserved(bits), true, b"x"), Violation::ReservedOpcode(bits))
            }
            2 => match self.role {
                Role::Client => (script.odd(data, b"x", |h| h.mask = None), Violation::UnmaskedClientFrame),
                Role::Server => {
                    (script.odd(data, b"x", |h| h.mask = Some([1, 2, 3, 4])), Violation::MaskedServerFrame)
                }
            },
            3 => (script.announce(data, 1 << 63, LengthForm::SixtyFour), Violation::LengthTopBit),
            4 => {
                let form = self.random.pick(&[LengthForm::Sixteen, LengthForm::SixtyFour]);
                (script.announce(data, 125, form), Violation::NonMinimalLength)
            }
            5 => (script.frame(Opcode::Ping, false, b"x"), Violation::FragmentedControl),
            6 => (script.ping(&[b'x'; 126]), Violation::OversizeControl),
            7 if self.open.is_some() => (script.text("x"), Violation::InterleavedMessage),
            7 => (script.end(b"x"), Violation::UnexpectedContinuation),
            8 => (script.frame(Opcode::Close, true, b"\x03"), Violation::ClosePayloadTooShort),
            9 => {
                let code = self.random.pick(&[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]);
                (script.close(code, ""), Violation::InvalidCloseCode(code))
            }
            10 => {
                let mut payload = close_payload(CloseCode::NORMAL, "bye");
                payload.push(0xff);
                (script.frame(Opcode::Close, true, &payload), Violation::CloseReasonNotUtf8)
            }
            11 if self.limits.frame < u64::MAX >> 1 => {
                let length = self.limits.frame + 1;
                let violation = Violation::FrameTooBig { length, limit: self.limits.frame };
                (announce_minimal(script, data, length), violation)
            }
            12 if too_long <= self.limits.frame => {
                let limit = self.limits.message;
                let violation = Violation::MessageTooBig { length: limit + 1, limit };
                (announce_minimal(script, data, too_long), violation)
            }
            _ if is_text => {
                let opcode = if self.open.is_some() { Opcode::Continuation } else { Opcode::Text };
                let wrong = self.random.pick(&[
                    &b"\xff"[..],
                    b"\xc0\x80",
                    b"\xed\xa0\x80",
                    b"\xf4\x90\x80\x80",
                    b"\xfe",
                ]);
                (script.frame(opcode, false, wrong), Violation::InvalidUtf8)
            }
            _ => (script.frame(Opcode::Pong, false, b""), Violation::FragmentedControl),
        };
        (script, Deed::Violation(violation))
    }
}

fn announce_minimal(script: Script, opcode: Opcode, length: u64) -> Script {
    script.announce(opcode, length, sockwarden_proto::PayloadLength::minimal(length).form)
}

impl Iterator for HostilePeer {
    type Item = (Vec<u8>, Deed);

    fn next(&mut self) -> Option<Self::Item> {
        let Weights { data, control, close, violation } = self.weights;
        let total = data + control + close + violation;
        if self.finished || total == 0 {
            return None;
        }
        let drawn = self.random.below(total);
        let (script, deed) = if drawn < data {
            self.data()
        } else if drawn < data + control {
            self.control()
        } else if drawn < data + control + close {
            self.finished = true;
            self.close()
        } else {
            self.finished = true;
            self.violate()
        };
        Some((script.bytes(), deed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { frame: 1000, message: 900 };

    #[test]
    fn a_seed_repeats() {
        let act = |seed| HostilePeer::new(seed, Role::Client, LIMITS, Weights::HOSTILE).act(50);
        assert_eq!(act(3), act(3));
        assert_ne!(act(3), act(4));
    }

    #[test]
    fn a_legal_peer_never_violates_and_a_hostile_one_violates_in_every_way() {
        let mut ways = std::collections::HashSet::new();
        for seed in 0..2000 {
            let role = if seed % 2 == 0 { Role::Client } else { Role::Server };
            let (_, deeds) = HostilePeer::new(seed, role, LIMITS, Weights::LEGAL).act(50);
            assert!(!deeds.iter().any(|deed| matches!(deed, Deed::Violation(_))));
            let (_, deeds) = HostilePeer::new(seed, role, LIMITS, Weights::HOSTILE).act(200);
            for deed in deeds {
                if let Deed::Violation(violation) = deed {
                    ways.insert(std::mem::discriminant(&violation));
                }
            }
        }
        // Every variant of `Violation` but the four of compressed messages.
        assert_eq!(ways.len(), 16);
    }
}
