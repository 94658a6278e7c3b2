//! Reads the executable part of a GraphQL document (GraphQL specification, October 2021, §2.2 to §2.12), without recursion and
//! without a tree: what each definition holds is counted.

use super::{
    Flaw, OperationKind,
    lexer::{Lexer, Token},
};
use crate::{Bound, Shape};

/// Is told what stands in a document as it goes by.
pub(super) trait Listener {
    /// Takes a name, and steps to what it names.
    fn key(&mut self, name: &str);

    /// Steps to the first element of a list, or on to the next one.
    fn element(&mut self, first: bool);

    /// Steps back from what a name or a list led to.
    fn up(&mut self);

    /// Takes a literal. Of text the escapes stand as they were written.
    fn literal(&mut self, shape: Shape, text: &str, escaped: bool);
}

/// Listens to nothing.
impl Listener for () {
    fn key(&mut self, _: &str) {}
    fn element(&mut self, _: bool) {}
    fn up(&mut self) {}
    fn literal(&mut self, _: Shape, _: &str, _: bool) {}
}

/// An operation or a fragment by itself, without what it spreads.
#[derive(Debug)]
pub(super) struct Definition<'a> {
    /// The kind of the operation; `None` for a fragment.
    pub(super) kind: Option<OperationKind>,
    pub(super) name: Option<&'a str>,
    pub(super) variables: u32,
    pub(super) fields: u32,
    pub(super) aliases: u32,
    pub(super) directives: u32,
    pub(super) depth: u32,
    pub(super) breadth: u32,
    pub(super) introspection: bool,
    /// Where its root fields stand in the document's list.
    pub(super) roots: std::ops::Range<usize>,
    /// Where its spreads stand in the document's list.
    pub(super) spreads: std::ops::Range<usize>,
}

/// A fragment that is spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread<'a> {
    pub(super) name: &'a str,
    /// How deep the fields of the fragment come to stand, from 1.
    pub(super) depth: u32,
}

/// What a document holds, definition by definition.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    pub(super) definitions: Vec<Definition<'a>>,
    pub(super) roots: Vec<&'a str>,
    pub(super) spreads: Vec<Spread<'a>>,
    pub(super) tokens: usize,
    /// What ended the reading.
    pub(super) flaw: Option<Flaw>,
    /// Where it ended.
    pub(super) end: usize,
}

/// Reads a document, with selections and literals inside one another no deeper than `depth`.
pub(super) fn parse<'a>(text: &'a str, depth: usize, listener: &mut dyn Listener) -> Document<'a> {
    let mut parser =
        Parser { lexer: Lexer::new(text), peeked: None, document: Document::default(), depth, listener };
    if let Err((at, flaw)) = parser.document() {
        parser.document.flaw = Some(flaw);
        parser.document.end = at;
    } else {
        parser.document.end = text.len();
    }
    parser.document
}

/// Why reading ended, and where.
type Stopped = (usize, Flaw);

struct Parser<'a, 'l> {
    lexer: Lexer<'a>,
    peeked: Option<(usize, Token<'a>)>,
    document: Document<'a>,
    depth: usize,
    listener: &'l mut dyn Listener,
}

/// A selection set that is open.
struct Level {
    /// Whether a field opened it, not a definition or an inline fragment.
    of_field: bool,
    selections: u32,
    fields: u32,
}

fn syntax(at: usize) -> Stopped {
    (at, Flaw::Syntax { at })
}

impl<'a> Parser<'a, '_> {
    fn peek(&mut self) -> Result<(usize, Token<'a>), Stopped> {
        if let Some(peeked) = self.peeked {
            return Ok(peeked);
        }
        let token = self.lexer.next().map_err(syntax)?;
        self.document.tokens += usize::from(token.1 != Token::End);
        self.peeked = Some(token);
        Ok(token)
    }

    fn next(&mut self) -> Result<(usize, Token<'a>), Stopped> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    /// Takes the mark if it is the next token.
    fn takes(&mut self, mark: u8) -> Result<bool, Stopped> {
        let found = self.peek()?.1 == Token::Mark(mark);
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: u8) -> Result<(), Stopped> {
        let (at, token) = self.next()?;
        if token == Token::Mark(mark) { Ok(()) } else { Err(syntax(at)) }
    }

    fn name(&mut self) -> Result<&'a str, Stopped> {
        match self.next()? {
            (_, Token::Name(name)) => Ok(name),
            (at, _) => Err(syntax(at)),
        }
    }

