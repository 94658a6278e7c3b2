//! Headers that the gateway adds to what it asks the application, credentials of its own among them.

use std::{fs::File, hash::Hash as _, hash::Hasher, io::Read as _, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{Hidden, Secret, SecretSource};

use super::{HELD_BACK, HELD_BACK_PREFIXES};
use crate::build::Problems;

/// The most headers that a route adds.
const MOST: usize = 32;
/// The longest value, in bytes.
const LONGEST: u64 = 8 * 1024;
/// What the handshake itself is made of, and what frames a request.
const OURS: [&str; 5] = ["host", "content-length", "transfer-encoding", "expect", "origin"];

/// A header of every handshake with the application; one of the same name that the client sent is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderConfig {
    /// Its name.
    pub name: String,
    /// Its value, where that is no secret.
    #[serde(default)]
    pub value: Option<String>,
    /// Where its value is, where that is a secret: `{ env = "NAME" }` or `{ file = "PATH" }`.
    #[serde(default)]
    pub secret: Option<Secret>,
}

/// A header with its value.
#[derive(Clone, Debug)]
pub(crate) struct AddedHeader {
    pub(crate) name: String,
    pub(crate) value: Hidden,
}

/// Reads the values, and adds them to `files`, for a secret that changes is a change of its route.
pub(crate) fn build(
    configs: &[HeaderConfig],
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems,
    files: &mut impl Hasher,
) -> Vec<AddedHeader> {
    if configs.len() > MOST {
        let message = format!("there are {}, at most {MOST} are allowed", configs.len());
        problems.add(&key("upstream_headers"), &message, None);
        return Vec::new();
    }
    let mut added: Vec<AddedHeader> = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let key = |name: &str| key(&format!("upstream_headers[{index}].{name}"));
        if let Err(why) = judge_name(&config.name) {
            problems.add(&key("name"), &format!("`{}` {why}", config.name.escape_debug()), None);
            continue;
        }
        if added.iter().any(|other| other.name.eq_ignore_ascii_case(&config.name)) {
            problems.add(&key("name"), "another header has the same name", None);
            continue;
        }
        let (part, value) = match (&config.value, &config.secret) {
            (Some(value), None) => ("value", Ok(Hidden::new(value.clone()))),
            (None, Some(secret)) => ("secret", read(secret)),
            (None, None) | (Some(_), Some(_)) => {
                problems.add(&key("name"), "a header has either a `value` or a `secret`", None);
                continue;
            }
        };
        let value = value.and_then(|value| judge_value(&value).map(|()| value));
        let Some(value) = problems.take(&key(part), value) else { continue };
        value.hash(files);
        added.push(AddedHeader { name: config.name.clone(), value });
    }
    added
}

/// Names secrets that others can read.
pub(crate) fn warnings(configs: &[HeaderConfig], warn: &mut impl FnMut(&str, &str, Option<&'static str>)) {
    for (index, config) in configs.iter().enumerate() {
        if config.secret.as_ref().is_some_and(|secret| secret.inline.is_some()) {
            warn(
                &format!("upstream_headers[{index}].secret"),
                "whoever reads the configuration has the secret",
                Some("say `{ env = \"NAME\" }` or `{ file = \"PATH\" }`"),
            );
        }
    }
}

fn judge_name(name: &str) -> Result<(), &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err("is no name of a header");
    }
    let ours = OURS.contains(&lower.as_str())
        || HELD_BACK.contains(&lower.as_str())
        || HELD_BACK_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if ours { Err("is a header that the gateway writes itself") } else { Ok(()) }
}

fn judge_value(value: &Hidden) -> Result<(), String> {
    let value = value.expose();
    if value.is_empty() {
        return Err("it is empty".to_owned());
    }
    if value.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    // The value itself is not shown: it may be a secret.
    let is_value = |byte: u8| matches!(byte, b'\t' | 0x20..=0x7e);
    if !value.bytes().all(is_value) || value.trim() != value {
        return Err("it has characters that a header cannot have, or blanks around it".to_owned());
    }
    Ok(())
}

