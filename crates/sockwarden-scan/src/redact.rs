//! Keeping secrets out of evidence.

use sockwarden_proto::WsUrl;

use crate::{
    target::{Target, is_credential},
    token,
};

/// What stands in a report where a secret stood on the wire.
const GONE: &[u8] = b"[redacted]";

/// Knows a target's secrets and removes them from what a report shows.
#[derive(Clone, Debug)]
pub(crate) struct Redactor {
    /// Values that were given to us in confidence, longest first.
    secrets: Vec<Vec<u8>>,
}

/// Parts of a name that make its value a secret.
const SECRET_WORDS: [&str; 12] = [
    "token",
    "ticket",
    "secret",
    "password",
    "passwd",
    "passwort",
    "apikey",
    "api_key",
    "api-key",
    "session",
    "jwt",
    "access_key",
];

/// Tells whether a parameter or field of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
        || ["pwd", "pass", "auth", "sid", "sig", "signature", "key", "code"].contains(&lower.as_str())
}

impl Redactor {
    /// Learns the secrets of `target`: its identities' headers and the token-like values of its URL.
    pub(crate) fn new(target: &Target) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in target.identities.iter().flat_map(|identity| &identity.headers) {
            if name.eq_ignore_ascii_case("cookie") {
                let values = value.split(';').filter_map(|cookie| cookie.split_once('='));
                secrets.extend(values.map(|(_, value)| value.trim().as_bytes().to_vec()));
            } else {
                secrets.push(value.rsplit(' ').next().unwrap_or_default().as_bytes().to_vec());
            }
        }
        for (name, value) in query(&target.url) {
            if is_secret_name(name) || token::find(value).is_some() {
                secrets.push(value.as_bytes().to_vec());
            }
        }
        let others = target.headers.iter().map(|(_, value)| value).chain(&target.subprotocols);
        secrets.extend(others.filter_map(|text| token::find(text)).map(|token| token.as_bytes().to_vec()));
        // A short value would take innocent bytes with it.
        secrets.retain(|secret| secret.len() >= 6);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets }
    }

    /// Learns tickets besides, and what a made-up ticket has of each.
    pub(crate) fn with_tickets(&self, tickets: &[String]) -> Self {
        let shared = tickets.iter().filter_map(|ticket| ticket.get(..ticket.len().saturating_sub(16)));
        let all = tickets.iter().map(String::as_str).chain(shared);
        let mut secrets = self.secrets.clone();
        secrets.extend(all.filter(|secret| secret.len() >= 6).map(|secret| secret.as_bytes().to_vec()));
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// Gives the address as a report may show it.
    pub(crate) fn url(&self, url: &WsUrl) -> String {
        let mut shown = url.clone();
        let target = self.known(target(url.target.as_bytes()));
        shown.target = String::from_utf8_lossy(&target).into_owned();
        shown.to_string()
    }

    /// Removes secrets from the payload of a message: those known, and the values of fields whose name says so.
    pub(crate) fn payload(&self, bytes: &[u8]) -> Vec<u8> {
        self.known(fields(bytes))
    }

    /// Removes secrets from the head of a request or a response, however malformed.
    pub(crate) fn head(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for (at, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
            let end = line.len() - line.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let (text, ending) = line.split_at(end);
            match text.iter().position(|&b| b == b':') {
                _ if at == 0 => out.extend(request_line(text)),
                Some(colon) => {
                    let name = String::from_utf8_lossy(&text[..colon]);
                    out.extend_from_slice(&text[..=colon]);
                    out.extend(field(name.trim(), &text[colon + 1..]));
                }
                None => out.extend_from_slice(text),
            }
            out.extend_from_slice(ending);
        }
        self.known(out)
    }

    fn known(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for secret in &self.secrets {
            let mut from = 0;
            while let Some(at) = find(&bytes[from..], secret).map(|at| from + at) {
                bytes.splice(at..at + secret.len(), GONE.iter().copied());
                from = at + GONE.len();
            }
        }
        bytes
    }
}

/// Removes the secret part of a header's value.
fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let pairs = |separate: u8, only_first: bool| {
        let mut out = Vec::new();
        for (at, part) in value.split(|&b| b == separate).enumerate() {
            if at > 0 {
                out.push(separate);
            }
            match part.iter().position(|&b| b == b'=') {
                Some(equals) if at == 0 || !only_first => {
                    out.extend_from_slice(&part[..=equals]);
                    out.extend_from_slice(GONE);
                }
                Some(_) | None => out.extend_from_slice(part),
            }
        }
        out
    };
    if name.eq_ignore_ascii_case("cookie") {
        pairs(b';', false)
    } else if name.eq_ignore_ascii_case("set-cookie") {
        pairs(b';', true)
    } else if is_credential(name) {
        [b" ", GONE].concat()
    } else if name.eq_ignore_ascii_case("location") || name.eq_ignore_ascii_case("referer") {
        target(value)
    } else {
        value.to_vec()
    }
}

