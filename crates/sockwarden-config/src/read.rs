//! From text to a typed configuration, or to everything that is wrong with it.

use std::collections::BTreeSet;
use std::ops::Range;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::diagnostic::{Diagnostic, Severity, quoted};
use crate::judge::{self, Misfit};
use crate::place;
use crate::schema::Node;

/// The largest configuration that is read, in bytes: 1 MiB.
pub const MAX_TEXT: usize = 1 << 20;

/// How many diagnostics are given at most; what is wrong after that shows when these are mended.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Reads a configuration of type `T` from TOML.
///
/// `name` is what the diagnostics call the text: the name of its file. The struct's fields are the only keys that are
/// known: those of `#[serde(alias)]` and `#[serde(flatten)]` are not.
///
/// # Errors
///
/// Everything that is wrong, in the order of the text and at most [`MAX_DIAGNOSTICS`]: mistakes of TOML alone when there
/// are any, for nothing else can be told then; otherwise all that does not fit the schema of `T`, and the first thing
/// that only its `Deserialize` refuses.
pub fn read<T: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<T, Vec<Diagnostic>> {
    let mut tree = parse(name, text)?;
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let misfits = judge::judge(Node::root(schema.as_value()), &tree);
    // A surplus key must not keep the type from seeing the rest.
    let surplus: BTreeSet<usize> =
        misfits.iter().filter(|misfit| misfit.is_surplus).map(|misfit| misfit.span.start).collect();
    if !surplus.is_empty() {
        take_out(&surplus, tree.get_mut());
    }
    let refusal = match T::deserialize(Deserializer::from(tree)) {
        Ok(value) if misfits.is_empty() => return Ok(value),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    Err(diagnostics(name, text, misfits, refusal))
}

/// Gives the JSON Schema of a configuration, for editors and for `--schema`.
pub fn schema<T: JsonSchema>() -> Value {
    SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

fn parse<'t>(name: &str, text: &'t str) -> Result<Spanned<DeTable<'t>>, Vec<Diagnostic>> {
    if text.len() > MAX_TEXT {
        let message = format!("the file has {} bytes, at most {MAX_TEXT} are read", text.len());
        return Err(vec![Diagnostic::at_offset(Severity::Error, name, "", 0, String::new(), message)]);
    }
    let (tree, mistakes) = DeTable::parse_recoverable(text);
    if mistakes.is_empty() {
        return Ok(tree);
    }
    let mut found: Vec<Diagnostic> = mistakes
        .iter()
        .take(MAX_DIAGNOSTICS)
        .map(|mistake| {
            let offset = mistake.span().map_or(0, |span| span.start);
            Diagnostic::at_offset(
                Severity::Error,
                name,
                text,
                offset,
                String::new(),
                mistake.message().to_owned(),
            )
        })
        .collect();
    found.sort_by_key(|found| (found.line, found.column));
    Err(found)
}

fn diagnostics(
    name: &str,
    text: &str,
    mut misfits: Vec<Misfit>,
    refusal: Option<toml::de::Error>,
) -> Vec<Diagnostic> {
    if let Some(refusal) = refusal {
        let span = refusal.span().unwrap_or(0..0);
        // What the schema has already said better is not said again: whoever refuses stops at the first thing.
        if !misfits.iter().any(|misfit| touches(&misfit.span, &span)) {
            let key = match DeTable::parse(text) {
                Ok(tree) => place::key_at(tree.get_ref(), span.start),
                Err(_) => String::new(),
            };
            let message = match key.as_str() {
                "" => refusal.message().to_owned(),
                key => format!("{}: {}", quoted(key), refusal.message()),
            };
            misfits.push(Misfit { span, key, message, help: None, is_surplus: false });
            misfits.sort_by_key(|misfit| misfit.span.start);
        }
    }
    misfits
        .into_iter()
        .take(MAX_DIAGNOSTICS)
        .map(|misfit| {
            let Misfit { span, key, message, help, is_surplus: _ } = misfit;
            Diagnostic {
                help,
                ..Diagnostic::at_offset(Severity::Error, name, text, span.start, key, message)
            }
        })
        .collect()
}

/// Removes the keys that stand at these offsets.
fn take_out(surplus: &BTreeSet<usize>, table: &mut DeTable<'_>) {
    *table = std::mem::take(table)
        .into_iter()
        .filter(|(key, _)| !surplus.contains(&key.span().start))
        .map(|(key, mut value)| {
            take_out_of_value(surplus, value.get_mut());
            (key, value)
        })
        .collect();
}

fn take_out_of_value(surplus: &BTreeSet<usize>, value: &mut DeValue<'_>) {
    match value {
        DeValue::Table(table) => take_out(surplus, table),
        DeValue::Array(list) => list.iter_mut().for_each(|value| take_out_of_value(surplus, value.get_mut())),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// Whether two spans share a place; one that is empty is where it begins.
fn touches(left: &Range<usize>, right: &Range<usize>) -> bool {
    left.start <= right.end && right.start <= left.end
}
