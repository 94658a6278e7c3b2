//! Where a frame of STOMP begins and ends.

use super::COMMANDS;
use crate::{Breach, Message};

/// The longest line that is taken for a command.
const LONGEST_COMMAND: usize = 16;

/// How far a frame that is not complete was looked at, so that no byte is looked at twice.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    /// Where to look on.
    pub(super) at: usize,
    /// Where the body begins.
    pub(super) body: Option<usize>,
    /// How long it says that the body is.
    pub(super) length: Option<usize>,
}

/// A complete frame: where its parts end.
pub(super) struct Extent {
    /// Where the head ends: in front of the body, or of a NUL that came too early.
    pub(super) head: usize,
    /// Where the body ends.
    pub(super) body: usize,
    /// Where the next frame may begin.
    pub(super) end: usize,
    pub(super) broken: Option<Breach>,
}

impl Seen {
    /// Finds where the frame that `bytes` begin with ends; `None` where that has not come yet.
    pub(super) fn extent(&mut self, bytes: &[u8]) -> Option<Extent> {
        let body = match self.body {
            Some(body) => body,
            None => match self.head(bytes)? {
                Ok(body) => body,
                Err(early) => {
                    let broken = Some(Breach::NotOfTheProtocol);
                    return Some(Extent { head: early, body: early, end: early + 1, broken });
                }
            },
        };
        let stated = self.length.map(|length| body.saturating_add(length));
        let from = self.at.max(stated.unwrap_or(body));
        let nul = bytes.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == 0));
        let Some(nul) = nul.map(|nul| from + nul) else {
            self.at = bytes.len();
            return None;
        };
        let broken = stated.filter(|stated| *stated != nul).map(|_| Breach::BadLength);
        Some(Extent { head: body, body: nul, end: nul + 1, broken })
    }

    /// Finds the empty line behind the headers: where the body begins, or the NUL that stands before it.
    fn head(&mut self, bytes: &[u8]) -> Option<Result<usize, usize>> {
        loop {
            let rest = bytes.get(self.at..)?;
            let Some(found) = rest.iter().position(|byte| matches!(byte, b'\n' | 0)) else {
                self.at = bytes.len();
                return None;
            };
            self.at += found;
            let body = match &bytes[self.at..] {
                [0, ..] => return Some(Err(self.at)),
                [b'\n', b'\n', ..] => self.at + 2,
                [b'\n', b'\r', b'\n', ..] => self.at + 3,
                // What decides has not come yet.
                [_] | [_, b'\r'] => return None,
                _ => {
                    self.at += 1;
                    continue;
                }
            };
            self.length = stated_length(&bytes[..body]);
            (self.body, self.at) = (Some(body), body);
            return Some(Ok(body));
        }
    }
}

/// Finds a frame that states more bytes than it has: it ended in a NUL, and a new frame begins with the next message.
pub(super) fn cut_short(pending: &[u8], seen: Seen, message: &Message<'_>) -> Option<Extent> {
    let head = seen.body?;
    seen.length?;
    let nul = pending.trim_ascii_end().len().checked_sub(1).filter(|nul| *nul >= head)?;
    let first = lines(message.bytes).next()?;
    let begins = first.len() < message.bytes.len()
        && COMMANDS
            .iter()
            .any(|command| command.sender == message.direction && command.name.as_bytes() == first);
    let broken = Some(Breach::BadLength);
    (begins && pending.get(nul) == Some(&0)).then_some(Extent { head, body: nul, end: nul + 1, broken })
}

/// Tells whether what begins like this can be a frame, as far as it has come.
pub(super) fn may_be_frame(bytes: &[u8]) -> bool {
    let line = bytes.iter().take(LONGEST_COMMAND + 1).take_while(|byte| byte.is_ascii_uppercase()).count();
    let after = bytes.get(line..).unwrap_or_default();
    line <= LONGEST_COMMAND && (after.is_empty() || line > 0 && matches!(after[0], b'\n' | b'\r' | 0))
}

/// Tells how many bytes of ends of lines come first.
pub(super) fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count()
}

/// Gives the lines of a head, without their ends.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Finds the length that a head states; the first one counts.
fn stated_length(head: &[u8]) -> Option<usize> {
    lines(head).find_map(|line| line.strip_prefix(b"content-length:")).and_then(number)
}

/// Reads a length as it is written.
pub(super) fn number(text: &[u8]) -> Option<usize> {
    let text = text.trim_ascii();
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok())
}
