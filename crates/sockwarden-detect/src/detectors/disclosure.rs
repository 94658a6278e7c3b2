//! What an application gives away to its clients: errors of its database, and where in its programs something failed.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables};

declare! {
    SQL_ERROR = "disclosure-sql-error", Disclosure, 1,
        "An answer holds an error of a database.",
        ["CWE-209", "https://owasp.org/www-community/Improper_Error_Handling"];
    STACK_TRACE = "disclosure-stack-trace", Disclosure, 1,
        "An answer holds a stack trace of a program.",
        ["CWE-209"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Server,
    starts: &[
        Start {
            marks: &[Marks::SPACE],
            literals: &[
                "sql syntax",
                "mysql",
                "sqlstate",
                "ora-",
                "unclosed quotation",
                "postgresql",
                "psqlexception",
                "pg::",
                "syntax error at or near",
                "sqlite",
                "unterminated quoted",
                "odbc",
                "jdbc",
                "microsoft sql",
                "quoted string not properly",
                "syntax error in query",
                "unrecognized token",
                "sqlexception",
                "sequelize",
                "mongoerror",
                "near \"",
            ],
        },
        Start {
            marks: &[Marks::SPACE],
            literals: &[
                "traceback (most",
                "exception in thread",
                "\n    at ",
                "\n\tat ",
                "   at ",
                "stack trace",
                "panicked at",
                "goroutine ",
                "fatal error:",
                "uncaught",
                ".rb:",
                ".py\", line",
                ".php on line",
                ".php:",
                "nullreference",
                "nullpointer",
            ],
        },
    ],
    run,
};

tables! {
    /// Errors of databases.
    ERRORS = [("you have an error in your sql syntax", 7), ("check the manual that corresponds to your mysql", 7), ("check the manual that corresponds to your mariadb", 7), ("warning: mysql", 7), ("mysql_fetch", 7), ("mysqli_", 7), ("unclosed quotation mark after the character string", 7), ("quoted string not properly terminated", 7), ("syntax error at or near", 7), ("unterminated quoted string", 7), ("sqlstate[", 7), ("pg::syntaxerror", 7), ("pg_query()", 7), ("org.postgresql.util.psqlexception", 7), ("sqlite3::sqlexception", 7), ("sqlite3.operationalerror", 7), ("sqlite_error", 7), ("unrecognized token: \"", 7), ("ora-00933", 7), ("ora-01756", 7), ("ora-00936", 7), ("ora-009", 7), ("odbc sql server driver", 7), ("odbc driver", 7), ("microsoft ole db provider for", 7), ("com.mysql.jdbc", 7), ("java.sql.sqlexception", 7), ("sqlserverexception", 7), ("sequelizedatabaseerror", 7), ("mongoerror:", 7), ("mongoservererror", 7), ("near \"select\": syntax error", 7), (": syntax error (", 7), ("unknown column '", 7), ("no such column: ", 7), ("no such table: ", 7)];

    /// What stands in stack traces, and how much it says.
    TRACES = [
    ("traceback (most recent call last)", 6),
    ("exception in thread \"", 6),
    ("\tat java.", 6),
    ("\tat org.", 5),
    ("\tat com.", 5),
    ("\n    at object.<anonymous>", 6),
    ("at object.<anonymous> (", 6),
    (".js:", 2),
    ("node:internal/", 5),
    ("thread 'main' panicked at", 6),
    ("panicked at ", 4),
    ("goroutine 1 [running]", 6),
    ("php fatal error:", 6),
    ("fatal error: uncaught", 6),
    ("stack trace:\n#0", 6),
    (".py\", line ", 5),
    (".php on line ", 6),
    (".php:", 2),
    ("system.nullreferenceexception", 6),
    ("java.lang.nullpointerexception", 6),
    (".cs:line ", 6),
    (".java:", 3),
    ("at processticksandrejections", 6),
    ("caused by: java.", 6),
    (":in `", 4),
];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    if text.decoded {
        return;
    }
    let bytes = text.bytes;
    // A sentence of a person has less of it than the sentence that the database says.
    for (rule, table) in [(&SQL_ERROR, &ERRORS), (&STACK_TRACE, &TRACES)] {
        table.first(bytes, |number, at| {
            if let Some((word, weight)) = table.words.get(number) {
                desk.findings.add(rule, *weight, at..at + word.len());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::Message;
    use sockwarden_model::Direction;

    use crate::{Detection, Policy, testing::wrapped};

    fn rules(direction: Direction, text: &str) -> Vec<String> {
        let detection = Detection::new(&Policy::default());
        let judgement = detection.judge(&Message::of_body(direction, wrapped(text).as_bytes()));
        judgement.observations.iter().filter(|_| judgement.blocked).map(|one| one.rule.to_string()).collect()
    }

    #[test]
    fn what_an_application_gives_away_is_found_in_its_answers_only() {
        for (text, rule) in [
            (
                "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version",
                "disclosure-sql-error",
            ),
            ("ERROR: unterminated quoted string at or near \"'\"", "disclosure-sql-error"),
            ("SQLITE_ERROR: near \"x\": syntax error", "disclosure-sql-error"),
            (
                "Traceback (most recent call last):\n  File \"/app/x.py\", line 3, in f",
                "disclosure-stack-trace",
            ),
            (
                "TypeError: x is not a function\n    at Object.<anonymous> (/app/x.js:1:2)",
                "disclosure-stack-trace",
            ),
            (
                "Exception in thread \"main\" x.y.Z\n\tat com.example.App.main(App.java:5)",
                "disclosure-stack-trace",
            ),
        ] {
            assert_eq!(rules(Direction::Server, text), [rule], "{text}");
            assert_eq!(rules(Direction::Client, text), [""; 0], "{text}");
        }
        for text in
            ["no error here", "we use MySQL and SQLite", "it panicked, I think", "the stack trace is gone"]
        {
            assert_eq!(rules(Direction::Server, text), [""; 0], "{text}");
        }
    }
}
