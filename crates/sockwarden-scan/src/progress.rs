//! What a scan tells while it runs.

use sockwarden_model::Rule;

use crate::report::Outcome;

/// Is told how a scan goes on; every method does nothing unless it is written.
pub trait Progress: Sync {
    /// The first connections are made; so many checks will follow.
    fn surveying(&self, checks: usize) {
        let _ = checks;
    }

    /// A check has begun.
    fn started(&self, rule: &'static Rule) {
        let _ = rule;
    }

    /// A check has ended.
    fn finished(&self, outcome: &Outcome) {
        let _ = outcome;
    }
}

/// Tells nobody.
impl Progress for () {}