    fn document(&mut self) -> Result<(), Stopped> {
        loop {
            // A description may stand before a definition (since September 2025).
            if let Token::Text(_) | Token::Block(_) = self.peek()?.1 {
                self.next()?;
            }
            match self.peek()? {
                (at, Token::End) if self.document.definitions.is_empty() => return Err(syntax(at)),
                (_, Token::End) => return Ok(()),
                (_, Token::Mark(b'{')) => self.operation(OperationKind::Query, false)?,
                (_, Token::Name("query")) => self.operation(OperationKind::Query, true)?,
                (_, Token::Name("mutation")) => self.operation(OperationKind::Mutation, true)?,
                (_, Token::Name("subscription")) => self.operation(OperationKind::Subscription, true)?,
                (_, Token::Name("fragment")) => self.fragment()?,
                (at, _) => return Err(syntax(at)),
            }
        }
    }

    fn begin(&mut self, kind: Option<OperationKind>, name: Option<&'a str>) -> Definition<'a> {
        let (roots, spreads) = (self.document.roots.len(), self.document.spreads.len());
        Definition {
            kind,
            name,
            variables: 0,
            fields: 0,
            aliases: 0,
            directives: 0,
            depth: 0,
            breadth: 0,
            introspection: false,
            roots: roots..roots,
            spreads: spreads..spreads,
        }
    }

    fn operation(&mut self, kind: OperationKind, long: bool) -> Result<(), Stopped> {
        let mut definition = self.begin(Some(kind), None);
        if long {
            self.next()?;
            if let Token::Name(name) = self.peek()?.1 {
                self.next()?;
                definition.name = Some(name);
                self.tell_name(name);
            }
            self.variables(&mut definition)?;
            self.directives(&mut definition)?;
        }
        self.selections(&mut definition)?;
        self.end(definition);
        Ok(())
    }

    fn fragment(&mut self) -> Result<(), Stopped> {
        self.next()?;
        let (at, _) = self.peek()?;
        let name = self.name()?;
        let (on_at, _) = self.peek()?;
        if name == "on" {
            return Err(syntax(at));
        }
        if self.name()? != "on" {
            return Err(syntax(on_at));
        }
        self.name()?;
        self.tell_name(name);
        let mut definition = self.begin(None, Some(name));
        self.directives(&mut definition)?;
        self.selections(&mut definition)?;
        self.end(definition);
        Ok(())
    }

    fn end(&mut self, mut definition: Definition<'a>) {
        definition.roots.end = self.document.roots.len();
        definition.spreads.end = self.document.spreads.len();
        self.document.definitions.push(definition);
    }

    /// Tells of a name that nothing stands under.
    fn tell_name(&mut self, name: &str) {
        self.listener.key(name);
        self.listener.up();
    }

    fn variables(&mut self, definition: &mut Definition<'a>) -> Result<(), Stopped> {
        if !self.takes(b'(')? {
            return Ok(());
        }
        loop {
            if let Token::Text(_) | Token::Block(_) = self.peek()?.1 {
                self.next()?;
            }
            self.expect(b'$')?;
            let name = self.name()?;
            definition.variables = definition.variables.saturating_add(1);
            self.expect(b':')?;
            self.type_reference()?;
            self.listener.key(name);
            if self.takes(b'=')? {
                self.value()?;
            }
            self.listener.up();
            self.directives(definition)?;
            if self.takes(b')')? {
                return Ok(());
            }
        }
    }

    /// Reads a type: a name in any number of brackets, each followed by `!` or not.
    fn type_reference(&mut self) -> Result<(), Stopped> {
        let mut open = 0_usize;
        while self.takes(b'[')? {
            open += 1;
        }
        self.name()?;
        self.takes(b'!')?;
        while open > 0 {
            self.expect(b']')?;
            self.takes(b'!')?;
            open -= 1;
        }
        Ok(())
    }

    fn directives(&mut self, definition: &mut Definition<'a>) -> Result<(), Stopped> {
        while self.takes(b'@')? {
            let name = self.name()?;
            definition.directives = definition.directives.saturating_add(1);
            self.listener.key(name);
            self.arguments()?;
            self.listener.up();
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<(), Stopped> {
        if !self.takes(b'(')? {
            return Ok(());
        }
        loop {
            let name = self.name()?;
            self.expect(b':')?;
            self.listener.key(name);
            self.value()?;
            self.listener.up();
            if self.takes(b')')? {
                return Ok(());
            }
        }
    }

    /// Reads a selection set with all that is in it.
    fn selections(&mut self, definition: &mut Definition<'a>) -> Result<(), Stopped> {
        self.expect(b'{')?;
        let mut levels = vec![Level { of_field: false, selections: 0, fields: 0 }];
        let mut depth = 1_u32;
        while let Some(level) = levels.last_mut() {
            let (at, token) = self.next()?;
            level.selections = level.selections.saturating_add(1);
            match token {
                Token::Mark(b'}') if level.selections == 1 => return Err(syntax(at)),
                Token::Mark(b'}') => {
                    if level.of_field {
                        depth -= 1;
                        self.listener.up();
                    }
                    levels.pop();
                    continue;
                }
                Token::Name(first) => {
                    level.fields += 1;
                    definition.breadth = definition.breadth.max(level.fields);
                    definition.depth = definition.depth.max(depth);
                    if self.field(first, depth, definition)? {
                        depth += 1;
                        levels.push(Level { of_field: true, selections: 0, fields: 0 });
                    }
                }
                Token::Spread => {
                    if self.spread(depth, definition)? {
                        levels.push(Level { of_field: false, selections: 0, fields: 0 });
                    }
                }
                Token::Mark(_) | Token::Number(_) | Token::Text(_) | Token::Block(_) | Token::End => {
                    return Err(syntax(at));
                }
            }
            if levels.len() > self.depth {
                return Err((at, Flaw::Bound(Bound::Depth)));
            }
        }
        Ok(())
    }

    /// Reads a field whose first name was read; tells whether a selection set was opened.
    fn field(
        &mut self,
        first: &'a str,
        depth: u32,
        definition: &mut Definition<'a>,
    ) -> Result<bool, Stopped> {
        let mut name = first;
        if self.takes(b':')? {
            name = self.name()?;
            definition.aliases += 1;
            self.tell_name(first);
        }
        definition.fields += 1;
        definition.introspection |= name == "__schema" || name == "__type";
        if depth == 1 {
            self.document.roots.push(name);
        }
        self.listener.key(name);
        self.arguments()?;
        self.directives(definition)?;
        let opened = self.takes(b'{')?;
        if !opened {
            self.listener.up();
        }
        Ok(opened)
    }

    /// Reads what follows `...`; tells whether a selection set was opened.
    fn spread(&mut self, depth: u32, definition: &mut Definition<'a>) -> Result<bool, Stopped> {
        match self.peek()?.1 {
            Token::Name("on") => {
                self.next()?;
                self.name()?;
            }
            Token::Name(name) => {
                self.next()?;
                self.document.spreads.push(Spread { name, depth });
                self.directives(definition)?;
                return Ok(false);
            }
            Token::Mark(_)
            | Token::Spread
            | Token::Number(_)
            | Token::Text(_)
            | Token::Block(_)
            | Token::End => {}
        }
        self.directives(definition)?;
        self.expect(b'{')?;
        Ok(true)
    }

    /// Reads a value with all that is in it.
    fn value(&mut self) -> Result<(), Stopped> {
        /// A container that is open.
        enum In {
            List,
            Object,
        }
        let mut open: Vec<In> = Vec::new();
        loop {
            let (at, token) = self.next()?;
            let complete = match token {
                Token::Mark(b'[') => self.takes(b']')?,
                Token::Mark(b'{') => self.takes(b'}')?,
                Token::Mark(b'$') => self.name().map(|_| true)?,
                Token::Name(_)
                | Token::Number(_)
                | Token::Text(_)
                | Token::Block(_)
                | Token::Spread
                | Token::Mark(_)
                | Token::End => self.literal(at, token).map(|()| true)?,
            };
            if !complete {
                if open.len() >= self.depth {
                    return Err((at, Flaw::Bound(Bound::Depth)));
                }
                if token == Token::Mark(b'[') {
                    open.push(In::List);
                    self.listener.element(true);
                } else {
                    open.push(In::Object);
                    self.member()?;
                }
                continue;
            }
            // A value is complete: go on in what it stands in, and close what ends here.
            loop {
                let closed = match open.last() {
                    None => return Ok(()),
                    Some(In::List) => {
                        let closed = self.takes(b']')?;
                        if !closed {
                            self.listener.element(false);
                        }
                        closed
                    }
                    Some(In::Object) => {
                        self.listener.up();
                        let closed = self.takes(b'}')?;
                        if !closed {
                            self.member()?;
                        }
                        closed
                    }
                };
                if !closed {
                    break;
                }
                if let Some(In::List) = open.pop() {
                    self.listener.up();
                }
            }
        }
    }

    /// Reads the name of an object's member and steps to it.
    fn member(&mut self) -> Result<(), Stopped> {
        let name = self.name()?;
        self.expect(b':')?;
        self.listener.key(name);
        Ok(())
    }

    /// Tells of a value that holds no other ones.
    fn literal(&mut self, at: usize, token: Token<'a>) -> Result<(), Stopped> {
        let (shape, text, escaped) = match token {
            Token::Number(text) => (Shape::Number, text, false),
            Token::Text(text) => (Shape::String, text, true),
            Token::Block(text) => (Shape::String, text, false),
            Token::Name(word @ ("true" | "false")) => (Shape::Boolean, word, false),
            Token::Name("null") => (Shape::Null, "null", false),
            Token::Name(word) => (Shape::String, word, false),
            Token::Mark(_) | Token::Spread | Token::End => return Err(syntax(at)),
        };
        self.listener.literal(shape, text, escaped);
        Ok(())
    }
}
