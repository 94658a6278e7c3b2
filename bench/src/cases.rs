//! The cases of the relay benchmark: every size, number of connections, rhythm, front and compression.

use serde::{Serialize, Serializer};

/// No more than this is on the way at once in any case: what is beyond only measures how memory is shuffled.
const MOST_ON_THE_WAY: usize = 160 << 20;

const SIZES: [(usize, &str); 5] =
    [(16, "16b"), (125, "125b"), (1024, "1k"), (16 * 1024, "16k"), (256 * 1024, "256k")];
const CONNECTIONS: [usize; 3] = [1, 64, 1000];

/// The cases that tell most, for `--quick`.
const QUICK: [&str; 13] = [
    "125b-64c-pp-plain-raw",
    "1k-64c-pp-plain-raw",
    "16k-64c-pp-plain-raw",
    "16b-1000c-pp-plain-raw",
    "16b-64c-w32-plain-raw",
    "1k-64c-w32-plain-raw",
    "16k-64c-w8-plain-raw",
    "256k-64c-pp-plain-raw",
    "125b-64c-pp-tls-raw",
    "16k-64c-pp-tls-raw",
    "1k-64c-w32-tls-raw",
    "1k-64c-pp-plain-deflate",
    "16k-64c-w8-plain-deflate",
];

/// One case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) size: usize,
    pub(crate) connections: usize,
    /// Messages on the way at once on each connection; one is ping-pong.
    pub(crate) window: usize,
    pub(crate) tls: bool,
    pub(crate) compressed: bool,
}

impl Case {
    /// All cases, in the order in which they run.
    pub(crate) fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for compressed in [false, true] {
            for tls in [false, true] {
                for (size, _) in SIZES {
                    for connections in CONNECTIONS {
                        for window in [1, if size > 1024 { 8 } else { 32 }] {
                            cases.push(Self { size, connections, window, tls, compressed });
                        }
                    }
                }
            }
        }
        cases.retain(|case| case.size * case.window * case.connections <= MOST_ON_THE_WAY);
        cases
    }

    /// Whether a name means this case: all of its words, joined by `-`, are words of the case.
    fn is_meant_by(&self, name: &str) -> bool {
        let own = self.to_string();
        name.split('-').all(|word| own.split('-').any(|own| own == word))
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = SIZES.iter().find(|(size, _)| *size == self.size).map_or("?", |(_, name)| name);
        write!(out, "{size}-{}c-", self.connections)?;
        match self.window {
            1 => out.write_str("pp")?,
            window => write!(out, "w{window}")?,
        }
        out.write_str(if self.tls { "-tls" } else { "-plain" })?;
        out.write_str(if self.compressed { "-deflate" } else { "-raw" })
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Chooses the cases that any of the names means; all, or the quick ones, where none is named.
pub(crate) fn choose(names: &[String], quick: bool) -> anyhow::Result<Vec<Case>> {
    let mut chosen = Case::all();
    if quick {
        chosen.retain(|case| QUICK.contains(&case.to_string().as_str()));
    }
    if !names.is_empty() {
        for name in names {
            anyhow::ensure!(
                Case::all().iter().any(|case| case.is_meant_by(name)),
                "no case is meant by `{name}`: join some of 16b 125b 1k 16k 256k, 1c 64c 1000c, pp w32 w8, plain tls, raw \
                 deflate by `-`"
            );
        }
        chosen.retain(|case| names.iter().any(|name| case.is_meant_by(name)));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quick_case_is_a_case() {
        assert_eq!(choose(&[], true).unwrap().len(), QUICK.len());
    }

    #[test]
    fn a_name_means_the_cases_that_have_all_its_words() {
        let check = |name: &str, expected: usize| {
            assert_eq!(choose(&[name.to_owned()], false).map_or(0, |cases| cases.len()), expected, "{name}");
        };
        check("1k-64c-pp-plain-raw", 1);
        check("1k-64c-pp", 4);
        check("w8-16k-plain-raw", 3);
        check("64k", 0);
        check("w32-256k", 0);
    }

    #[test]
    fn no_case_floods_the_machine() {
        assert!(
            !choose(&[], false).unwrap().iter().any(|case| case.connections == 1000 && case.size > 200_000)
        );
    }
}
