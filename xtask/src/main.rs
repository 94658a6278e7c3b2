//! The project's own chores: everything that a contributor runs beside the compiler.
//!
//! One chore, one file. `cargo xtask` without arguments lists them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore speaks to the person who runs it")]

mod autobahn;
mod bench;
mod docs;
mod metadata;
mod picture;
mod scaffold;
mod shell;
mod source;
mod tally;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

/// One chore: what it is called, what it does, and the function that does it.
struct Chore {
    usage: &'static str,
    about: &'static str,
    run: fn(&[&str]) -> anyhow::Result<Outcome>,
}

/// How a chore ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing to complain about.
    Good,
    /// It found something and has said what.
    Bad,
    /// It was called in a way that it does not understand.
    Usage,
}

const CHORES: &[Chore] = &[
    Chore {
        usage: "test [--quick]",
        about: "Everything that must hold before a change is merged",
        run: test::run,
    },
    Chore { usage: "tidy", about: "The rules of the repository that no compiler knows", run: tidy::run },
    Chore {
        usage: "docs [--check]",
        about: "Writes (or compares) the pages made from the program",
        run: docs::run,
    },
    Chore {
        usage: "bench relay|idle|inspect|instructions|detection [OPTIONS]",
        about: "What the gateway costs, and what it finds; see docs/performance.md and docs/detection.md",
        run: bench::run,
    },
    Chore {
        usage: "soak [--minutes N] [--connections N]",
        about: "Whether anything is lost or changed in a long time with untidy connections",
        run: bench::soak,
    },
    Chore {
        usage: "autobahn [--full]",
        about: "The Autobahn TestSuite; all of it, in both roles, writes docs/conformance.md",
        run: autobahn::run,
    },
    Chore { usage: "new-check ID", about: "Starts a check of the scanner", run: scaffold::new_check },
    Chore { usage: "new-defence ID", about: "Starts a defence of the gateway", run: scaffold::new_defence },
    Chore { usage: "picture", about: "Draws the output of the demo for the README", run: picture::run },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Ok(Outcome::Usage) => {
            eprint!("{}", usage());
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> anyhow::Result<Outcome> {
    let Some((name, rest)) = words.split_first() else { return Ok(Outcome::Usage) };
    if matches!(*name, "--help" | "-h" | "help") {
        print!("{}", usage());
        return Ok(Outcome::Good);
    }
    match CHORES.iter().find(|chore| chore.name() == *name) {
        Some(chore) => (chore.run)(rest),
        None => {
            eprintln!("error: there is no chore `{}`", name.escape_debug());
            Ok(Outcome::Usage)
        }
    }
}

impl Chore {
    fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or(self.usage)
    }
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask CHORE\n\n");
    let width = CHORES.iter().map(|chore| chore.usage.len()).max().unwrap_or(0);
    for chore in CHORES {
        text.push_str(&format!("  {:<width$}  {}\n", chore.usage, chore.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_chore_is_a_usage_error() {
        assert_eq!(dispatch(&["polish"]).unwrap(), Outcome::Usage);
        assert_eq!(dispatch(&[]).unwrap(), Outcome::Usage);
    }

    #[test]
    fn every_chore_is_listed_under_its_name() {
        for chore in CHORES {
            assert!(usage().contains(&format!("  {}", chore.name())));
        }
    }
}
