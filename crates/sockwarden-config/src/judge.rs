//! Holds a TOML tree against a schema and finds everything that does not fit.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::diagnostic::quoted;
use crate::nearest::nearest;
use crate::place::join;
use crate::schema::{BYTE_SIZE, DURATION, Node};
use crate::{ByteSize, HumanDuration};

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) span: Range<usize>,
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Whether it would fit if the key were taken out.
    pub(crate) is_surplus: bool,
}

/// Finds all that does not fit, in the order of the text.
pub(crate) fn judge(schema: Node<'_>, tree: &Spanned<DeTable<'_>>) -> Vec<Misfit> {
    let mut judge = Judge { found: Vec::new() };
    judge.table(schema, tree.get_ref(), &tree.span(), "");
    judge.found.sort_by_key(|misfit| misfit.span.start);
    judge.found
}

struct Judge {
    found: Vec<Misfit>,
}

/// How many names a help lists.
const MOST_NAMES: usize = 12;

impl Judge {
    fn value(&mut self, schema: Node<'_>, value: &Spanned<DeValue<'_>>, path: &str) {
        let span = value.span();
        if schema.allows_nothing() {
            return self.report(span, path, format!("{} must not be given", quoted(path)), None);
        }
        if let Some(words) = schema.words() {
            return self.word(&words, value, path);
        }
        if let Some(choices) = schema.choices() {
            return self.choice(&choices, value, path);
        }
        if !accepts(schema, value.get_ref()) {
            return self.wrong_type(&expected(schema), value, path);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, table, &span, path),
            DeValue::Array(list) => self.list(schema, list, &span, path),
            DeValue::Integer(integer) => {
                // A bound that TOML's integers cannot reach is not worth a word.
                let number = i128::from_str_radix(integer.as_str(), integer.radix());
                if let Ok(number) = number {
                    self.range(schema, number, span, path);
                }
            }
            DeValue::String(text) => self.text(schema, text, span, path),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    fn table(&mut self, schema: Node<'_>, table: &DeTable<'_>, span: &Range<usize>, path: &str) {
        for name in schema.required().filter(|&name| !table.contains_key(name)) {
            let help = schema.property(name).and_then(|property| first_line(property.description()));
            self.report(
                span.clone(),
                &join(path, name),
                format!("missing key {}{}", quoted(name), inside(path)),
                help,
            );
        }
        for (key, value) in table {
            let name = key.get_ref();
            let path_here = join(path, name);
            match schema.property(name).or_else(|| schema.any_key()) {
                Some(property) => self.value(property, value, &path_here),
                None => {
                    let known: Vec<&str> = schema.properties().map(|(known, _)| known).collect();
                    self.surplus(key, &known, table, path);
                }
            }
        }
    }

    fn list(&mut self, schema: Node<'_>, list: &[Spanned<DeValue<'_>>], span: &Range<usize>, path: &str) {
        let count = i128::try_from(list.len()).unwrap_or(i128::MAX);
        let bounds = (schema.bound("minItems").unwrap_or(0), schema.bound("maxItems").unwrap_or(i128::MAX));
        if count < bounds.0 || count > bounds.1 {
            let wanted = match bounds {
                (least, most) if least == most => format!("{least}"),
                (least, i128::MAX) => format!("at least {least}"),
                (least, most) => format!("{least} to {most}"),
            };
            self.report(
                span.clone(),
                path,
                format!("{} has {count} entries, expected {wanted}", quoted(path)),
                None,
            );
        }
        for (index, value) in list.iter().enumerate() {
            if let Some(entry) = schema.entry(index) {
                self.value(entry, value, &format!("{path}[{index}]"));
            }
        }
    }

