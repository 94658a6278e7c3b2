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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sockwarden_model::RuleKind;

    use super::*;

    #[test]
    fn ids_are_unique_and_both_kinds_name_each_other() {
        let mut ids = BTreeSet::new();
        for rule in all() {
            assert!(ids.insert(rule.id), "{} is taken twice", rule.id);
            assert!(!rule.counterparts.is_empty(), "{} stands alone", rule.id);
            for id in rule.counterparts {
                let other = find(id).unwrap_or_else(|| panic!("{} names {id}, which is no rule", rule.id));
                assert_ne!(other.kind, rule.kind, "{} names {id}", rule.id);
                assert!(other.counterparts.contains(&rule.id), "{id} does not name {}", rule.id);
            }
        }
        assert!(all().any(|rule| rule.kind == RuleKind::Check));
    }
}