fn request_line(line: &[u8]) -> Vec<u8> {
    line.split(|&b| b == b' ').map(target).collect::<Vec<_>>().join(&b' ')
}

/// Removes the token-like values of a query.
fn target(text: &[u8]) -> Vec<u8> {
    let Some(mark) = text.iter().position(|&b| b == b'?') else { return text.to_vec() };
    let mut out = text[..=mark].to_vec();
    for (at, pair) in text[mark + 1..].split(|&b| b == b'&').enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        match pair.iter().position(|&b| b == b'=') {
            Some(equals) if is_secret_name(&String::from_utf8_lossy(&pair[..equals])) => {
                out.extend_from_slice(&pair[..=equals]);
                out.extend_from_slice(GONE);
            }
            Some(_) | None => out.extend_from_slice(pair),
        }
    }
    out
}

fn query(url: &WsUrl) -> impl Iterator<Item = (&str, &str)> {
    let query = url.target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// Replaces the string values of JSON fields whose name says that they are secret. It reads as far as it understands and
/// leaves the rest as it is, so that it works on a cut text too.
fn fields(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    // The end of the last string that was copied whole, which may turn out to be a name.
    let mut name: Option<(usize, usize)> = None;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at + 1);
                let secret = name
                    .is_some_and(|(from, to)| is_secret_name(&String::from_utf8_lossy(&bytes[from..to])))
                    && after_colon(bytes, at);
                if secret {
                    out.push(b'"');
                    out.extend_from_slice(GONE);
                    out.extend_from_slice(&bytes[end..(end + 1).min(bytes.len())]);
                } else {
                    out.extend_from_slice(&bytes[at..(end + 1).min(bytes.len())]);
                }
                name = Some((at + 1, end));
                at = end + 1;
            }
            byte => {
                if matches!(byte, b',' | b'{' | b'}' | b'[' | b']') {
                    name = None;
                }
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

fn after_colon(bytes: &[u8], at: usize) -> bool {
    bytes[..at].trim_ascii_end().last() == Some(&b':')
}

/// Finds the first place of `needle`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|&b| b == first).map(|at| from + at) {
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Identity;

    fn redactor() -> Redactor {
        let mut target = Target::new("ws://h/ws?token=abcdefgh&room=1".parse().unwrap());
        target.identities = vec![Identity::new("mara", "Cookie", "s=0123456789; theme=dark")];
        Redactor::new(&target)
    }

    #[test]
    fn a_head_keeps_its_shape_and_loses_its_secrets() {
        let check = |head: &str, expected: &str| {
            assert_eq!(String::from_utf8(redactor().head(head.as_bytes())).unwrap(), expected);
        };
        check(
            "GET /ws?token=abcdefgh&room=1 HTTP/1.1\r\nHost: h\r\nCookie: s=0123456789; theme=dark\r\n\r\n",
            "GET /ws?token=[redacted]&room=1 HTTP/1.1\r\nHost: h\r\nCookie: s=[redacted]; theme=[redacted]\r\n\r\n",
        );
        check(
            "HTTP/1.1 101 x\r\nset-cookie: s=1; Path=/; SameSite=None\r\n\r\n",
            "HTTP/1.1 101 x\r\nset-cookie: s=[redacted]; Path=/; SameSite=None\r\n\r\n",
        );
        check(
            "GET / HTTP/1.1\nAuthorization : Bearer x\n\n",
            "GET / HTTP/1.1\nAuthorization : [redacted]\n\n",
        );
        check("GET / HTTP/1.1\r\nX-Trace: 0123456789\r\n", "GET / HTTP/1.1\r\nX-Trace: [redacted]\r\n");
    }

    #[test]
    fn a_message_loses_known_secrets_and_secret_fields() {
        let check = |payload: &str, expected: &str| {
            assert_eq!(String::from_utf8(redactor().payload(payload.as_bytes())).unwrap(), expected);
        };
        check(r#"{"user":"mara","password": "p\"w"}"#, r#"{"user":"mara","password": "[redacted]"}"#);
        check(r#"{"list":["token","x"]}"#, r#"{"list":["token","x"]}"#);
        check(r#"{"sessionToken":"abc","n":1}"#, r#"{"sessionToken":"[redacted]","n":1}"#);
        check("you are 0123456789", "you are [redacted]");
        check(r#"{"token":"cut"#, r#"{"token":"[redacted]"#);
        check("plain \" text", "plain \" text");
    }

    #[test]
    fn an_address_is_shown_without_its_token() {
        let target = Target::new("ws://h/ws?token=abcdefgh&room=1".parse().unwrap());
        assert_eq!(redactor().url(&target.url), "ws://h/ws?token=[redacted]&room=1");
    }
}
