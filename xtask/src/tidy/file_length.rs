//! Files stay short enough to be read.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule =
    Rule { name: "file-length", holds: "one idea, one file, at most 700 lines", check };

const MOST_LINES: usize = 700;

const EXTENSIONS: &[&str] = &[".rs", ".ts", ".tsx", ".js", ".css", ".html", ".sh", ".py"];

fn check(repository: &Repository) -> Vec<Complaint> {
    repository
        .files
        .iter()
        .filter(|file| EXTENSIONS.iter().any(|extension| file.path.ends_with(extension)))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > MOST_LINES).then(|| {
                Complaint::new(
                    &file.path,
                    0,
                    format!("it has {lines} lines"),
                    "split it by noun: 700 is the most",
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{files, places};
    use super::*;

    #[test]
    fn only_a_source_over_the_limit_is_named() {
        let full = "x\n".repeat(MOST_LINES);
        let over = "x\n".repeat(MOST_LINES + 1);
        let sample = files(&[("a.rs", &full), ("b.rs", &over), ("c.sh", &over), ("Cargo.lock", &over)]);
        assert_eq!(places(&RULE, &sample), [("b.rs".to_owned(), 0), ("c.sh".to_owned(), 0)]);
    }
}