    fn word(&mut self, words: &[(&str, &str)], value: &Spanned<DeValue<'_>>, path: &str) {
        let known = || words.iter().map(|&(word, _)| word);
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong_type(&format!("one of {}", strings(known())), value, path);
        };
        if known().any(|word| word == text) {
            return;
        }
        let help = match nearest(text, known()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("known values: {}", strings(known())),
        };
        let message = format!("unknown value {} for {}", quoted(text), quoted(path));
        self.report(value.span(), path, message, Some(help));
    }

    /// Judges a value that may take one of several forms.
    fn choice(&mut self, choices: &[Node<'_>], value: &Spanned<DeValue<'_>>, path: &str) {
        let tables: Vec<Node<'_>> = choices.iter().copied().filter(Node::is_table).collect();
        match value.get_ref() {
            DeValue::Table(table) if !tables.is_empty() => match tag(&tables) {
                Some(tag) => self.tagged(&tables, tag, table, value.span(), path),
                None => self.named_form(&tables, table, value, path),
            },
            DeValue::String(text) if choices.iter().any(|choice| choice.words().is_some()) => {
                let forms = form_names(&tables);
                if let Some(form) = forms.iter().find(|form| *form == text) {
                    let help = format!("write {{ {form} = … }}");
                    return self.report(
                        value.span(),
                        path,
                        format!("{} needs a value of its own", quoted(form)),
                        Some(help),
                    );
                }
                let words: Vec<_> = choices.iter().filter_map(Node::words).flatten().collect();
                let words: Vec<_> =
                    words.into_iter().chain(forms.into_iter().map(|form| (form, ""))).collect();
                self.word(&words, value, path);
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                let fitting = choices.iter().copied().filter(|&choice| accepts(choice, value.get_ref()));
                match self.least_misfits(fitting, value, path) {
                    Some(found) => self.found.extend(found),
                    None => {
                        let mut wanted: Vec<String> =
                            choices.iter().map(|&choice| expected(choice)).collect();
                        wanted.dedup();
                        self.wrong_type(&wanted.join(" or "), value, path);
                    }
                }
            }
        }
    }

    /// Judges a table of which one key says by its word what the others are.
    fn tagged(&mut self, forms: &[Node<'_>], tag: &str, table: &DeTable<'_>, span: Range<usize>, path: &str) {
        let word_of = |form: &Node<'_>| -> Option<String> {
            form.property(tag)?.words()?.first().map(|&(word, _)| word.to_owned())
        };
        let known: Vec<String> = forms.iter().filter_map(word_of).collect();
        let path_of_tag = join(path, tag);
        let Some(value) = table.get(tag) else {
            let help = format!("known values: {}", strings(known.iter().map(String::as_str)));
            return self.report(
                span,
                &path_of_tag,
                format!("missing key {}{}", quoted(tag), inside(path)),
                Some(help),
            );
        };
        let given = value.get_ref().as_str();
        match forms.iter().find(|form| given.is_some() && word_of(form).as_deref() == given) {
            Some(form) => self.table(*form, table, &span, path),
            None => {
                let known: Vec<_> = known.iter().map(|word| (word.as_str(), "")).collect();
                self.word(&known, value, &path_of_tag);
            }
        }
    }

    /// Judges a table whose only key names the form that its value takes.
    fn named_form(
        &mut self,
        forms: &[Node<'_>],
        table: &DeTable<'_>,
        value: &Spanned<DeValue<'_>>,
        path: &str,
    ) {
        let names_of_forms = form_names(forms);
        if names_of_forms.len() != forms.len() {
            if let Some(found) = self.least_misfits(forms.iter().copied(), value, path) {
                self.found.extend(found);
            }
            return;
        }
        if table.len() != 1 {
            let help = format!("known keys: {}", names(names_of_forms.iter().copied()));
            let message = format!("{} has {} keys, expected one", quoted(path), table.len());
            return self.report(value.span(), path, message, Some(help));
        }
        for (key, value) in table {
            let name = key.get_ref();
            match forms.iter().find_map(|form| form.property(name)) {
                Some(form) => self.value(form, value, &join(path, name)),
                None => self.surplus(key, &names_of_forms, table, path),
            }
        }
    }

    /// What is found against the form that fits best; `None` when there is no form.
    fn least_misfits<'s>(
        &self,
        forms: impl Iterator<Item = Node<'s>>,
        value: &Spanned<DeValue<'_>>,
        path: &str,
    ) -> Option<Vec<Misfit>> {
        forms
            .map(|form| {
                let mut trial = Judge { found: Vec::new() };
                trial.value(form, value, path);
                trial.found
            })
            .min_by_key(Vec::len)
    }

    fn range(&mut self, schema: Node<'_>, number: i128, span: Range<usize>, path: &str) {
        let least = schema.bound("minimum");
        let most = schema.bound("maximum");
        if least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
            return;
        }
        let wanted = match (least, most) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("{least} or more"),
            (None, Some(most)) => format!("{most} or less"),
            (None, None) => return,
        };
        self.report(span, path, format!("{} is {number}, expected {wanted}", quoted(path)), None);
    }

    fn text(&mut self, schema: Node<'_>, text: &str, span: Range<usize>, path: &str) {
        let error = match schema.format() {
            Some(BYTE_SIZE) => text.parse::<ByteSize>().err().map(|error| error.to_string()),
            Some(DURATION) => text.parse::<HumanDuration>().err().map(|error| error.to_string()),
            _ => None,
        };
        if let Some(error) = error {
            self.report(span, path, format!("{}: {error}", quoted(path)), None);
        }
    }

    fn wrong_type(&mut self, wanted: &str, value: &Spanned<DeValue<'_>>, path: &str) {
        let message = format!("{} is {}, expected {wanted}", quoted(path), found(value.get_ref()));
        self.report(value.span(), path, message, None);
    }

    /// Reports a key of `table` that is not known; one that is there already was not meant.
    fn surplus(&mut self, key: &Spanned<DeString<'_>>, known: &[&str], table: &DeTable<'_>, path: &str) {
        let name = key.get_ref();
        let free = known.iter().copied().filter(|known| !table.contains_key(*known));
        let help = match nearest(name, free) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known keys: {}", names(known.iter().copied())),
        };
        let message = format!("unknown key {}{}", quoted(name), inside(path));
        self.found.push(Misfit {
            span: key.span(),
            key: join(path, name),
            message,
            help: Some(help),
            is_surplus: true,
        });
    }

    fn report(&mut self, span: Range<usize>, path: &str, message: String, help: Option<String>) {
        self.found.push(Misfit { span, key: path.to_owned(), message, help, is_surplus: false });
    }
}

