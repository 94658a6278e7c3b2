//! Writes a commented configuration from the comments and defaults of its structs.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::place::{join, key_text, string_text};
use crate::read;
use crate::schema::{BYTE_SIZE, DURATION, Node};

/// Writes a TOML configuration with every key that `T` knows: its comment above it and its default as the value.
///
/// A key that has no value by default is written as a comment without a blank (`#key = …`), so that taking the `#` away
/// sets it; its value is the schema's example where there is one (`#[schemars(example = …)]`). The text as it is reads
/// back as `T::default()`.
pub fn example<T: JsonSchema + Serialize + Default>() -> String {
    let schema = read::schema::<T>();
    // A default that JSON cannot express has no keys of its own: everything is then written as a comment.
    let value = serde_json::to_value(T::default()).unwrap_or_default();
    let root = Node::root(&schema);
    let mut writer = Writer::default();
    writer.comment(root.description());
    writer.comment("\nA line that begins with `#` and no blank is a setting that is not made.");
    writer.out.push('\n');
    writer.table(root, Some(&value), "", 0);
    format!("{}\n", writer.out.trim_end())
}

/// How many tables deep a part that is not set is written; a type that holds itself would have no end.
const DEEPEST_SAMPLE: usize = 3;
/// How many characters of a comment stand on one line.
const WIDEST_COMMENT: usize = 96;
/// How many entries a list is given that must have some.
const MOST_ENTRIES: usize = 8;
/// The name of an entry in a table of entries with names.
const SAMPLE_NAME: &str = "name";

#[derive(Default)]
struct Writer {
    out: String,
    /// Whether what is written now is not set.
    is_off: bool,
    /// Lists of forms that were explained once; the next time their names will do.
    explained: BTreeSet<String>,
}

