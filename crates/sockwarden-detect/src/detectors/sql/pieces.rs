//! The code that a text becomes where it is put into a statement: by itself, or inside a string that it ends.

use super::lexer::{Lexed, Token, Word};

/// A piece of code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) what: What,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The text begins as code.
    Start,
    /// The string in which the text began ends.
    Break,
    /// The same, and it may be an apostrophe: letters stand on both sides.
    Apostrophe,
    /// A string that begins and ends.
    Text,
    /// A string that has no end: the quote of the statement will end it.
    OpenText,
    /// A comment that ends the line, or everything.
    Comment,
    Token(Token),
}

/// Where a text is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Where a number or a name stands.
    Bare,
    /// Between these quotes.
    Inside(u8),
}

/// Takes the tokens for code in this context; `false` where the text stays inside its string.
pub(super) fn build(bytes: &[u8], tokens: &[Lexed], context: Context, pieces: &mut Vec<Piece>) -> bool {
    pieces.clear();
    let mut at = 0;
    match context {
        Context::Bare => pieces.push(Piece { what: What::Start, start: 0, end: 0 }),
        Context::Inside(quote) => {
            let Some(end) = end_of_string(tokens, 0, quote) else { return false };
            let Some(token) = tokens.get(end) else { return false };
            let letter = |at: Option<usize>| {
                at.and_then(|at| bytes.get(at))
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
            };
            let between = letter(token.start.checked_sub(1)) && letter(Some(token.end));
            let what = if between { What::Apostrophe } else { What::Break };
            pieces.push(Piece { what, start: token.start, end: token.end });
            at = end + 1;
        }
    }
    while let Some(token) = tokens.get(at) {
        at += 1;
        let mut piece = Piece { what: What::Token(token.token), start: token.start, end: token.end };
        match token.token {
            Token::Quote(quote) => match end_of_string(tokens, at, quote) {
                Some(end) => {
                    // Between backticks stands a name.
                    piece.what =
                        if quote == b'`' { What::Token(Token::Word(Word::Name)) } else { What::Text };
                    piece.end = tokens.get(end).map_or(piece.end, |token| token.end);
                    at = end + 1;
                }
                None => {
                    piece.what = What::OpenText;
                    piece.end = bytes.len();
                    at = tokens.len();
                }
            },
            Token::Block => {
                let rest = tokens.get(at..).unwrap_or_default();
                match rest.iter().position(|token| token.token == Token::Unblock) {
                    Some(end) => {
                        at += end + 1;
                        continue;
                    }
                    None => {
                        piece.what = What::Comment;
                        at = tokens.len();
                    }
                }
            }
            Token::Unblock => continue,
            Token::Line if is_comment(bytes, token) => {
                piece.what = What::Comment;
                let rest = bytes.get(token.end..).unwrap_or_default();
                let line =
                    rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| token.end + end);
                while tokens.get(at).is_some_and(|token| token.start < line) {
                    at += 1;
                }
            }
            Token::Line => piece.what = What::Token(Token::Other),
            Token::Number
            | Token::Word(_)
            | Token::Compare
            | Token::Operator
            | Token::Logic
            | Token::Not
            | Token::Comma
            | Token::Dot
            | Token::Open
            | Token::Close
            | Token::Semicolon
            | Token::Variable
            | Token::Other => {}
        }
        pieces.push(piece);
    }
    true
}

/// Finds the quote that ends a string which begins before `at`; two beside one another are one inside of it.
fn end_of_string(tokens: &[Lexed], at: usize, quote: u8) -> Option<usize> {
    let is_quote = |at: usize| tokens.get(at).filter(|token| token.token == Token::Quote(quote));
    let mut at = at;
    while at < tokens.len() {
        if let Some(first) = is_quote(at) {
            match is_quote(at + 1) {
                Some(second) if second.start == first.end => at += 1,
                Some(_) | None => return Some(at),
            }
        }
        at += 1;
    }
    None
}

/// Tells a comment from a flag (`--help`), a dash and a hash tag.
fn is_comment(bytes: &[u8], token: &Lexed) -> bool {
    let before = token.start.checked_sub(1).and_then(|at| bytes.get(at));
    let after = bytes.get(token.end);
    let apart = before.is_none_or(u8::is_ascii_whitespace);
    let joined = after.is_some_and(|byte| byte.is_ascii_alphanumeric());
    !(apart && joined)
}
