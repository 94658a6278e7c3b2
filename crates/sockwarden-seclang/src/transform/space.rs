//! White space, and command lines.

/// White space of C's own locale.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().filter(|byte| !is_space(**byte)));
}

/// Makes one blank of each run of white space.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) {
    let mut before = false;
    for byte in input {
        let space = is_space(*byte);
        if !space {
            out.push(*byte);
        } else if !before {
            out.push(b' ');
        }
        before = space;
    }
}

pub(super) fn trim(input: &[u8], left: bool, right: bool) -> &[u8] {
    let mut rest = input;
    while let [first, tail @ ..] = rest
        && left
        && is_space(*first)
    {
        rest = tail;
    }
    while let [head @ .., last] = rest
        && right
        && is_space(*last)
    {
        rest = head;
    }
    rest
}

/// What a shell makes of a command line: no quotes and carets, one blank for what separates, none before `/` and `(`, lower case.
pub(super) fn command_line(input: &[u8], out: &mut Vec<u8>) {
    let mut blank = false;
    for byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !blank {
                    out.push(b' ');
                    blank = true;
                }
            }
            b'/' | b'(' => {
                if blank {
                    out.pop();
                }
                blank = false;
                out.push(*byte);
            }
            other => {
                out.push(other.to_ascii_lowercase());
                blank = false;
            }
        }
    }
}
