//! The example that is written from the structs reads back.
#![expect(unreachable_pub, reason = "the sample is shared by several test programs")]

mod sample;

use sample::Sample;
use sockwarden_config::{example, read};

#[test]
fn the_example_is_the_default() {
    let text = example::<Sample>();
    match read::<Sample>("example.toml", &text) {
        Ok(read) => assert_eq!(read, Sample::default()),
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

#[test]
fn every_setting_that_is_not_made_can_be_made() {
    let text: String = example::<Sample>()
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    match read::<Sample>("example.toml", &text) {
        Ok(read) => {
            assert_eq!(read.greeting.as_deref(), Some("hello \"you\""));
            assert!(read.tls.is_some() && read.routes[0].tls.is_some());
            assert_eq!(read.teams.keys().collect::<Vec<_>>(), ["name"]);
        }
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

#[test]
fn no_comment_is_too_wide() {
    let text = example::<Sample>();
    assert!(text.contains("\n# which is needed to see that a comment"), "{text}");
    assert!(
        text.lines().filter(|line| line.starts_with("# ")).all(|line| line.chars().count() <= 98),
        "{text}"
    );
}

#[test]
fn every_key_has_its_comment_above_it() {
    let text = example::<Sample>();
    let lines: Vec<&str> = text.lines().collect();
    let check = |comment: &str, key: &str| {
        let at =
            lines.iter().position(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {text}"));
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("# ") || **line == "#");
        assert!(above.clone().any(|line| *line == comment), "{key}: {text}");
    };
    check("# Where to listen.", "listen = [\"127.0.0.1:8443\"]");
    check("# More than one address is fine.", "listen");
    check("# A word of greeting.", "#greeting = ");
    check("# The largest message.", "max_message = \"1 MiB\"");
    check("# Encryption, when wanted.", "#[tls]");
    check("# - \"off\": Not at all.", "mode = \"block\"");
    check("# One of \"observe\", \"off\", \"block\".", "back = \"off\"");
    check("# What to protect.", "[[routes]]");
    check(
        "# - { kind = \"forward\", url = \"\" }: Whom the application knows.",
        "auth = { kind = \"none\" }",
    );
    check("# Both ends.", "#span = [0, 0]");
}
