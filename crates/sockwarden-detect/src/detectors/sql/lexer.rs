//! SQL as signs and words. Quotes are signs here: whether a text begins inside a string is not known, and both is tried.

use crate::words;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `'`, `"` or a backtick.
    Quote(u8),
    Number,
    Word(Word),
    /// `=`, `<`, `!=`, `<=>` and the like.
    Compare,
    /// `+ - * / % ^ | & ~ ||`.
    Operator,
    /// `&&`.
    Logic,
    /// `!`.
    Not,
    Comma,
    Dot,
    Open,
    Close,
    Semicolon,
    /// `--` or `#`.
    Line,
    /// `/*`.
    Block,
    /// `*/`.
    Unblock,
    /// `@a`, `@@a`.
    Variable,
    Other,
}

/// What a word means in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// One of the user's own.
    Name,
    /// `and`, `or`, `xor`.
    Logic,
    Not,
    /// `like`, `in`, `between`, `is`, `rlike` and the like.
    Compare,
    /// `union`, `intersect`, `except`.
    Union,
    /// `all`, `distinct`.
    All,
    Select,
    From,
    Where,
    Having,
    /// `order`, `group`.
    Order,
    By,
    Limit,
    Into,
    /// `outfile`, `dumpfile`.
    File,
    Procedure,
    /// What begins a statement of its own.
    Statement,
    /// `insert`, before `into`.
    Insert,
    /// `delete`, before `from`.
    Delete,
    /// `null`, `true`, `false`.
    Constant,
    /// `case`, `exists`, `if`.
    Case,
    /// A function that is known.
    Function,
    /// A function, table or procedure that attackers call: it waits, reads files, runs commands, tells of the schema or fails loudly.
    Danger,
    /// `waitfor`.
    Waitfor,
    /// `sleep` and `benchmark`, which other languages have too.
    Wait,
}

/// A token with what it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexed {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

const FUNCTIONS: &[&str] = &[
    "ascii",
    "avg",
    "bin",
    "cast",
    "char",
    "char_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "convert",
    "count",
    "current_user",
    "database",
    "elt",
    "exp",
    "floor",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "lcase",
    "left",
    "len",
    "length",
    "lower",
    "ltrim",
    "max",
    "mid",
    "min",
    "mod",
    "nullif",
    "nvl",
    "ord",
    "pi",
    "power",
    "quotename",
    "rand",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "session_user",
    "sign",
    "sqrt",
    "strcmp",
    "substr",
    "substring",
    "sum",
    "system_user",
    "trim",
    "ucase",
    "unhex",
    "upper",
    "user",
    "version",
];

const DANGERS: &[&str] = &[
    "all_tables",
    "all_users",
    "ctxsys",
    "dbms_lock",
    "dbms_pipe",
    "dbms_xmlgen",
    "extractvalue",
    "get_lock",
    "gtid_subset",
    "iif",
    "information_schema",
    "json_keys",
    "lo_export",
    "lo_import",
    "load_extension",
    "load_file",
    "make_set",
    "msysaccessobjects",
    "name_const",
    "openrowset",
    "pg_catalog",
    "pg_ls_dir",
    "pg_read_file",
    "pg_shadow",
    "pg_sleep",
    "pg_tables",
    "pg_user",
    "procedure_analyse",
    "randomblob",
    "regexp_substring",
    "sp_executesql",
    "sp_oacreate",
    "sp_password",
    "sqlite_master",
    "sqlite_version",
    "syscolumns",
    "sysdatabases",
    "sysobjects",
    "updatexml",
    "user_lock",
    "user_tables",
    "utl_http",
    "utl_inaddr",
    "xmltype",
    "xp_cmdshell",
    "xp_dirtree",
    "xp_fileexist",
    "xp_regread",
];

/// How long the words of a list are that begin with each letter: most words are none of them.
struct Shapes([u32; 32]);

static SHAPES: [Shapes; 2] = [Shapes::of(FUNCTIONS), Shapes::of(DANGERS)];

impl Shapes {
    const fn of(list: &[&str]) -> Self {
        let mut lengths = [0; 32];
        let mut at = 0;
        while at < list.len() {
            let word = list[at].as_bytes();
            lengths[(word[0] & 31) as usize] |= 1 << word.len();
            at += 1;
        }
        Self(lengths)
    }

    fn may_be(&self, word: &[u8]) -> bool {
        let lengths =
            word.first().and_then(|first| self.0.get(usize::from(first & 31))).copied().unwrap_or(0);
        word.len() < 32 && lengths & (1 << word.len()) != 0
    }
}

impl Word {
    fn of(word: &[u8]) -> Self {
        let mut small = [0_u8; 20];
        let Some(small) = small.get_mut(..word.len()) else { return Self::Name };
        for (to, from) in small.iter_mut().zip(word) {
            *to = from.to_ascii_lowercase();
        }
        match &*small {
            b"and" | b"or" | b"xor" | b"div" | b"orelse" => Self::Logic,
            b"not" => Self::Not,
            b"like" | b"in" | b"between" | b"is" | b"rlike" | b"regexp" | b"glob" | b"sounds" | b"ilike"
            | b"similar" => Self::Compare,
            b"union" | b"intersect" | b"except" | b"minus" => Self::Union,
            b"all" | b"distinct" | b"distinctrow" => Self::All,
            b"select" => Self::Select,
            b"from" => Self::From,
            b"where" => Self::Where,
            b"having" => Self::Having,
            b"order" | b"group" => Self::Order,
            b"by" => Self::By,
            b"limit" | b"offset" => Self::Limit,
            b"into" => Self::Into,
            b"outfile" | b"dumpfile" => Self::File,
            b"procedure" => Self::Procedure,
            b"insert" | b"merge" => Self::Insert,
            b"delete" => Self::Delete,
            b"update" | b"drop" | b"create" | b"alter" | b"exec" | b"execute" | b"declare" | b"shutdown"
            | b"truncate" | b"call" | b"begin" | b"copy" | b"grant" | b"revoke" | b"attach" | b"pragma"
            | b"handler" | b"kill" | b"backup" | b"restore" => Self::Statement,
            b"null" | b"true" | b"false" | b"nan" | b"infinity" => Self::Constant,
            b"case" | b"exists" | b"if" | b"when" | b"any" | b"some" | b"binary" => Self::Case,
            b"waitfor" => Self::Waitfor,
            b"sleep" | b"benchmark" => Self::Wait,
            word if !SHAPES.iter().any(|shapes| shapes.may_be(word)) => Self::Name,
            word if Self::in_list(DANGERS, word) => Self::Danger,
            word if Self::in_list(FUNCTIONS, word) => Self::Function,
            _ => Self::Name,
        }
    }

