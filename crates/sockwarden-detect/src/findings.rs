//! What detectors write down about one value.

use std::ops::Range;

use crate::detectors::Rule;

/// One thing that a detector saw.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: &'static Rule,
    pub(crate) weight: u8,
    /// Where in the text it stands.
    pub(crate) range: Range<usize>,
}

/// What was seen in one text: of each rule the heaviest.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Writes down what a rule saw.
    pub(crate) fn add(&mut self, rule: &'static Rule, weight: u8, range: Range<usize>) {
        match self.list.iter_mut().find(|finding| std::ptr::eq(finding.rule, rule)) {
            Some(before) if before.weight >= weight => {}
            Some(before) => (before.weight, before.range) = (weight, range),
            None => self.list.push(Finding { rule, weight, range }),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    pub(crate) fn list(&self) -> &[Finding] {
        &self.list
    }
}
