//! `cargo xtask new-check` and `new-defence`: starts a rule in the one file that it will be, and lists it.
//!
//! What is written compiles, and its test fails until somebody has filled it in.

use std::path::Path;

use anyhow::Context as _;

use crate::{Outcome, shell};

/// What is started, and where it goes.
struct Kind {
    /// What it is called.
    noun: &'static str,
    /// The crate that holds it.
    package: &'static str,
    /// The folder of its file, with the list in its `mod.rs`.
    folder: &'static str,
    template: &'static str,
    /// The list that it is put at the end of.
    list: &'static str,
    /// Its entry in the list.
    entry: &'static str,
    /// What makes it visible outside, if anything does.
    export: Option<&'static str>,
    /// What is left to be done by hand.
    next: &'static str,
}

const CHECK: Kind = Kind {
    noun: "check",
    package: "sockwarden-scan",
    folder: "crates/sockwarden-scan/src/checks",
    template: include_str!("../templates/check.rs.txt"),
    list: "static ALL",
    entry: "&{module}::{Type}",
    export: None,
    next: "move it to its place in the list, fill in the file until its test passes, then run `cargo xtask docs`",
};

const DEFENCE: Kind = Kind {
    noun: "defence",
    package: "sockwarden-defend",
    folder: "crates/sockwarden-defend/src/defences",
    template: include_str!("../templates/defence.rs.txt"),
    list: "static ORDER",
    entry: "&{module}::RULE",
    export: Some("pub use {module}::{{Type}, {Type}Config};"),
    next: "move it to its place in the list, give it a field in `Defences` and a link in `build`, fill in the file until \
           its tests pass, then run `cargo xtask docs`",
};

/// The longest id; it must fit a close reason together with an event id.
const LONGEST_ID: usize = 40;

pub(crate) fn new_check(words: &[&str]) -> anyhow::Result<Outcome> {
    start(&CHECK, words)
}

pub(crate) fn new_defence(words: &[&str]) -> anyhow::Result<Outcome> {
    start(&DEFENCE, words)
}

fn start(kind: &Kind, words: &[&str]) -> anyhow::Result<Outcome> {
    let [id] = words else { return Ok(Outcome::Usage) };
    if let Err(reason) = is_id(id) {
        eprintln!("error: `{}` is no id: {reason}", id.escape_debug());
        return Ok(Outcome::Usage);
    }
    let root = shell::root()?;
    let module = id.replace('-', "_");
    // Checks and defences share one set of ids.
    for other in [&CHECK, &DEFENCE] {
        let taken = format!("{}/{module}.rs", other.folder);
        anyhow::ensure!(!root.join(&taken).exists(), "the id is taken: {taken}");
    }
    write(&root, kind, id, &module)?;
    let formatted = shell::capture(
        &mut shell::cargo(&root, &["fmt", "--package", kind.package]),
        std::time::Duration::from_secs(60),
    )?;
    anyhow::ensure!(formatted.end.is_success(), "failed to format: {}", formatted.lines.join("\n"));
    println!("the {} is {}/{module}.rs; {}", kind.noun, kind.folder, kind.next);
    Ok(Outcome::Good)
}

fn write(root: &Path, kind: &Kind, id: &str, module: &str) -> anyhow::Result<()> {
    let list_place = format!("{}/mod.rs", kind.folder);
    let list = std::fs::read_to_string(root.join(&list_place))
        .with_context(|| format!("failed to read {list_place}"))?;
    let fill =
        |text: &str| text.replace("{id}", id).replace("{module}", module).replace("{Type}", &type_name(id));
    let mut list = with_sorted_line(&list, &format!("mod {module};"), "mod ");
    if let Some(export) = kind.export {
        list = with_sorted_line(&list, &fill(export), "pub use ");
    }
    let list = with_entry(&list, kind.list, &fill(kind.entry))
        .with_context(|| format!("failed to find the list `{}` in {list_place}", kind.list))?;
    let place = root.join(kind.folder).join(format!("{module}.rs"));
    std::fs::write(&place, fill(kind.template))
        .with_context(|| format!("failed to write {}", place.display()))?;
    std::fs::write(root.join(&list_place), list).with_context(|| format!("failed to write {list_place}"))
}

/// Whether a word can be an id: lower case words joined by `-`, at least two, so that none is a word of Rust.
fn is_id(id: &str) -> Result<(), &'static str> {
    let words: Vec<&str> = id.split('-').collect();
    let is_word = |word: &&str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if id.len() > LONGEST_ID {
        return Err("it is longer than 40 letters");
    }
    if !words.iter().all(is_word) || id.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Err("write lower case words joined by `-`");
    }
    if words.len() < 2 {
        return Err("one word says too little");
    }
    Ok(())
}

fn type_name(id: &str) -> String {
    id.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            format!("{}{rest}", first.to_ascii_uppercase())
        })
        .collect()
}

