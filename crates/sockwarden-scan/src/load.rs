//! What the checks that load a target share: when it ended what, and how a person reads that.

use std::time::Duration;

use crate::exchange::{Connection, End};

/// How long a target may take to answer everything that was sent at once; one that takes longer holds it back, or is at its end.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);
/// How long answers are waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Says how the target ended a connection and how long after `since`, for a person.
pub(crate) fn ending(connection: &Connection, since: Duration) -> String {
    let how = match connection.end() {
        Some(End::Close(Some(code))) => format!("closed with {}", code.0),
        Some(End::Close(None)) => "closed without a code".to_owned(),
        Some(End::Transport) => "dropped".to_owned(),
        Some(End::Violation(_)) => "answered with broken frames".to_owned(),
        None => "still open".to_owned(),
    };
    match connection.ended_at() {
        Some(at) => format!("{how} after {}", seconds(at.saturating_sub(since))),
        None => how,
    }
}

/// Writes a time for a person.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        long if long >= 10.0 => format!("{long:.0} s"),
        short => format!("{short:.2} s"),
    }
}

/// Writes a size for a person.
pub(crate) fn bytes(size: usize) -> String {
    match size {
        size if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        size if size >= 1 << 10 && size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        size => format!("{size} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exchange::Happening, talk::Opening};

    #[test]
    fn an_end_is_told_with_its_code_and_its_time() {
        let check = |bytes: &[u8], expected: &str| {
            let mut connection = Connection::new("any".into(), Opening::raw(Vec::new()));
            let head = b"HTTP/1.1 101 x\r\n\r\n".to_vec();
            connection.record(Duration::from_secs(1), Happening::Received(head));
            match bytes {
                b"" => connection.record(Duration::from_millis(3250), Happening::Closed),
                bytes => connection.record(Duration::from_secs(13), Happening::Received(bytes.to_vec())),
            }
            assert_eq!(ending(&connection, Duration::from_secs(1)), expected);
        };
        check(b"", "dropped after 2.25 s");
        check(b"\x88\x02\x03\xf0", "closed with 1008 after 12 s");
        check(b"\x88\x00", "closed without a code after 12 s");
        check(b"\x83\x00", "answered with broken frames after 12 s");
        check(b"\x89\x00", "still open");
    }
}
