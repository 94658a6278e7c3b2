//! What recognisers ask of a message before anyone has read it.

/// Tells whether somewhere in a JSON text a member of this name has a value that begins so.
pub(super) fn says(text: &[u8], member: &str, value: &str) -> bool {
    let mut rest = text;
    while let Some(at) = find(rest, member.as_bytes()) {
        let quoted = at > 0 && rest[at - 1] == b'"';
        rest = &rest[at + member.len()..];
        let after =
            rest.strip_prefix(b"\"").map(<[u8]>::trim_ascii_start).and_then(|rest| rest.strip_prefix(b":"));
        if let Some(found) = after.filter(|_| quoted)
            && found.trim_ascii_start().starts_with(value.as_bytes())
        {
            return true;
        }
    }
    false
}

/// Finds where `wanted` begins.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut at = 0;
    loop {
        // Comparing one byte is far cheaper than comparing all of them at each place.
        at += bytes.get(at..)?.iter().position(|byte| byte == first)?;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_wherever_it_stands() {
        let check =
            |text: &str, expected| assert_eq!(says(text.as_bytes(), "type", "\"a"), expected, "{text}");
        check(r#"{"type":"a"}"#, true);
        check(r#"{"x":{"type" : "abc"}}"#, true);
        check(r#"{"type":1,"x":{"type":"a"}}"#, true);
        check(r#"{"type":"b"}"#, false);
        check(r#"{"mytype":"a"}"#, false);
        check(r#"{"type""#, false);
        check("type", false);
        check("", false);
    }
}
