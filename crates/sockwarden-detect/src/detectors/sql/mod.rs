//! SQL injection: the text is read as what a statement becomes into which it is put, as a number, or inside either kind of quotes; what counts
//! is that the statement goes on behind it otherwise than it was written.

mod judge;
mod lexer;
mod operand;
mod pieces;

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Rule, Side, Text, declare};
use crate::starts::Start;
use judge::{Found, Judge, Shape};
use pieces::{Context, Piece};

declare! {
    CONDITION = "sql-condition", Sql, 1,
        "A text goes on with a condition, such as one that is always true or one that waits.",
        ["CWE-89", "https://owasp.org/www-community/attacks/SQL_Injection"];
    UNION = "sql-union", Sql, 1,
        "A text goes on with a second query (`union select`).",
        ["CWE-89", "https://owasp.org/www-community/attacks/SQL_Injection"];
    STACKED = "sql-stacked", Sql, 1,
        "A text ends the statement and begins another one.",
        ["CWE-89", "https://owasp.org/www-community/attacks/SQL_Injection"];
    COMMENT = "sql-comment", Sql, 1,
        "A text ends its string and makes a comment of what follows.",
        ["CWE-89"];
    EXPRESSION = "sql-expression", Sql, 1,
        "A text ends its string and goes on with an expression or with further values.",
        ["CWE-89"];
    CLAUSE = "sql-clause", Sql, 1,
        "A text goes on with a clause, such as `order by 5` or `into outfile`.",
        ["CWE-89"];
    FUNCTION = "sql-function", Sql, 1,
        "A function, table or procedure is named by which databases are explored or made to wait.",
        ["CWE-89"];
    STATEMENT = "sql-statement", Sql, 1,
        "A text is a whole statement.",
        ["CWE-89"];
}

const SIGNS: Marks = Marks::QUOTE.and(Marks::BACKTICK);

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[SIGNS
                .and(Marks::DIGIT)
                .and(Marks::PAREN)
                .and(Marks::SEMICOLON)
                .and(Marks::STAR)
                .and(Marks::QUERY)
                .and(Marks::AT)
                .and(Marks::UNDERSCORE)],
            literals: &[
                "union",
                "select",
                "sleep",
                "benchmark",
                "waitfor",
                "exec",
                "insert into",
                "drop ",
                "delete from",
                "update ",
                "order by",
                "group by",
                "order/*",
                "having",
                "outfile",
                "dumpfile",
                "information_schema",
                "xp_",
                "load_file",
                "utl_",
                "dbms_",
                "procedure",
                "randomblob",
                "shutdown",
                "declare",
                "extractvalue",
                "updatexml",
                "@@",
                "sysobjects",
                "sqlite_",
                "pg_",
                "chr(",
                "char(",
                "concat(",
                "convert(",
                "ascii(",
                "substr",
                "truncate",
                "regexp",
                "rlike",
                "elt(",
                "cast(",
                "create ",
                "alter ",
                " limit ",
                ";call",
                "; call",
                "begin ",
                ";if",
                "; if",
                "all_users",
                "get_lock",
                "name_const",
            ],
        },
        Start {
            marks: &[SIGNS.and(Marks::DIGIT).and(Marks::PAREN), Marks::QUERY.and(Marks::ANGLE)],
            literals: &[
                "or 1", "or 0", "and 1", "and 0", "or a", "or x", "or '", "or true", " or ", " and ",
                " xor ", "'or", "\"or", "'and", "\"and", ")or", ")and", "or(", "and(", "||", "&&", "/or",
                "/and", "\tor", "\nor", "\tand", "\nand", "0or", "1or", "0and", "1and", "or'", "or\"",
                "or/*", "and/*", "where ", "or\t", "or\n", "or!", "or~", "or+", "or-", "and+", "and-",
                "and'", "and\"", "and!", "and~", "`or", "`and", "'xor", "or\u{b}", "or\u{c}", "or @",
                "and @", "'=", "\"=", "' =", "\" =", "'<", "'>", "' <", "' >",
            ],
        },
        Start {
            marks: &[SIGNS],
            literals: &[
                "'--",
                "\"--",
                "')--",
                "\")--",
                "' --",
                "\" --",
                "'#",
                "\"#",
                "')#",
                "\")#",
                "' #",
                "\" #",
                "'/*",
                "\"/*",
                "' /*",
                ")/*",
                "';--",
                "\";--",
                "'; --",
                "';#",
                "\";#",
                ")--",
                ") --",
                ")#",
                ") #",
                ") /*",
                ";--",
                "; --",
                ",null",
                ", null",
                "' or",
                "\" or",
                "' and",
                "\" and",
                "'or",
                "\"or",
                "like '",
                "like \"",
                "between ",
                "'-'",
                "'+'",
                "'*'",
                "'^'",
                "'&'",
                "'|'",
                "'/'",
                "'%'",
                "'='",
                "\"-\"",
                "\"+\"",
                "\"*\"",
                "\"^\"",
                "\"&\"",
                "\"=\"",
                "' ' '",
                "'like",
                "'||",
                "'+(",
                "\"||",
                "'%2b",
                "' in ",
                "' is ",
                "' between",
                "' where",
            ],
        },
        Start {
            marks: &[Marks::DIGIT, Marks::PAREN.and(Marks::DASH).and(Marks::HASH)],
            literals: &[")--", ") --", ")#", ") #", ";--", ")/*", ") /*"],
        },
    ],
    run,
};

