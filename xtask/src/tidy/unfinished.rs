//! Nothing unfinished behind a finished name.

use super::{Complaint, Repository, Rule};
use crate::source;

pub(super) const RULE: Rule =
    Rule { name: "unfinished", holds: "what is named is there, and every test runs", check };

/// What stands for something that is not there, and what would be right.
const MARKS: &[(&str, &str)] = &[
    ("todo!", "write it, or leave its name out too"),
    ("unimplemented!", "write it, or leave its name out too"),
    ("#[ignore", "let the test run, or remove it"),
];

fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.rust() {
        let code = source::code_only(&file.text);
        for &(mark, right) in MARKS {
            for (at, _) in code.match_indices(mark) {
                complaints.push(Complaint::new(
                    &file.path,
                    source::line_of(&code, at),
                    format!("`{mark}`"),
                    right,
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::sample::{files, places};
    use super::*;

    #[test]
    fn unfinished_code_is_named_with_its_line() {
        let bad = files(&[
            ("a.rs", "fn a() {\n    todo!()\n}\n"),
            ("b.rs", "#[test]\n#[ignore = \"slow\"]\nfn b() { unimplemented!(\"later\") }\n"),
        ]);
        assert_eq!(
            places(&RULE, &bad),
            [("a.rs".to_owned(), 2), ("b.rs".to_owned(), 3), ("b.rs".to_owned(), 2)]
        );
    }

    #[test]
    fn words_about_it_are_fine() {
        let good =
            files(&[("a.rs", "// no todo! here\nconst A: &str = \"unimplemented!\";\n"), ("b.md", "todo!")]);
        assert_eq!(places(&RULE, &good), []);
    }
}