    fn in_list(list: &[&str], word: &[u8]) -> bool {
        list.binary_search_by(|entry| entry.bytes().cmp(word.iter().copied())).is_ok()
    }
}

/// Reads a whole text; the tokens of the one before are forgotten.
pub(super) fn lex(bytes: &[u8], tokens: &mut Vec<Lexed>) {
    tokens.clear();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        at += 1;
        let token = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0xa0 | 0 => continue,
            b'\'' | b'"' | b'`' => Token::Quote(byte),
            b'0'..=b'9' => {
                at = number(bytes, start);
                Token::Number
            }
            b'.' if next.is_ascii_digit() => {
                at = number(bytes, start);
                Token::Number
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                let rest = bytes.get(start..).unwrap_or_default();
                let is_word = |byte: &u8| words::is_name(*byte) || *byte >= 0x80 || *byte == b'$';
                let length = rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
                at = start + length;
                Token::Word(Word::of(rest.get(..length).unwrap_or_default()))
            }
            b'@' => {
                at += usize::from(next == b'@');
                at += words::name_at(bytes, at).len();
                if at > start + 1 { Token::Variable } else { Token::Other }
            }
            b'-' if next == b'-' => {
                at += 1;
                Token::Line
            }
            b'#' => Token::Line,
            b'/' if next == b'*' => {
                at += 1;
                // What MySQL reads as if it were no comment.
                if bytes.get(at) == Some(&b'!') {
                    let rest = bytes.get(at + 1..).unwrap_or_default();
                    at += 1 + rest.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
                    continue;
                }
                Token::Block
            }
            b'*' if next == b'/' => {
                at += 1;
                Token::Unblock
            }
            b'=' | b'<' | b'>' => {
                let rest = bytes.get(at..).unwrap_or_default();
                at += rest.iter().take(2).take_while(|byte| matches!(byte, b'=' | b'<' | b'>')).count();
                Token::Compare
            }
            b'!' if next == b'=' => {
                at += 1;
                Token::Compare
            }
            b'!' => Token::Not,
            b'&' if next == b'&' => {
                at += 1;
                Token::Logic
            }
            b'|' if next == b'|' => {
                at += 1;
                Token::Operator
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'|' | b'&' | b'~' => Token::Operator,
            b':' if next == b':' => {
                // A cast of PostgreSQL belongs to what stands before it.
                at += 1;
                at += words::name_at(bytes, at).len();
                continue;
            }
            b',' => Token::Comma,
            b'.' => Token::Dot,
            b'(' => Token::Open,
            b')' => Token::Close,
            b';' => Token::Semicolon,
            _ => Token::Other,
        };
        tokens.push(Lexed { token, start, end: at });
    }
}

/// Finds where a number ends: decimal, hexadecimal, with a fraction and an exponent.
fn number(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let hexadecimal = matches!(rest, [b'0', b'x' | b'X', ..]);
    let mut length = if hexadecimal { 2 } else { 0 };
    let mut dotted = hexadecimal;
    while let Some(byte) = rest.get(length) {
        let exponent = matches!(byte, b'e' | b'E')
            && rest
                .get(length + 1)
                .is_some_and(|next| next.is_ascii_digit() || matches!(next, b'.' | b'+' | b'-'));
        match byte {
            b'0'..=b'9' => {}
            b'a'..=b'f' | b'A'..=b'F' if hexadecimal => {}
            b'.' if !dotted => dotted = true,
            b'e' | b'E' if exponent => {}
            _ => break,
        }
        length += 1;
    }
    start + length.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(words::is_sorted(FUNCTIONS) && words::is_sorted(DANGERS));
    }

    #[test]
    fn a_text_is_lexed_whatever_quotes_are_in_it() {
        use Token::{Close, Compare, Line, Number, Open, Quote, Word as W};
        let check = |text: &str, expected: &[Token]| {
            let mut tokens = Vec::new();
            lex(text.as_bytes(), &mut tokens);
            assert_eq!(tokens.iter().map(|lexed| lexed.token).collect::<Vec<_>>(), expected, "{text}");
        };
        check("' OR 1=1--", &[Quote(b'\''), W(Word::Logic), Number, Compare, Number, Line]);
        check("1e5.0x1F", &[Number, W(Word::Name)]);
        check("sleep(0x1F)", &[W(Word::Wait), Open, Number, Close]);
        check("/*!50000union*/ all", &[W(Word::Union), Token::Unblock, W(Word::All)]);
        check("@@version<>@x::text", &[Token::Variable, Compare, Token::Variable]);
        check("", &[]);
    }
}
