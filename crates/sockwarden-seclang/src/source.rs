//! Files of rules as lines that were put together, and their words with where they stand.

use crate::error::{Fault, ReadError};

/// One file that a rule set is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, for messages; of a data file `@pmFromFile` knows it by what follows the last `/`.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a [u8],
}

/// A line, with the lines that continue it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// Where pieces begin: offset in `text`, line, column of that byte.
    pieces: Vec<(usize, u32, u32)>,
}

/// A word of a line: its text without quotes, and for each position where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// Offset of its first byte in the line.
    pub(crate) start: usize,
}

impl Line {
    /// Gives line and column of an offset.
    pub(crate) fn spot(&self, offset: usize) -> (u32, u32) {
        let piece = self.pieces.iter().rev().find(|piece| piece.0 <= offset);
        let (start, line, column) = piece.copied().unwrap_or((0, 1, 1));
        (line, column.saturating_add(u32::try_from(offset - start).unwrap_or(u32::MAX)))
    }

    pub(crate) fn error(&self, file: &str, offset: usize, fault: Fault) -> ReadError {
        let (line, column) = self.spot(offset);
        ReadError { file: file.to_owned(), line, column, fault }
    }

    /// Splits it into words at white space. A word in double or single quotes ends at the next one without a backslash before it; that
    /// backslash goes, all others stay: they belong to regular expressions.
    pub(crate) fn words(&self) -> Result<Vec<Word>, (usize, Fault)> {
        let bytes = self.text.as_bytes();
        let mut words = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at].is_ascii_whitespace() {
                at += 1;
                continue;
            }
            let quote = match bytes[at] {
                b'"' => Some('"'),
                b'\'' => Some('\''),
                _ => None,
            };
            let start = at + usize::from(quote.is_some());
            let rest = &self.text[start..];
            let length = match quote {
                Some(quote) => end_of_quoted(rest, quote).ok_or((at, Fault::OpenQuote(quote)))?,
                None => rest.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(rest.len()),
            };
            let raw = &rest[..length];
            let text = match quote {
                Some(quote) => raw.replace(&format!("\\{quote}"), quote.encode_utf8(&mut [0; 4])),
                None => raw.to_owned(),
            };
            words.push(Word { text, start });
            at = start + length + usize::from(quote.is_some());
        }
        Ok(words)
    }
}

/// Finds the quote that ends a word.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut before = None;
    for (at, letter) in text.char_indices() {
        if letter == quote && before != Some('\\') {
            return Some(at);
        }
        before = Some(letter);
    }
    None
}

/// Puts the lines of a file together: one that ends in a backslash goes on in the next one. Comments and empty lines are left out.
pub(crate) fn lines(name: &str, text: &[u8]) -> Result<Vec<Line>, ReadError> {
    let fail = |line: usize, column: usize, fault| ReadError {
        file: name.to_owned(),
        line: number(line + 1),
        column: number(column + 1),
        fault,
    };
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let before = &text[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count();
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
            return Err(fail(line, column, Fault::NotUtf8));
        }
    };
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    let mut last = (0, 0);
    for (row, raw) in text.lines().enumerate() {
        let trimmed = raw.trim_end();
        let blank = raw.len() - raw.trim_start().len();
        if open.is_none() && (trimmed.trim_start().is_empty() || trimmed.trim_start().starts_with('#')) {
            continue;
        }
        last = (row, trimmed.len());
        let continued = trimmed.strip_suffix('\\');
        // Where lines are put together nothing stands between them but what they say.
        let skipped = if open.is_some() { 0 } else { blank };
        let body = &continued.unwrap_or(trimmed)[skipped..];
        let line = open.get_or_insert_with(|| Line { text: String::new(), pieces: Vec::new() });
        line.pieces.push((line.text.len(), number(row + 1), number(skipped + 1)));
        line.text.push_str(body);
        if continued.is_none() {
            lines.extend(open.take());
        }
    }
    match open {
        Some(_) => Err(fail(last.0, last.1.saturating_sub(1), Fault::OpenLine)),
        None => Ok(lines),
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        lines("x", text.as_bytes()).unwrap().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_put_together_and_comments_left_out() {
        let check = |text: &str, expected: &[&str]| assert_eq!(texts(text), expected, "{text:?}");
        check("", &[]);
        check("# a\n\n  # b\n", &[]);
        check("SecMarker A\r\nSecMarker B", &["SecMarker A", "SecMarker B"]);
        check("  A \\\n   b,\\\n   c\nD", &["A    b,   c", "D"]);
        check("A \\\n# no comment here\n", &["A # no comment here"]);
    }

    #[test]
    fn words_lose_their_quotes_and_keep_their_backslashes() {
        let check = |text: &str, expected: &[&str]| {
            let words = lines("x", text.as_bytes()).unwrap()[0].words().unwrap();
            assert_eq!(words.into_iter().map(|word| word.text).collect::<Vec<_>>(), expected, "{text:?}");
        };
        check("A b  c", &["A", "b", "c"]);
        check(r#"A "b c" d"#, &["A", "b c", "d"]);
        check(r#"A "a\"b\s\x5c" 'it\'s'"#, &["A", r#"a"b\s\x5c"#, "it's"]);
        check(r#"A "" b"#, &["A", "", "b"]);
    }

    #[test]
    fn a_place_is_that_of_the_line_that_was_written() {
        let line = &lines("x", b"\n  A \\\n   bc\n").unwrap()[0];
        assert_eq!(line.spot(0), (2, 3));
        assert_eq!(line.spot(line.text.find('b').unwrap()), (3, 4));
    }

    #[test]
    fn what_cannot_be_put_together_says_where() {
        let check = |text: &[u8], expected: &str| {
            assert_eq!(lines("r.conf", text).unwrap_err().to_string(), expected, "{text:?}");
        };
        check(b"A\nb\xffc", "r.conf:2:2: not UTF-8; rule files are text in UTF-8");
        check(b"A \\\n  b \\", "r.conf:2:5: the last line ends in `\\`, but no line follows");
    }
}
