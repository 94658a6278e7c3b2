//! What the deciding crates say in their sources.

use super::{Complaint, PURE_CRATES, Repository, Rule};
use crate::source;

pub(super) const RULE: Rule = Rule {
    name: "pure-sources",
    holds: "a crate that decides opens nothing, asks no clock and starts no thread",
    check,
};

/// Paths of the standard library, with all below them.
const PATHS: &[&str] = &["std::env", "std::fs", "std::process", "std::thread"];

/// Words that mean the same wherever they were imported from.
const WORDS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "UnixDatagram",
    "UnixListener",
    "UnixStream",
];

const RIGHT: &str = "take what it gives as an argument and leave the asking to a shell crate";

fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.rust() {
        if !PURE_CRATES.iter().any(|name| file.path.starts_with(&format!("crates/{name}/src/"))) {
            continue;
        }
        let code = source::without_tests(&source::code_only(&file.text));
        let mut found = Vec::new();
        for path in PATHS {
            found.extend(source::word_starts(&code, path).map(|at| (source::line_of(&code, at), *path)));
            found.extend(
                source::imports(&code)
                    .into_iter()
                    .filter(|(_, import)| import == path || import.starts_with(&format!("{path}::")))
                    .map(|(line, _)| (line, *path)),
            );
        }
        for word in WORDS {
            found.extend(source::word_starts(&code, word).map(|at| (source::line_of(&code, at), *word)));
        }
        found.sort_unstable();
        found.dedup();
        complaints.extend(
            found
                .into_iter()
                .map(|(line, what)| Complaint::new(&file.path, line, format!("`{what}`"), RIGHT)),
        );
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::sample::{files, places};
    use super::*;

    #[test]
    fn doors_to_the_world_are_found_however_they_are_imported() {
        let check = |text: &str, lines: &[usize]| {
            let found = places(&RULE, &files(&[("crates/sockwarden-proto/src/a.rs", text)]));
            assert_eq!(found.iter().map(|(_, line)| *line).collect::<Vec<_>>(), lines, "{text}");
        };
        check("\nlet a = std::fs::read(x);", &[2]);
        check("use std::{collections::BTreeMap, fs};", &[1]);
        check("use std::time::Instant;\n\nfn f() { Instant::now(); }", &[3]);
        check("use std::net::{IpAddr, TcpStream};", &[1]);
        check("std::thread::spawn(f);\nstd::env::var(x);", &[1, 2]);
    }

    #[test]
    fn values_words_and_other_crates_are_left_alone() {
        let good = files(&[
            ("crates/sockwarden-proto/src/a.rs", "use std::net::IpAddr;\nfn f(now: Instant) {} // std::fs\n"),
            ("crates/sockwarden-proto/src/b.rs", "/// Reads `std::env`.\nconst A: &str = \"TcpStream\";\n"),
            ("crates/sockwarden-proto/src/tested.rs", "#[cfg(test)]\nmod tests { use std::fs; }\n"),
            ("crates/sockwarden-proto/tests/c.rs", "use std::fs;"),
            ("crates/sockwarden-net/src/d.rs", "use std::fs;"),
        ]);
        assert_eq!(places(&RULE, &good), []);
    }
}
