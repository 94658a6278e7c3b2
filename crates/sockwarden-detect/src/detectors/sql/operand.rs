//! What has a value in a statement: constants, names, calls, sub-queries.

use super::{
    judge::Judge,
    lexer::{Token, Word},
    pieces::What,
};

/// Something that has a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) kind: Kind,
    /// The piece behind it.
    pub(super) end: usize,
    /// Whether it is a string that the statement's quote will end.
    pub(super) open: bool,
    /// Whether it is a string.
    pub(super) text: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Constant,
    Name,
    Function,
    /// A sub-query, or a condition that makes one of two values.
    Query,
    Danger,
}

impl Judge<'_> {
    /// Reads something that has a value.
    pub(super) fn operand(&self, at: usize) -> Option<Operand> {
        let value = |kind, end| Some(Operand { kind, end, open: false, text: false });
        match self.what(at)? {
            What::Text => Some(Operand { kind: Kind::Constant, end: at + 1, open: false, text: true }),
            What::OpenText => Some(Operand { kind: Kind::Constant, end: at + 1, open: true, text: true }),
            What::Start | What::Break | What::Apostrophe | What::Comment => None,
            What::Token(Token::Number | Token::Variable) => value(Kind::Constant, at + 1),
            What::Token(Token::Word(word)) => match word {
                Word::Constant => value(Kind::Constant, at + 1),
                Word::Select => value(Kind::Query, at + 1),
                Word::Case => match self.what(at + 1) {
                    Some(What::Token(Token::Open)) => value(Kind::Query, at + 2),
                    Some(What::Token(Token::Word(Word::Case))) => value(Kind::Query, at + 2),
                    Some(_) | None => None,
                },
                Word::Danger | Word::Wait if self.is(at + 1, Token::Open) || self.is(at + 1, Token::Dot) => {
                    value(Kind::Danger, at + 1)
                }
                Word::Function if self.is(at + 1, Token::Open) => {
                    value(Kind::Function, self.after_call(at + 1))
                }
                Word::Name
                | Word::Function
                | Word::Danger
                | Word::Wait
                | Word::All
                | Word::Statement
                | Word::Limit
                | Word::File => {
                    if self.is(at + 1, Token::Open) {
                        return value(Kind::Name, self.after_call(at + 1));
                    }
                    let mut end = at + 1;
                    while end < at + 9 && self.is(end, Token::Dot) {
                        match self.word(end + 1) {
                            Some(Word::Danger | Word::Wait) => return value(Kind::Danger, end + 2),
                            Some(_) => end += 2,
                            None => end += 1,
                        }
                    }
                    value(Kind::Name, end)
                }
                Word::Logic
                | Word::Not
                | Word::Compare
                | Word::Union
                | Word::From
                | Word::Where
                | Word::Having
                | Word::Order
                | Word::By
                | Word::Into
                | Word::Procedure
                | Word::Insert
                | Word::Delete
                | Word::Waitfor => None,
            },
            What::Token(_) => None,
        }
    }

    /// Skips the arguments of a call, as far as they are few.
    pub(super) fn after_call(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.pieces.len().min(open + 48) {
            if self.is(at, Token::Open) {
                depth += 1;
            } else if self.is(at, Token::Close) {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
        }
        open + 1
    }
}
