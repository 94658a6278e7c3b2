//! Places in a text: line and column of an offset, offset of a key, key of an offset.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Finds the line and column, both from one, of a key such as `routes[1].upstream`.
///
/// A key is named as in a [`Diagnostic`](crate::Diagnostic): tables joined by dots, list entries by their index from zero
/// in brackets, names that are not bare keys of TOML in double quotes. The place is that of the key itself, or of a list
/// entry's first character; the empty key is the beginning of the text. There is no place when the text is no TOML or
/// does not hold the key.
///
/// ```
/// let text = "version = 1\n\n[[routes]]\nupstream = \"ws://127.0.0.1:3000\"\n";
/// assert_eq!(sockwarden_config::locate(text, "routes[0].upstream"), Some((4, 1)));
/// assert_eq!(sockwarden_config::locate(text, "routes[1].upstream"), None);
/// ```
pub fn locate(text: &str, key: &str) -> Option<(usize, usize)> {
    find(text, key).map(|span| line_and_column(text, span.start))
}

/// The span of a key, as [`locate`] finds it.
pub(crate) fn find(text: &str, key: &str) -> Option<Range<usize>> {
    let steps = steps(key)?;
    let tree = DeTable::parse(text).ok()?;
    let mut span = 0..0;
    let mut at = At::Table(tree.get_ref());
    for step in &steps {
        let (next_span, next) = match (step, at) {
            (Step::Key(name), At::Table(table)) => {
                let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
                (key.span(), value)
            }
            (Step::Index(index), At::List(list)) => {
                let value = list.get(*index)?;
                (value.span(), value)
            }
            (Step::Key(_) | Step::Index(_), At::Table(_) | At::List(_) | At::Leaf) => return None,
        };
        span = next_span;
        at = At::of(next.get_ref());
    }
    Some(span)
}

/// The nearest key above `key`: `routes[1]` of `routes[1].upstream`, then `routes`, then the empty key.
pub(crate) fn parent(key: &str) -> Option<String> {
    let mut steps = steps(key)?;
    steps.pop()?;
    let mut path = String::new();
    for step in &steps {
        path = match step {
            Step::Key(name) => join(&path, name),
            Step::Index(index) => format!("{path}[{index}]"),
        };
    }
    Some(path)
}

/// The line and column, both from one and in characters, of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The line, counted from one, without its end.
pub(crate) fn line(text: &str, number: usize) -> &str {
    text.lines().nth(number.saturating_sub(1)).unwrap_or_default()
}

/// The key whose value, or whose name, holds `offset`: the innermost one.
pub(crate) fn key_at(table: &DeTable<'_>, offset: usize) -> String {
    let mut path = String::new();
    let mut at = At::Table(table);
    loop {
        let next = match at {
            At::Table(table) => table
                .iter()
                .find(|(key, value)| stands_at(key, value, offset))
                .map(|(key, value)| (join(&path, key.get_ref()), value)),
            At::List(list) => list
                .iter()
                .enumerate()
                .find(|(_, value)| holds(value, offset))
                .map(|(index, value)| (format!("{path}[{index}]"), value)),
            At::Leaf => None,
        };
        let Some((longer, value)) = next else { return path };
        path = longer;
        at = At::of(value.get_ref());
    }
}

/// Whether the key, its value or anything below it stands at `offset`.
pub(crate) fn stands_at(key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    key.span().contains(&offset) || holds(value, offset)
}

/// Whether `key` is `above` or lies below it.
pub(crate) fn is_within(key: &str, above: &str) -> bool {
    above.is_empty()
        || key.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether the value or anything below it stands at `offset`; a table's own span is only its header.
pub(crate) fn holds(value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    if value.span().contains(&offset) {
        return true;
    }
    match At::of(value.get_ref()) {
        At::Table(table) => {
            table.iter().any(|(key, value)| key.span().contains(&offset) || holds(value, offset))
        }
        At::List(list) => list.iter().any(|value| holds(value, offset)),
        At::Leaf => false,
    }
}

/// `parent.name`, the name in quotes where TOML wants them.
pub(crate) fn join(parent: &str, name: &str) -> String {
    let name = key_text(name);
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}

/// A key as TOML writes it: bare where that is allowed, else in quotes.
pub(crate) fn key_text(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) {
        return name.to_owned();
    }
    string_text(name)
}

