//! Turning a connection into evidence that a person can read and that holds no secret.

use std::time::Duration;

use sockwarden_model::{Evidence, EvidenceBytes, Step, StepKind, printable};
use sockwarden_proto::{
    FrameHeader, Opcode, PayloadLength, RawFrame, apply_mask, handshake::find_end_of_head,
};

use crate::{
    exchange::{Connection, Happening},
    redact::Redactor,
};

/// How many steps of one connection are shown.
const STEPS: usize = 40;
/// How many of them are the last ones, where there are more.
const END: usize = 8;
/// The bit that says that a message is compressed (RFC 7692 §6).
const RSV1: u8 = 0b100;
/// How much of a message a remark quotes.
const QUOTE: usize = 240;

/// Makes the evidence of `connection`: its bytes as they were on the wire except for what `redactor` removes, and a remark
/// before each frame that says how it reads.
pub(crate) fn evidence(connection: &Connection, redactor: &Redactor) -> Evidence {
    let mut writer = Writer { redactor, steps: Vec::new() };
    let mut upgraded = false;
    let mut answered = false;
    // An opening may be written in pieces; a secret must not hide in their cut.
    let mut opening: Option<(Duration, Vec<u8>)> = None;
    let mut received: Option<(Duration, Vec<u8>)> = None;
    for record in connection.records() {
        match &record.happening {
            Happening::Sent(bytes) if !answered => {
                opening.get_or_insert_with(|| (record.at, Vec::new())).1.extend_from_slice(bytes);
                continue;
            }
            Happening::Quiet | Happening::Dialled => continue,
            Happening::Sent(_)
            | Happening::NotDialled(_)
            | Happening::SendFailed
            | Happening::Received(_)
            | Happening::Closed
            | Happening::Reset
            | Happening::TooMuch => {}
        }
        answered = true;
        if let Some((at, bytes)) = opening.take() {
            writer.bytes(StepKind::Sent, at, &redactor.head(&bytes));
        }
        if let Happening::Received(bytes) = &record.happening {
            received.get_or_insert_with(|| (record.at, Vec::new())).1.extend_from_slice(bytes);
            continue;
        }
        if let Some((at, bytes)) = received.take() {
            writer.received(at, &bytes, &mut upgraded);
        }
        match &record.happening {
            Happening::Sent(bytes) => writer.frames(StepKind::Sent, record.at, bytes),
            Happening::NotDialled(why) => writer.note(record.at, why),
            Happening::SendFailed => writer.note(record.at, "the target took no more"),
            Happening::Closed => writer.note(record.at, "the target closed the connection"),
            Happening::Reset => writer.note(record.at, "the target broke the connection off"),
            Happening::TooMuch => writer.note(record.at, "the target sent more than is read"),
            Happening::Dialled | Happening::Quiet | Happening::Received(_) => {}
        }
    }
    if let Some((at, bytes)) = opening {
        writer.bytes(StepKind::Sent, at, &redactor.head(&bytes));
    }
    if let Some((at, bytes)) = received {
        writer.received(at, &bytes, &mut upgraded);
    }
    Evidence { title: connection.title().to_owned(), steps: writer.finish() }
}

struct Writer<'a> {
    redactor: &'a Redactor,
    steps: Vec<Step>,
}

