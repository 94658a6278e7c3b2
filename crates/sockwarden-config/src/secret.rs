//! Secrets: a configuration says where one is, and never shows it.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret is; one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Secret {
    /// The environment variable that holds it.
    pub env: Option<String>,
    /// The file that holds it; a line break at its end is not part of it.
    pub file: Option<PathBuf>,
    /// The secret itself: whoever reads the configuration has it.
    pub inline: Option<Hidden>,
}

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource<'a> {
    /// In this environment variable.
    Env(&'a str),
    /// In this file.
    File(&'a Path),
    /// Here.
    Inline(&'a Hidden),
}

/// Says that it is not clear where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret has one place: `env`, `file` or `inline`")]
pub struct SecretError;

impl Secret {
    /// Tells where it is.
    ///
    /// # Errors
    /// None of the three is said, or more than one.
    pub fn source(&self) -> Result<SecretSource<'_>, SecretError> {
        match (&self.env, &self.file, &self.inline) {
            (Some(env), None, None) => Ok(SecretSource::Env(env)),
            (None, Some(file), None) => Ok(SecretSource::File(file)),
            (None, None, Some(inline)) => Ok(SecretSource::Inline(inline)),
            _ => Err(SecretError),
        }
    }
}

/// A text that is never shown, whoever asks.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "String")]
pub struct Hidden(String);

impl Hidden {
    /// What is shown instead.
    pub const SHOWN: &'static str = "***";

    /// Hides a text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Gives the text, to be used and not to be written.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SHOWN)
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::SHOWN)
    }
}

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::SHOWN)
    }
}

/// Cuts a line of a configuration off where a secret may begin, so that it can be shown; one that says `env` or `file` has
/// none. It goes by words, because a line that has to be shown may be malformed.
pub(crate) fn without_secret(line: &str) -> Cow<'_, str> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    let begins = ["secret", "inline"].into_iter().flat_map(|word| line.match_indices(word)).filter_map(
        |(at, word)| {
            let (before, after) = (&line[..at], &line[at + word.len()..]);
            if before.ends_with(is_word) || after.starts_with(is_word) {
                return None;
            }
            // Between a key and its value there may be quotes, and keys below it.
            let equals = after.find('=')?;
            let is_key = after[..equals].chars().all(|letter| is_word(letter) || " \t.\"'".contains(letter));
            let value = after[equals + 1..].trim_start_matches([' ', '\t', '{']);
            let is_elsewhere = ["env", "file"].iter().any(|word| {
                value.strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with('='))
                    || after[..equals].trim().trim_start_matches('.') == *word
            });
            (is_key && !is_elsewhere).then_some(at + word.len() + equals + 1)
        },
    );
    match begins.min() {
        Some(end) => Cow::Owned(format!("{} {}", &line[..end], Hidden::SHOWN)),
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let hidden = Hidden::new("hunter2".to_owned());
        let secret = Secret { inline: Some(hidden.clone()), ..Secret::default() };
        let shown = [format!("{hidden}{hidden:?}{secret:#?}"), toml::to_string(&secret).unwrap()];
        assert!(shown.iter().all(|text| text.contains("***") && !text.contains("hunter")), "{shown:?}");
        assert_eq!(hidden.expose(), "hunter2");
    }

    #[test]
    fn a_line_is_shown_up_to_its_secret() {
        let check = |line: &str, shown: &str| assert_eq!(without_secret(line), shown);
        check("secret = { inline = \"hunter2\" }", "secret = ***");
        check("secret = { inlin = \"hunter2\" }", "secret = ***");
        check("  secret.inline='hunter2", "  secret.inline= ***");
        check("inline = \"hunter2\"", "inline = ***");
        check("\"inline\" = \"hunter2\"", "\"inline\" = ***");
        check("a = [{ name = \"x\", secret = \"hunter2\" }]", "a = [{ name = \"x\", secret = ***");
        check("secret = { env = \"A\", inline = \"hunter2\" }", "secret = { env = \"A\", inline = ***");
        check("secret = { env = \"APP\" }", "secret = { env = \"APP\" }");
        check("secret = {file = \"/secret\"}", "secret = {file = \"/secret\"}");
        check("secret.env = \"APP\"", "secret.env = \"APP\"");
        check("[routes.upstream_headers.secret]", "[routes.upstream_headers.secret]");
        check("secrets = 1 # no inlined = value", "secrets = 1 # no inlined = value");
        check("upstream = \"wss://secret.example/?a=b\"", "upstream = \"wss://secret.example/?a=b\"");
    }

    #[test]
    fn a_secret_has_one_place() {
        let check = |text: &str, expected: Result<SecretSource<'_>, SecretError>| {
            assert_eq!(toml::from_str::<Secret>(text).unwrap().source(), expected, "{text}");
        };
        check("env = \"A\"", Ok(SecretSource::Env("A")));
        check("file = \"/a\"", Ok(SecretSource::File(Path::new("/a"))));
        check("inline = \"a\"", Ok(SecretSource::Inline(&Hidden::new("a".to_owned()))));
        check("", Err(SecretError));
        check("env = \"A\"\nfile = \"/a\"", Err(SecretError));
    }
}
