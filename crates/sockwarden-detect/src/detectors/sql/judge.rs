//! Whether code goes on with a statement that is none of its own: an expression that changes a condition, a second query, a second
//! statement, or a comment that swallows the rest.

use super::{
    lexer::{Token, Word},
    operand::{Kind, Operand},
    pieces::{Piece, What},
};

/// What a shape is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Condition,
    Union,
    Stacked,
    Comment,
    Expression,
    Clause,
    Function,
    Statement,
}

/// A shape that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) shape: Shape,
    pub(super) weight: u8,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How sure it is that code goes on behind a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Footing {
    /// Behind a name, or an apostrophe: it may be a sentence.
    Loose,
    /// At the begin of the text.
    Begin,
    /// Behind a number, a string or a bracket.
    Firm,
    /// Behind the end of the string in which the text began.
    Broken,
}

/// Code that is judged.
pub(super) struct Judge<'a> {
    pub(super) pieces: &'a [Piece],
    /// How long the whole text is.
    pub(super) length: usize,
    pub(super) found: &'a mut Vec<Found>,
}

impl Judge<'_> {
    /// Looks at each place where code can go on. What is looked at from there is bounded.
    pub(super) fn judge(&mut self) {
        for at in 0..self.pieces.len() {
            self.danger(at);
            let Some(footing) = self.footing(at) else { continue };
            // Brackets that the statement opened are closed first.
            let mut next = at + 1;
            while next < at + 9 && self.is(next, Token::Close) {
                next += 1;
            }
            let closed = next > at + 1;
            let footing =
                if closed && footing < Footing::Broken { footing.max(Footing::Firm) } else { footing };
            self.condition(at, next, footing);
            // A sub-query is given a name: `1) as x where 1=1`.
            if footing >= Footing::Firm
                && self.is_word(next, Word::Name)
                && self.is_word(next + 1, Word::Name)
            {
                self.condition(at, next + 2, footing);
            }
            self.union(at, next, footing);
            self.stacked(at, next, footing);
            self.comment(at, next, footing, closed);
            self.expression(at, next, footing);
            self.clause(at, next, footing);
            self.query(at, next, footing);
            if footing == Footing::Begin && !closed {
                self.statement(next);
            }
        }
    }

    pub(super) fn what(&self, at: usize) -> Option<What> {
        self.pieces.get(at).map(|piece| piece.what)
    }

    pub(super) fn is(&self, at: usize, token: Token) -> bool {
        self.what(at) == Some(What::Token(token))
    }

    pub(super) fn is_word(&self, at: usize, word: Word) -> bool {
        self.is(at, Token::Word(word))
    }

    pub(super) fn word(&self, at: usize) -> Option<Word> {
        match self.what(at) {
            Some(What::Token(Token::Word(word))) => Some(word),
            Some(_) | None => None,
        }
    }

    fn add(&mut self, shape: Shape, weight: u8, from: usize, to: usize) {
        let start = self.pieces.get(from).map_or(0, |piece| piece.start);
        let end =
            self.pieces.get(to.min(self.pieces.len().saturating_sub(1))).map_or(start, |piece| piece.end);
        match self.found.iter_mut().find(|found| found.shape == shape) {
            Some(found) if found.weight >= weight => {}
            Some(found) => *found = Found { shape, weight, start, end },
            None => self.found.push(Found { shape, weight, start, end }),
        }
    }

    /// Tells what code goes on behind this piece.
    fn footing(&self, at: usize) -> Option<Footing> {
        Some(match self.what(at)? {
            What::Start => Footing::Begin,
            What::Break => Footing::Broken,
            What::Apostrophe => Footing::Loose,
            What::Text => Footing::Firm,
            What::OpenText | What::Comment => return None,
            What::Token(token) => match token {
                Token::Number | Token::Close | Token::Variable | Token::Word(Word::Constant) => Footing::Firm,
                Token::Word(Word::Name) => Footing::Loose,
                // A second statement has a begin as well.
                Token::Semicolon => return None,
                Token::Quote(_)
                | Token::Word(_)
                | Token::Compare
                | Token::Operator
                | Token::Logic
                | Token::Not
                | Token::Comma
                | Token::Dot
                | Token::Open
                | Token::Line
                | Token::Block
                | Token::Unblock
                | Token::Other => return None,
            },
        })
    }

    /// `or 1=1`, `and sleep(5)`, `|| 'a'='a`.
    fn condition(&mut self, from: usize, at: usize, footing: Footing) {
        let spelt = self.is_word(at, Word::Logic);
        let signed = self.is(at, Token::Logic) || (self.is(at, Token::Operator) && self.is_double_bar(at));
        let comparing = matches!(
            self.what(at),
            Some(What::Token(Token::Word(Word::Compare | Word::Where | Word::Having)))
        );
        if !spelt && !signed && !comparing {
            return;
        }
        let mut next = at + 1;
        while next < at + 8
            && (self.is(next, Token::Not)
                || self.is_word(next, Word::Not)
                || self.is(next, Token::Open)
                || self.is_sign(next))
        {
            next += 1;
        }
        let Some(left) = self.operand(next) else {
            // `' or '`: the quote that ends is that of the statement.
            if footing == Footing::Broken && spelt && self.what(next).is_none() && self.length <= 16 {
                self.add(Shape::Condition, 4, from, at);
            }
            return;
        };
        let weight = match left.kind {
            Kind::Danger | Kind::Query => match footing {
                Footing::Broken | Footing::Firm => 8,
                Footing::Begin => 7,
                Footing::Loose => 5,
            },
            Kind::Constant | Kind::Name | Kind::Function => {
                if let Some(right) = self.comparison(left.end) {
                    let ends = u8::from(self.what(right.end) == Some(What::Comment)) * 2;
                    let compared = self.is_compared(from);
                    let footing = if compared { Footing::Loose } else { footing };
                    ends + match (left.kind, right.kind) {
                        (_, Kind::Danger | Kind::Query) => 7,
                        (Kind::Constant | Kind::Function, _) => match footing {
                            Footing::Broken => 8,
                            Footing::Firm => 7,
                            Footing::Begin => 6,
                            // `x && 1 == y`: code.
                            Footing::Loose if right.kind == Kind::Constant && !signed && !compared => 5,
                            Footing::Loose => 2,
                        },
                        (Kind::Name, _) => match footing {
                            Footing::Broken => 6,
                            Footing::Firm if !signed => 5,
                            Footing::Begin if !signed => 3,
                            Footing::Firm | Footing::Begin | Footing::Loose => 1,
                        },
                        (Kind::Danger | Kind::Query, _) => 0,
                    }
                } else if self.what(left.end) == Some(What::Comment) || self.is(left.end, Token::Close) {
                    match (footing, left.kind) {
                        (Footing::Broken, Kind::Constant) => 6,
                        (Footing::Firm, Kind::Constant | Kind::Function) => 5,
                        (Footing::Broken, Kind::Name | Kind::Function) => 5,
                        (Footing::Begin, Kind::Constant) => 4,
                        _ => 1,
                    }
                } else if self.what(left.end).is_none() && self.length <= 40 {
                    match (footing, left.kind, left.open) {
                        (Footing::Broken, Kind::Constant, _) => 5,
                        (Footing::Firm, Kind::Constant, true) if spelt => 5,
                        (Footing::Firm, Kind::Constant, _) if comparing => 2,
                        (Footing::Firm, Kind::Constant, _) if spelt => 2,
                        _ => 1,
                    }
                } else if footing == Footing::Broken
                    && left.text
                    && self.is(left.end, Token::Operator)
                    && self.length <= 24
                {
                    5
                } else {
                    u8::from(footing > Footing::Loose)
                }
            }
        };
        // `x like 'y'` and `a in (1)` are said of many things.
        let sure =
            footing == Footing::Broken || self.is_word(at, Word::Having) || closed_before(self.pieces, at);
        let weight = if comparing && !sure { weight.saturating_sub(2).min(6) } else { weight };
        self.add(Shape::Condition, weight, from, left.end);
    }

    /// Tells whether it is what something was compared with: `x = 1` goes on with `and y = 2` in any program.
    fn is_compared(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| self.is(before, Token::Compare))
    }

    fn is_double_bar(&self, at: usize) -> bool {
        self.pieces.get(at).is_some_and(|piece| piece.end - piece.start == 2)
    }

    fn is_sign(&self, at: usize) -> bool {
        self.is(at, Token::Operator) && !self.is_double_bar(at)
    }

    /// Behind an operand: what it is compared with.
    fn comparison(&self, at: usize) -> Option<Operand> {
        let mut next = at;
        while next < at + 6 && (self.is(next, Token::Close) || self.is_word(next, Word::Not)) {
            next += 1;
        }
        // Sums and the like: `1+1=2`, `2*3=6`.
        let mut sum = next;
        for _ in 0..4 {
            if !self.is(sum, Token::Operator) {
                break;
            }
            let Some(right) = self.operand(sum + 1) else { break };
            sum = right.end;
        }
        let next = if self.is(sum, Token::Compare) { sum } else { next };
        if !self.is(next, Token::Compare) && !self.is_word(next, Word::Compare) {
            return None;
        }
        let mut right = next + 1;
        while right < next + 8
            && (self.is(right, Token::Open)
                || self.is_word(right, Word::Not)
                || self.is_sign(right)
                || self.is(right, Token::Not)
                || self.is_word(right, Word::Case))
        {
            right += 1;
        }
        self.operand(right)
    }

    /// `union select`, also with brackets.
    fn union(&mut self, from: usize, at: usize, footing: Footing) {
        if !self.is_word(at, Word::Union) {
            return;
        }
        let mut next = at + 1;
        while next < at + 6 && (self.is_word(next, Word::All) || self.is(next, Token::Open)) {
            next += 1;
        }
        if !self.is_word(next, Word::Select) {
            return;
        }
        next += 1;
        while self.is_word(next, Word::All) && next < at + 10 {
            next += 1;
        }
        let listed = self.operand(next).is_some_and(|column| {
            column.kind != Kind::Name
                || self.is(column.end, Token::Comma)
                || self.is_word(column.end, Word::From)
        }) || self.is(next, Token::Operator);
        let weight = match (footing, listed) {
            (Footing::Broken | Footing::Firm, true) => 8,
            (Footing::Broken | Footing::Firm | Footing::Begin, _) => 6,
            (Footing::Loose, true) => 6,
            (Footing::Loose, false) => 2,
        };
        self.add(Shape::Union, weight, from, next);
    }

    /// `; drop table x`.
    fn stacked(&mut self, from: usize, at: usize, footing: Footing) {
        if !self.is(at, Token::Semicolon) {
            return;
        }
        let opened = usize::from(self.is(at + 1, Token::Open) && self.is_word(at + 2, Word::Select));
        if !self.is_command(at + 1 + opened) {
            return;
        }
        let weight = match footing {
            Footing::Broken => 8,
            // `f(); sleep(5);` is a program.
            Footing::Firm if self.is_word(at + 1, Word::Wait) && self.is(at - 1, Token::Close) => 3,
            Footing::Firm => 7,
            Footing::Begin => 6,
            Footing::Loose => 3,
        };
        self.add(Shape::Stacked, weight, from, at + 3);
    }

    /// Tells whether a statement begins here, by its first words.
    fn is_command(&self, at: usize) -> bool {
        let Some(word) = self.word(at) else { return false };
        let next = at + 1;
        match word {
            Word::Select => {
                self.operand(next).is_some() || self.is(next, Token::Operator) || self.is(next, Token::Open)
            }
            Word::Insert => self.is_word(next, Word::Into),
            Word::Delete => self.is_word(next, Word::From),
            Word::Statement => match self.what(next) {
                Some(What::Token(Token::Word(word))) => word != Word::Logic || self.word(at + 3).is_some(),
                Some(What::Token(Token::Variable)) => true,
                Some(What::Comment) | None => true,
                Some(_) => self.is(next, Token::Open),
            },
            Word::Waitfor => self.is_word(next, Word::Name),
            Word::Danger | Word::Wait => self.is(next, Token::Open),
            Word::Case => {
                self.is(next, Token::Open)
                    && matches!(self.word(self.after_call(next)), Some(Word::Select | Word::Statement))
            }
            Word::Name
            | Word::Logic
            | Word::Not
            | Word::Compare
            | Word::Union
            | Word::All
            | Word::From
            | Word::Where
            | Word::Having
            | Word::Order
            | Word::By
            | Word::Limit
            | Word::Into
            | Word::File
            | Word::Procedure
            | Word::Constant
            | Word::Function => false,
        }
    }

    /// `admin'--`: the rest of the statement is swallowed.
    fn comment(&mut self, from: usize, at: usize, footing: Footing, closed: bool) {
        let at = at + usize::from(self.is(at, Token::Semicolon));
        if self.what(at) != Some(What::Comment) {
            return;
        }
        let last = self.pieces.get(at).is_some_and(|piece| self.length - piece.end.min(self.length) <= 12);
        let weight = match footing {
            Footing::Broken if last => 6,
            Footing::Broken => 3,
            Footing::Firm if closed && last && self.length <= 40 => 4,
            Footing::Firm if last && self.length <= 12 => 2,
            Footing::Firm | Footing::Begin | Footing::Loose => 0,
        };
        if weight > 0 {
            self.add(Shape::Comment, weight, from, at);
        }
    }

    /// `'||(select 1)||'`, `'+convert(int, …)`, `'='`, `',null)--`.
    fn expression(&mut self, from: usize, at: usize, footing: Footing) {
        if footing < Footing::Begin {
            return;
        }
        let operator =
            self.is(at, Token::Operator) || self.is(at, Token::Compare) || self.is(at, Token::Comma);
        if !operator {
            return;
        }
        let mut next = at + 1;
        while next < at + 8
            && (self.is(next, Token::Open) || self.is_sign(next) || self.is(next, Token::Compare))
        {
            next += 1;
        }
        let opened = self.is(at + 1, Token::Open);
        let weight = match self.operand(next) {
            Some(Operand { kind: Kind::Query, .. }) if footing >= Footing::Firm && self.is_called(next) => 7,
            Some(Operand { kind: Kind::Query, .. }) if self.names_danger(next) => 6,
            Some(Operand { kind: Kind::Query, .. }) => 1,
            Some(Operand { kind: Kind::Danger, .. }) => 7,
            Some(Operand { kind: Kind::Function, .. }) if footing == Footing::Broken => 5,
            Some(Operand { kind: Kind::Function, .. }) => 2,
            // The text is nothing but a way to make a condition true or false.
            Some(Operand { open: true, .. }) | None if footing == Footing::Broken && self.length <= 8 => {
                if opened {
                    3
                } else {
                    5
                }
            }
            Some(value) if footing == Footing::Broken => match self.ends_in_comment(value.end) {
                true => 6,
                false if value.open && self.length <= 16 => 5,
                false => 0,
            },
            Some(_) | None => 0,
        };
        if weight > 0 {
            self.add(Shape::Expression, weight, from, next);
        }
    }

    /// Tells whether a bracket stands before a query, or behind what makes one.
    fn is_called(&self, at: usize) -> bool {
        self.is(at + 1, Token::Open) || at.checked_sub(1).is_some_and(|before| self.is(before, Token::Open))
    }

    /// Tells whether one of the next words is a name that attackers call.
    fn names_danger(&self, at: usize) -> bool {
        (at..at + 8).any(|next| matches!(self.word(next), Some(Word::Danger | Word::Wait)))
    }

    /// Tells whether a list of operands is followed by a comment.
    fn ends_in_comment(&self, at: usize) -> bool {
        let mut next = at;
        for _ in 0..64 {
            match self.what(next) {
                Some(What::Comment) => return true,
                Some(What::Token(
                    Token::Comma
                    | Token::Close
                    | Token::Open
                    | Token::Semicolon
                    | Token::Compare
                    | Token::Operator,
                )) => {
                    next += 1;
                }
                Some(_) => match self.operand(next) {
                    Some(operand) => next = operand.end,
                    None => return false,
                },
                None => return false,
            }
        }
        false
    }

    /// `1 (select …)`: a query in brackets stands where nothing can stand.
    fn query(&mut self, from: usize, at: usize, footing: Footing) {
        let mut next = at;
        while next < at + 4 && self.is(next, Token::Open) {
            next += 1;
        }
        if next == at || !self.is_word(next, Word::Select) {
            return;
        }
        let column = next + 1;
        let listed = self.is(column, Token::Operator)
            || self.is(column, Token::Open)
            || self
                .operand(column)
                .is_some_and(|one| one.kind != Kind::Name || self.is_word(one.end, Word::From));
        let weight = match (footing, listed) {
            (Footing::Broken | Footing::Firm, true) => 6,
            (Footing::Begin, true) => 5,
            (Footing::Loose, true) => 2,
            (_, false) => 1,
        };
        self.add(Shape::Expression, weight, from, next);
    }

    /// `order by 5--`, `having 1=1`, `into outfile 'x'`, `procedure analyse(`.
    fn clause(&mut self, from: usize, at: usize, footing: Footing) {
        let Some(word) = self.word(at) else { return };
        let weight = match word {
            Word::Order if self.is_word(at + 1, Word::By) => {
                let Some(column) = self.operand(at + 2) else { return };
                let end = self.what(column.end);
                let ends = end.is_none()
                    || matches!(
                        end,
                        Some(What::Comment | What::Token(Token::Comma | Token::Word(Word::Having)))
                    );
                match (footing, column.kind, ends) {
                    (Footing::Broken, _, true) => 6,
                    (Footing::Broken, _, false) => 3,
                    (Footing::Firm | Footing::Begin, Kind::Constant, true) => 5,
                    _ => 1,
                }
            }
            Word::Into if self.is_word(at + 1, Word::File) => 7,
            Word::Procedure
                if footing >= Footing::Firm
                    && self.is_word(at + 1, Word::Name)
                    && self.is(at + 2, Token::Open) =>
            {
                6
            }
            Word::Limit if footing == Footing::Broken && self.operand(at + 1).is_some() => 5,
            Word::Waitfor
                if self.is_word(at + 1, Word::Name) && self.operand(at + 2).is_some_and(|time| time.text) =>
            {
                7
            }
            Word::Name
            | Word::Logic
            | Word::Not
            | Word::Compare
            | Word::Union
            | Word::All
            | Word::Select
            | Word::From
            | Word::Where
            | Word::Having
            | Word::Order
            | Word::By
            | Word::Limit
            | Word::Into
            | Word::File
            | Word::Procedure
            | Word::Statement
            | Word::Insert
            | Word::Delete
            | Word::Constant
            | Word::Case
            | Word::Function
            | Word::Danger
            | Word::Waitfor
            | Word::Wait => return,
        };
        self.add(Shape::Clause, weight, from, at + 2);
    }

    /// A call of what waits, reads or runs; it weighs little by itself.
    fn danger(&mut self, at: usize) {
        let waits = self.is_word(at, Word::Wait);
        if !waits && !self.is_word(at, Word::Danger) {
            return;
        }
        let called = self.is(at + 1, Token::Open);
        let member = self.is(at + 1, Token::Dot);
        let weight = match called {
            true if self.what(at + 2).is_some_and(|what| what != What::Token(Token::Close)) => {
                4 - u8::from(waits)
            }
            true => 1,
            false if member => 3,
            false => 1,
        };
        self.add(Shape::Function, weight, at, at + 2);
    }

    /// A whole statement: it changes none, and an application that takes queries is asked with it.
    fn statement(&mut self, at: usize) {
        if !self.is_command(at) {
            return;
        }
        let mut dangerous = false;
        let mut from = false;
        for next in at..self.pieces.len().min(at + 64) {
            let word = self.word(next);
            dangerous |= matches!(word, Some(Word::Danger | Word::Wait | Word::File))
                || self.is(next, Token::Variable);
            from |= matches!(word, Some(Word::From | Word::Into | Word::Where));
        }
        let weight = match (self.word(at), dangerous) {
            (Some(Word::Waitfor), _) => 7,
            (Some(Word::Danger | Word::Wait), _)
                if self.pieces.last().is_some_and(|last| last.what == What::Comment) =>
            {
                6
            }
            (Some(Word::Danger | Word::Wait), _) => 4,
            (Some(Word::Select), true) => 5,
            (Some(Word::Statement), true) => 5,
            (Some(Word::Select), false) if from => 3,
            _ => 1,
        };
        self.add(Shape::Statement, weight, at, at + 4);
    }
}

/// Tells whether a bracket of the statement was closed just before.
fn closed_before(pieces: &[Piece], at: usize) -> bool {
    let near = pieces.get(at.saturating_sub(4)..at).unwrap_or_default();
    near.iter().any(|piece| piece.what == What::Token(Token::Close))
}
