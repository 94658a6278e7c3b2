//! No path of one machine in what everybody gets.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule =
    Rule { name: "machine-paths", holds: "the repository works wherever it lies", check };

/// Folders that hold people's own files. Written in two halves, so that this file does not complain of itself.
const HOMES: &[(&str, &str)] = &[("/ho", "me/"), ("/Us", "ers/"), ("/ro", "ot/"), ("C:\\Us", "ers\\")];

fn check(repository: &Repository) -> Vec<Complaint> {
    let homes: Vec<String> = HOMES.iter().map(|(first, second)| format!("{first}{second}")).collect();
    let mut complaints = Vec::new();
    for file in &repository.files {
        for (number, line) in file.text.lines().enumerate() {
            if homes.iter().any(|home| names_someone(line, home)) {
                complaints.push(Complaint::new(
                    &file.path,
                    number + 1,
                    "it names a folder of one machine",
                    "use a path from the repository's root, or a variable",
                ));
            }
        }
    }
    complaints
}

/// Whether `line` holds a path that begins with `home` and goes on with a name.
///
/// A letter, digit or dot before it means that it is the middle of a longer path, such as a web address.
fn names_someone(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + home.len()..].chars().next();
        !before.is_some_and(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | '}'))
            && after.is_some_and(|letter| letter.is_alphanumeric() || letter == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{files, places};
    use super::*;

    #[test]
    fn a_path_into_someones_folder_is_named() {
        for (first, second) in HOMES {
            let text = format!("fine\nsee {first}{second}mara/notes\n");
            assert_eq!(places(&RULE, &files(&[("a.md", &text)])), [("a.md".to_owned(), 2)], "{text}");
        }
    }

    #[test]
    fn addresses_and_placeholders_are_fine() {
        let (home, root) = (["/ho", "me/"].concat(), ["/ro", "ot/"].concat());
        let good = [
            format!("https://example.org{home}page"),
            format!("{home}NAME/ is {home}").replace("NAME", "<name>"),
            format!("`{root}`"),
            format!("${{CHROOT}}{root}x"),
        ];
        for text in good {
            assert_eq!(places(&RULE, &files(&[("a.md", &text)])), [], "{text}");
        }
    }
}
