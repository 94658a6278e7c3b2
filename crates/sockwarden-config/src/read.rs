//! From text to a typed configuration, or to everything that is wrong with it.

use std::ops::Range;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use crate::diagnostic::{Diagnostic, Severity, quoted};
use crate::inherit::Inheritance;
use crate::judge::{self, Misfit};
use crate::place;
use crate::schema::Node;

/// The largest configuration that is read, in bytes: 1 MiB.
pub const MAX_TEXT: usize = 1 << 20;

/// How many diagnostics are given at most; what is wrong after that shows when these are mended.
pub const MAX_DIAGNOSTICS: usize = 100;

/// How often a type is asked again after something that it refused was taken out.
const MOST_TRIALS: usize = 32;

/// Reads a configuration of type `T` from TOML.
///
/// `name` is what the diagnostics call the text: the name of its file. The struct's fields are the only keys that are
/// known: those of `#[serde(alias)]` and `#[serde(flatten)]` are not.
///
/// # Errors
///
/// Everything that is wrong, in the order of the text and at most [`MAX_DIAGNOSTICS`]: mistakes of TOML alone when there
/// are any, for nothing else can be told then; otherwise all that does not fit the schema of `T`, and what only its
/// `Deserialize` refuses.
pub fn read<T: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<T, Vec<Diagnostic>> {
    read_as::<T>(name, text, None)
}

/// Reads a configuration as [`read`] does, after the entries of one list have taken from a table of defaults what they do
/// not say themselves.
///
/// Tables are filled key by key, and so are the tables in them; a list or a value is taken whole or not at all. A table of
/// the defaults must be right by itself. What is wrong with a default is reported once, at its own place.
///
/// # Errors
///
/// As [`read`].
pub fn read_inheriting<T: DeserializeOwned + JsonSchema>(
    name: &str,
    text: &str,
    inheritance: &Inheritance<'_>,
) -> Result<T, Vec<Diagnostic>> {
    read_as::<T>(name, text, Some(inheritance))
}

fn read_as<T: DeserializeOwned + JsonSchema>(
    name: &str,
    text: &str,
    inheritance: Option<&Inheritance<'_>>,
) -> Result<T, Vec<Diagnostic>> {
    let written = parse(name, text)?;
    let mut whole = written.clone();
    if let Some(inheritance) = inheritance {
        inheritance.apply(whole.get_mut());
    }
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let mut misfits = judge::judge(Node::root(schema.as_value()), &whole);
    if let Some(inheritance) = inheritance {
        misfits.retain(|misfit| !inheritance.is_repeated(misfit, written.get_ref()));
    }
    let mut trial = Trial::new(written, whole, misfits);
    for _ in 0..MOST_TRIALS {
        match T::deserialize(Deserializer::from(trial.rest.clone())) {
            Ok(value) if trial.misfits.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(refusal) => {
                if trial.go_on_without(&refusal) == Next::Stop {
                    break;
                }
            }
        }
    }
    Err(trial.diagnostics(name, text))
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

/// A type stops at the first thing that it refuses. To hear of the next, that thing is taken out and the rest is tried.
struct Trial<'t> {
    /// As it was written, with nothing inherited.
    written: Spanned<DeTable<'t>>,
    rest: Spanned<DeTable<'t>>,
    misfits: Vec<Misfit>,
    /// The keys that were taken out although they belong there.
    missed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    TryAgain,
    Stop,
}

impl<'t> Trial<'t> {
    fn new(written: Spanned<DeTable<'t>>, mut rest: Spanned<DeTable<'t>>, misfits: Vec<Misfit>) -> Self {
        for surplus in misfits.iter().filter(|misfit| misfit.is_surplus) {
            take_out(rest.get_mut(), surplus.span.start);
        }
        Self { written, rest, misfits, missed: Vec::new() }
    }

    fn go_on_without(&mut self, refusal: &toml::de::Error) -> Next {
        // The root has an empty span, and with it what is refused as a whole.
        let span = refusal.span().unwrap_or(0..0);
        let key =
            if span.end == 0 { String::new() } else { place::key_at(self.written.get_ref(), span.start) };
        // Neither what the schema has already said better, nor what follows from taking something out.
        let is_known = self.misfits.iter().any(|misfit| touches(&misfit.span, &span))
            || self.missed.iter().any(|missed| place::is_within(missed, &key));
        if !is_known {
            let message = match key.as_str() {
                "" => refusal.message().to_owned(),
                key => format!("{}: {}", quoted(key), refusal.message()),
            };
            self.misfits.push(Misfit {
                span: span.clone(),
                key: key.clone(),
                message,
                help: None,
                is_surplus: false,
            });
        }
        if key.is_empty() || !take_out(self.rest.get_mut(), span.start) {
            return Next::Stop;
        }
        self.missed.push(key);
        Next::TryAgain
    }

    fn diagnostics(mut self, name: &str, text: &str) -> Vec<Diagnostic> {
        self.misfits.sort_by_key(|misfit| misfit.span.start);
        self.misfits
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
}

/// Removes the innermost value that stands, or whose key stands, at `offset`; tells whether there was one.
fn take_out(table: &mut DeTable<'_>, offset: usize) -> bool {
    let found =
        table.iter().find(|(key, value)| place::stands_at(key, value, offset)).map(|(key, _)| key.clone());
    let Some(key) = found else { return false };
    let is_done = !key.span().contains(&offset)
        && table.get_mut(&key).is_some_and(|value| take_out_of_value(value.get_mut(), offset));
    is_done || table.remove(&key).is_some()
}

fn take_out_of_value(value: &mut DeValue<'_>, offset: usize) -> bool {
    match value {
        DeValue::Table(table) => take_out(table, offset),
        DeValue::Array(list) => {
            let found = list.iter_mut().enumerate().find(|(_, value)| place::holds(value, offset));
            let Some((index, value)) = found else { return false };
            if !take_out_of_value(value.get_mut(), offset) {
                let entries = std::mem::replace(list, DeArray::new()).into_iter().enumerate();
                *list = entries.filter(|(at, _)| *at != index).map(|(_, value)| value).collect();
            }
            true
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

/// Whether two spans share a place; one that is empty is where it begins.
fn touches(left: &Range<usize>, right: &Range<usize>) -> bool {
    left.start <= right.end && right.start <= left.end
}
