//! One thing to say about a configuration, and where.

use std::fmt;

use crate::{place, secret::without_secret};

/// Something that a configuration says wrong or unwisely, with its place.
///
/// `{}` gives one line and the help below it; `{:#}` also shows the line of the file with a mark under the column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// The name of the file, as it was given.
    pub file: String,
    /// The line, from one.
    pub line: usize,
    /// The column, from one, in characters.
    pub column: usize,
    /// The key with all above it, such as `routes[1].upstream`; empty when none is meant.
    pub key: String,
    /// What is wrong, in lower case.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The text of the line, up to a secret that is in it.
    pub source_line: String,
}

/// Whether a configuration can be used in spite of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and somebody should know what it means.
    Warning,
}

impl Diagnostic {
    /// Makes an error about a key, to be used by checks that know more than the schema does.
    ///
    /// The place is that of the key in `text`, or of the nearest key above it that is there.
    pub fn error(file: &str, text: &str, key: &str, message: impl Into<String>) -> Self {
        Self::at_key(Severity::Error, file, text, key, message.into())
    }

    /// Makes a warning about a key; the place is found as for [`error`](Self::error).
    pub fn warning(file: &str, text: &str, key: &str, message: impl Into<String>) -> Self {
        Self::at_key(Severity::Warning, file, text, key, message.into())
    }

    /// Adds what would be right.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn at_key(severity: Severity, file: &str, text: &str, key: &str, message: String) -> Self {
        let mut present = key.to_owned();
        let offset = loop {
            match place::find(text, &present) {
                Some(span) => break span.start,
                None => match place::parent(&present) {
                    Some(above) => present = above,
                    None => break 0,
                },
            }
        };
        Self::at_offset(severity, file, text, offset, key.to_owned(), message)
    }

    pub(crate) fn at_offset(
        severity: Severity,
        file: &str,
        text: &str,
        offset: usize,
        key: String,
        message: String,
    ) -> Self {
        let (line, column) = place::line_and_column(text, offset);
        let source_line = without_secret(place::line(text, line)).into_owned();
        Self { severity, file: file.to_owned(), line, column, key, message, help: None, source_line }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = visible(&self.file, usize::MAX);
        write!(
            out,
            "{}: {file}:{}:{}: {}",
            self.severity,
            self.line,
            self.column,
            visible(&self.message, usize::MAX)
        )?;
        if out.alternate() && !self.source_line.is_empty() {
            let number = self.line.to_string();
            let before: String = self.source_line.chars().take(self.column - 1).collect();
            // A tab is as wide as the terminal makes it: shown as one blank, so that the mark stands right.
            let indent = visible(&before.replace('\t', " "), LONGEST_LINE).chars().count();
            let shown = visible(&self.source_line.replace('\t', " "), LONGEST_LINE);
            write!(out, "\n  {number} | {shown}")?;
            if before.chars().count() < LONGEST_LINE {
                write!(out, "\n  {:width$} | {:indent$}^", "", "", width = number.len())?;
            }
        }
        match &self.help {
            Some(help) => write!(out, "\n  help: {}", visible(help, usize::MAX)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// How many characters of a line are shown.
const LONGEST_LINE: usize = 160;
/// How many characters of a word from the file are shown in a message.
const LONGEST_WORD: usize = 60;

/// A word of the file in back quotes, cut and without anything that a terminal would obey.
pub(crate) fn quoted(word: &str) -> String {
    format!("`{}`", visible(word, LONGEST_WORD))
}

fn visible(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for (count, letter) in text.chars().enumerate() {
        if count == most {
            shown.push('…');
            break;
        }
        if is_obeyed(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}

/// Whether a terminal would act on the character or hide with it what stands beside it.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version = 1\n\n[[routes]]\n\tupstream = \"x\"\n";

    #[test]
    fn one_line_names_the_place_and_the_help_stands_below() {
        let found =
            Diagnostic::error("a.toml", TEXT, "routes[0].upstream", "bad address").with_help("write ws://…");
        assert_eq!(found.to_string(), "error: a.toml:4:2: bad address\n  help: write ws://…");
    }

    #[test]
    fn the_long_form_marks_the_column() {
        let found = Diagnostic::warning("a.toml", TEXT, "routes[0].upstream", "cleartext");
        assert_eq!(format!("{found:#}"), "warning: a.toml:4:2: cleartext\n  4 |  upstream = \"x\"\n    |  ^");
    }

    #[test]
    fn a_key_that_is_not_there_has_the_place_of_the_nearest_above() {
        let check = |key, expected| {
            let found = Diagnostic::error("a.toml", TEXT, key, "missing");
            assert_eq!((found.line, found.column, found.key.as_str()), (expected, 1, key), "{key}");
        };
        check("routes[0].auth.kind", 3);
        check("tls.cert", 1);
        check("][", 1);
    }

    #[test]
    fn what_a_terminal_obeys_is_never_shown() {
        let found =
            Diagnostic::error("a\u{1b}[2J", "\u{1b}]0;x = 1", "", "bad \u{202e} word\u{7}").with_help("\r");
        let text = format!("{found:#}");
        assert!(!text.chars().any(|letter| is_obeyed(letter) && letter != '\n'), "{text:?}");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), LONGEST_WORD + 3);
    }
}
