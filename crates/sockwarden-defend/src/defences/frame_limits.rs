//! `frame-limits`: how much one peer may send at once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::ByteSize;
use sockwarden_model::{Direction, Mode, Rule, rule};
use sockwarden_proto::{CloseCode, FrameHeader, Opcode};

use crate::{Closure, Defence, Fact, Guard, Hears, Verdict};

rule! {
    /// # What it does
    /// Judges each frame by its header, before its payload is held: the size of the frame, of the message that it belongs
    /// to, the number of fragments, and control frames per second, in each direction. A compressed message is measured twice:
    /// on the wire, and by what it holds while it is inflated. The peer that exceeds a size is told 1009, other limits 1008;
    /// the other peer 1001.
    ///
    /// Beneath it lies the listener's hard limit on what is held in memory, which no mode switches off.
    ///
    /// # Why is this bad
    /// The protocol allows messages of 2^63 bytes in any number of fragments, and many libraries accept 100 MiB or have no
    /// limit. A single client then fills the memory, and what is parsed, stored and sent on is multiplied by every client.
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

/// `frame-limits`, for each direction alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrameLimitsConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// The longest frame.
    pub frame: ByteSize,
    /// The longest message, all its fragments together.
    pub message: ByteSize,
    /// The most fragments of one message.
    pub fragments: u32,
    /// The most control frames (ping, pong, close) in one second.
    pub control_frames_per_second: u32,
}

impl Default for FrameLimitsConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Block,
            frame: ByteSize::kib(64),
            message: ByteSize::kib(64),
            fragments: 64,
            control_frames_per_second: 20,
        }
    }
}

impl FrameLimitsConfig {
    /// Gives the sizes that `--limits relaxed` stands for: 64 MiB, a million fragments, ten thousand control frames.
    pub fn relaxed() -> Self {
        Self {
            mode: Mode::Block,
            frame: ByteSize::mib(64),
            message: ByteSize::mib(64),
            fragments: 1_000_000,
            control_frames_per_second: 10_000,
        }
    }
}

/// Closes on frames and messages beyond the limits.
#[derive(Clone, Debug)]
pub struct FrameLimits {
    frame: u64,
    message: u64,
    fragments: u32,
    control_frames: u32,
    from_client: Count,
    from_server: Count,
}

/// What one peer has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    message: u64,
    /// What a compressed message has held so far.
    inflated: u64,
    fragments: u32,
    second: u64,
    control_frames: u32,
}

impl FrameLimits {
    /// Makes the defence of one route.
    pub fn new(config: &FrameLimitsConfig) -> Self {
        Self {
            frame: config.frame.as_u64(),
            message: config.message.as_u64(),
            fragments: config.fragments,
            control_frames: config.control_frames_per_second,
            from_client: Count::default(),
            from_server: Count::default(),
        }
    }

    const fn count(&mut self, direction: Direction) -> &mut Count {
        match direction {
            Direction::Client => &mut self.from_client,
            Direction::Server => &mut self.from_server,
        }
    }

    /// Says once of a message that it holds too much.
    fn judge_inflated(&mut self, direction: Direction, length: u64) -> Verdict {
        let limit = self.message;
        let inflated = &mut self.count(direction).inflated;
        let before = *inflated;
        *inflated = inflated.saturating_add(length);
        if before > limit {
            Verdict::Pass
        } else {
            exceeds(*inflated, limit, "bytes in one message, inflated")
        }
    }

    fn judge(&mut self, direction: Direction, header: &FrameHeader, now: Duration) -> Verdict {
        let count = self.count(direction);
        if header.opcode.is_control() {
            if std::mem::replace(&mut count.second, now.as_secs()) != now.as_secs() {
                count.control_frames = 0;
            }
            count.control_frames = count.control_frames.saturating_add(1);
            return exceeds(
                u64::from(count.control_frames),
                u64::from(self.control_frames),
                "control frames in one second",
            );
        }
        if header.opcode != Opcode::Continuation {
            (count.message, count.inflated, count.fragments) = (0, 0, 0);
        }
        count.message = count.message.saturating_add(header.length.value);
        count.fragments = count.fragments.saturating_add(1);
        let (message, fragments) = (count.message, u64::from(count.fragments));
        if header.length.value > self.frame {
            exceeds(header.length.value, self.frame, "bytes in one frame")
        } else if message > self.message {
            exceeds(message, self.message, "bytes in one message")
        } else {
            exceeds(fragments, u64::from(self.fragments), "fragments in one message")
        }
    }
}

fn exceeds(value: u64, limit: u64, what: &'static str) -> Verdict {
    if value <= limit {
        return Verdict::Pass;
    }
    let is_size = what.starts_with("bytes");
    Verdict::Close(Closure {
        code: if is_size { CloseCode::TOO_BIG } else { CloseCode::POLICY },
        reason: format!("{value} {what}, of at most {limit}"),
        told: if is_size { "the message is too big" } else { "a limit was exceeded" },
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
            fragments: 3,
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
        check(&[(Text, false, 0, 0), (Continuation, false, 0, 0), (Continuation, true, 0, 0)], None);
        check(
            &[
                (Text, false, 0, 0),
                (Continuation, false, 0, 0),
                (Continuation, false, 0, 0),
                (Continuation, true, 0, 0),
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
    fn what_a_compressed_message_holds_is_limited_and_told_once() {
        let mut guard = limits();
        let mut closes = |pieces: &[u64]| -> Vec<bool> {
            let header = FrameHeader { rsv: 4, ..FrameHeader::new(Opcode::Text, 10) };
            let frame = Fact::Frame { direction: Direction::Server, header: &header };
            assert_eq!(guard.observe(&frame, Duration::ZERO), Verdict::Pass);
            let judge = |&length: &u64| {
                let piece = Fact::Inflated { direction: Direction::Server, length };
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
