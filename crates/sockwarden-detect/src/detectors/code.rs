//! Source text of server-side languages, where a value is evaluated: PHP, Java and its expression languages, Python, JavaScript of servers, Ruby,
//! and directives of servers in pages.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables, words};

declare! {
    PHP = "code-php", Code, 1,
        "Source text of PHP begins, or a function of PHP is called that runs code or commands.",
        ["CWE-94", "https://owasp.org/www-community/attacks/Code_Injection"];
    JAVA = "code-java", Code, 1,
        "A class of Java is named by which commands are run, objects are made or classes are loaded, in a call or an expression.",
        ["CWE-94", "CWE-917"];
    SCRIPT = "code-script", Code, 1,
        "Script of a server reaches for its modules, its process or an evaluation.",
        ["CWE-94", "CWE-95"];
    DIRECTIVE = "code-directive", Code, 1,
        "A directive of a server stands in a comment of HTML.",
        ["CWE-97", "https://owasp.org/www-community/attacks/Server-Side_Includes_(SSI)_Injection"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::ANGLE],
            literals: &[
                "<?php", "<?=", "<? ", "<?\n", "<!--#", "<!--esi", "<esi:", "<%", "[php]", "<?i", "<?s",
                "<?e",
            ],
        },
        Start {
            marks: &[Marks::PAREN.and(Marks::BACKTICK)],
            literals: &[
                "system",
                "exec",
                "passthru",
                "phpinfo",
                "phpversion",
                "popen",
                "proc_open",
                "assert(",
                "eval(",
                "base64_decode",
                "file_get_contents",
                "file_put_contents",
                "create_function",
                "call_user_func",
                "include(",
                "require(",
                "readfile",
                "fopen(",
                "print(",
                "child_process",
                "__import__",
                "subprocess",
                "os.",
                "__builtins__",
                "compile(",
                "getruntime",
                "processbuilder",
                "forname",
                "classloader",
                "newinstance",
                "scriptengine",
                "getclass",
                "java.",
                "@java",
                "t(java",
                "require.main",
                "process.",
                "spawn(",
                "kernel",
                "_load",
                "open(",
                "unserialize(",
                "preg_replace",
                "var_dump",
                "move_uploaded",
                "scandir(",
                "getenv(",
                "md5(",
                "chr(",
                "array_map",
                "ob_start",
                "_server",
                "_get",
                "_post",
                "_request",
                "_cookie",
                "_files",
                "globals",
                "gzinflate",
                "str_rot13",
                "settimeout(",
                "while(",
                "constructor",
                "reflect",
            ],
        },
        Start {
            marks: &[Marks::DOT],
            literals: &[
                "java.",
                "javax.",
                "class.module",
                "class.classloader",
                "classloader",
                "getruntime",
                "processbuilder",
                "com.sun.",
                "org.apache.commons.coll",
                "org.apache.commons.bean",
                "ognl.",
                "com.opensymphony",
            ],
        },
        Start {
            marks: &[Marks::DOLLAR],
            literals: &[
                "$_get",
                "$_post",
                "$_request",
                "$_cookie",
                "$_server",
                "$_files",
                "$globals",
                "$_session",
                "${@",
                "{${",
            ],
        },
    ],
    run,
};

/// Functions of PHP that run what they are given.
const PHP_RUNS: &[&str] = &[
    "array_map",
    "assert",
    "base64_decode",
    "call_user_func",
    "call_user_func_array",
    "chmod",
    "create_function",
    "curl_exec",
    "dl",
    "error_log",
    "eval",
    "exec",
    "file_get_contents",
    "file_put_contents",
    "fopen",
    "fsockopen",
    "getenv",
    "glob",
    "gzinflate",
    "highlight_file",
    "include",
    "include_once",
    "ini_set",
    "move_uploaded_file",
    "ob_start",
    "opendir",
    "passthru",
    "pcntl_exec",
    "php_uname",
    "phpinfo",
    "phpversion",
    "popen",
    "posix_getpwuid",
    "preg_replace",
    "proc_open",
    "putenv",
    "readfile",
    "require",
    "require_once",
    "scandir",
    "shell_exec",
    "show_source",
    "str_rot13",
    "symlink",
    "system",
    "unlink",
    "unserialize",
    "usort",
    "var_dump",
];