/// Puts a line among the first lines that begin alike, in alphabetical order; at the end when there are none.
fn with_sorted_line(text: &str, line: &str, beginning: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let alike = |other: &&str| other.starts_with(beginning) && other.ends_with(';');
    let first = lines.iter().position(alike).unwrap_or(lines.len());
    let run = lines[first..].iter().take_while(|other| alike(other));
    let before = run.take_while(|other| **other < line).count();
    lines.insert(first + before, line);
    format!("{}\n", lines.join("\n"))
}

/// Puts an entry at the end of a list `static NAME: … = [ … ];` or `… = &[ … ];`, and counts it where the type counts.
fn with_entry(text: &str, list: &str, entry: &str) -> Option<String> {
    let start = text.find(list)?;
    let equals = start + text[start..].find('=')?;
    let end = equals + text[equals..].find("];")?;
    let (head, declared, content, rest) =
        (&text[..start], &text[start..equals], &text[equals..end], &text[end..]);
    let comma = if content.trim_end().ends_with([',', '[']) { "" } else { "," };
    Some(format!("{head}{}{}{comma}\n    {entry},\n{rest}", counted(declared), content.trim_end()))
}

/// The declaration of a list with its length, if it has one, made one greater.
fn counted(declared: &str) -> String {
    let length = declared.rsplit_once("; ").and_then(|(before, after)| {
        let (length, after) = after.split_once(']')?;
        Some(format!("{before}; {}]{after}", length.parse::<usize>().ok()?.checked_add(1)?))
    });
    length.unwrap_or_else(|| declared.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_lower_case_words() {
        for good in ["frame-limits", "a-b", "http2-origin-not-checked"] {
            assert_eq!(is_id(good), Ok(()), "{good}");
        }
        let long = format!("a-{}", "b".repeat(LONGEST_ID));
        for bad in
            ["", "loop", "Frame-limits", "a--b", "-a-b", "a-b-", "a_b", "../a-b", "2-a", "a-é", long.as_str()]
        {
            assert!(is_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_id_is_a_usage_error() {
        assert_eq!(new_check(&["../x"]).unwrap(), Outcome::Usage);
        assert_eq!(new_defence(&[]).unwrap(), Outcome::Usage);
    }

    #[test]
    fn a_taken_id_is_refused_whichever_kind_has_it() {
        assert!(new_check(&["tls-required"]).unwrap_err().to_string().contains("taken"));
        assert!(new_defence(&["tls-required"]).unwrap_err().to_string().contains("taken"));
    }

    #[test]
    fn a_line_is_put_in_order() {
        let text = "//! Doc.\n\nmod b;\nmod d;\n\nmod tests {}\n";
        let check = |line, expected: &str| assert_eq!(with_sorted_line(text, line, "mod "), expected);
        check("mod a;", "//! Doc.\n\nmod a;\nmod b;\nmod d;\n\nmod tests {}\n");
        check("mod c;", "//! Doc.\n\nmod b;\nmod c;\nmod d;\n\nmod tests {}\n");
        check("mod e;", "//! Doc.\n\nmod b;\nmod d;\nmod e;\n\nmod tests {}\n");
        assert_eq!(with_sorted_line("//! Doc.\n", "mod a;", "mod "), "//! Doc.\nmod a;\n");
    }

    #[test]
    fn an_entry_is_put_at_the_end_and_counted() {
        let check = |text, expected: Option<&str>| {
            assert_eq!(with_entry(text, "static ALL", "&c::C").as_deref(), expected, "{text}");
        };
        check(
            "static ALL: &[&T] = &[&a::A, &b::B];\n",
            Some("static ALL: &[&T] = &[&a::A, &b::B,\n    &c::C,\n];\n"),
        );
        check(
            "static ALL: [&T; 9] = [\n    &a::A,\n];\n",
            Some("static ALL: [&T; 10] = [\n    &a::A,\n    &c::C,\n];\n"),
        );
        check("static ALL: [&T; 0] = [];", Some("static ALL: [&T; 1] = [\n    &c::C,\n];"));
        check("static OTHER: [&T; 0] = [];", None);
    }

    #[test]
    fn the_file_and_the_list_are_written_together() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, list) in [
            (&CHECK, "//! Checks.\n\nmod a;\n\npub static ALL: &[&dyn Check] = &[&a::A];\n"),
            (
                &DEFENCE,
                "//! Defences.\n\nmod a;\n\npub use a::{A, AConfig};\n\npub static ORDER: [&Rule; 1] = [&a::RULE];\n",
            ),
        ] {
            let place = folder.path().join(kind.folder);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("mod.rs"), list).unwrap();
            write(folder.path(), kind, "slow-reader", "slow_reader").unwrap();
            let list = std::fs::read_to_string(place.join("mod.rs")).unwrap();
            let file = std::fs::read_to_string(place.join("slow_reader.rs")).unwrap();
            assert!(list.contains("mod a;\nmod slow_reader;\n"), "{list}");
            assert!(list.contains("&slow_reader::"), "{list}");
            assert!(file.contains("id: \"slow-reader\""), "{file}");
            assert!(file.contains("for SlowReader {"), "{file}");
            for left in ["{id}", "{Type}", "{module}"] {
                assert!(!file.contains(left) && !list.contains(left), "{left}");
            }
        }
    }
}