impl Writer<'_> {
    fn bytes(&mut self, kind: StepKind, at: Duration, bytes: &[u8]) {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(Step { kind, at_ms, bytes: EvidenceBytes::new(bytes) });
    }

    fn note(&mut self, at: Duration, text: &str) {
        self.bytes(StepKind::Note, at, text.as_bytes());
    }

    fn received(&mut self, at: Duration, bytes: &[u8], upgraded: &mut bool) {
        let head = if *upgraded { 0 } else { find_end_of_head(bytes).unwrap_or(bytes.len()) };
        if head > 0 {
            self.bytes(StepKind::Received, at, &self.redactor.head(&bytes[..head]));
            *upgraded = bytes.starts_with(b"HTTP/1.1 101") || bytes.starts_with(b"HTTP/1.0 101");
        }
        let rest = &bytes[head..];
        if rest.is_empty() {
        } else if *upgraded {
            self.frames(StepKind::Received, at, rest);
        } else {
            self.bytes(StepKind::Received, at, &self.redactor.payload(rest));
        }
    }

    /// Shows each frame; what is no whole frame is shown as it is.
    fn frames(&mut self, kind: StepKind, at: Duration, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((header, length)) = FrameHeader::parse(bytes) else {
                return self.bytes(kind, at, bytes);
            };
            let whole =
                usize::try_from(header.length.value).ok().and_then(|payload| length.checked_add(payload));
            let Some(frame) = whole.and_then(|end| bytes.get(..end)) else {
                self.note(at, &format!("{} whose payload does not follow whole", describe(&header)));
                return self.bytes(kind, at, &self.redactor.payload(bytes));
            };
            if kind == StepKind::Received && header.rsv & RSV1 != 0 {
                // A secret in what is compressed cannot be found, and so not be left out.
                self.note(at, &format!("{}; compressed, and not shown", describe(&header)));
                bytes = &bytes[frame.len()..];
                continue;
            }
            let mut payload = frame[length..].to_vec();
            if let Some(key) = header.mask {
                apply_mask(key, 0, &mut payload);
            }
            let shown = self.redactor.payload(&payload);
            let quote = printable(&shown, QUOTE);
            let colon = if quote.is_empty() { "" } else { ": " };
            self.note(at, &format!("{}{colon}{quote}", describe(&header)));
            if shown == payload {
                self.bytes(kind, at, frame);
            } else {
                let length = PayloadLength::minimal(shown.len() as u64);
                let mut out = Vec::new();
                RawFrame { header: FrameHeader { length, ..header }, payload: shown }.encode(&mut out);
                self.bytes(kind, at, &out);
            }
            bytes = &bytes[frame.len()..];
        }
    }

    fn finish(mut self) -> Vec<Step> {
        if self.steps.len() > STEPS {
            // How it ended is often what matters.
            let left_out = self.steps.len() - STEPS;
            let end = self.steps.split_off(self.steps.len() - END);
            self.steps.truncate(STEPS - END);
            let at = Duration::from_millis(self.steps.last().map_or(0, |step| step.at_ms));
            self.note(at, &format!("{left_out} further steps are left out"));
            self.steps.extend(end);
        }
        self.steps
    }
}

