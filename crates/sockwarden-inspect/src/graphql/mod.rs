//! GraphQL documents: what a request asks for, and how much of it, without knowing the schema.

mod lexer;
mod parser;

use std::collections::BTreeMap;

use crate::{Anomaly, Bound, Format, InspectLimits, Marks, Role, Shape, content, walk::Walk};
use parser::{Definition, Document, Listener};

/// The most bytes of the names of root fields that are gathered for all operations of one document.
const ROOTS: usize = 256 * 1024;

/// How large a GraphQL document is (October 2021 specification; only what can be executed).
///
/// It is found in one pass; fragments are counted as often as they are spread, which takes no longer than reading the document, however
/// large the numbers become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure<'a> {
    /// Its operations, in their order.
    pub operations: Vec<Requested<'a>>,
    /// How many tokens it has, up to where it stops being well-formed.
    pub tokens: usize,
    /// What is wrong with it.
    pub flaws: Vec<Flaw>,
}

/// One operation of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested<'a> {
    /// What kind of operation it is.
    pub kind: OperationKind,
    /// Its name, which whoever wrote it chose.
    pub name: Option<&'a str>,
    /// The root fields that it asks for, through fragments too, each once for each time it is written.
    pub roots: Vec<&'a str>,
    /// How deep its fields stand inside one another; a root field stands at 1.
    pub depth: u32,
    /// The most fields that are written in one selection set, of it or of a fragment.
    pub breadth: u32,
    /// How many fields it has.
    pub fields: u64,
    /// How many of them have an alias.
    pub aliases: u64,
    /// How many directives it has.
    pub directives: u64,
    /// How many variables it declares.
    pub variables: u32,
    /// Whether it asks for the schema (`__schema`, `__type`).
    pub introspection: bool,
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Asks for a stream of answers.
    Subscription,
}

impl OperationKind {
    /// Its name, as documents write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// It cannot be read from the byte on; what comes before it counts.
    Syntax {
        /// The first byte of what cannot be read.
        at: usize,
    },
    /// A fragment spreads itself, by way of others or not (§5.5.2.2).
    Cycle,
    /// A fragment is spread that there is not (§5.5.2.1).
    UnknownFragment,
    /// Two fragments (§5.5.1.1) or two operations (§5.2.1.1) have one name.
    DuplicateName,
    /// A bound was hit; what lies beyond it does not count.
    Bound(Bound),
}

impl<'a> Measure<'a> {
    /// Measures a document; selections inside one another count to the limit `depth`.
    pub fn of(document: &'a str, limits: &InspectLimits) -> Self {
        Self::from(&parser::parse(document, usize::from(limits.depth), &mut ()))
    }

    /// Gives the operations that a server executes when it is asked for this one: of that name, or the only one where no name is given.
    ///
    /// It gives none where the server has to refuse the request, and several where they have the same name.
    pub fn executed(&self, name: Option<&str>) -> impl Iterator<Item = &Requested<'a>> {
        let only = self.operations.len() == 1;
        self.operations.iter().filter(move |operation| match name {
            None | Some("") => only,
            name => operation.name == name,
        })
    }

    fn from(document: &Document<'a>) -> Self {
        let mut flaws: Vec<Flaw> = document.flaw.into_iter().collect();
        let fragments = fragments(document, &mut flaws);
        let totals = totals(document, &fragments, &mut flaws);
        let mut roots =
            Roots { document, fragments: &fragments, seen: vec![0; document.definitions.len()], room: ROOTS };
        let mut operations: Vec<Requested<'a>> = Vec::new();
        let mut names = BTreeMap::new();
        for (number, definition) in document.definitions.iter().enumerate() {
            let (Some(kind), Some(total)) = (definition.kind, totals.get(number)) else { continue };
            if names.insert(definition.name, ()).is_some() {
                flaws.push(Flaw::DuplicateName);
            }
            operations.push(Requested {
                kind,
                name: definition.name,
                roots: roots.of(number),
                depth: total.depth,
                breadth: total.breadth,
                fields: total.fields,
                aliases: total.aliases,
                directives: total.directives,
                variables: definition.variables,
                introspection: total.introspection,
            });
        }
        if roots.room == 0 {
            flaws.push(Flaw::Bound(Bound::Values));
        }
        // Each kind of flaw is told once.
        let mut told = Vec::new();
        flaws.retain(|flaw| {
            !told.contains(flaw) && {
                told.push(*flaw);
                true
            }
        });
        Self { operations, tokens: document.tokens, flaws }
    }
}