fn read(secret: &Secret) -> Result<Hidden, String> {
    match secret.source().map_err(|error| error.to_string())? {
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(value) => Ok(Hidden::new(value)),
            Err(std::env::VarError::NotPresent) => Err(format!("the variable `{name}` is not set")),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("the variable `{name}` is no text")),
        },
        SecretSource::File(path) => {
            read_file(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
        }
        SecretSource::Inline(hidden) => Ok(hidden.clone()),
    }
}

fn read_file(path: &Path) -> std::io::Result<Hidden> {
    let mut text = String::new();
    // One byte more than is allowed shows that there is more.
    File::open(path)?.take(LONGEST + 2).read_to_string(&mut text)?;
    let ended = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Hidden::new(ended.unwrap_or(&text).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    fn plain(name: &str, value: &str) -> HeaderConfig {
        HeaderConfig { name: name.to_owned(), value: Some(value.to_owned()), secret: None }
    }

    fn secret(secret: Secret) -> HeaderConfig {
        HeaderConfig { name: "Authorization".to_owned(), value: None, secret: Some(secret) }
    }

    /// Keys and messages.
    type Wrong = Vec<(String, String)>;

    /// Gives the added values with their hash, or what is wrong with them.
    fn built(configs: &[HeaderConfig]) -> Result<(Vec<String>, u64), Wrong> {
        let (mut problems, mut files) = (Problems::default(), DefaultHasher::new());
        let added = build(configs, &|name| name.to_owned(), &mut problems, &mut files);
        if problems.0.is_empty() {
            Ok((added.iter().map(|header| header.value.expose().to_owned()).collect(), files.finish()))
        } else {
            Err(problems.0.into_iter().map(|problem| (problem.key, problem.message)).collect())
        }
    }

    #[test]
    fn what_is_no_header_or_ours_is_refused_without_showing_a_secret() {
        let check = |config: HeaderConfig, expected: &str| {
            let problems = built(std::slice::from_ref(&config)).unwrap_err();
            assert_eq!(problems[0].0, format!("upstream_headers[0].{expected}"), "{config:?}");
            assert!(!problems[0].1.contains("hunter"), "{problems:?}");
        };
        check(plain("", "v"), "name");
        check(plain("a b", "v"), "name");
        check(plain("Host", "v"), "name");
        check(plain("Connection", "v"), "name");
        check(plain("Sec-WebSocket-Key", "v"), "name");
        check(plain("X-Forwarded-For", "v"), "name");
        check(plain("a", ""), "value");
        check(plain("a", "v\r\nb: c"), "value");
        check(plain("a", " v"), "value");
        check(HeaderConfig { value: Some("v".into()), ..secret(Secret::default()) }, "name");
        check(secret(Secret::default()), "secret");
        let inline = |text: &str| Secret { inline: Some(Hidden::new(text.to_owned())), ..Secret::default() };
        check(secret(inline("hunter\n2")), "secret");
        check(secret(Secret { env: Some("SOCKWARDEN_NOT_SET".into()), ..Secret::default() }), "secret");
        check(secret(Secret { file: Some("/nonexistent".into()), ..Secret::default() }), "secret");
        assert_eq!(built(&[plain("a", "1"), plain("A", "2")]).unwrap_err()[0].0, "upstream_headers[1].name");
    }

    #[test]
    fn a_secret_in_a_file_is_its_one_line_and_a_new_one_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let config = [secret(Secret { file: Some(path.clone()), ..Secret::default() })];
        std::fs::write(&path, "Bearer hunter2\r\n").unwrap();
        let (values, before) = built(&config).unwrap();
        assert_eq!(values, ["Bearer hunter2"]);
        std::fs::write(&path, "Bearer hunter3").unwrap();
        let (values, after) = built(&config).unwrap();
        assert_eq!(values, ["Bearer hunter3"]);
        assert_ne!(before, after);
        std::fs::write(&path, "x".repeat(9000)).unwrap();
        assert!(built(&config).is_err());
    }
}