tables! {
    /// Parts of Java by which code is run.
    JAVA_PARTS = [
    ("java.lang.runtime", 6),
    ("java.lang.processbuilder", 6),
    ("getruntime().exec", 6),
    ("getruntime()", 5),
    ("t(java.", 7),
    ("@java.lang", 7),
    ("class.forname(", 4),
    (".getclass().forname", 7),
    ("getclass()", 3),
    ("javax.script.", 5),
    ("scriptenginemanager", 5),
    ("java.net.urlclassloader", 6),
    ("class.module.classloader", 8),
    ("class.classloader", 6),
    ("com.sun.rowset", 6),
    ("com.sun.org.apache", 6),
    ("org.apache.commons.collections", 4),
    ("org.apache.commons.beanutils", 4),
    ("ognl.ognlcontext", 7),
    ("#_memberaccess", 7),
    ("#context[", 6),
    ("com.opensymphony.xwork2", 6),
    ("processbuilder(", 4),
    ("java.io.", 3),
    ("java.lang.", 3),
    ("new java.", 5),
    ("java.util.", 2),
    ("javax.naming", 4),
    ("java.net.", 3),
    ("javax.", 2),
    ("java.rmi", 4),
    ("java.beans", 4),
];

    /// Parts of script by which a server is reached.
    SCRIPT_PARTS = [
    ("require('child_process')", 8),
    ("require(\"child_process\")", 8),
    ("child_process", 5),
    ("__import__(", 6),
    ("os.system(", 5),
    ("os.popen(", 6),
    ("subprocess.", 4),
    ("__builtins__", 5),
    ("__subclasses__", 7),
    ("__globals__", 6),
    ("process.mainmodule", 7),
    ("require.main", 6),
    ("process.binding", 6),
    ("process.env", 3),
    ("kernel.exec", 6),
    ("io.popen(", 5),
    ("constructor.constructor(", 7),
    (".constructor(\"return", 7),
    (".constructor('return", 7),
    ("eval(compile(", 7),
    ("process.exit(", 4),
    ("global.process", 5),
    ("_load('", 5),
    ("reflect.", 2),
    ("require('fs')", 5),
    ("require(\"fs\")", 5),
    ("while(1)", 3),
    ("while(true)", 3),
    ("eval(string.fromcharcode", 7),
    ("setinterval(", 1),
    ("response.end(", 3),
    ("res.end(", 4),
    ("eval(", 2),
    ("import os", 3),
];

    /// How source text of PHP begins.
    PHP_BEGINS = [
        ("<?php", 7),
        ("<?=", 6),
        ("<? ", 4),
        ("<?\n", 5),
        ("[php]", 5),
        ("<?system", 7),
        ("<?exec", 7),
        ("<?include", 7),
    ];

    /// Directives in pages.
    DIRECTIVES = [("<!--#exec", 7), ("<!--#include", 7), ("<!--#echo", 7), ("<!--#printenv", 7), ("<!--#config", 7), ("<!--#set", 7), ("<!--#flastmod", 7), ("<!--#fsize", 7), ("<esi:include", 7), ("<!--esi", 7)];

    /// Variables of PHP that hold what a request says.
    PHP_VARIABLES = [("$_get[", 5), ("$_post[", 5), ("$_request[", 5), ("$_cookie[", 5), ("$_server[", 5), ("$_files[", 5), ("$globals[", 5), ("${@print", 4), ("{${", 4), ("$_get", 4), ("$_post", 4), ("$_request", 4), ("$_session", 4)];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let findings = &mut desk.findings;
    // A program has lines; what is injected has one, or stands behind the end of a string.
    let lines = bytes.iter().filter(|byte| **byte == b'\n').take(3).count();
    let program = lines >= 2;
    let begin = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let breaks = matches!(
        bytes.get(begin),
        Some(
            b'"' | b'\''
                | b';'
                | b'{'
                | b'$'
                | b'%'
                | b'#'
                | b')'
                | b'}'
                | b'|'
                | b'&'
                | b'*'
                | b'('
                | b'\\'
                | b'`'
        )
    );
    let lower = |weight: u8| if program { weight.saturating_sub(3) } else { weight };
    PHP_BEGINS.first(bytes, |number, at| {
        if let Some((word, weight)) = PHP_BEGINS.words.get(number) {
            findings.add(&PHP, if program && at == 0 { 4 } else { *weight }, at..at + word.len());
        }
    });
    DIRECTIVES.first(bytes, |_, at| findings.add(&DIRECTIVE, 7, at..at + 8));
    php(text, breaks, program, desk);
    let findings = &mut desk.findings;
    for (rule, parts) in [(&JAVA, &JAVA_PARTS), (&SCRIPT, &SCRIPT_PARTS)] {
        parts.first(bytes, |number, at| {
            if let Some((word, weight)) = parts.words.get(number) {
                let weight = lower(*weight);
                findings.add(
                    rule,
                    if breaks && weight >= 3 { weight + 1 } else { weight },
                    at..at + word.len(),
                );
            }
        });
    }
}