/// Finds the fragments by their names; the first of a name counts.
fn fragments<'a>(document: &Document<'a>, flaws: &mut Vec<Flaw>) -> BTreeMap<&'a str, usize> {
    let mut fragments = BTreeMap::new();
    for (number, definition) in document.definitions.iter().enumerate() {
        if let (None, Some(name)) = (definition.kind, definition.name)
            && *fragments.entry(name).or_insert(number) != number
        {
            flaws.push(Flaw::DuplicateName);
        }
    }
    fragments
}

/// What a definition comes to with all that it spreads.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    fields: u64,
    aliases: u64,
    directives: u64,
    depth: u32,
    breadth: u32,
    introspection: bool,
}

impl Total {
    fn of(definition: &Definition<'_>) -> Self {
        Self {
            fields: definition.fields.into(),
            aliases: definition.aliases.into(),
            directives: definition.directives.into(),
            depth: definition.depth,
            breadth: definition.breadth,
            introspection: definition.introspection,
        }
    }

    /// Adds a fragment whose fields stand at this depth.
    fn add(&mut self, fragment: &Self, depth: u32) {
        self.fields = self.fields.saturating_add(fragment.fields);
        self.aliases = self.aliases.saturating_add(fragment.aliases);
        self.directives = self.directives.saturating_add(fragment.directives);
        if fragment.depth > 0 {
            self.depth = self.depth.max((depth - 1).saturating_add(fragment.depth));
        }
        self.breadth = self.breadth.max(fragment.breadth);
        self.introspection |= fragment.introspection;
    }
}

/// Adds up each definition once, after those that it spreads.
fn totals(document: &Document<'_>, fragments: &BTreeMap<&str, usize>, flaws: &mut Vec<Flaw>) -> Vec<Total> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let definitions = &document.definitions;
    let mut totals: Vec<Total> = definitions.iter().map(Total::of).collect();
    let mut states = vec![State::New; definitions.len()];
    // Definitions that are being added up, each with its next spread.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for first in 0..definitions.len() {
        if states[first] == State::New {
            states[first] = State::Open;
            open.push((first, definitions[first].spreads.start));
        }
        while let Some((number, at)) = open.last_mut() {
            let (number, spread) = (*number, *at);
            if spread >= definitions[number].spreads.end {
                states[number] = State::Done;
                open.pop();
                continue;
            }
            let wanted = &document.spreads[spread];
            match fragments.get(wanted.name).map(|&fragment| (fragment, states[fragment])) {
                None => flaws.push(Flaw::UnknownFragment),
                Some((_, State::Open)) => flaws.push(Flaw::Cycle),
                Some((fragment, State::Done)) => {
                    let total = totals[fragment];
                    totals[number].add(&total, wanted.depth);
                }
                Some((fragment, State::New)) => {
                    states[fragment] = State::Open;
                    open.push((fragment, definitions[fragment].spreads.start));
                    // The spread is looked at again when the fragment is done.
                    continue;
                }
            }
            *at += 1;
        }
    }
    totals
}

/// Gathers root fields.
struct Roots<'d, 'a> {
    document: &'d Document<'a>,
    fragments: &'d BTreeMap<&'a str, usize>,
    /// The operation (plus one) that a definition was gathered for last.
    seen: Vec<usize>,
    room: usize,
}

impl<'a> Roots<'_, 'a> {
    /// Gives the root fields of an operation, those of its fragments after its own.
    fn of(&mut self, operation: usize) -> Vec<&'a str> {
        let (mut roots, mut left) = (Vec::new(), vec![operation]);
        while let Some(number) = left.pop() {
            if std::mem::replace(&mut self.seen[number], operation + 1) == operation + 1 {
                continue;
            }
            let definition = &self.document.definitions[number];
            let spreads = &self.document.spreads[definition.spreads.clone()];
            let fields = &self.document.roots[definition.roots.clone()];
            let work = fields.iter().map(|name| name.len() + 1).sum::<usize>() + spreads.len() + 1;
            if self.room < work {
                self.room = 0;
                break;
            }
            self.room -= work;
            roots.extend_from_slice(fields);
            let at_root = spreads.iter().filter(|spread| spread.depth == 1);
            left.extend(at_root.filter_map(|spread| self.fragments.get(spread.name)));
        }
        roots
    }
}

