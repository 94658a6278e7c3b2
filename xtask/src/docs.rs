//! `cargo xtask docs`: pages that are made from the program, so that they cannot say something else than it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::Outcome;
use crate::metadata::Metadata;
use crate::shell::{self, Group};
use crate::tally::Tally;

/// The generated files: path from the root, and text.
type Pages = BTreeMap<String, String>;

/// Where the page of each rule is; everything in it is generated.
const RULES: &str = "docs/rules";
/// What stands above the table of limits.
const LIMITS: &str = "# Limits\n\n\
    Every limit of the gateway, written from the code that keeps it: `sockwarden config --limits`. Keys of `routes` can stand in\n\
    `[defaults]`, for all of them. Whatever is beyond a limit, and does not just wait, is counted in `sockwarden_limits_exceeded_total` under its name\n\
    (`limit`) and its route (`route`, empty before there was one), and told in the log: by a `verdict` with `limit`, or by a\n\
    `turning-away` notice at most every ten seconds, because a flood must not become one of events. What these limits mean for\n\
    people behind one address, for proxies and for slow readers stands in [operations.md](operations.md#limits).";

/// How long the program may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// More rules or commands than this is a misread answer.
const MOST_ANSWERS: usize = 500;

/// Writes the pages, or with `--check` names those that are not as they would be written.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    let only_check = match words {
        [] => false,
        ["--check"] => true,
        _ => return Ok(Outcome::Usage),
    };
    let root = shell::root()?;
    let mut build = shell::cargo(&root, &["build", "--release", "--locked", "--package", "sockwarden"]);
    let built = shell::stream(&mut build, Group::Ours, Duration::from_secs(30 * 60))?;
    anyhow::ensure!(built.end.is_success(), "failed to build the program");
    if only_check {
        return Ok(if check(&root)?.failed == 0 { Outcome::Good } else { Outcome::Bad });
    }
    let pages = generate(&mut program(&root)?)?;
    for stale in stale(&root, &pages)? {
        let place = root.join(&stale);
        match pages.get(&stale) {
            Some(text) => {
                if let Some(folder) = place.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&place, text).with_context(|| format!("failed to write {stale}"))?;
                eprintln!("wrote {stale}");
            }
            None => {
                std::fs::remove_file(&place).with_context(|| format!("failed to remove {stale}"))?;
                eprintln!("removed {stale}");
            }
        }
    }
    Ok(Outcome::Good)
}

/// Compares the pages with what the built program would write, and names the stale ones.
pub(crate) fn check(root: &Path) -> anyhow::Result<Tally> {
    let pages = generate(&mut program(root)?)?;
    let stale = stale(root, &pages)?;
    for path in &stale {
        eprintln!("{path}: it is not what the program says; run `cargo xtask docs`");
    }
    Ok(Tally::of(stale.is_empty()))
}

/// Gives the function that asks the built program: arguments in, standard output out.
fn program(root: &Path) -> anyhow::Result<impl FnMut(&[&str]) -> anyhow::Result<String>> {
    let built: PathBuf = Path::new(&Metadata::read(root)?.target_directory).join("release/sockwarden");
    anyhow::ensure!(built.is_file(), "the program is not built: run `cargo build --release`");
    let empty_home = root.join("docs");
    Ok(move |arguments: &[&str]| {
        // A fixed width and no colour: the pages must not depend on who writes them.
        let mut command = Command::new(&built);
        command.args(arguments).current_dir(&empty_home).env("COLUMNS", "100").env("NO_COLOR", "1");
        let answer = shell::capture(&mut command, ANSWER_LIMIT)?;
        anyhow::ensure!(answer.end.is_success(), "`sockwarden {}`: {}", arguments.join(" "), answer.end);
        Ok(answer.out.join("\n"))
    })
}

fn generate(ask: &mut impl FnMut(&[&str]) -> anyhow::Result<String>) -> anyhow::Result<Pages> {
    let mut pages = Pages::new();
    let listed = ask(&["explain", "--list-ids"])?;
    let ids: Vec<&str> = listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    anyhow::ensure!(
        !ids.is_empty() && ids.len() <= MOST_ANSWERS,
        "`explain --list-ids` names {} rules",
        ids.len()
    );
    let mut rows = Vec::new();
    for id in ids {
        anyhow::ensure!(is_id(id), "`explain --list-ids` says `{}`, which is no id", id.escape_debug());
        let text = ask(&["explain", "--markdown", id])?;
        rows.push(format!("| [`{id}`]({id}.md) | {} |", first_sentence(&text).replace('|', "\\|")));
        pages.insert(format!("{RULES}/{id}.md"), page(&text));
    }
    let index = "# Rules\n\nWhat the scanner finds and the gateway stops. Each page is written from the rule's own source.\n\n\
                 | rule | in one sentence |\n|---|---|\n";
    pages.insert(format!("{RULES}/README.md"), page(&format!("{index}{}", rows.join("\n"))));
    pages.insert("docs/sockwarden.schema.json".into(), page(&ask(&["config", "--schema"])?));
    pages.insert("docs/openapi.json".into(), page(&ask(&["config", "--openapi"])?));
    let example = ask(&["config", "--example"])?;
    let intro = "# Configuration\n\nEvery key of `sockwarden.toml` with what it means and its default: the output of\n\
                 `sockwarden config --example`. `sockwarden check -c FILE` reports what is wrong with a file and where;\n\
                 [sockwarden.schema.json](sockwarden.schema.json) lets an editor do the same.";
    pages.insert(
        "docs/configuration.md".into(),
        page(&format!("{intro}\n\n```toml\n{}\n```", example.trim_end())),
    );
    pages.insert(
        "docs/limits.md".into(),
        page(&format!("{LIMITS}\n\n{}", ask(&["config", "--limits"])?.trim_end())),
    );
    pages.insert("docs/cli.md".into(), page(&command_line(ask)?));
    Ok(pages)
}

