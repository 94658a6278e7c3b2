//! Every rule there is.

use sockwarden_model::Rule;

/// Gives the checks, then the defences, each in its own order.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    sockwarden_defend::ORDER.into_iter()
}

/// Finds a rule by its id.
pub(crate) fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}
