//! What was said on the wire, kept so that a person can read it and a machine can replay it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

/// The transcript of one connection that shows a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What the connection was for, such as `foreign Origin with the victim's cookie`.
    pub title: String,
    /// What was sent and received, in order.
    pub steps: Vec<Step>,
}

/// One thing that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which way it went.
    pub kind: StepKind,
    /// Milliseconds since the connection was begun.
    pub at_ms: u64,
    /// The bytes as they were on the wire, or a remark.
    #[serde(flatten)]
    pub bytes: EvidenceBytes,
}

/// Which way a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// We sent these bytes.
    Sent,
    /// The target sent these bytes.
    Received,
    /// A remark: connected, closed by the peer, timed out.
    Note,
}

/// Bytes, serialised as `text` where they are printable and as `base64` where they are not, with their full `length`;
/// what exceeds [`EvidenceBytes::KEPT`] is cut, and `length` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceBytes {
    kept: Vec<u8>,
    length: usize,
}

impl EvidenceBytes {
    /// How many bytes of one step are kept: 4 KiB.
    pub const KEPT: usize = 4096;

    /// Keeps the first [`Self::KEPT`] of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self { kept: bytes[..bytes.len().min(Self::KEPT)].to_vec(), length: bytes.len() }
    }

    /// Gives what was kept.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Gives how many bytes there were.
    pub const fn length(&self) -> usize {
        self.length
    }
}

impl Serialize for EvidenceBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(2))?;
        match std::str::from_utf8(&self.kept) {
            Ok(text) if text.chars().all(|c| !c.is_control() || matches!(c, '\r' | '\n' | '\t')) => {
                map.serialize_entry("text", text)?;
            }
            Ok(_) | Err(_) => map.serialize_entry("base64", &STANDARD.encode(&self.kept))?,
        }
        map.serialize_entry("length", &self.length)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_a_person_can_read_them() {
        let check = |bytes: &[u8], expected: &str| {
            let step = Step { kind: StepKind::Sent, at_ms: 7, bytes: EvidenceBytes::new(bytes) };
            assert_eq!(serde_json::to_string(&step).unwrap(), expected);
        };
        check(b"GET / HTTP/1.1\r\n", r#"{"kind":"sent","at_ms":7,"text":"GET / HTTP/1.1\r\n","length":16}"#);
        check(b"\x81\x05hello", r#"{"kind":"sent","at_ms":7,"base64":"gQVoZWxsbw==","length":7}"#);
        check(b"\x1b[2J", r#"{"kind":"sent","at_ms":7,"base64":"G1sySg==","length":4}"#);
    }

    #[test]
    fn a_long_step_is_cut_and_says_so() {
        let bytes = EvidenceBytes::new(&[b'a'; 10_000]);
        assert_eq!((bytes.kept().len(), bytes.length()), (EvidenceBytes::KEPT, 10_000));
    }
}