/// What a key of a table is written as.
enum Form<'s> {
    /// `key = value`
    Line,
    /// `[key]`
    Table,
    /// `[key.name]` for each
    NamedTables(Node<'s>),
    /// `[[key]]` for each
    List(Node<'s>),
}

impl Writer {
    /// Writes the keys of a table, lines first: what follows a table's header belongs to it.
    fn table(&mut self, node: Node<'_>, value: Option<&Value>, path: &str, depth: usize) {
        let keys: Vec<_> = node
            .properties()
            .map(|(name, property)| (name, property, form(property)))
            .map(|(name, property, form)| {
                let value = value.and_then(|value| value.get(name)).filter(|value| !value.is_null());
                let must_be = node.required().any(|required| required == name);
                // `key = []` says that a list is empty; its absence would be an error here.
                let empty = value.and_then(Value::as_array).is_some_and(Vec::is_empty);
                let form = if must_be && empty { Form::Line } else { form };
                (name, property, value, form)
            })
            .collect();
        for (name, property, value, form) in &keys {
            if matches!(form, Form::Line) {
                self.line(name, *property, *value);
            }
        }
        let named = value.and_then(Value::as_object).into_iter().flatten();
        let named: Vec<_> = named.filter(|(name, _)| node.property(name).is_none()).collect();
        for (name, value) in &named {
            self.push(&format!("{} = {}", key_text(name), inline(value)));
        }
        if !named.is_empty() {
            self.out.push('\n');
        }
        for (name, property, value, form) in keys {
            self.section(&join(path, name), property, value, &form, depth);
        }
    }

    fn line(&mut self, name: &str, node: Node<'_>, value: Option<&Value>) {
        self.comment(node.description());
        self.forms(node);
        let text = value.map_or_else(|| sample(node), inline);
        self.switched(value.is_none(), |writer| writer.push(&format!("{} = {text}", key_text(name))));
        self.out.push('\n');
    }

    fn section(&mut self, path: &str, node: Node<'_>, value: Option<&Value>, form: &Form<'_>, depth: usize) {
        let is_off = self.is_off || value.is_none();
        if is_off && depth >= DEEPEST_SAMPLE {
            return;
        }
        match form {
            Form::Line => {}
            Form::Table => {
                self.comment(node.description());
                self.switched(value.is_none(), |writer| {
                    writer.push(&format!("[{path}]"));
                    writer.table(node, value, path, depth + 1);
                });
            }
            Form::NamedTables(entry) => {
                let entries = value.and_then(Value::as_object);
                let named: Vec<_> =
                    entries.into_iter().flatten().map(|(name, value)| (name.as_str(), Some(value))).collect();
                let has_none = named.is_empty();
                let entries = if has_none { vec![(SAMPLE_NAME, None)] } else { named };
                self.comment(node.description());
                if has_none && value.is_some() {
                    self.push(&format!("[{path}]\n"));
                }
                for (name, value) in entries {
                    let path = join(path, name);
                    self.switched(value.is_none(), |writer| {
                        writer.push(&format!("[{path}]"));
                        writer.table(*entry, value, &path, depth + 1);
                    });
                }
            }
            Form::List(entry) => {
                let entries: Vec<_> =
                    value.and_then(Value::as_array).into_iter().flatten().map(Some).collect();
                let entries = if entries.is_empty() { vec![None] } else { entries };
                self.comment(node.description());
                for value in entries {
                    self.switched(value.is_none(), |writer| {
                        writer.push(&format!("[[{path}]]"));
                        writer.table(*entry, value, path, depth + 1);
                    });
                }
            }
        }
    }

    /// Lists the words or forms that a value may take.
    fn forms(&mut self, node: Node<'_>) {
        let Some(choices) = node.choices() else {
            if let Some(words) = node.words() {
                let words: Vec<String> = words.iter().map(|(word, _)| string_text(word)).collect();
                self.comment(&format!("One of {}.", words.join(", ")));
            }
            return;
        };
        let mut forms = Vec::new();
        for choice in choices {
            match choice.words() {
                Some(words) => forms.extend(words.iter().map(|&(word, text)| (string_text(word), text))),
                None => forms.push((sample(choice), choice.description())),
            }
        }
        let names = forms.iter().map(|(form, _)| form.as_str()).collect::<Vec<_>>().join(", ");
        if self.explained.contains(&names) {
            return self.comment(&format!("One of {names}."));
        }
        for (form, text) in forms {
            let text = text.lines().next().unwrap_or_default();
            self.comment(&if text.is_empty() { format!("- {form}") } else { format!("- {form}: {text}") });
        }
        self.explained.insert(names);
    }

    fn switched(&mut self, off: bool, write: impl FnOnce(&mut Self)) {
        let before = self.is_off;
        self.is_off |= off;
        write(self);
        self.is_off = before;
    }

    fn push(&mut self, line: &str) {
        if self.is_off {
            self.out.push('#');
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn comment(&mut self, text: &str) {
        for line in text.lines().flat_map(wrapped) {
            self.out.push_str(format!("# {line}").trim_end());
            self.out.push('\n');
        }
    }
}

/// Breaks a line between words where it would be too wide.
fn wrapped(line: &str) -> Vec<String> {
    if line.chars().count() <= WIDEST_COMMENT {
        return vec![line.to_owned()];
    }
    let mut lines = vec![String::new()];
    let mut width = 0;
    for word in line.split(' ') {
        let letters = word.chars().count();
        if width > 0 && width + 1 + letters > WIDEST_COMMENT {
            lines.push(String::new());
            width = 0;
        }
        if let Some(last) = lines.last_mut() {
            if width > 0 {
                last.push(' ');
                width += 1;
            }
            last.push_str(word);
            width += letters;
        }
    }
    lines
}

fn form(node: Node<'_>) -> Form<'_> {
    if node.choices().is_some() {
        return Form::Line;
    }
    if node.is_table() {
        return match node.any_key() {
            Some(entry) if node.properties().next().is_none() && has_keys(entry) => Form::NamedTables(entry),
            Some(_) | None => Form::Table,
        };
    }
    match node.entry(0) {
        Some(entry) if node.types() == ["array"] && has_keys(entry) => Form::List(entry),
        Some(_) | None => Form::Line,
    }
}

fn has_keys(node: Node<'_>) -> bool {
    node.choices().is_none() && node.is_table()
}

/// A value for a key that has none: the schema's example, or the plainest of its type.
fn sample(node: Node<'_>) -> String {
    if let Some(value) = node.default_or_example() {
        return inline(value);
    }
    if let Some((word, _)) = node.words().and_then(|words| words.first().copied()) {
        return string_text(word);
    }
    if let Some(first) = node.choices().and_then(|choices| choices.first().copied()) {
        return sample(first);
    }
    match node.format() {
        Some(BYTE_SIZE) => return "\"64 KiB\"".into(),
        Some(DURATION) => return "\"10s\"".into(),
        _ => {}
    }
    match node.types().first() {
        Some(&"string") => "\"\"".into(),
        Some(&"integer") => node.bound("minimum").unwrap_or(0).to_string(),
        Some(&"number") => "0.0".into(),
        Some(&"boolean") => "false".into(),
        Some(&"array") => {
            let least = usize::try_from(node.bound("minItems").unwrap_or(0)).unwrap_or(0).min(MOST_ENTRIES);
            let entries: Vec<String> = (0..least).filter_map(|index| node.entry(index)).map(sample).collect();
            format!("[{}]", entries.join(", "))
        }
        _ => {
            let parts: Vec<String> = node
                .required()
                .filter_map(|name| {
                    node.property(name).map(|part| format!("{} = {}", key_text(name), sample(part)))
                })
                .collect();
            if parts.is_empty() { "{}".into() } else { format!("{{ {} }}", parts.join(", ")) }
        }
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        // TOML has no such value; it only comes here from within a list.
        Value::Null => "\"\"".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string_text(text),
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let parts: Vec<String> = table
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{} = {}", key_text(name), inline(value)))
                .collect();
            if parts.is_empty() { "{}".into() } else { format!("{{ {} }}", parts.join(", ")) }
        }
    }
}