/// The key that has another constant in every form: the tag of an enum.
fn tag<'s>(forms: &[Node<'s>]) -> Option<&'s str> {
    let has_word = |form: &Node<'s>, name: &str| {
        form.property(name).and_then(|property| property.words()).is_some_and(|words| words.len() == 1)
    };
    let (first, rest) = forms.split_first()?;
    first
        .properties()
        .map(|(name, _)| name)
        .find(|name| has_word(first, name) && rest.iter().all(|form| has_word(form, name)))
}

/// The names of forms that are a table of one required key each.
fn form_names<'s>(forms: &[Node<'s>]) -> Vec<&'s str> {
    forms
        .iter()
        .filter_map(|form| {
            let mut required = form.required();
            match (required.next(), required.next(), form.properties().count()) {
                (Some(name), None, 1) => Some(name),
                _ => None,
            }
        })
        .collect()
}

fn accepts(schema: Node<'_>, value: &DeValue<'_>) -> bool {
    if let Some(choices) = schema.choices() {
        return choices.iter().any(|&choice| accepts(choice, value));
    }
    let types = schema.types();
    let is = |name| types.is_empty() || types.contains(&name);
    match value {
        DeValue::String(_) => is("string"),
        DeValue::Integer(_) => is("integer") || is("number"),
        DeValue::Float(_) => is("number"),
        DeValue::Boolean(_) => is("boolean"),
        // No field of ours is a date; a text that looks like one has lost its quotes.
        DeValue::Datetime(_) => types.is_empty(),
        DeValue::Array(_) => is("array"),
        DeValue::Table(_) => is("object"),
    }
}

fn expected(schema: Node<'_>) -> String {
    match schema.format() {
        Some(BYTE_SIZE) => return "a size such as \"64 KiB\"".into(),
        Some(DURATION) => return "a duration such as \"10s\"".into(),
        _ => {}
    }
    if let Some(words) = schema.words() {
        return strings(words.iter().map(|&(word, _)| word));
    }
    let name = |json: &str| match json {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    };
    schema.types().into_iter().map(name).collect::<Vec<_>>().join(" or ")
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn inside(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in {}", quoted(path)) }
}

fn names<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    listed(known.into_iter().map(|name| format!("`{name}`")))
}

fn strings<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    listed(known.into_iter().map(|word| format!("\"{word}\"")))
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.take(MOST_NAMES + 1).collect();
    if words.len() > MOST_NAMES {
        words.truncate(MOST_NAMES);
        words.push("…".into());
    }
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

fn first_line(text: &str) -> Option<String> {
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}
