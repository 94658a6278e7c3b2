//! Comments of SQL, C, HTML and shells.

/// Makes one blank of each comment `/* */`, also of one that does not end.
pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let [first, tail @ ..] = rest {
        let Some(inner) = rest.strip_prefix(b"/*") else {
            out.push(*first);
            rest = tail;
            continue;
        };
        let end = inner.windows(2).position(|pair| pair == b"*/");
        rest = end.map_or(&[][..], |end| &inner[end + 2..]);
        out.push(b' ');
    }
}

/// Takes out comments `/* */` and `<!-- -->`, and what follows `--` or `#`.
pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    let mut inside = false;
    while let [first, tail @ ..] = rest {
        if !inside {
            if let Some(inner) = rest.strip_prefix(b"/*").or_else(|| rest.strip_prefix(b"<!--")) {
                inside = true;
                rest = inner;
            } else if rest.starts_with(b"--") || *first == b'#' {
                return;
            } else {
                out.push(*first);
                rest = tail;
            }
        } else if let Some(after) = rest.strip_prefix(b"*/").or_else(|| rest.strip_prefix(b"-->")) {
            inside = false;
            rest = after;
            // The byte after a comment is never the beginning of another one.
            if let [next, tail @ ..] = rest {
                out.push(*next);
                rest = tail;
            }
        } else {
            rest = tail;
        }
    }
    if inside {
        out.push(b' ');
    }
}

/// Takes out the marks of comments: `/*`, `*/`, `<!--`, `-->`, `--`, `#`.
pub(super) fn remove_marks(input: &[u8], out: &mut Vec<u8>) {
    const MARKS: &[&[u8]] = &[b"/*", b"*/", b"<!--", b"-->", b"--", b"#"];
    let mut rest = input;
    while let [first, tail @ ..] = rest {
        match MARKS.iter().find_map(|mark| rest.strip_prefix(*mark)) {
            Some(after) => rest = after,
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
}
