//! `frame-limits`: how much one peer may send at once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::ByteSize;
use sockwarden_model::{Direction, Limit, Mode, Rule, rule};
use sockwarden_proto::{CloseCode, FrameHeader, Opcode};

use crate::{Closure, Defence, Fact, Guard, Hears, Verdict};

rule! {
    /// # What it does
    /// Judges each frame by its header, before its payload is held: the size of the frame, of the message that it belongs
    /// to, the number of fragments, fragments without payload, frames and control frames per second, in each direction. The
    /// application may send more than a client (1 MiB in one message instead of 64 KiB). A compressed message is measured twice:
    /// on the wire, and by what it holds while it is inflated. The peer that exceeds a size is told 1009, other limits 1008;
    /// the other peer 1001.
    ///
    /// Beneath it lies the listener's hard limit on what is held in memory, which no mode switches off.
    ///
    /// # Why is this bad
    /// The protocol allows messages of 2^63 bytes in any number of fragments, and many libraries accept 100 MiB or have no
    /// limit. A single client then fills the memory, and what is parsed, stored and sent on is multiplied by every client.
    /// Fragments without payload cost their sender two bytes each and end no message, however many come; pings are each to be answered.
    ///
    /// # How to fix
    /// Set the library's limit to what the application's largest real message needs:
    ///
    /// ```js
    /// new WebSocketServer({ server, maxPayload: 64 * 1024 }); // the default is 100 MiB
    /// new Server(http, { maxHttpBufferSize: 64 * 1024 });     // Socket.IO
    /// ```
    ///
    /// ```python
    /// websockets.serve(handler, host, port, max_size=64 * 1024)
    /// ```
    ///
    /// ```go
    /// conn.SetReadLimit(64 << 10) // gorilla has no limit by default
    /// ```
    ///
    /// ```java
    /// container.setMaxTextMessageBufferSize(64 * 1024); // Spring: ServletServerContainerFactoryBean
    /// ```
    pub static RULE = Defence {
        id: "frame-limits",
        summary: "frames, messages, fragments and control frames have limits",
        severity: Medium,
        threats: [T2],
        cwe: [770, 400],
        references: ["RFC 6455 §10.4", "OWASP WebSocket Security Cheat Sheet"],
        lifecycle: Stable,
        counterparts: [
            "message-size-unbounded",
            "compression-bomb-accepted",
            "fragments-unbounded",
            "ping-flood-accepted",
        ],
        profile: Passive,
        may_change: "messages larger than the limits close the connection",
    }
}

/// `frame-limits`; keys that begin with `server_` are for what the application sends, the other sizes and frames per second for clients, and
/// the rest for each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrameLimitsConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// The longest frame of a client.
    pub frame: ByteSize,
    /// The longest message of a client, all its fragments together; compressed ones count by what they hold, too.
    pub message: ByteSize,
    /// The longest frame of the application.
    pub server_frame: ByteSize,
    /// The longest message of the application.
    pub server_message: ByteSize,
    /// The most fragments of one message.
    pub fragments: u32,
    /// The most fragments without payload that may follow one another.
    pub empty_fragments: u32,
    /// The most frames of any kind that a client may send in a second, on an average of ten: what has piled up while nothing was read from it comes at once.
    pub frames_per_second: u32,
    /// The most frames of any kind that the application may send in a second, counted alike.
    pub server_frames_per_second: u32,
    /// The most control frames (ping, pong, close) in one second.
    pub control_frames_per_second: u32,
}

impl Default for FrameLimitsConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Block,
            // The floor of OWASP's cheat sheet; chats, games and dashboards send less.
            frame: ByteSize::kib(64),
            message: ByteSize::kib(64),
            // Histories and snapshots come from the application, which is trusted with more.
            server_frame: ByteSize::mib(1),
            server_message: ByteSize::mib(1),
            // Libraries that fragment do so by 4 KiB and more: sixteen pieces of what a client may send.
            fragments: 64,
            // Some libraries end a stream by one of them; none sends several.
            empty_fragments: 8,
            // The busiest games send some 60 messages a second.
            frames_per_second: 1_000,
            server_frames_per_second: 10_000,
            control_frames_per_second: 20,
        }
    }
}