/// Reads a document that stands in a message: tells its names as keys, its literals as values, and what is wrong with it.
pub(crate) fn whole<'a>(walk: &mut Walk<'_>, text: &'a str) -> Measure<'a> {
    let (depth, base) = (usize::from(walk.limits.depth), walk.state.path.len());
    let document = parser::parse(text, depth, &mut Telling { walk });
    walk.state.path.truncate(base);
    let measure = Measure::from(&document);
    for flaw in &measure.flaws {
        match flaw {
            Flaw::Syntax { at } => walk.anomaly(Anomaly::Malformed { format: Format::GraphQl, at: *at }),
            Flaw::Bound(bound) => walk.anomaly(Anomaly::Bound(*bound)),
            // Whether these matter is up to who carries the document.
            Flaw::Cycle | Flaw::UnknownFragment | Flaw::DuplicateName => {}
        }
    }
    content::rest(walk, text.as_bytes().get(document.end..).unwrap_or_default());
    measure
}

/// Tells what a document holds.
struct Telling<'w, 's> {
    walk: &'w mut Walk<'s>,
}

impl Listener for Telling<'_, '_> {
    fn key(&mut self, name: &str) {
        self.walk.state.path.push_key(name.as_bytes());
        self.walk.value(Role::Key, Shape::String, name.as_bytes(), Marks::of(name.as_bytes()));
    }

    fn element(&mut self, first: bool) {
        if first {
            self.walk.state.path.push_index(0);
        } else {
            self.walk.state.path.next_index();
        }
    }

    fn up(&mut self) {
        self.walk.state.path.pop();
    }

