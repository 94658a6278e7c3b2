//! What a value is for and how it reads: the same bytes are an attack in one field and a sentence in another.

use sockwarden_inspect::{Place, Step};

use crate::words;

/// What the name of its field says that a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// An address that something will be fetched from or sent to.
    Url,
    /// The name of a file or a page.
    File,
    /// Source text.
    Code,
    /// Markup that is to be shown as such.
    Markup,
    /// Anything else.
    Other,
}

const URL: &[&str] = &[
    "avatar",
    "callback",
    "callback_url",
    "dest",
    "destination",
    "endpoint",
    "feed",
    "fetch",
    "forward",
    "goto",
    "host",
    "href",
    "image",
    "image_url",
    "link",
    "next",
    "proxy",
    "redirect",
    "redirect_uri",
    "return",
    "return_url",
    "site",
    "src",
    "target",
    "to",
    "uri",
    "url",
    "webhook",
    "webhook_url",
];

const FILE: &[&str] = &[
    "attachment",
    "dir",
    "directory",
    "document",
    "download",
    "file",
    "file_name",
    "filename",
    "filepath",
    "folder",
    "include",
    "key",
    "lang",
    "layout",
    "locale",
    "module",
    "page",
    "path",
    "root",
    "template",
    "theme",
    "view",
];

const CODE: &[&str] = &["code", "diff", "patch", "program", "script", "snippet", "source", "sourcecode"];

const MARKUP: &[&str] = &["body_html", "content_html", "html", "markup", "svg", "xml"];

impl Field {
    /// Reads it from the last name on the way to a value.
    pub(crate) fn of(place: Place<'_>) -> Self {
        // Elements of a list are for what the list is for.
        let name = (0..place.len()).rev().take(8).find_map(|number| match place.step(number)? {
            Step::Key(name) => Some(name),
            Step::Index(_) | Step::Inside(_) => None,
        });
        let is = |list| name.is_some_and(|name| words::is_one_of(list, name));
        if is(URL) {
            Self::Url
        } else if is(FILE) {
            Self::File
        } else if is(CODE) {
            Self::Code
        } else if is(MARKUP) {
            Self::Markup
        } else {
            Self::Other
        }
    }
}

/// Words that sentences are held together by, and that no statement of a query or shell is made of.
const FUNCTION_WORDS: &[&str] = &[
    "about",
    "actually",
    "after",
    "also",
    "am",
    "an",
    "any",
    "anyone",
    "are",
    "aren",
    "be",
    "because",
    "been",
    "before",
    "being",
    "but",
    "can",
    "cannot",
    "could",
    "did",
    "didn",
    "do",
    "does",
    "doesn",
    "don",
    "each",
    "even",
    "every",
    "for",
    "get",
    "gets",
    "give",
    "gives",
    "going",
    "good",
    "got",
    "had",
    "has",
    "have",
    "he",
    "help",
    "her",
    "here",
    "his",
    "how",
    "i",
    "instead",
    "it",
    "its",
    "just",
    "know",
    "let",
    "like",
    "ll",
    "make",
    "makes",
    "many",
    "may",
    "maybe",
    "me",
    "means",
    "more",
    "most",
    "much",
    "must",
    "my",
    "need",
    "needs",
    "no",
    "now",
    "of",
    "ok",
    "one",
    "only",
    "other",
    "our",
    "out",
    "people",
    "please",
    "really",
    "should",
    "since",
    "so",
    "some",
    "something",
    "still",
    "such",
    "sure",
    "than",
    "thanks",
    "that",
    "the",
    "their",
    "them",
    "there",
    "these",
    "they",
    "thing",
    "think",
    "this",
    "those",
    "to",
    "too",
    "trying",
    "up",
    "use",
    "used",
    "uses",
    "using",
    "very",
    "want",
    "was",
    "way",
    "we",
    "well",
    "were",
    "what",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "without",
    "won",
    "work",
    "works",
    "would",
    "yes",
    "you",
    "your",
];

/// How many words of a text are read to find out whether it is one of sentences.
const ENOUGH: usize = 64;

/// Tells whether a text is made of sentences: several words hold it together, and not very few of all.
pub(crate) fn is_sentence(text: &[u8]) -> bool {
    let begin = text.get(..text.len().min(16 * ENOUGH)).unwrap_or_default();
    let (mut all, mut holding) = (0_usize, 0_usize);
    for word in begin.split(|byte| !byte.is_ascii_alphanumeric()) {
        if word.is_empty() {
            continue;
        }
        all += 1;
        if all > ENOUGH {
            break;
        }
        if word.len() < 10 {
            holding += usize::from(words::is_one_of(FUNCTION_WORDS, word));
        }
    }
    (holding >= 3 || holding == 2 && all >= 6) && holding * 8 >= all
}

/// Tells whether what begins at `at` is code that Markdown quotes: between backticks, or in a line that is indented.
pub(crate) fn is_quoted(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let after = text.get(at..).unwrap_or_default();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let ticks = before.iter().filter(|byte| **byte == b'`').count();
    // A quotation that is nothing but itself is a substitution of the shell as well.
    let alone = text.first() == Some(&b'`') && text.last() == Some(&b'`') && ticks == 1;
    (ticks % 2 == 1 && after.contains(&b'`') && !alone)
        || (line.len() < before.len() && line.starts_with(b"    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        for list in [URL, FILE, CODE, MARKUP, FUNCTION_WORDS] {
            assert!(words::is_sorted(list), "{list:?}");
        }
    }

    #[test]
    fn sentences_are_told_from_statements() {
        let check = |text: &str, expected: bool| assert_eq!(is_sentence(text.as_bytes()), expected, "{text}");
        check("you should quote the name, or it is read as code", true);
        check("how do I use this?", true);
        check("1 or 1=1", false);
        check("SELECT name FROM users WHERE id = 1", false);
        check("; cat /etc/passwd", false);
        check("", false);
    }

    #[test]
    fn code_in_markdown_is_quoted() {
        let check = |text: &str, word: &str, expected: bool| {
            assert_eq!(is_quoted(text.as_bytes(), text.find(word).unwrap()), expected, "{text}");
        };
        check("use `rm -rf x` there", "rm", true);
        check("use `a` and rm", "rm", false);
        check("```\nrm -rf x\n```", "rm", true);
        check("try:\n    rm -rf x", "rm", true);
        check("`id`", "id", false);
    }
}
