//! Paths.

/// Resolves `//`, `/./` and `/../` without asking a file system.
pub(super) fn normalize(input: &[u8], out: &mut Vec<u8>) {
    resolve(input, |byte| byte == b'/', out);
}

/// The same, where `\` separates as well and becomes `/`.
pub(super) fn normalize_windows(input: &[u8], out: &mut Vec<u8>) {
    resolve(input, |byte| matches!(byte, b'/' | b'\\'), out);
}

fn resolve(input: &[u8], separates: fn(u8) -> bool, out: &mut Vec<u8>) {
    let absolute = input.first().is_some_and(|byte| separates(*byte));
    let trailing = input.last().is_some_and(|byte| separates(*byte));
    if absolute {
        out.push(b'/');
    }
    let floor = out.len();
    // Steps that can be taken back; those above a relative beginning cannot.
    let mut depth = 0usize;
    for step in input.split(|byte| separates(*byte)) {
        match step {
            b"" | b"." => {}
            b".." if depth > 0 => {
                let cut = out[floor..].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                out.truncate(floor + cut);
                depth -= 1;
            }
            b".." if absolute => {}
            _ => {
                if out.len() > floor {
                    out.push(b'/');
                }
                out.extend_from_slice(step);
                if step != b".." {
                    depth += 1;
                }
            }
        }
    }
    if trailing && out.len() > floor {
        out.push(b'/');
    }
}
