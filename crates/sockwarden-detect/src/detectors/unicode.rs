//! Characters that hide what a text says: overlong ones, ones that turn the direction of writing, ones that nobody sees.

use sockwarden_inspect::{Format, Marks, Shape, Step};

use super::{Desk, Detector, Side, Text, declare};
use crate::starts::Start;

declare! {
    OVERLONG = "unicode-overlong", Unicode, 1,
        "A sign of ASCII is written in more bytes than it has, which only a reader that does not check takes for it.",
        ["CWE-176", "https://www.rfc-editor.org/rfc/rfc3629#section-3"];
    DIRECTION = "unicode-direction", Unicode, 1,
        "The direction of writing is overridden, so that a text reads otherwise than it is.",
        ["CVE-2021-42574", "https://www.unicode.org/reports/tr36/"];
    UNSEEN = "unicode-unseen", Unicode, 1,
        "Characters that nobody sees stand inside of words.",
        ["CWE-176", "https://www.unicode.org/reports/tr36/"];
    WIDE = "unicode-wide", Unicode, 1,
        "Signs of full width stand among ASCII, which some readers take for those of ASCII.",
        ["CWE-176"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[Start { marks: &[Marks::HIGH], literals: &[] }],
    run,
};

fn run(text: &Text<'_>, desk: &mut Desk) {
    if text.decoded {
        return;
    }
    let bytes = text.bytes;
    let whole = 0..bytes.len().min(64);
    if text.value.shape == Shape::Bytes {
        let decoded =
            text.value.place.steps().any(|step| matches!(step, Step::Inside(Format::Percent | Format::Form)));
        if decoded
            && bytes
                .windows(2)
                .any(|two| matches!(two, [0xc0 | 0xc1, 0x80..=0xbf]) || matches!(two, [0xe0, 0x80..=0x9f]))
        {
            desk.findings.add(&OVERLONG, 5, whole);
        }
        return;
    }
    let Ok(letters) = std::str::from_utf8(bytes) else { return };
    let lone = !text.marks.any(Marks::SPACE | Marks::LINE);
    let (mut turned, mut unseen, mut tags, mut wide, mut ascii) =
        (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    let mut rest = letters.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = rest.next() {
        match letter {
            '\u{202d}' | '\u{202e}' => turned += 1,
            '\u{e0020}'..='\u{e007f}' => {
                tags += usize::from(!matches!(before, '\u{1f3f4}' | '\u{e0020}'..='\u{e007f}'))
            }
            '\u{ff01}'..='\u{ff0f}'
            | '\u{ff1a}'..='\u{ff20}'
            | '\u{ff3b}'..='\u{ff40}'
            | '\u{ff5b}'..='\u{ff5e}' => wide += 1,
            '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}' | '\u{180e}' => {
                let inside =
                    before.is_ascii_alphanumeric() && rest.peek().is_some_and(char::is_ascii_alphanumeric);
                unseen += usize::from(inside);
            }
            letter => ascii += usize::from(letter.is_ascii_graphic()),
        }
        before = letter;
    }
    if turned > 0 {
        desk.findings.add(&DIRECTION, if lone { 5 } else { 4 }, whole.clone());
    }
    if tags > 0 {
        desk.findings.add(&UNSEEN, 5, whole.clone());
    } else if unseen > 0 {
        // Long words of some languages are cut by soft hyphens.
        desk.findings.add(&UNSEEN, if lone && unseen > 1 { 4 } else { 2 }, whole.clone());
    }
    if wide > 0
        && ascii > 3 * wide
        && letters.chars().all(|letter| letter.is_ascii() || matches!(letter, '\u{ff00}'..='\u{ff5e}'))
    {
        desk.findings.add(&WIDE, 2, whole);
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn characters_that_hide_are_found() {
        finds(Category::Unicode, &["photo_\u{202e}gpj.exe", "hi\u{e0068}\u{e0069}", "x%c0%bcscript%c0%be"]);
    }

    #[test]
    fn languages_are_left_alone() {
        passes(&[
            "Grüße aus Köln",
            "привет, как дела?",
            "你好，世界！（真的）",
            "שלום עולם",
            "مرحبا\u{200f} بالعالم",
            "👨\u{200d}👩\u{200d}👧 and 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "می\u{200c}خواهم",
            "Donau\u{ad}dampf\u{ad}schiff",
        ]);
    }
}
