//! Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes what is base64 from end to end; anything else becomes nothing.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let digit =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b'\n');
    if !input.iter().all(digit) {
        return;
    }
    let clean: Vec<u8> = input.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if let Ok(decoded) = STANDARD.decode(clean) {
        out.extend_from_slice(&decoded);
    }
}

/// Decodes what there is of base64 and passes over everything else; `=` ends it.
pub(super) fn decode_forgiving(input: &[u8], out: &mut Vec<u8>) {
    let mut held = 0u32;
    let mut bits = 0;
    for byte in input {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => continue,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
    }
}

pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(input).as_bytes());
}
