//! Every crate and every file says first what it is.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "headings",
    holds: "a crate's root file and each of its modules begin with what they are",
    check,
};

fn check(repository: &Repository) -> Vec<Complaint> {
    repository
        .rust()
        .filter(|file| file.path.contains("/src/") && !file.text.starts_with("//! "))
        .map(|file| {
            Complaint::new(&file.path, 1, "it does not say what it is", "begin with one `//!` sentence")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{files, places};
    use super::*;

    #[test]
    fn a_source_without_a_heading_is_named() {
        let bad = files(&[
            ("crates/a/src/lib.rs", "pub mod b;\n"),
            ("crates/a/src/b.rs", "//! Frames.\n"),
            ("crates/a/src/c.rs", "\n//! Too late.\n"),
            ("crates/a/tests/d.rs", "fn main() {}\n"),
        ]);
        assert_eq!(
            places(&RULE, &bad),
            [("crates/a/src/lib.rs".to_owned(), 1), ("crates/a/src/c.rs".to_owned(), 1)]
        );
    }
}
