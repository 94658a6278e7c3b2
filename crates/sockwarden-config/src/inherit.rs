//! What the entries of a list do not say, they take from a table of defaults: key by key, before anything is typed.
//!
//! What is taken keeps its place in the text, so that a mistake in it is shown where it was made.

use toml::de::{DeTable, DeValue};

use crate::judge::Misfit;
use crate::place;

/// Which list inherits from which table.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    /// The key of the table of defaults at the root, such as `defaults`.
    pub from: &'a str,
    /// The key of the list of tables at the root, such as `routes`.
    pub into: &'a str,
    /// Keys that an entry does not inherit unless it says something else.
    pub only_where: &'a [Condition<'a>],
}

/// A key that is inherited by those entries only whose key `other` is the text `value`, or a list with it.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// The key that would be inherited.
    pub key: &'a str,
    /// The entry's own key that decides.
    pub other: &'a str,
    /// The text that it must be or hold.
    pub value: &'a str,
}

impl Inheritance<'_> {
    /// Fills every entry of the list with what it leaves out.
    pub(crate) fn apply(&self, tree: &mut DeTable<'_>) {
        let Some(defaults) = tree.get(self.from).and_then(|value| value.get_ref().as_table()).cloned() else {
            return;
        };
        let Some(DeValue::Array(list)) = tree.get_mut(self.into).map(|value| value.get_mut()) else { return };
        for entry in list.iter_mut() {
            let DeValue::Table(entry) = entry.get_mut() else { continue };
            let mut defaults = defaults.clone();
            for condition in self.only_where {
                if !entry.get(condition.other).is_some_and(|other| says(other.get_ref(), condition.value)) {
                    defaults.remove(condition.key);
                }
            }
            fill(entry, &defaults);
        }
    }

    /// Tells whether a misfit of an entry stands in the defaults, where it is one as well.
    pub(crate) fn is_repeated(&self, misfit: &Misfit, written: &DeTable<'_>) -> bool {
        place::is_within(&misfit.key, self.into)
            && written.get(self.from).is_some_and(|defaults| place::holds(defaults, misfit.span.start))
    }
}

/// Tells whether a value is this text, or a list with it.
fn says(value: &DeValue<'_>, text: &str) -> bool {
    value.as_str() == Some(text)
        || value.as_array().is_some_and(|list| list.iter().any(|one| one.get_ref().as_str() == Some(text)))
}

fn fill<'t>(table: &mut DeTable<'t>, defaults: &DeTable<'t>) {
    for (key, value) in defaults {
        match table.get_mut(key).map(|own| own.get_mut()) {
            None => {
                table.insert(key.clone(), value.clone());
            }
            Some(DeValue::Table(own)) => {
                if let DeValue::Table(defaults) = value.get_ref() {
                    fill(own, defaults);
                }
            }
            Some(
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_),
            ) => {}
        }
    }
}
