//! Handshakes that are wrong in one place each.

/// One malformed handshake.
pub(crate) struct Case {
    /// What is wrong with it.
    pub(crate) title: &'static str,
    /// Where it is forbidden.
    pub(crate) section: &'static str,
    /// What it is good for.
    pub(crate) harm: Harm,
    /// Makes it from the head of a legal one.
    pub(crate) change: fn(&str) -> String,
}

/// What accepting a malformed handshake is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing by itself.
    None,
    /// A field that one reader obeys and the other skips: what RFC 9112 §5.1 makes every server refuse, because requests have
    /// been smuggled with it.
    Smuggling,
}

/// Every case, in the order in which they are tried.
pub(crate) const CASES: &[Case] = &[
    lenient("no Sec-WebSocket-Key", "RFC 6455 §4.2.1", |head| without(head, "Sec-WebSocket-Key")),
    lenient("a Sec-WebSocket-Key of 2 bytes", "RFC 6455 §4.2.1", |head| {
        replaced(head, "Sec-WebSocket-Key", "AAA=")
    }),
    lenient("a Sec-WebSocket-Key that is no base64", "RFC 6455 §4.2.1", |head| {
        replaced(head, "Sec-WebSocket-Key", "!not*base64!not*base64!=")
    }),
    lenient("Sec-WebSocket-Key twice", "RFC 6455 §11.3.1", |head| {
        with(head, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
    }),
    lenient("no Sec-WebSocket-Version", "RFC 6455 §4.2.1", |head| without(head, "Sec-WebSocket-Version")),
    lenient("Sec-WebSocket-Version 99", "RFC 6455 §4.2.2", |head| {
        replaced(head, "Sec-WebSocket-Version", "99")
    }),
    lenient("two conflicting Sec-WebSocket-Version", "RFC 6455 §11.3.5", |head| {
        with(head, "Sec-WebSocket-Version: 99\r\n")
    }),
    lenient("no Upgrade", "RFC 6455 §4.2.1", |head| without(head, "Upgrade")),
    lenient("no Connection", "RFC 6455 §4.2.1", |head| without(head, "Connection")),
    lenient("the method POST", "RFC 6455 §4.2.1", |head| {
        with(&head.replacen("GET", "POST", 1), "Content-Length: 0\r\n")
    }),
    lenient("HTTP/1.0", "RFC 6455 §4.2.1", |head| head.replacen("HTTP/1.1", "HTTP/1.0", 1)),
    lenient("two Host fields", "RFC 9112 §3.2", |head| with(head, "Host: evil.example\r\n")),
    lenient("no Host", "RFC 9112 §3.2", |head| without(head, "Host")),
    lenient("a body announced by Content-Length", "RFC 9112 §6.3", |head| {
        with(head, "Content-Length: 5\r\n") + "hello"
    }),
    lenient("a body announced by Transfer-Encoding", "RFC 9112 §6.3", |head| {
        with(head, "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n"
    }),
    lenient("a body announced twice, differently", "RFC 9112 §6.3", |head| {
        with(head, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"
    }),
    smuggling("a blank before a colon", "RFC 9112 §5.1", |head| with(head, "Content-Length : 0\r\n")),
    lenient("a folded field", "RFC 9112 §5.2", |head| with(head, "X-Folded: one\r\n two\r\n")),
    lenient("lines that end in a line feed alone", "RFC 9112 §2.2", |head| head.replace("\r\n", "\n")),
];

const fn lenient(title: &'static str, section: &'static str, change: fn(&str) -> String) -> Case {
    Case { title, section, harm: Harm::None, change }
}

const fn smuggling(title: &'static str, section: &'static str, change: fn(&str) -> String) -> Case {
    Case { title, section, harm: Harm::Smuggling, change }
}

/// Leaves a field out.
fn without(head: &str, name: &str) -> String {
    head.split_inclusive("\r\n").filter(|line| !is_field(line, name)).collect()
}

/// Gives a field another value.
fn replaced(head: &str, name: &str, value: &str) -> String {
    let change = |line: &str| match is_field(line, name) {
        true => format!("{name}: {value}\r\n"),
        false => line.to_owned(),
    };
    head.split_inclusive("\r\n").map(change).collect()
}

/// Adds lines before the empty one.
fn with(head: &str, lines: &str) -> String {
    format!("{}{lines}\r\n", head.strip_suffix("\r\n").unwrap_or(head))
}

fn is_field(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(field, _)| field == name)
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::{ClientHandshake, HeadLimits, RequestHead, UpgradeRequest};

    use super::*;

    #[test]
    fn every_case_is_refused_by_a_strict_reader() {
        let good = ClientHandshake::new("a.example", "/", "dGhlIHNhbXBsZSBub25jZQ==").encode();
        let head = String::from_utf8(good).unwrap();
        for case in CASES {
            let changed = (case.change)(&head);
            assert_ne!(changed, head, "{}", case.title);
            let refused = match RequestHead::parse(changed.as_bytes(), HeadLimits::default()) {
                Err(_) => true,
                Ok(None) => false,
                Ok(Some((head, length))) => {
                    !UpgradeRequest::judge(head, changed.len() - length).violations.is_empty()
                }
            };
            assert!(refused, "{}", case.title);
        }
    }

    #[test]
    fn titles_are_unique() {
        for (at, case) in CASES.iter().enumerate() {
            assert!(CASES[..at].iter().all(|other| other.title != case.title), "{}", case.title);
        }
    }
}
