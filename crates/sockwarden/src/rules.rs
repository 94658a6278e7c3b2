//! Every rule there is.

use sockwarden_model::Rule;

/// Gives the checks, then the defences, each in its own order.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    let checks = sockwarden_scan::checks::ALL.iter().map(|check| check.rule());
    checks.chain(sockwarden_defend::ORDER)
}

/// Finds a rule by its id.
pub(crate) fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// Finds the id among `known` that was probably meant by `id`; `None` where none is near.
pub(crate) fn nearest(id: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let enough = (id.chars().count() / 3).max(2);
    known
        .map(|known| (distance(known, id), known))
        .min()
        .filter(|(edits, _)| *edits <= enough)
        .map(|(_, k)| k)
}

/// Counts the edits between two short words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sockwarden_model::RuleKind;

    use super::*;

    #[test]
    fn only_an_id_that_is_near_is_suggested() {
        let check = |id: &str, expected| assert_eq!(nearest(id, all().map(|rule| rule.id)), expected, "{id}");
        check("origin-polcy", Some("origin-policy"));
        check("orgin-not-cheked", Some("origin-not-checked"));
        check("nope", None);
        check("", None);
    }

    #[test]
    fn ids_are_unique_and_both_kinds_name_each_other() {
        let mut ids = BTreeSet::new();
        for rule in all() {
            assert!(ids.insert(rule.id), "{} is taken twice", rule.id);
            // What a check finds must be stopped by something, if not by a defence then by a limit of the whole gateway; not
            // everything that is stopped can be found from outside.
            let by_a_limit = rule.section("How to fix").unwrap().contains("Sockwarden's `");
            let may_stand_alone = rule.kind == RuleKind::Defence || by_a_limit;
            assert!(may_stand_alone || !rule.counterparts.is_empty(), "{} stands alone", rule.id);
            for id in rule.counterparts {
                let other = find(id).unwrap_or_else(|| panic!("{} names {id}, which is no rule", rule.id));
                assert_ne!(other.kind, rule.kind, "{} names {id}", rule.id);
                assert!(other.counterparts.contains(&rule.id), "{id} does not name {}", rule.id);
            }
        }
        assert!(all().any(|rule| rule.kind == RuleKind::Check));
    }
}
