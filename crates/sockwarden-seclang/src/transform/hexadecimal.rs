//! Hexadecimal digits.

use super::decode::pair;

/// Reads digits by twos, whatever they are; one that is left over is dropped.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.chunks_exact(2).map(|two| pair(two[0], two[1])));
}

pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in input {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Reads what SQL writes as `0x6162`.
pub(super) fn decode_sql(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let [first, tail @ ..] = rest {
        let digits = match rest {
            [b'0', b'x' | b'X', digits @ ..] => {
                digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count() / 2 * 2
            }
            _ => 0,
        };
        if digits == 0 {
            out.push(*first);
            rest = tail;
        } else {
            decode(&rest[2..2 + digits], out);
            rest = &rest[2 + digits..];
        }
    }
}