impl FrameLimitsConfig {
    /// Gives the sizes that `--limits relaxed` stands for: 64 MiB, a million fragments and frames, ten thousand control frames.
    pub fn relaxed() -> Self {
        Self {
            mode: Mode::Block,
            frame: ByteSize::mib(64),
            message: ByteSize::mib(64),
            server_frame: ByteSize::mib(64),
            server_message: ByteSize::mib(64),
            fragments: 1_000_000,
            empty_fragments: 1_000_000,
            frames_per_second: 1_000_000,
            server_frames_per_second: 1_000_000,
            control_frames_per_second: 10_000,
        }
    }
}

/// Closes on frames and messages beyond the limits.
#[derive(Clone, Debug)]
pub struct FrameLimits {
    fragments: u32,
    empty_fragments: u32,
    control_frames: u32,
    client: Sender,
    server: Sender,
}

/// What one peer may send, and has sent.
#[derive(Clone, Copy, Debug)]
struct Sender {
    frame: u64,
    message: u64,
    frames: FrameRate,
    count: Count,
}

/// What one peer has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    message: u64,
    /// What a compressed message has held so far.
    inflated: u64,
    fragments: u32,
    /// The last fragments that had no payload.
    empty_fragments: u32,
    second: u64,
    control_frames: u32,
}

/// How many frames a peer has sent lately.
#[derive(Clone, Copy, Debug)]
struct FrameRate {
    per_second: u32,
    /// Those in the present span of ten seconds, and which one that is.
    frames: u64,
    since: u64,
}

impl FrameRate {
    /// Over how many seconds the average is taken.
    const SECONDS: u64 = 10;

    const fn new(per_second: u32) -> Self {
        Self { per_second, frames: 0, since: 0 }
    }

    /// Counts one; tells whether there are too many.
    fn exceeds(&mut self, now: Duration) -> bool {
        let since = now.as_secs() / Self::SECONDS;
        if std::mem::replace(&mut self.since, since) != since {
            self.frames = 0;
        }
        self.frames = self.frames.saturating_add(1);
        self.frames > u64::from(self.per_second) * Self::SECONDS
    }
}

impl FrameLimits {
    /// Makes the defence of one route.
    pub fn new(config: &FrameLimitsConfig) -> Self {
        let sender = |frame: ByteSize, message: ByteSize, per_second| Sender {
            frame: frame.as_u64(),
            message: message.as_u64(),
            frames: FrameRate::new(per_second),
            count: Count::default(),
        };
        Self {
            fragments: config.fragments,
            empty_fragments: config.empty_fragments,
            control_frames: config.control_frames_per_second,
            client: sender(config.frame, config.message, config.frames_per_second),
            server: sender(config.server_frame, config.server_message, config.server_frames_per_second),
        }
    }

