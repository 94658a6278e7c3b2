//! Counts what passed and what failed, from the words of those who tested.

use std::ops::AddAssign;

/// How many things passed, failed and were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) const PASS: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAIL: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIP: Self = Self { passed: 0, failed: 0, skipped: 1 };

    pub(crate) fn of(good: bool) -> Self {
        if good { Self::PASS } else { Self::FAIL }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(out, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// Reads `N passed, N failed[, N skipped]`, the closing line of an end-to-end script.
pub(crate) fn closing_line(line: &str) -> Option<Tally> {
    let mut parts = line.trim().split(", ");
    let passed = number_before(parts.next()?, "passed")?;
    let failed = number_before(parts.next()?, "failed")?;
    let skipped = match parts.next() {
        Some(part) => number_before(part, "skipped")?,
        None => 0,
    };
    parts.next().is_none().then_some(Tally { passed, failed, skipped })
}

/// Adds up the result lines of libtest (`test result: ok. 3 passed; 0 failed; 1 ignored; …`).
pub(crate) fn libtest(lines: &[String]) -> Option<Tally> {
    let mut sum = None;
    for line in lines {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { continue };
        let counts = rest.split_once(". ").map_or(rest, |(_, counts)| counts);
        let total: &mut Tally = sum.get_or_insert_default();
        for part in counts.split("; ") {
            total.passed += number_before(part, "passed").unwrap_or(0);
            total.failed += number_before(part, "failed").unwrap_or(0);
            total.skipped += number_before(part, "ignored").unwrap_or(0);
        }
    }
    sum
}

/// Reads the summary of cargo-nextest (`Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 0 skipped`).
///
/// A test that timed out or could not be started counts as failed.
pub(crate) fn nextest(lines: &[String]) -> Option<Tally> {
    let summary = lines.iter().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, counts) = summary.split_once(" run: ")?;
    let mut sum = Tally::default();
    for part in without_parentheses(counts).split(',') {
        let part = part.trim();
        if let Some(count) = number_before(part, "passed") {
            sum.passed += count;
        } else if let Some(count) = number_before(part, "skipped") {
            sum.skipped += count;
        } else if let Some(count) =
            ["failed", "exec failed", "timed out"].iter().find_map(|word| number_before(part, word))
        {
            sum.failed += count;
        }
    }
    Some(sum)
}

fn number_before(part: &str, word: &str) -> Option<u64> {
    part.trim().strip_suffix(word)?.strip_suffix(' ')?.parse().ok()
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|&letter| match letter {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_line_is_exact() {
        let check = |line, expected| assert_eq!(closing_line(line), expected, "{line}");
        check("3 passed, 0 failed", Some(tally(3, 0, 0)));
        check("3 passed, 1 failed, 2 skipped", Some(tally(3, 1, 2)));
        check("3 passed, 1 failed, 2 skipped, 1 lost", None);
        check("3 passed", None);
        check("all well", None);
        check("-1 passed, 0 failed", None);
        check("", None);
    }

    #[test]
    fn libtest_results_of_all_programs_are_added() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s"
                .to_owned(),
            "noise".to_owned(),
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured".to_owned(),
        ];
        assert_eq!(libtest(&lines), Some(tally(4, 2, 1)));
        assert_eq!(libtest(&["noise".to_owned()]), None);
    }

    #[test]
    fn a_nextest_summary_counts_every_kind_of_failure() {
        let check = |line: &str, expected| assert_eq!(nextest(&[line.to_owned()]), expected, "{line}");
        check("     Summary [   0.005s] 2 tests run: 2 passed, 0 skipped", Some(tally(2, 0, 0)));
        check(
            "     Summary [   9.1s] 9/12 tests run: 5 passed (1 slow, 2 leaky), 2 failed, 1 exec failed, 1 timed out, 3 skipped",
            Some(tally(5, 4, 3)),
        );
        check("     Summary [   0.0s] 1 test run: 1 passed, 0 skipped", Some(tally(1, 0, 0)));
        check("Starting 2 tests", None);
    }

    #[test]
    fn what_a_tally_prints_is_a_closing_line() {
        for sum in [tally(1, 0, 0), tally(7, 2, 3)] {
            assert_eq!(closing_line(&sum.to_string()), Some(sum));
        }
    }

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }
}