/// Says what a frame is, with everything that is odd about it.
fn describe(header: &FrameHeader) -> String {
    let name = match header.opcode {
        Opcode::Continuation => "continuation".to_owned(),
        Opcode::Text => "text".to_owned(),
        Opcode::Binary => "binary".to_owned(),
        Opcode::Close => "close".to_owned(),
        Opcode::Ping => "ping".to_owned(),
        Opcode::Pong => "pong".to_owned(),
        Opcode::Reserved(bits) => format!("opcode {bits:#x}"),
    };
    let mut text = format!("{name} of {} bytes", header.length.value);
    if header.rsv != 0 {
        text.push_str(&format!(", reserved bits {:03b}", header.rsv));
    }
    if !header.fin {
        text.push_str(", to be continued");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dice::Dice,
        talk::{Opening, Turn},
        target::{Identity, Target},
    };

    #[test]
    fn an_opening_that_came_in_pieces_is_shown_whole() {
        let mut connection = Connection::new("any".into(), Opening::raw(Vec::new()));
        let head = b"GET / HTTP/1.1\r\nCookie: s=0123456789\r\n\r\n";
        for byte in head {
            connection.record(Duration::ZERO, Happening::Sent(vec![*byte]));
            connection.record(Duration::ZERO, Happening::Quiet);
        }
        let steps = evidence(&connection, &mara()).steps;
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].bytes.kept(), b"GET / HTTP/1.1\r\nCookie: s=[redacted]\r\n\r\n");
    }

    #[test]
    fn what_a_target_compressed_is_not_shown() {
        let frames = b"\xc1\x03abc\x81\x02hi";
        let steps = evidence(&received(&[b"HTTP/1.1 101 x\r\n\r\n", &frames[..]].concat(), 7), &mara()).steps;
        let shown: Vec<String> = steps.iter().map(|step| printable(step.bytes.kept(), 100)).collect();
        let note = "text of 3 bytes, reserved bits 100; compressed, and not shown";
        assert_eq!(shown[2..], [note, "text of 2 bytes: hi", "\\x81\\x02hi"]);
    }

    #[test]
    fn of_many_steps_the_first_and_the_last_are_shown() {
        let mut connection = Connection::new("any".into(), Opening::raw(Vec::new()));
        connection.record(Duration::ZERO, Happening::Sent(b"GET / HTTP/1.1\r\n\r\n".to_vec()));
        let frames = b"\x8a\x00".repeat(100);
        connection
            .record(Duration::ZERO, Happening::Received([b"HTTP/1.1 101 x\r\n\r\n", &frames[..]].concat()));
        connection.record(Duration::ZERO, Happening::Closed);
        let steps = evidence(&connection, &mara()).steps;
        assert_eq!(steps.len(), STEPS + 1);
        let text = |at: usize| printable(steps[at].bytes.kept(), 100);
        assert_eq!(text(STEPS - END), "163 further steps are left out");
        assert_eq!(text(STEPS), "the target closed the connection");
    }

    #[test]
    fn evidence_shows_how_frames_read_and_keeps_secrets_out() {
        let mut target = Target::new("ws://h/".parse().unwrap());
        target.identities = vec![Identity::new("mara", "Cookie", "s=0123456789")];
        let mut connection = Connection::new("a title".into(), Opening::raw(Vec::new()));
        let Turn::Send(message) = Turn::text("I am 0123456789", &mut Dice::new(1)) else { unreachable!() };
        let happenings = [
            Happening::Dialled,
            Happening::Sent(b"GET / HTTP/1.1\r\nCookie: s=0123456789\r\n\r\n".to_vec()),
            Happening::Received(b"HTTP/1.1 101 x\r\n\r\n\x81\x02".to_vec()),
            Happening::Received(b"hi".to_vec()),
            Happening::Sent(message),
            Happening::Closed,
        ];
        for happening in happenings {
            connection.record(Duration::from_millis(3), happening);
        }
        let evidence = evidence(&connection, &Redactor::new(&target));
        let shown: Vec<(StepKind, String)> =
            evidence.steps.iter().map(|s| (s.kind, printable(s.bytes.kept(), 100))).collect();
        let expected = [
            (StepKind::Sent, "GET / HTTP/1.1\\r\\nCookie: s=[redacted]\\r\\n\\r\\n"),
            (StepKind::Received, "HTTP/1.1 101 x\\r\\n\\r\\n"),
            (StepKind::Note, "text of 2 bytes: hi"),
            (StepKind::Received, "\\x81\\x02hi"),
            (StepKind::Note, "text of 15 bytes: I am [redacted]"),
        ];
        for (shown, expected) in shown.iter().zip(expected) {
            assert_eq!((shown.0, shown.1.as_str()), expected);
        }
        assert_eq!(shown.len(), 7);
        assert_eq!(shown[6].1, "the target closed the connection");
        // The masked bytes do not hold the secret either.
        let (header, length) = FrameHeader::parse(evidence.steps[5].bytes.kept()).unwrap();
        let mut payload = evidence.steps[5].bytes.kept()[length..].to_vec();
        apply_mask(header.mask.unwrap(), 0, &mut payload);
        assert_eq!(payload, b"I am [redacted]");
    }

    /// Makes a connection that was opened and then received `bytes` in pieces of `piece`.
    fn received(bytes: &[u8], piece: usize) -> Connection {
        let mut connection = Connection::new("any".into(), Opening::raw(Vec::new()));
        connection.record(Duration::ZERO, Happening::Sent(b"GET / HTTP/1.1\r\n\r\n".to_vec()));
        for piece in bytes.chunks(piece) {
            connection.record(Duration::ZERO, Happening::Received(piece.to_vec()));
        }
        connection
    }

    fn mara() -> Redactor {
        let mut target = Target::new("ws://h/".parse().unwrap());
        target.identities = vec![Identity::new("mara", "Cookie", "s=0123456789")];
        Redactor::new(&target)
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_target_sends_can_be_shown(bytes: Vec<u8>, upgraded: bool, piece in 1usize..64) {
            let head: &[u8] = if upgraded { b"HTTP/1.1 101 x\r\n\r\n" } else { b"" };
            let all = [head, &bytes].concat();
            let connection = received(&all, piece);
            proptest::prop_assert!(evidence(&connection, &mara()).steps.len() <= STEPS + 1);
            crate::values::Values::of(connection.messages()).telling();
        }

        #[test]
        fn no_cut_of_the_bytes_lets_a_secret_through(
            before in "[ -~]{0,60}",
            after in "[ -~]{0,60}",
            piece in 1usize..64,
        ) {
            let payload = format!("{before}0123456789{after}");
            let header = FrameHeader::new(Opcode::Text, payload.len() as u64);
            let mut all = b"HTTP/1.1 101 x\r\nX-You: 0123456789\r\n\r\n".to_vec();
            RawFrame { header, payload: payload.into_bytes() }.encode(&mut all);
            for step in evidence(&received(&all, piece), &mara()).steps {
                proptest::prop_assert!(crate::redact::find(step.bytes.kept(), b"0123456789").is_none());
            }
        }
    }
}
