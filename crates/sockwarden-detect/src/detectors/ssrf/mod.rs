//! Addresses that only the server can reach: its own, those of its network, those where a cloud tells secrets.

mod address;

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{setting::Field, starts::Start, words};
use address::Host;

declare! {
    METADATA = "ssrf-metadata", Ssrf, 1,
        "An address leads to where a cloud tells its machines their secrets.",
        ["CWE-918", "https://owasp.org/www-community/attacks/Server_Side_Request_Forgery"];
    INTERNAL = "ssrf-internal", Ssrf, 1,
        "An address leads to the server itself or to its network.",
        ["CWE-918"];
    DISGUISED = "ssrf-disguised", Ssrf, 1,
        "An address is written otherwise than people write it, so that a list of forbidden ones does not have it.",
        ["CWE-918"];
    SCHEME = "ssrf-scheme", Ssrf, 1,
        "An address has a scheme by which other protocols are spoken to servers inside.",
        ["CWE-918"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::COLON, Marks::SLASH.and(Marks::DIGIT).and(Marks::BRACKET)],
            literals: &["://", "http:", "https:", "gopher:", "dict:", "//127"],
        },
        Start {
            marks: &[Marks::DOT],
            literals: &["169.254.169", "metadata.", "localhost", ".internal", "127.0.0.1"],
        },
    ],
    run,
};

/// Schemes that speak other protocols, and how much they say.
const SCHEMES: &[(&[u8], u8)] = &[
    (b"gopher", 6),
    (b"dict", 6),
    (b"tftp", 5),
    (b"ldap", 4),
    (b"ldaps", 4),
    (b"sftp", 3),
    (b"netdoc", 6),
    (b"jar", 4),
    (b"rtmp", 2),
    (b"acap", 3),
    (b"imap", 2),
    (b"pop3", 2),
    (b"smb", 4),
    (b"rmi", 5),
];

/// How many addresses of one text are looked at.
const ADDRESSES: usize = 256;

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let lone = !text.marks.any(Marks::SPACE | Marks::LINE);
    let mut at = 0;
    let mut left = ADDRESSES;
    while let Some(found) = memchr::memchr(b':', bytes.get(at..).unwrap_or_default()) {
        let colon = at + found;
        at = colon + 1;
        let head = bytes.get(..colon).unwrap_or_default();
        let length = head.iter().rev().take(12).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let start = colon - length;
        let scheme = head.get(start..).unwrap_or_default();
        let slashes = bytes
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(4)
            .take_while(|byte| matches!(byte, b'/' | b'\\'))
            .count();
        let is_web = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
        if slashes < 2 && !(is_web && lone) {
            continue;
        }
        left -= 1;
        if left == 0 {
            break;
        }
        let begins = start <= 1;
        let known = SCHEMES.iter().any(|(name, _)| scheme.eq_ignore_ascii_case(name))
            || scheme.eq_ignore_ascii_case(b"ftp");
        if let Some((_, weight)) = SCHEMES.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name)) {
            let weight =
                if begins || text.field() == Field::Url { *weight } else { weight.saturating_sub(3) };
            desk.findings.add(&SCHEME, weight, start..at);
        }
        judge(text, at + slashes, lone && begins && (is_web || scheme.is_empty() || known), desk);
    }
    // Hosts without a scheme.
    let begin = bytes.iter().position(|byte| *byte != b'/').unwrap_or(0);
    if lone
        && !words::holds(bytes.get(..bytes.len().min(64)).unwrap_or_default(), b":/")
        && (begin == 2 || text.field() == Field::Url || bytes.ends_with(b"/") || bytes.contains(&b'/'))
    {
        judge(text, begin, true, desk);
    }
}

fn judge(text: &Text<'_>, at: usize, whole: bool, desk: &mut Desk) {
    let rest = text.bytes.get(at..).unwrap_or_default();
    let rest = rest.get(..rest.len().min(256)).unwrap_or_default();
    let ends = |byte: &u8| {
        matches!(
            byte,
            b'/' | b'\\'
                | b'?'
                | b'#'
                | b' '
                | b'"'
                | b'\''
                | b'<'
                | b'>'
                | b'\n'
                | b'\r'
                | b'\t'
                | b')'
                | b','
                | b'`'
        )
    };
    let authority = rest.split(ends).next().unwrap_or_default();
    // Who stands before `@` is no host; readers differ on which `@` that is.
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    // A user is called `git`; one who is called like a host is meant to be taken for it.
    let user = authority.get(..authority.len() - host.len()).unwrap_or_default();
    let deceives = user.contains(&b'.');
    let host = if host.first() == Some(&b'[') {
        host.split_inclusive(|byte| *byte == b']').next().unwrap_or(host)
    } else {
        host.split(|byte| matches!(byte, b':' | b'&' | b';')).next().unwrap_or(host)
    };
    let (kind, disguised) = address::read(host);
    let range = at..at + authority.len();
    let asked = text.field() == Field::Url;
    if kind == Host::Metadata {
        desk.findings.add(&METADATA, if whole || asked || disguised { 8 } else { 5 }, range.clone());
    }
    if disguised && !host.is_empty() {
        desk.findings.add(
            &DISGUISED,
            if kind == Host::Public { if whole { 4 } else { 2 } } else { 7 },
            range.clone(),
        );
    }
    let weight = match (kind, asked, whole) {
        (Host::Loopback, true, _) => 6,
        (Host::Loopback, _, _) if deceives => 6,
        (Host::Loopback, false, true) => 5,
        (Host::Loopback, false, false) => 1,
        (Host::Private, true, _) => 5,
        (Host::Private, false, true) => 3,
        (Host::Private, false, false) => 1,
        (Host::Metadata | Host::Public, ..) => 0,
    };
    if weight > 0 {
        desk.findings.add(&INTERNAL, weight, range);
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{check_json, finds, passes},
    };

    #[test]
    fn addresses_inside_are_found() {
        finds(
            Category::Ssrf,
            &[
                "http://169.254.169.254/latest/meta-data/",
                "http://2130706433/",
                "http://0x7f.1/",
                "http://[::ffff:127.0.0.1]/",
                "http://metadata.google.internal/computeMetadata/v1/",
                "gopher://127.0.0.1:6379/_INFO",
                "dict://localhost:11211/stats",
                "http://example.com@127.0.0.1/",
                "http://①②⑦.⓪.⓪.①/",
                "http://127.0.0.1:8080/admin",
                "http:0xA9FEA9FE",
            ],
        );
        check_json(r#"{"webhook":"http://10.0.0.5/x"}"#, &["ssrf-internal"]);
    }

    #[test]
    fn addresses_outside_are_left_alone() {
        passes(&[
            "https://example.com/a?b=http://other.example/",
            "it runs on http://localhost:3000 here",
            "see https://8.8.8.8/ or 1.1.1.1",
            "connect to 192.168.0.10 and log in",
            "version 1.2.3.4 is out",
            "10:30: meeting",
            "postgres://user:pw@db.example/x",
            "mailto:bob@x.example",
        ]);
    }
}