/// A call of a function of PHP, and the variables that hold what a request says.
fn php(text: &Text<'_>, breaks: bool, program: bool, desk: &mut Desk) {
    let bytes = text.bytes;
    let mut at = 0;
    let mut first = true;
    while at < bytes.len() {
        let name = words::name_at(bytes, at);
        if name.is_empty() {
            at += 1;
            continue;
        }
        let (start, end) = (at, at + name.len());
        at = end;
        let leads = first;
        first = false;
        let next = words::skip_blanks(bytes, end);
        if bytes.get(next) != Some(&b'(') || name.len() > 28 {
            continue;
        }
        let before = start.checked_sub(1).and_then(|before| bytes.get(before)).copied();
        // `db.exec(…)` and `fn exec(…)` are of other languages.
        if matches!(before, Some(b'.' | b'>' | b':' | b'!' | b'#')) || !words::is_one_of(PHP_RUNS, name) {
            continue;
        }
        let argument = bytes.get(words::skip_blanks(bytes, next + 1)).copied();
        let quoted = matches!(argument, Some(b'\'' | b'"' | b'$' | b'`'));
        let bare = name.len() == 4 || name.eq_ignore_ascii_case(b"print");
        let closes = matches!(bytes.trim_ascii_end().last(), Some(b')' | b';' | b'}' | b'>' | b'#' | b'/'));
        let weight = match (
            leads && closes,
            quoted || name.eq_ignore_ascii_case(b"phpinfo") || name.eq_ignore_ascii_case(b"phpversion"),
            breaks,
        ) {
            _ if program || text.sentence() => 2,
            (_, true, true) => 6,
            (true, true, _) if !bare || quoted => 5,
            (_, true, false) => 3,
            (_, false, true) => 2,
            (_, false, false) => 1,
        };
        desk.findings.add(&PHP, weight, start..end);
    }
    let called = bytes.contains(&b'(');
    PHP_VARIABLES.first(bytes, |number, at| {
        if let Some((word, weight)) = PHP_VARIABLES.words.get(number) {
            let weight = if program || text.sentence() {
                2
            } else if called {
                5
            } else {
                *weight
            };
            desk.findings.add(&PHP, weight, at..at + word.len());
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn lists_are_sorted() {
        assert!(crate::words::is_sorted(super::PHP_RUNS));
    }

    #[test]
    fn source_text_of_servers_is_found() {
        finds(
            Category::Code,
            &[
                "<?php system($_GET['c']); ?>",
                "<?= `id` ?>",
                "';phpinfo();//",
                "${@print(md5(1))}",
                "system('cat /etc/passwd');",
                "<!--#exec cmd=\"ls\" -->",
                "${T(java.lang.Runtime).getRuntime().exec('id')}",
                "%{(#_memberAccess=@ognl.OgnlContext@DEFAULT)}",
                "class.module.classLoader.resources.context",
                "';require('child_process').exec('id');//",
                "__import__('os').system('id')",
                "new java.lang.ProcessBuilder(\"id\").start()",
            ],
        );
    }

    #[test]
    fn talk_about_programs_is_left_alone() {
        passes(&[
            "fn main() {\n    println!(\"{}\", x);\n}",
            "use eval() with care, it is slow",
            "the exec() call fails with EPERM there",
            "import os, then call os.getcwd()",
            "java.util.List is an interface",
            "db.exec(\"VACUUM\")",
            "print(x)",
            "print(\"hello\")",
            "const fs = require('fs');\nconst a = fs.readFileSync('x');\nconsole.log(a);",
            "<% if you say so",
            "assert!(x == 1)",
            "process.env.PORT is 8080 here",
        ]);
    }
}