    fn literal(&mut self, shape: Shape, text: &str, escaped: bool) {
        let mut resolved = self.walk.buffer();
        let text = if escaped && text.contains('\\') {
            lexer::unescaped(text, &mut resolved);
            resolved.as_slice()
        } else {
            text.as_bytes()
        };
        let marks = Marks::of(text);
        self.walk.value(Role::Value, shape, text, marks);
        if shape == Shape::String {
            content::follow(self.walk, text, marks);
        }
        self.walk.give(resolved);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes down a measure, an operation per line.
    fn measured(text: &str) -> String {
        let measure = Measure::of(text, &InspectLimits::default());
        let mut out: Vec<String> = Vec::new();
        for operation in &measure.operations {
            let Requested {
                kind,
                name,
                roots,
                depth,
                breadth,
                fields,
                aliases,
                directives,
                variables,
                introspection,
            } = operation;
            let name = name.unwrap_or("-");
            let mut line = format!(
                "{} {name} [{}] depth {depth} breadth {breadth} fields {fields}",
                kind.name(),
                roots.join(",")
            );
            for (number, what) in
                [(*aliases, "aliases"), (*directives, "directives"), (u64::from(*variables), "variables")]
            {
                if number > 0 {
                    line += &format!(" {what} {number}");
                }
            }
            out.push(line + if *introspection { " introspection" } else { "" });
        }
        out.extend(measure.flaws.iter().map(|flaw| format!("! {flaw:?}")));
        out.join("; ")
    }

    #[test]
    fn documents_are_measured() {
        let check = |text: &str, expected: &str| assert_eq!(measured(text), expected, "{text}");
        check("{a}", "query - [a] depth 1 breadth 1 fields 1");
        check("{a b{c d{e}}}", "query - [a,b] depth 3 breadth 2 fields 5");
        check(
            "mutation M($x: [Int!]! = [1, 2] @d, $y: T) @live { x: add(v: $x, o: {a: \"}\", b: [{}, []]}) @include(if: true) { id } }",
            "mutation M [add] depth 2 breadth 1 fields 2 aliases 1 directives 3 variables 2",
        );
        check(
            "subscription OnMessage { messageAdded(room: 1) { ...F } } fragment F on M { id text author { ...G } } fragment G on U { name }",
            "subscription OnMessage [messageAdded] depth 3 breadth 3 fields 5",
        );
        check(
            "{ ...F ... on Q { b } ... @skip(if: false) { c } } fragment F on Q { a { x } d }",
            "query - [b,c,a,d] depth 2 breadth 2 fields 5 directives 1",
        );
        check(
            "query A { a } query B { __schema { types { name } } }",
            "query A [a] depth 1 breadth 1 fields 1; query B [__schema] depth 3 breadth 1 fields 3 introspection",
        );
        check(
            "{ ...F } fragment F on Q { __type(name: \"U\") { name } }",
            "query - [__type] depth 2 breadth 1 fields 2 introspection",
        );
        check("{ __typename }", "query - [__typename] depth 1 breadth 1 fields 1");
        check("\"\"\"why\"\"\" query Q { a }", "query Q [a] depth 1 breadth 1 fields 1");
        check("query on { on(fragment: query) { type } }", "query on [on] depth 2 breadth 1 fields 2");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |text: &str, expected: &str| assert_eq!(measured(text), expected, "{text}");
        check("", "! Syntax { at: 0 }");
        check("{}", "! Syntax { at: 1 }");
        check("{a", "! Syntax { at: 2 }");
        check("{a(", "! Syntax { at: 3 }");
        check("{a()}", "! Syntax { at: 3 }");
        check("{a(b: [1)}", "! Syntax { at: 8 }");
        check("{a(b: {c 1})}", "! Syntax { at: 9 }");
        check("type T { a: Int }", "! Syntax { at: 0 }");
        check("fragment on on Q { a }", "! Syntax { at: 9 }");
        check("{a} x", "query - [a] depth 1 breadth 1 fields 1; ! Syntax { at: 4 }");
        check("{...F}", "query - [] depth 0 breadth 0 fields 0; ! UnknownFragment");
        check(
            "{a ...F} fragment F on Q {b ...G} fragment G on Q {c ...F}",
            "query - [a,b,c] depth 1 breadth 1 fields 3; ! Cycle",
        );
        check(
            "{...F} fragment F on Q {b} fragment F on Q {c}",
            "query - [b] depth 1 breadth 1 fields 1; ! DuplicateName",
        );
        check(
            "query A {a} query A {b}",
            "query A [a] depth 1 breadth 1 fields 1; query A [b] depth 1 breadth 1 fields 1; ! DuplicateName",
        );
        check(&format!("{}a{}", "{a".repeat(100), "}".repeat(100)), "! Bound(Depth)");
        check(&format!("{{a(b: {}1{})}}", "[".repeat(100), "]".repeat(100)), "! Bound(Depth)");
    }

    #[test]
    fn fragments_that_double_take_no_longer_than_they_are() {
        let mut text = "{...F0}".to_owned();
        for number in 0..3000 {
            text += &format!("fragment F{number} on Q {{ ...F{0} ...F{0} }}", number + 1);
        }
        text += "fragment F3000 on Q { a }";
        assert_eq!(measured(&text), format!("query - [a] depth 1 breadth 1 fields {}", u64::MAX));
    }

    #[test]
    fn roots_of_many_operations_are_bounded() {
        let mut text = format!("fragment F on Q {{ {} }}", "a ".repeat(1000));
        for number in 0..1000 {
            text += &format!("query Q{number} {{ ...F }} ");
        }
        let measure = Measure::of(&text, &InspectLimits::default());
        assert_eq!(measure.flaws, [Flaw::Bound(Bound::Values)]);
        assert!(measure.operations.iter().map(|operation| operation.roots.len()).sum::<usize>() <= ROOTS);
    }

    #[test]
    fn what_is_executed_is_what_is_asked_for() {
        let check = |text: &str, name: Option<&str>, expected: &[&str]| {
            let measure = Measure::of(text, &InspectLimits::default());
            let roots: Vec<&str> =
                measure.executed(name).flat_map(|found| found.roots.iter().copied()).collect();
            assert_eq!(roots, expected, "{text} {name:?}");
        };
        check("{a}", None, &["a"]);
        check("query A {a} query B {b}", Some("B"), &["b"]);
        check("query A {a} query B {b}", None, &[]);
        check("query A {a}", Some("B"), &[]);
        check("query A {a}", Some(""), &["a"]);
    }

    proptest! {
        #[test]
        fn any_text_is_measured(text: String) {
            measured(&text);
        }

        #[test]
        fn any_tokens_are_measured(tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "(", ")", "[", "]", ":", "=", "$", "@", "...", "on", "query", "fragment", "a", "F", "1", "\"s\"", "!", "true",
        ]), 0..60)) {
            measured(&tokens.join(" "));
        }
    }
}
