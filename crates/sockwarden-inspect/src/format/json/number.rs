//! Numbers, as JSON writes them.

use super::{Stopped, malformed};
use crate::{Anomaly, Marks, Role, Shape, walk::Walk};

/// Reads a number, and tells where it ends.
#[inline(always)]
pub(super) fn number(walk: &mut Walk<'_>, bytes: &[u8], start: usize, first: u8) -> Result<usize, Stopped> {
    let mut marks = Marks::DIGIT;
    let mut whole = start;
    if first == b'-' {
        marks |= Marks::DASH;
        whole += 1;
    }
    let mut at = digits(bytes, whole);
    if at == whole || at - whole > 1 && bytes[whole] == b'0' {
        return Err(malformed(start));
    }
    let length = at - whole;
    let (mut integer, mut exponent) = (true, false);
    if bytes.get(at) == Some(&b'.') {
        marks |= Marks::DOT;
        let end = digits(bytes, at + 1);
        if end == at + 1 {
            return Err(malformed(start));
        }
        (at, integer) = (end, false);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = bytes.get(at + 1).filter(|sign| matches!(sign, b'+' | b'-'));
        marks |= Marks::LETTER | sign.map_or(Marks::NONE, |sign| Marks::of_byte(*sign));
        let first = at + 1 + usize::from(sign.is_some());
        let end = digits(bytes, first);
        if end == first {
            return Err(malformed(start));
        }
        (at, integer, exponent) = (end, false, true);
    }
    let text = &bytes[start..at];
    // Without an exponent it takes hundreds of digits to be out of range.
    if (exponent || length > 15) && is_big(text, integer) {
        walk.anomaly(Anomaly::BigNumber);
    }
    walk.value(Role::Value, Shape::Number, text, marks);
    Ok(at)
}

/// Tells where digits end that begin at `at`.
#[inline]
fn digits(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        // Of each byte the highest bit says that it is no digit, up to the first that is none.
        let number = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
        let others = (number.wrapping_add(0x7676_7676_7676_7676) | number) & 0x8080_8080_8080_8080;
        at += others.trailing_zeros() as usize / 8;
        if others != 0 {
            return at;
        }
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// Tells whether a number is one that many readers change.
fn is_big(text: &[u8], integer: bool) -> bool {
    const EXACT: i64 = 1 << 53;
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if integer {
        return text.parse::<i64>().map_or(true, |number| !(-EXACT..=EXACT).contains(&number));
    }
    text.parse::<f64>().is_ok_and(f64::is_infinite)
}
