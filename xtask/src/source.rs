//! Reads Rust source as far as the tidy rules need it: code without comments and strings, and the paths of imports.

/// The code of `text` with every comment and every string or character literal blanked; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = blank_end(&letters, at);
        if end > at {
            code.extend(letters[at..end].iter().map(|&letter| if letter == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            code.push(letters[at]);
            at += 1;
        }
    }
    code
}

/// The same code with everything under `#[cfg(test)]` blanked.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";

    let mut left = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (before, item) = rest.split_at(at);
        let end = item_end(item);
        left.push_str(before);
        left.extend(item[..end].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        rest = &item[end..];
    }
    left.push_str(rest);
    left
}

/// Where the item that `code` begins with ends: after its braces, or after a semicolon before any.
fn item_end(code: &str) -> usize {
    let mut depth = 0_u32;
    for (at, letter) in code.char_indices() {
        match letter {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Every full path that the `use` declarations of `code` name, with its line: `use a::{b, c::D};` names `a::b` and `a::c::D`.
pub(crate) fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in word_starts(code, "use") {
        let rest = &code[start + "use".len()..];
        let Some(tree) = rest.split(';').next() else { continue };
        let mut paths = Vec::new();
        expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut paths);
        let line = line_of(code, start);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Where `word` stands in `code` as a whole word (its neighbours are no letters, digits or underscores).
pub(crate) fn word_starts<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The line number, from one, of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn blank_end(letters: &[char], at: usize) -> usize {
    let next = letters.get(at + 1).copied();
    match letters[at] {
        '/' if next == Some('/') => find(letters, at, |letter| letter == '\n'),
        '/' if next == Some('*') => block_comment_end(letters, at),
        '"' => string_end(letters, at + 1),
        'r' | 'b' | 'c' if at == 0 || !is_word(letters[at - 1]) => prefixed_end(letters, at),
        '\'' => character_end(letters, at),
        _ => at,
    }
}

fn block_comment_end(letters: &[char], start: usize) -> usize {
    let mut depth = 0_u32;
    let mut at = start;
    while at < letters.len() {
        match (letters[at], letters.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    letters.len()
}

/// The end of a string whose opening quote has been read.
fn string_end(letters: &[char], mut at: usize) -> usize {
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

/// The end of `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'…'`; the start when it is only a name.
fn prefixed_end(letters: &[char], start: usize) -> usize {
    let mut at = find(letters, start, |letter| !matches!(letter, 'r' | 'b' | 'c'));
    if at - start > 2 {
        return start;
    }
    let raw = letters[start..at].contains(&'r');
    let hashes_from = at;
    at = find(letters, at, |letter| letter != '#');
    let hashes = at - hashes_from;
    match letters.get(at) {
        Some('"') if raw => {
            at += 1;
            while at < letters.len() {
                let closing = letters[at] == '"'
                    && letters[at + 1..].iter().take(hashes).filter(|&&letter| letter == '#').count()
                        == hashes;
                at += 1;
                if closing {
                    return at + hashes;
                }
            }
            letters.len()
        }
        Some('"') if hashes == 0 => string_end(letters, at + 1),
        Some('\'') if hashes == 0 && !raw => character_end(letters, at),
        _ => start,
    }
}

/// The end of a character literal; the start when it is a lifetime.
fn character_end(letters: &[char], start: usize) -> usize {
    match (letters.get(start + 1), letters.get(start + 2)) {
        (Some('\\'), _) => (find(letters, start + 3, |letter| letter == '\'') + 1).min(letters.len()),
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

fn find(letters: &[char], from: usize, is_end: impl Fn(char) -> bool) -> usize {
    (from..letters.len()).find(|&at| is_end(letters[at])).unwrap_or(letters.len())
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim().trim_end_matches("::self");
        if !path.is_empty() {
            found.push(
                format!("{prefix}{path}").trim_start_matches("::").trim_end_matches("::self").to_owned(),
            );
        }
        return;
    };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let prefix = format!("{prefix}{}", head.trim());
    let mut depth = 0_i32;
    let mut from = 0;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &group[from..at], found);
                from = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &group[from..], found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let check = |text: &str, expected: &str| {
            let code = code_only(text);
            assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
            assert_eq!(code.matches('\n').count(), text.matches('\n').count(), "{text}");
        };
        check("a // b\nc", "a c");
        check("a /* b /* c */ d */ e", "a e");
        check(r#"say("todo\"!", 'x', '\'', '\n')"#, "say( , , , )");
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
        check("r#\"a\"b\"# c", "c");
        check("br\"x\" b\"y\" b'z' rest bar", "rest bar");
        check("let raw = r#type;", "let raw = r#type;");
        check("\"open", "");
        check("/* open", "");
        check("'", "'");
        check("r###", "r###");
    }

    #[test]
    fn what_only_tests_see_is_blanked() {
        let check = |code: &str, expected: &str| {
            let left = without_tests(code);
            assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{code}");
            assert_eq!(left.matches('\n').count(), code.matches('\n').count(), "{code}");
        };
        check("a\n#[cfg(test)]\nmod tests { fn f() {\n} }\nb", "a b");
        check("#[cfg(test)]\nuse a::b;\nc", "c");
        check("#[cfg(test)] mod tests {", "");
        check("#[cfg(unix)] mod a { b }", "#[cfg(unix)] mod a { b }");
    }

    #[test]
    fn imports_are_expanded_to_full_paths() {
        let check = |code: &str, expected: &[&str]| {
            let paths: Vec<String> = imports(code).into_iter().map(|(_, path)| path).collect();
            assert_eq!(paths, expected, "{code}");
        };
        check("use std::fs;", &["std::fs"]);
        check(
            "pub use std::{fs, net::{TcpStream, IpAddr}, time::Duration};",
            &["std::fs", "std::net::TcpStream", "std::net::IpAddr", "std::time::Duration"],
        );
        check("use ::std::env::{self, vars as all};", &["std::env", "std::env::vars"]);
        check("user::fs; reuse", &[]);
        assert_eq!(imports("\n\nuse a::b;")[0].0, 3);
    }
}