fn command_line(ask: &mut impl FnMut(&[&str]) -> anyhow::Result<String>) -> anyhow::Result<String> {
    let help = ask(&["--help"])?;
    let mut text = format!("# Command line\n\n```text\n{}\n```", help.trim_end());
    for command in commands(&help) {
        let help = ask(&[command, "--help"])?;
        text.push_str(&format!("\n\n## sockwarden {command}\n\n```text\n{}\n```", help.trim_end()));
    }
    Ok(text)
}

/// The names in the `Commands:` section of a help text, without `help` itself.
fn commands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| line.trim_end() != "Commands:")
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != "help" && is_id(name))
        .take(MOST_ANSWERS)
        .collect()
}

/// The first line of prose of a page.
fn first_sentence(markdown: &str) -> &str {
    markdown
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default()
}

fn page(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

fn is_id(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The paths whose file is not what the pages say, and the files among the rules that are no page.
fn stale(root: &Path, pages: &Pages) -> anyhow::Result<BTreeSet<String>> {
    let mut stale = BTreeSet::new();
    for (path, text) in pages {
        if std::fs::read_to_string(root.join(path)).ok().as_ref() != Some(text) {
            stale.insert(path.clone());
        }
    }
    if root.join(RULES).is_dir() {
        for entry in root.join(RULES).read_dir()? {
            let path = format!("{RULES}/{}", entry?.file_name().to_string_lossy());
            if !pages.contains_key(&path) {
                stale.insert(path);
            }
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_made_from_an_answer() {
        let pages = generate(&mut answer).unwrap();
        let paths: Vec<&str> = pages.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "docs/cli.md",
                "docs/configuration.md",
                "docs/limits.md",
                "docs/openapi.json",
                "docs/rules/README.md",
                "docs/rules/a-rule.md",
                "docs/rules/b-rule.md",
                "docs/sockwarden.schema.json"
            ]
        );
        assert!(pages["docs/rules/README.md"].contains("| [`a-rule`](a-rule.md) | Sees a \\| b. |"));
        assert!(pages["docs/cli.md"].contains("## sockwarden guard\n\n```text\nguards\n```"));
        assert!(pages.values().all(|text| text.ends_with('\n') && !text.ends_with("\n\n")));
    }

    #[test]
    fn a_changed_a_missing_and_a_left_over_page_are_stale() {
        let pages = generate(&mut answer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(RULES)).unwrap();
        for (path, text) in &pages {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        assert!(stale(folder.path(), &pages).unwrap().is_empty());
        std::fs::write(folder.path().join("docs/cli.md"), "old").unwrap();
        std::fs::remove_file(folder.path().join("docs/rules/a-rule.md")).unwrap();
        std::fs::write(folder.path().join("docs/rules/gone.md"), "").unwrap();
        let found: Vec<String> = stale(folder.path(), &pages).unwrap().into_iter().collect();
        assert_eq!(found, ["docs/cli.md", "docs/rules/a-rule.md", "docs/rules/gone.md"]);
    }

    #[test]
    fn an_id_that_would_leave_the_folder_is_refused() {
        let mut hostile = |arguments: &[&str]| match arguments {
            ["explain", "--list-ids"] => Ok("../../a".to_owned()),
            _ => answer(arguments),
        };
        assert!(generate(&mut hostile).unwrap_err().to_string().contains("no id"));
    }

    #[test]
    fn commands_are_read_from_the_help_text() {
        let help = "A program\n\nUsage: x\n\nCommands:\n  guard  Guards\n         more\n  scan   Scans\n  help   Helps\n\nOptions:\n  -h\n";
        assert_eq!(commands(help), ["guard", "scan"]);
        assert!(commands("Usage: x").is_empty());
    }

    fn answer(arguments: &[&str]) -> anyhow::Result<String> {
        Ok(match arguments {
            ["explain", "--list-ids"] => "a-rule\nb-rule\n",
            ["explain", "--markdown", "a-rule"] => "# a-rule\n\nSees a | b.\n\nMore.\n\n\n",
            ["explain", "--markdown", _] => "# b-rule\n\nSees b.",
            ["config", "--limits"] => "| limit |\n",
            ["config", "--schema" | "--openapi"] => "{}",
            ["config", "--example"] => "version = 1\n",
            ["--help"] => "Commands:\n  guard  Guards\n\nOptions:\n",
            ["guard", "--help"] => "guards",
            _ => anyhow::bail!("{arguments:?}"),
        }
        .to_owned())
    }
}
