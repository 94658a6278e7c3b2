//! Escapes of URLs, HTML, JavaScript, CSS and C.

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).map_or(0, |value| u8::try_from(value).unwrap_or_default())
}

/// Two hexadecimal digits as a byte.
pub(super) fn pair(high: u8, low: u8) -> u8 {
    digit(high) << 4 | digit(low)
}

/// Four hexadecimal digits as a byte: the lower one; what is ASCII in full width (FF01 to FF5E) as ASCII.
fn folded(digits: [u8; 4]) -> u8 {
    let low = pair(digits[2], digits[3]);
    let wide = digits[0].eq_ignore_ascii_case(&b'f') && digits[1].eq_ignore_ascii_case(&b'f');
    if wide && low > 0 && low < 0x5f { low + 0x20 } else { low }
}

fn four(rest: &[u8]) -> Option<[u8; 4]> {
    let digits = *rest.first_chunk::<4>()?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)
}

pub(super) fn url(input: &[u8], out: &mut Vec<u8>, unicode: bool) {
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        let rest = &input[at + 1..];
        match (byte, rest) {
            (b'+', _) => out.push(b' '),
            (b'%', [b'u' | b'U', digits @ ..]) if unicode => match four(digits) {
                Some(digits) => {
                    out.push(folded(digits));
                    at += 5;
                }
                None => {
                    out.extend_from_slice(&input[at..at + 2]);
                    at += 1;
                }
            },
            (b'%', [high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(pair(*high, *low));
                at += 2;
            }
            _ => out.push(byte),
        }
        at += 1;
    }
}

/// A number as `strtol` gives it, cut to a byte; beyond 63 bits it is the largest one.
fn number(digits: &[u8], radix: u32) -> u8 {
    let mut value: i64 = 0;
    for byte in digits {
        let digit = i64::from(char::from(*byte).to_digit(radix).unwrap_or_default());
        value = match value.checked_mul(i64::from(radix)).and_then(|value| value.checked_add(digit)) {
            Some(value) => value,
            None => return 0xff,
        };
    }
    (value & 0xff) as u8
}

pub(super) fn html(input: &[u8], out: &mut Vec<u8>) {
    let run = |from: usize, is: fn(&u8) -> bool| {
        input[from.min(input.len())..].iter().take_while(|byte| is(byte)).count()
    };
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        if byte != b'&' {
            out.push(byte);
            at += 1;
            continue;
        }
        let rest = &input[at + 1..];
        // What it stands for and how long it is, or how much of it stays.
        let (found, length) = match rest {
            [b'#', b'x' | b'X', ..] => match run(at + 3, u8::is_ascii_hexdigit) {
                0 => (None, 3),
                digits => (Some(number(&input[at + 3..at + 3 + digits], 16)), 3 + digits),
            },
            [b'#', ..] => match run(at + 2, u8::is_ascii_digit) {
                0 => (None, 2),
                digits => (Some(number(&input[at + 2..at + 2 + digits], 10)), 2 + digits),
            },
            _ => {
                let letters = run(at + 1, u8::is_ascii_alphanumeric);
                (entity(&rest[..letters]), 1 + letters)
            }
        };
        match found {
            Some(byte) => {
                out.push(byte);
                at += length + usize::from(input.get(at + length) == Some(&b';'));
            }
            None => {
                let end = (at + length).min(input.len());
                out.extend_from_slice(&input[at..end]);
                at = end;
            }
        }
    }
}

fn entity(name: &[u8]) -> Option<u8> {
    const NAMES: &[(&[u8], u8)] =
        &[(b"quot", b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xa0)];
    NAMES.iter().find(|known| known.0.eq_ignore_ascii_case(name)).map(|known| known.1)
}

pub(super) fn javascript(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        let rest = &input[at + 1..];
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        let length = match rest {
            [b'u', digits @ ..] if four(digits).is_some() => {
                out.extend(four(digits).map(folded));
                6
            }
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(pair(*high, *low));
                4
            }
            [b'0'..=b'7', ..] => 1 + octal(rest, out),
            [letter, ..] => {
                out.push(control(*letter).unwrap_or(*letter));
                2
            }
            [] => {
                out.push(byte);
                1
            }
        };
        at += length;
    }
}

/// Writes the byte of up to three octal digits, and tells how many they are: two where three are more than a byte.
fn octal(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let digits = rest.iter().take(3).take_while(|byte| (b'0'..b'8').contains(byte)).count();
    let used = if digits == 3 && rest[0] > b'3' { 2 } else { digits };
    out.push(number(&rest[..used], 8));
    used
}

fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 7,
        b'b' => 8,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

pub(super) fn css(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let rest = &input[at..];
        let digits = rest.iter().take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
        match (digits, rest) {
            (0, [b'\n', ..]) => at += 1,
            (0, [other, ..]) => {
                out.push(*other);
                at += 1;
            }
            (0, []) => {}
            (1, _) => {
                out.push(digit(rest[0]));
                at += 1 + usize::from(rest.get(1).is_some_and(is_space));
            }
            (2 | 3, _) => {
                out.push(pair(rest[digits - 2], rest[digits - 1]));
                at += digits + usize::from(rest.get(digits).is_some_and(is_space));
            }
            (_, _) => {
                let last = [rest[digits - 4], rest[digits - 3], rest[digits - 2], rest[digits - 1]];
                let zeros = rest[..digits - 4].iter().all(|byte| *byte == b'0');
                out.push(if zeros { folded(last) } else { pair(last[2], last[3]) });
                at += digits + usize::from(rest.get(digits).is_some_and(is_space));
            }
        }
    }
}

fn is_space(byte: &u8) -> bool {
    super::space::is_space(*byte)
}

/// Escapes of ANSI C: `\a`, `\?`, `\xHH`, `\OOO`; a backslash before anything else stays.
pub(super) fn escapes(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        let rest = &input[at + 1..];
        let length = match (byte, rest) {
            (b'\\', [b'x' | b'X', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(pair(*high, *low));
                4
            }
            (b'\\', [b'0'..=b'7', ..]) => {
                let digits = rest.iter().take(3).take_while(|byte| (b'0'..b'8').contains(byte)).count();
                out.push(number(&rest[..digits], 8));
                1 + digits
            }
            (b'\\', [letter @ (b'\\' | b'?' | b'\'' | b'"'), ..]) => {
                out.push(*letter);
                2
            }
            (b'\\', [letter, ..]) if control(*letter).is_some() => {
                out.extend(control(*letter));
                2
            }
            _ => {
                out.push(byte);
                1
            }
        };
        at += length;
    }
}
