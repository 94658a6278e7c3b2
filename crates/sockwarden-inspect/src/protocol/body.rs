//! What a message carries for someone else: a payload whose kind a header may tell.

use crate::{Format, content, walk::Walk};

/// Reads a payload of this content type (empty where none is stated).
pub(super) fn of_type(walk: &mut Walk<'_>, bytes: &[u8], content_type: &str) {
    if is_json(content_type) && !bytes.is_empty() {
        content::declared(walk, Format::Json, bytes);
    } else {
        content::body(walk, bytes);
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let suffix = kind.len().checked_sub(5).and_then(|start| kind.get(start..));
    kind.eq_ignore_ascii_case("application/json")
        || suffix.is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Anomaly, testing::flat};

    #[test]
    fn what_is_said_to_be_json_and_is_no_text_is_told_as_bytes() {
        let told = flat(|walk, bytes| of_type(walk, bytes, "application/json"), b"{\"a\":\"\xff\"}");
        assert_eq!((told.values.len(), told.anomalies), (1, vec![Anomaly::InvalidUtf8]));
    }

    #[test]
    fn json_is_known_by_its_type() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.a+json"] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["", "text/plain", "application/jsonl", "json", "é+json;"] {
            assert_eq!(is_json(kind), kind.contains('é'), "{kind}");
        }
    }
}