    const fn sender(&mut self, direction: Direction) -> &mut Sender {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Says once of a message that it holds too much.
    fn judge_inflated(&mut self, direction: Direction, length: u64) -> Verdict {
        let Sender { message, count: Count { inflated, .. }, .. } = self.sender(direction);
        let before = *inflated;
        *inflated = inflated.saturating_add(length);
        if before > *message {
            Verdict::Pass
        } else {
            exceeds(Limit::MessageSize, *inflated, *message, "bytes in one message, inflated")
        }
    }

    fn judge(&mut self, direction: Direction, header: &FrameHeader, now: Duration) -> Verdict {
        let Self { fragments, empty_fragments, control_frames, .. } = *self;
        let Sender { frame, message, frames, count } = self.sender(direction);
        if frames.exceeds(now) {
            let most = u64::from(frames.per_second) * FrameRate::SECONDS;
            return exceeds(Limit::FrameRate, most + 1, most, "frames in ten seconds");
        }
        if header.opcode.is_control() {
            if std::mem::replace(&mut count.second, now.as_secs()) != now.as_secs() {
                count.control_frames = 0;
            }
            count.control_frames = count.control_frames.saturating_add(1);
            let (sent, most) = (u64::from(count.control_frames), u64::from(control_frames));
            return exceeds(Limit::ControlFrameRate, sent, most, "control frames in one second");
        }
        if header.opcode != Opcode::Continuation {
            (count.message, count.inflated, count.fragments) = (0, 0, 0);
        }
        count.message = count.message.saturating_add(header.length.value);
        count.fragments = count.fragments.saturating_add(1);
        // A whole message without payload is one that some applications mean: as a heartbeat.
        let is_fragment = !header.fin || header.opcode == Opcode::Continuation;
        count.empty_fragments = match (is_fragment, header.length.value) {
            (true, 0) => count.empty_fragments.saturating_add(1),
            _ => 0,
        };
        if header.length.value > *frame {
            exceeds(Limit::FrameSize, header.length.value, *frame, "bytes in one frame")
        } else if count.message > *message {
            exceeds(Limit::MessageSize, count.message, *message, "bytes in one message")
        } else if count.empty_fragments > empty_fragments {
            let (sent, most) = (u64::from(count.empty_fragments), u64::from(empty_fragments));
            exceeds(Limit::EmptyFragments, sent, most, "fragments without payload in a row")
        } else {
            let (sent, most) = (u64::from(count.fragments), u64::from(fragments));
            exceeds(Limit::Fragments, sent, most, "fragments in one message")
        }
    }
}

fn exceeds(limit: Limit, value: u64, most: u64, what: &'static str) -> Verdict {
    if value <= most {
        return Verdict::Pass;
    }
    let code = CloseCode(limit.beyond().close_code());
    Verdict::Close(Closure {
        code,
        reason: format!("{value} {what}, of at most {most}"),
        told: if code == CloseCode::TOO_BIG { "the message is too big" } else { "a limit was exceeded" },
        limit: Some(limit),
    })
}

impl Defence for FrameLimits {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::FRAMES
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(self.clone())
    }
}

