//! What went wrong, in one line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The arguments whose values hold credentials (`<->` is where a ticket might stand): they are not repeated, nor is an
/// address with a password.
const SECRET: [&str; 7] = ["--as", "--header", "--cookie", "--say-as", "--logout <", "--ticket-from", "<->"];

/// Words an error with its causes; a cause that was said already is not said again.
pub(crate) fn of(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    one_line(&text)
}

/// Words what is wrong with the command line, without the usage that the parser prints below.
pub(crate) fn of_usage(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::ValueValidation
        && let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && (SECRET.iter().any(|secret| argument.starts_with(secret)) || value.contains('@'))
    {
        let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        return one_line(&format!("invalid value for '{argument}': {why}"));
    }
    let text = error.render().to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or_default();
    let said = said.split("\n\nFor more information").next().unwrap_or_default();
    one_line(&said.trim_start_matches("error: ").replace("\n\n  tip: ", "; "))
}

/// Joins the lines of a text and escapes what a terminal would obey.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if letter.is_control() { line.extend(letter.escape_unicode()) } else { line.push(letter) }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || std::io::Error::other("no room");
        let check = |error: anyhow::Error, expected: &str| assert_eq!(of(&error), expected);
        check(anyhow::Error::from(cause()), "no room");
        check(Err::<(), _>(cause()).context("write").unwrap_err(), "write: no room");
        check(Err::<(), _>(cause()).context("write: no room").unwrap_err(), "write: no room");
        check(anyhow::anyhow!("a\n b\u{1b}[2J"), "a b\\u{1b}[2J");
    }
}
