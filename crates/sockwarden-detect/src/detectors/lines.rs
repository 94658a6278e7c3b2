//! Line breaks that begin a header of HTTP or a line of a log.

use sockwarden_inspect::{Kind, Marks};

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, words};

declare! {
    HEADER = "lines-header", Lines, 1,
        "A line break is followed by a header or a status line of HTTP.",
        ["CWE-93", "CWE-113", "https://owasp.org/www-community/attacks/HTTP_Response_Splitting"];
    LOG = "lines-log", Lines, 2,
        "A line break is followed by what a line of a log begins with, or a sequence of a terminal stands in a text.",
        ["CWE-117", "CWE-150"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::LINE, Marks::COLON.and(Marks::SLASH)],
            literals: &[
                "\nset-cookie",
                "\nlocation",
                "\ncontent-",
                "\nhttp/1",
                "\nhost:",
                "\nx-",
                "\nrefresh",
                "\ntransfer-",
                "\rset-cookie",
                "\rlocation",
                "\rcontent-",
                "\rhttp/1",
                "\nheader",
                "\nget ",
                "\npost ",
                "\nbcc:",
                "\ncc:",
                "\nto:",
                "\nsubject:",
            ],
        },
        Start {
            marks: &[Marks::LINE],
            literals: &["\n[info", "\n[warn", "\n[error", "\ninfo", "\nwarn", "\nerror", "\n20", "\n127."],
        },
        Start { marks: &[Marks::CONTROL], literals: &["\u{1b}[", "\u{1b}]"] },
    ],
    run,
};

/// Headers that change what an answer or a request means.
const HEADERS: &[(&str, u8)] = &[
    ("set-cookie:", 7),
    ("location:", 6),
    ("content-length:", 6),
    ("content-type:", 5),
    ("http/1.", 6),
    ("transfer-encoding:", 7),
    ("refresh:", 5),
    ("host:", 5),
    ("x-forwarded-", 6),
    ("x-", 3),
    ("content-disposition:", 5),
    ("get /", 4),
    ("post /", 4),
    ("bcc:", 5),
    ("header", 5),
    ("cc:", 3),
    ("to:", 3),
    ("subject:", 3),
];

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let mut at = 0;
    // Line breaks that were escaped were meant for somebody who resolves them.
    let escaped = text.decoded && !text.value.marks.any(Marks::LINE) || is_decoded(text);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').take(8).count();
    while let Some(found) = memchr::memchr2(b'\n', b'\r', bytes.get(at..).unwrap_or_default()) {
        let start = at + found;
        at = start + 1;
        let line = words::skip_blanks(bytes, at);
        for (header, weight) in HEADERS {
            if !words::is_at(bytes, line, header.as_bytes()) {
                continue;
            }
            // People paste requests, with all of their lines.
            let weight = match (escaped, lines > 3 || text.sentence()) {
                (true, _) => *weight,
                (false, false) => weight.saturating_sub(1),
                (false, true) => weight.saturating_sub(4),
            };
            if weight > 0 {
                desk.findings.add(&HEADER, weight, start..line + header.len());
            }
        }
        if escaped
            && words::holds_any(
                bytes.get(line..line + 8).unwrap_or_default(),
                &["[info", "[warn", "[error", "info:", "warn", "error:"],
            )
        {
            desk.findings.add(&LOG, 4, start..line + 6);
        }
        at = at.max(line);
    }
    if memchr::memchr(0x1b, bytes).is_some() {
        desk.findings.add(&LOG, 4, 0..bytes.len());
    }
}

/// Tells whether a value was in an encoding of URLs.
fn is_decoded(text: &Text<'_>) -> bool {
    use sockwarden_inspect::{Format, Step};
    let inside =
        text.value.place.steps().any(|step| matches!(step, Step::Inside(Format::Percent | Format::Form)));
    inside || text.value.kind() == Kind::Url
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn headers_behind_a_line_break_are_found() {
        finds(
            Category::Lines,
            &[
                "x%0d%0aSet-Cookie: a=b",
                "/x%0D%0ALocation:%20http://x.example",
                "a\r\nSet-Cookie: b=c",
                "x%0aContent-Length:0%0a%0aHTTP/1.1 200 OK",
                "%E5%98%8A%E5%98%8Dx\r\nLocation: //x",
            ],
        );
    }

    #[test]
    fn lines_of_people_are_left_alone() {
        passes(&[
            "first\nsecond: third",
            "the request was\nGET / HTTP/1.1\nHost: example.com\nAccept: */*\n\nand it failed",
            "Dear all,\n\nTo: whom it may concern, this is what I have to say",
            "a\nb\nc",
            "x%20y%0az",
        ]);
    }
}