impl Guard for FrameLimits {
    fn observe(&mut self, fact: &Fact<'_>, now: Duration) -> Verdict {
        match fact {
            Fact::Frame { direction, header } => self.judge(*direction, header, now),
            Fact::Inflated { direction, length } => self.judge_inflated(*direction, *length),
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Open(_)
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> FrameLimits {
        FrameLimits::new(&FrameLimitsConfig {
            mode: Mode::Block,
            frame: ByteSize::bytes(100),
            message: ByteSize::bytes(150),
            server_frame: ByteSize::bytes(1000),
            server_message: ByteSize::bytes(1500),
            fragments: 3,
            empty_fragments: 2,
            frames_per_second: 3,
            server_frames_per_second: 30,
            control_frames_per_second: 2,
        })
    }

    /// Plays frames (opcode, last of its message, length, millisecond) and gives the index and code of the first close.
    fn closes(frames: &[(Opcode, bool, u64, u64)]) -> Option<(usize, u16)> {
        let mut guard = limits();
        frames.iter().enumerate().find_map(|(index, &(opcode, fin, length, at))| {
            let header = FrameHeader { fin, ..FrameHeader::new(opcode, length) };
            let fact = Fact::Frame { direction: Direction::Client, header: &header };
            match guard.observe(&fact, Duration::from_millis(at)) {
                Verdict::Close(closure) => Some((index, closure.code.0)),
                Verdict::Pass
                | Verdict::Identified(_)
                | Verdict::Refuse(_)
                | Verdict::Drop { .. }
                | Verdict::Count(_)
                | Verdict::Ask(_) => None,
            }
        })
    }

    #[test]
    fn each_limit_is_exact() {
        use Opcode::{Binary, Continuation, Ping, Pong, Text};
        let check = |frames: &[_], expected| assert_eq!(closes(frames), expected, "{frames:?}");
        check(&[(Text, true, 100, 0), (Text, true, 100, 0)], None);
        check(&[(Text, true, 101, 0)], Some((0, 1009)));
        check(&[(Binary, true, u64::MAX >> 1, 0)], Some((0, 1009)));
        check(&[(Text, false, 100, 0), (Continuation, true, 50, 0), (Text, true, 100, 0)], None);
        check(&[(Text, false, 100, 0), (Continuation, true, 51, 0)], Some((1, 1009)));
        check(&[(Text, false, 1, 0), (Continuation, false, 0, 0), (Continuation, true, 0, 0)], None);
        check(
            &[
                (Text, false, 1, 0),
                (Continuation, false, 1, 0),
                (Continuation, false, 1, 0),
                (Continuation, true, 1, 0),
            ],
            Some((3, 1008)),
        );
        check(
            &[(Ping, true, 0, 0), (Pong, true, 0, 900), (Ping, true, 0, 1000), (Ping, true, 0, 1100)],
            None,
        );
        check(&[(Ping, true, 0, 0), (Ping, true, 0, 10), (Ping, true, 0, 20)], Some((2, 1008)));
    }

    #[test]
    fn fragments_without_payload_are_counted_in_a_row_and_empty_messages_are_not() {
        use Opcode::{Continuation, Text};
        let check = |frames: &[_], expected| assert_eq!(closes(frames), expected, "{frames:?}");
        check(
            &[(Text, false, 0, 0), (Continuation, false, 0, 0), (Continuation, true, 0, 0)],
            Some((2, 1008)),
        );
        check(
            &[
                (Text, false, 0, 0),
                (Continuation, false, 0, 0),
                (Continuation, true, 1, 0),
                (Text, false, 0, 0),
                (Continuation, true, 0, 0),
            ],
            None,
        );
        // Over messages, too: each of them may be short.
        check(
            &[
                (Text, false, 0, 0),
                (Continuation, true, 0, 0),
                (Text, false, 0, 0),
                (Continuation, true, 0, 0),
            ],
            Some((2, 1008)),
        );
        check(&[(Text, true, 0, 0); 20], None);
    }

    #[test]
    fn frames_are_counted_over_ten_seconds_so_that_what_piled_up_may_come_at_once() {
        use Opcode::Text;
        let check = |frames: &[_], expected| assert_eq!(closes(frames), expected);
        check(&[(Text, true, 1, 0); 30], None);
        check(&[(Text, true, 1, 0); 31], Some((30, 1008)));
        let steady: Vec<_> = (0..600).map(|n| (Text, true, 1, n * 334)).collect();
        check(&steady, None);
        let faster: Vec<_> = (0..600).map(|n| (Text, true, 1, n * 300)).collect();
        check(&faster, Some((30, 1008)));
    }

    #[test]
    fn the_application_may_send_more_than_a_client() {
        let header = FrameHeader { fin: true, ..FrameHeader::new(Opcode::Text, 1000) };
        let mut guard = limits();
        let mut passes = |direction| {
            guard.observe(&Fact::Frame { direction, header: &header }, Duration::ZERO) == Verdict::Pass
        };
        assert_eq!((passes(Direction::Server), passes(Direction::Client)), (true, false));
    }

    #[test]
    fn what_a_compressed_message_holds_is_limited_and_told_once() {
        let mut guard = limits();
        let mut closes = |pieces: &[u64]| -> Vec<bool> {
            let header = FrameHeader { rsv: 4, ..FrameHeader::new(Opcode::Text, 10) };
            let frame = Fact::Frame { direction: Direction::Client, header: &header };
            assert_eq!(guard.observe(&frame, Duration::ZERO), Verdict::Pass);
            let judge = |&length: &u64| {
                let piece = Fact::Inflated { direction: Direction::Client, length };
                match guard.observe(&piece, Duration::ZERO) {
                    Verdict::Close(closure) => closure.code == CloseCode::TOO_BIG,
                    Verdict::Pass
                    | Verdict::Identified(_)
                    | Verdict::Refuse(_)
                    | Verdict::Drop { .. }
                    | Verdict::Count(_)
                    | Verdict::Ask(_) => false,
                }
            };
            pieces.iter().map(judge).collect()
        };
        assert_eq!(closes(&[150]), [false]);
        assert_eq!(closes(&[100, 50, 0]), [false, false, false]);
        assert_eq!(closes(&[100, 51, 1, 1]), [false, true, false, false]);
        assert_eq!(closes(&[151]), [true]);
    }

    #[test]
    fn the_two_directions_are_counted_apart() {
        let mut guard = limits();
        let header = FrameHeader { fin: false, ..FrameHeader::new(Opcode::Text, 100) };
        let more = FrameHeader::new(Opcode::Continuation, 50);
        for (direction, header) in [
            (Direction::Client, &header),
            (Direction::Server, &header),
            (Direction::Client, &more),
            (Direction::Server, &more),
        ] {
            assert_eq!(guard.observe(&Fact::Frame { direction, header }, Duration::ZERO), Verdict::Pass);
        }
    }
}