/// Tokens and code, kept for the next text.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    tokens: Vec<lexer::Lexed>,
    pieces: Vec<Piece>,
    found: Vec<Found>,
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let Buffers { tokens, pieces, found } = &mut desk.sql;
    lexer::lex(text.bytes, tokens);
    found.clear();
    for context in [Context::Bare, Context::Inside(b'\''), Context::Inside(b'"')] {
        if pieces::build(text.bytes, tokens, context, pieces) {
            Judge { pieces, length: text.bytes.len(), found: &mut *found }.judge();
        }
    }
    // A name that only attackers call counts more where the text goes on with anything else.
    let goes_on = found.iter().any(|found| found.shape != Shape::Function && found.shape != Shape::Statement);
    for found in &*found {
        let weight =
            if found.shape == Shape::Function && found.weight >= 4 && goes_on { 6 } else { found.weight };
        desk.findings.add(rule(found.shape), weight, found.start..found.end);
    }
}

fn rule(shape: Shape) -> &'static Rule {
    match shape {
        Shape::Condition => &CONDITION,
        Shape::Union => &UNION,
        Shape::Stacked => &STACKED,
        Shape::Comment => &COMMENT,
        Shape::Expression => &EXPRESSION,
        Shape::Clause => &CLAUSE,
        Shape::Function => &FUNCTION,
        Shape::Statement => &STATEMENT,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn what_changes_a_statement_is_found() {
        finds(
            Category::Sql,
            &[
                "' or 1=1--",
                "x' OR 'a'='a",
                "1 or 1=1",
                "1) and (7=7",
                "1' and sleep(5)#",
                "7 and (select count(*) from users)>0",
                "' union select user, password from accounts--",
                "-1 UNION/**/ALL/**/SELECT 1,2,@@version",
                "1/*!50000union*//*!50000select*/1,2",
                "5; drop table invoices",
                "x'; exec master..xp_cmdshell 'dir'--",
                "1; waitfor delay '0:0:9'--",
                "admin'--",
                "admin' #",
                "\") or (\"1\"=\"1",
                "' order by 4--",
                "1 order by 9",
                "1' having 1=1--",
                "' || (select banner from v$version) || '",
                "1 and extractvalue(1,concat(0x7e,version()))",
                "' or true--",
                "'='",
                "1 into outfile '/tmp/x.php'",
                "%27%20or%201%3d1--",
                "＇ or 1=1--",
                "1+or+1=1",
                "1' rlike (select 1)#",
            ],
        );
    }

    #[test]
    fn talk_about_statements_is_left_alone() {
        passes(&[
            "SELECT is slower than it was, and the index is used or not",
            "use SELECT * FROM users to see them all",
            "O'Brien and O'Neil are here",
            "it's 5 or 6 o'clock",
            "rock 'n' roll",
            "don't -- just don't",
            "select a seat; drop me a line",
            "the union select committee met in 1999",
            "x = 1 and y = 2",
            "if (a == 1 || b == 2) { return; }",
            "we can't do that -- it's \"too slow\" or so he says",
            "const a = 'x' + 'y';",
            "print('a') # say it",
            "Is 1 < 2 and 3 > 2?",
            "https://shop.example/search?q=shoes&sort=price&order=asc",
            "\"quoted\" or 'quoted' text, and more",
            "let name = \"O'Hara\"; // or so",
            "time.sleep(5)",
            "between 1 and 10",
            "git commit -m 'fix it' --amend",
            "order by Friday please",
            "#42 is fixed in 'main'",
            "WHERE did you get 1 of those?",
        ]);
    }
}