/// A text as TOML writes it: on one line, in double quotes.
pub(crate) fn string_text(content: &str) -> String {
    let mut text = String::from("\"");
    for letter in content.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Where a walk through the tree stands.
#[derive(Clone, Copy)]
enum At<'a> {
    Table(&'a DeTable<'a>),
    List(&'a [Spanned<DeValue<'a>>]),
    Leaf,
}

impl<'a> At<'a> {
    fn of(value: &'a DeValue<'a>) -> Self {
        match value {
            DeValue::Table(table) => Self::Table(table),
            DeValue::Array(list) => Self::List(list),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => Self::Leaf,
        }
    }
}

/// Takes a key path apart; `None` when it is none.
fn steps(key: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = key;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
            continue;
        }
        if !steps.is_empty() {
            rest = rest.strip_prefix('.')?;
        }
        let end = if rest.starts_with('"') {
            quoted_end(rest)?
        } else {
            rest.find(['.', '[']).unwrap_or(rest.len())
        };
        let (name, after) = rest.split_at(end);
        steps.push(Step::Key(unquoted(name)?));
        rest = after;
    }
    Some(steps)
}

fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, letter)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(at + 1)
    })
}

fn unquoted(name: &str) -> Option<String> {
    if !name.starts_with('"') {
        return (!name.is_empty()).then(|| name.to_owned());
    }
    let value = DeValue::parse(name).ok()?;
    value.get_ref().as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str =
        "a = 1\n\n[b.c]\n  d = [10,\n    20]\n[[e]]\nf = { \"g.h\" = 'é', i = 2 }\n[[e]]\n\tf = 3\n";

    #[test]
    fn keys_are_found_where_they_stand() {
        let check = |key, expected| assert_eq!(locate(TEXT, key), expected, "{key}");
        check("", Some((1, 1)));
        check("a", Some((1, 1)));
        check("b", Some((3, 2)));
        check("b.c", Some((3, 4)));
        check("b.c.d", Some((4, 3)));
        check("b.c.d[0]", Some((4, 8)));
        check("b.c.d[1]", Some((5, 5)));
        check("e", Some((6, 3)));
        check("e[0]", Some((6, 1)));
        check("e[1]", Some((8, 1)));
        check("e[0].f.\"g.h\"", Some((7, 7)));
        check("e[0].f.i", Some((7, 20)));
        check("e[1].f", Some((9, 2)));
        for absent in ["z", "a.b", "a[0]", "e.f", "e[2]", "b[0]", "e[", "e[x]", ".a", "a.", "\"a", "e[0]f"] {
            check(absent, None);
        }
        assert_eq!(locate("a = ", "a"), None);
    }

    #[test]
    fn the_key_at_an_offset_is_the_innermost() {
        let tree = DeTable::parse(TEXT).unwrap();
        let check = |needle: &str, expected: &str| {
            let offset = TEXT.find(needle).unwrap();
            assert_eq!(key_at(tree.get_ref(), offset), expected, "{needle}");
        };
        check("a = 1", "a");
        check("10,", "b.c.d[0]");
        check("i = 2", "e[0].f.i");
        check("3\n", "e[1].f");
        check("\n\n[b", "");
    }

    #[test]
    fn the_parent_of_a_key_is_one_step_shorter() {
        let check = |key, expected: Option<&str>| assert_eq!(parent(key).as_deref(), expected, "{key}");
        check("routes[1].upstream", Some("routes[1]"));
        check("routes[1]", Some("routes"));
        check("a.\"b.c\".d", Some("a.\"b.c\""));
        check("a", Some(""));
        check("", None);
    }

    #[test]
    fn columns_are_characters_and_offsets_out_of_range_do_no_harm() {
        assert_eq!(line_and_column("é = 1\nü", 3), (1, 3));
        assert_eq!(line_and_column("é", 1), (1, 1));
        assert_eq!(line_and_column("a\n", 99), (2, 1));
        assert_eq!(line("a\r\nb", 1), "a");
        assert_eq!(line("a", 9), "");
    }

    proptest! {
        #[test]
        fn any_name_is_found_under_the_key_it_is_joined_to(name in any::<String>()) {
            let text = format!("[a]\n{} = 1\n", key_text(&name));
            prop_assert_eq!(locate(&text, &join("a", &name)), Some((2, 1)));
        }

        #[test]
        fn no_key_makes_it_panic(key in ".{0,40}", steps in "[a-c.\\[\\]\"\\\\0-9]{0,20}") {
            let _ = (locate(TEXT, &key), parent(&key), locate(TEXT, &steps), parent(&steps));
        }
    }
}
