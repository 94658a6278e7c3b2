//! The dots and slashes of a path, however they are written.

/// What a part of a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Dot,
    Slash,
    /// A control character, which some readers leave out.
    Skip,
    /// Something that is written as no honest writer does: readers differ on whether it is a dot, a slash, or nothing.
    Wild,
    Other(u8),
}

/// Reads the unit that begins at `at`: it, whether it was escaped, and how long it is, which is never zero.
pub(super) fn read(bytes: &[u8], at: usize) -> Option<(Unit, bool, usize)> {
    let rest = bytes.get(at..)?;
    Some(match *rest.first()? {
        b'.' => (Unit::Dot, false, 1),
        b'/' | b'\\' => (Unit::Slash, false, 1),
        b'%' => {
            let (unit, length) = percent(rest);
            (unit, true, length)
        }
        b'0' if matches!(rest.get(1), Some(b'x' | b'X')) => match hexadecimal(rest.get(2..4)) {
            Some(0x2e) => (Unit::Dot, true, 4),
            Some(0x2f | 0x5c) => (Unit::Slash, true, 4),
            Some(_) | None => (Unit::Other(b'0'), false, 1),
        },
        0xc0 | 0xc1 => (Unit::Wild, true, 2.min(rest.len())),
        byte @ (0..=0x08 | 0x0b | 0x0c | 0x0e..=0x1f) => (Unit::Skip, byte == 0, 1),
        byte => (Unit::Other(byte), false, 1),
    })
}

fn hexadecimal(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn of_byte(byte: u32) -> Unit {
    match byte {
        0x2e | 0x2024 | 0xff0e => Unit::Dot,
        0x2f | 0x5c | 0x2044 | 0x2215 | 0x2216 | 0xff0f | 0xff3c => Unit::Slash,
        0..0x20 => Unit::Skip,
        byte @ 0x20..0x7f => Unit::Other(u8::try_from(byte).unwrap_or(b'?')),
        _ => Unit::Other(b'?'),
    }
}

/// `%2e`, `%252e`, `%u002e`, `%c0%ae` and what is meant to be taken for them.
fn percent(rest: &[u8]) -> (Unit, usize) {
    let mut at = 1;
    // A percent sign that is escaped itself, as often as it is.
    while rest.get(at..at + 2) == Some(b"25") {
        at += 2;
    }
    if rest.get(at) == Some(&b'%') {
        return digit_by_digit(rest, at).unwrap_or((Unit::Skip, at));
    }
    if matches!(rest.get(at), Some(b'u' | b'U')) {
        let (high, low) = (hexadecimal(rest.get(at + 1..at + 3)), hexadecimal(rest.get(at + 3..at + 5)));
        return match (high, low) {
            (Some(high), Some(low)) => match of_byte(u32::from(high) << 8 | u32::from(low)) {
                Unit::Other(b'?') => (Unit::Wild, at + 5),
                unit @ (Unit::Dot | Unit::Slash | Unit::Skip | Unit::Wild | Unit::Other(_)) => (unit, at + 5),
            },
            _ => (Unit::Other(b'%'), at),
        };
    }
    let Some(byte) = hexadecimal(rest.get(at..at + 2)) else {
        // Two letters that are no digits: readers that do not check make a byte of them.
        let letters = rest.get(at..at + 2).is_some_and(|two| two.iter().all(u8::is_ascii_alphanumeric));
        return if letters { (Unit::Wild, at + 2) } else { (Unit::Other(b'%'), at) };
    };
    at += 2;
    let more = match byte {
        0xc0 | 0xc1 => 1,
        0xe0 => 2,
        0xf0 => 3,
        0xf8 => 4,
        0xfc => 5,
        byte => return (of_byte(u32::from(byte)), at),
    };
    let mut value = u32::from(byte & 1);
    for _ in 0..more {
        let Some(next) = rest.get(at) else { return (Unit::Wild, at) };
        if *next != b'%' {
            // A byte that does not belong there: some readers take its low bits nevertheless.
            if byte <= 0xc1 && matches!(next, b'.' | b'/' | b'\\') {
                return (of_byte(u32::from(*next)), at + 1);
            }
            return (Unit::Wild, at);
        }
        let mut skip = at + 1;
        while rest.get(skip..skip + 2) == Some(b"25") {
            skip += 2;
        }
        let Some(low) = hexadecimal(rest.get(skip..skip + 2)) else {
            return (Unit::Wild, (skip + 2).min(rest.len()));
        };
        value = (value << 6 | u32::from(low & 0x3f)) & 0x7f;
        at = skip + 2;
    }
    match of_byte(value) {
        unit @ (Unit::Dot | Unit::Slash) => (unit, at),
        Unit::Skip | Unit::Wild | Unit::Other(_) => (Unit::Wild, at),
    }
}

/// `%%32%65` and `%%32%%65`: each digit of an escape is escaped itself.
fn digit_by_digit(rest: &[u8], at: usize) -> Option<(Unit, usize)> {
    let high = hexadecimal(rest.get(at + 1..at + 3))?;
    let low = rest.get(at + 3..)?;
    let signs = low.iter().take(2).take_while(|byte| **byte == b'%').count();
    let digits = at + 3 + signs;
    let low = hexadecimal(rest.get(digits..digits + 2)).filter(|_| signs > 0)?;
    let byte = hexadecimal(Some(&[high, low]))?;
    Some((of_byte(u32::from(byte)), digits + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_are_read_in_every_encoding() {
        let check = |text: &str, expected: &[Unit]| {
            let (mut at, mut units) = (0, Vec::new());
            while let Some((unit, _, length)) = read(text.as_bytes(), at) {
                units.push(unit);
                at += length;
            }
            assert_eq!(units, expected, "{text}");
        };
        check("../a", &[Unit::Dot, Unit::Dot, Unit::Slash, Unit::Other(b'a')]);
        check("%2e%252E%5c", &[Unit::Dot, Unit::Dot, Unit::Slash]);
        check("%u002e%uff0e%u2215", &[Unit::Dot, Unit::Dot, Unit::Slash]);
        check("%c0%ae%c0%af%c1%9c%c0.", &[Unit::Dot, Unit::Slash, Unit::Slash, Unit::Dot]);
        check("%e0%80%ae%f0%80%80%af%f8%80%80%80%ae", &[Unit::Dot, Unit::Slash, Unit::Dot]);
        check("%bg%c1%8s%01", &[Unit::Wild, Unit::Wild, Unit::Skip]);
        check("0x2e0x2f", &[Unit::Dot, Unit::Slash]);
        check("%%32%65%%32%%66", &[Unit::Dot, Unit::Slash]);
        check("5%", &[Unit::Other(b'5'), Unit::Other(b'%')]);
    }
}
