//! Which of the words that exist was probably meant.

/// Words longer than this are not compared: nobody mistypes them into something near.
const LONGEST: usize = 64;

/// The candidate that `word` was probably meant to be: the one fewest slips away, when that is near enough.
///
/// Case and `-` for `_` are no slip. A third of the letters may be wrong, and one in any case.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word)?;
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters = plain(candidate)?;
            let slips = distance(&word, &letters);
            let allowed = (word.len().min(letters.len()) / 3).max(1);
            (slips <= allowed && slips < word.len().max(2)).then_some((slips, candidate))
        })
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word
        .chars()
        .take(LONGEST + 1)
        .map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() })
        .collect();
    (letters.len() <= LONGEST).then_some(letters)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, &letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in to.iter().enumerate() {
            let change = last[column] + usize::from(letter != other);
            let mut best = change.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && letter == to[column - 1] && from[row - 1] == other {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["origin", "origins", "upstream", "tls_cert", "auth", "of"];
        let check = |word, expected| assert_eq!(nearest(word, known), expected, "{word}");
        check("orign", Some("origin"));
        check("oirgin", Some("origin"));
        check("Upstream", Some("upstream"));
        check("tls-cert", Some("tls_cert"));
        check("upsteram", Some("upstream"));
        check("aut", Some("auth"));
        check("colour", None);
        check("x", None);
        check("", None);
        check(&"origin".repeat(1000), None);
    }

    #[test]
    fn slips_are_counted_like_a_typist_would() {
        let check = |from: &str, to: &str, expected| {
            let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
            assert_eq!(distance(&from, &to), expected);
            assert_eq!(distance(&to, &from), expected);
        };
        check("", "", 0);
        check("", "abc", 3);
        check("abc", "acb", 1);
        check("kitten", "sitting", 3);
    }
}
