//! What a program would read, in contrast to people who talk about it.

use crate::Marks;

/// What a statement is made of, and a sentence seldom.
const SIGNS: Marks = Marks::PAREN
    .and(Marks::BRACE)
    .and(Marks::BRACKET)
    .and(Marks::SEMICOLON)
    .and(Marks::QUERY)
    .and(Marks::ANGLE)
    .and(Marks::PIPE)
    .and(Marks::AMPERSAND)
    .and(Marks::DOLLAR)
    .and(Marks::BACKTICK);

/// Pairs of signs that no sentence has.
const PAIRS: [&[u8]; 18] = [
    b"()", b"('", b"(\"", b"){", b") {", b"=>", b");", b"};", b"==", b"&&", b"||", b"!=", b"${", b"$(",
    b"/*", b"+=", b"->", b"::",
];

/// What the first of them are.
const PAIRED: Marks = Marks::PAREN
    .and(Marks::BRACE)
    .and(Marks::QUERY)
    .and(Marks::AMPERSAND)
    .and(Marks::PIPE)
    .and(Marks::COMMA)
    .and(Marks::DOLLAR)
    .and(Marks::SLASH)
    .and(Marks::PLUS)
    .and(Marks::DASH)
    .and(Marks::COLON);

/// How a query begins, what it holds next, and of which marks it must hold one, for a sentence may begin like it.
const QUERIES: [(&[u8], &[u8], Marks); 8] = [
    (b"select", b" from ", EXACT),
    (b"insert into", b" values", Marks::PAREN),
    (b"update", b" set ", Marks::QUERY),
    (b"delete from", b" where ", EXACT),
    (b"drop table", b" ", Marks::SEMICOLON),
    (b"drop database", b" ", Marks::SEMICOLON),
    (b"create table", b" ", Marks::PAREN),
    (b"union", b"select", EXACT),
];

const EXACT: Marks = Marks::STAR.and(Marks::QUERY).and(Marks::SEMICOLON).and(Marks::QUOTE).and(Marks::PAREN);

/// How much of a long text is looked at.
const ENOUGH: usize = 4096;

pub(super) fn is_code(bytes: &[u8], marks: Marks) -> bool {
    if bytes.starts_with(b"#!/") {
        return true;
    }
    if !marks.any(SIGNS | Marks::STAR) {
        return false;
    }
    let text = bytes.trim_ascii();
    let begin = text.get(..text.len().min(ENOUGH)).unwrap_or_default();
    is_call(text) || marks.any(Marks::BRACE) && is_selection(text) || is_query(begin) || is_dense(begin)
}

/// `a.b(…)` from end to end.
fn is_call(text: &[u8]) -> bool {
    let text = text.strip_suffix(b";").unwrap_or(text);
    let name =
        text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$'));
    let length = name.count();
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.get(length) == Some(&b'(')
        && text.ends_with(b")")
}

/// GraphQL: names in braces, with an operation before them or none.
fn is_selection(text: &[u8]) -> bool {
    let begins = [b"query".as_slice(), b"mutation", b"subscription", b"fragment", b"{"];
    let Some(open) = text.iter().position(|byte| *byte == b'{') else { return false };
    begins.iter().any(|begin| text.starts_with(begin)) && text.ends_with(b"}") && {
        let inner = text.get(open + 1..).unwrap_or_default().trim_ascii_start();
        inner.first().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'_' | b'.'))
            && inner.iter().any(|byte| matches!(byte, b' ' | b'\n' | b'{' | b','))
    }
}

fn is_query(text: &[u8]) -> bool {
    // No sentence that begins otherwise is held against all of them.
    if !matches!(text.first().map(u8::to_ascii_lowercase), Some(b's' | b'i' | b'u' | b'd' | b'c')) {
        return false;
    }
    QUERIES.iter().any(|(first, next, needed)| {
        let Some((begin, rest)) = text.split_at_checked(first.len()) else { return false };
        if !begin.eq_ignore_ascii_case(first) {
            return false;
        }
        let holds = rest.windows(next.len()).any(|window| window.eq_ignore_ascii_case(next));
        holds
            && rest.first().is_some_and(|byte| !byte.is_ascii_alphanumeric())
            && Marks::of(rest).any(*needed)
    })
}

/// Pairs of signs, and nearly as many signs as words.
fn is_dense(text: &[u8]) -> bool {
    // What base64 ends with compares nothing.
    let text = text.strip_suffix(b"==").unwrap_or(text);
    if !has_pair(text) {
        return false;
    }
    let (mut signs, mut words) = (0_usize, 1_usize);
    for byte in text {
        let mark = Marks::of_byte(*byte);
        signs += usize::from(mark.any(SIGNS));
        words += usize::from(mark.any(Marks::SPACE | Marks::LINE));
    }
    signs * 2 >= words && text.iter().any(u8::is_ascii_alphabetic)
}

/// Tells whether signs stand beside one another as in no sentence.
fn has_pair(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(at, byte)| {
        Marks::of_byte(*byte).any(PAIRED)
            && text.get(at..).is_some_and(|rest| PAIRS.iter().any(|pair| rest.starts_with(pair)))
    })
}
