//! How numbers, dates, addresses and encodings are written.

use crate::Marks;

/// The fewest characters of base64 without padding, or of hexadecimal digits, that are no name.
const LONG: usize = 24;
pub(super) const LONG_HEX: usize = 32;

/// What numbers, dates and times begin with.
#[inline]
pub(super) fn begins_as_number(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'0'..=b'9' | b'+' | b'-' | b'.'))
}

/// A number in decimal.
pub(super) fn is_number(bytes: &[u8]) -> bool {
    let rest = after_digits(after_sign(bytes));
    let (whole, mut rest) = (bytes.len() - rest.len(), rest);
    let mut digits = whole > bytes.len() - after_sign(bytes).len();
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = after_digits(fraction);
        digits |= rest.len() < fraction.len();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or(rest.strip_prefix(b"E")) {
        let exponent = after_sign(exponent);
        rest = after_digits(exponent);
        digits &= rest.len() < exponent.len();
    }
    digits && rest.is_empty()
}

fn after_sign(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"-").or(bytes.strip_prefix(b"+")).unwrap_or(bytes)
}

fn after_digits(bytes: &[u8]) -> &[u8] {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.get(count..).unwrap_or_default()
}

#[inline]
pub(super) fn is_boolean(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b't' | b'f' | b'T' | b'F'))
        && matches!(bytes, b"true" | b"false" | b"True" | b"False" | b"TRUE" | b"FALSE")
}

/// A date, a time or both, as ISO 8601 and RFC 3339 write them.
pub(super) fn is_date(bytes: &[u8]) -> bool {
    const DATES: [&[u8]; 5] = [b"0000-00-00", b"0000-W00-0", b"00000000", b"0000-00", b"0000-W00"];
    const TIMES: [&[u8]; 3] = [b"00:00:00", b"00:00", b"000000"];
    let after = |forms: &[&[u8]], bytes| forms.iter().find_map(|form| after_form(form, bytes));
    if bytes.len() > 40 {
        return false;
    }
    match after(&DATES, bytes) {
        // Eight digits alone are a number, and were told as one.
        Some([]) => bytes.contains(&b'-'),
        Some([b'T' | b't' | b' ', time @ ..]) => after(&TIMES, time).is_some_and(ends_time),
        Some(_) | None => {
            bytes.contains(&b':') && after(TIMES.get(..2).unwrap_or_default(), bytes).is_some_and(ends_time)
        }
    }
}

/// Gives what follows a text of this form, in which `0` stands for any digit.
fn after_form<'a>(form: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (begin, rest) = bytes.split_at_checked(form.len())?;
    let fits =
        |(wanted, byte): (&u8, &u8)| if *wanted == b'0' { byte.is_ascii_digit() } else { wanted == byte };
    form.iter().zip(begin).all(fits).then_some(rest)
}

/// A fraction and a zone, or neither.
fn ends_time(rest: &[u8]) -> bool {
    let rest = match rest {
        [b'.' | b',', fraction @ ..] if fraction.first().is_some_and(u8::is_ascii_digit) => {
            after_digits(fraction)
        }
        rest => rest,
    };
    match rest {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', zone @ ..] => {
            [b"00:00".as_slice(), b"0000", b"00"].iter().any(|form| after_form(form, zone) == Some(&[]))
        }
        _ => false,
    }
}

/// A scheme and `://`, or one of those that need none.
pub(super) fn is_url(bytes: &[u8]) -> bool {
    let colon = bytes.iter().position(|byte| *byte == b':').unwrap_or(0);
    let (scheme, rest) = bytes.split_at(colon);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme && (rest.starts_with(b"://") && rest.len() > 3) || has_opaque_scheme(bytes)
}

/// A scheme that names no host.
pub(super) fn has_opaque_scheme(bytes: &[u8]) -> bool {
    const OPAQUE: [&[u8]; 9] =
        [b"javascript:", b"vbscript:", b"data:", b"mailto:", b"tel:", b"urn:", b"blob:", b"file:", b"about:"];
    OPAQUE.iter().any(|scheme| {
        bytes.len() > scheme.len()
            && bytes.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    })
}

pub(super) fn is_email(bytes: &[u8], marks: Marks) -> bool {
    const NEVER: Marks = Marks::ANGLE
        .and(Marks::PAREN)
        .and(Marks::BRACKET)
        .and(Marks::SEMICOLON)
        .and(Marks::COLON)
        .and(Marks::BACKSLASH);
    let mut parts = bytes.split(|byte| *byte == b'@');
    let (Some(user), Some(host), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || !byte.is_ascii();
    let labels = host.split(|byte| *byte == b'.');
    !user.is_empty()
        && !marks.any(NEVER)
        && host.contains(&b'.')
        && host.iter().all(name)
        && labels.into_iter().all(|label| !label.is_empty())
}

/// A path that begins as one, or names that slashes join and that end in one with an extension.
pub(super) fn is_path(bytes: &[u8], marks: Marks) -> bool {
    const NEVER: Marks = Marks::LINE
        .and(Marks::QUOTE)
        .and(Marks::ANGLE)
        .and(Marks::SEMICOLON)
        .and(Marks::PIPE)
        .and(Marks::BACKTICK);
    if marks.any(NEVER) || bytes.starts_with(b"//") {
        return false;
    }
    let begins = [b"/".as_slice(), b"./", b"../", b"~/", b"\\\\", b"..\\"]
        .iter()
        .any(|begin| bytes.starts_with(begin))
        || matches!(bytes, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    if begins {
        // `/kick her`: a word after the first blank belongs to a sentence unless slashes go on.
        let mut words = bytes.split(|byte| *byte == b' ').skip(1);
        return words.all(|word| word.iter().any(is_slash));
    }
    let last = bytes.rsplit(is_slash).next().unwrap_or_default();
    let dot = last.iter().rposition(|byte| *byte == b'.');
    let has_extension = dot.is_some_and(|dot| dot > 0 && (2..=6).contains(&(last.len() - dot)));
    let named =
        bytes.split(is_slash).all(|name| Marks::of(name).only(Marks::WORD | Marks::DOT | Marks::HIGH));
    named && has_extension && marks.any(Marks::LETTER)
}

/// Whether a tag is one: `List<String>` is none.
pub(super) fn is_markup(bytes: &[u8]) -> bool {
    if bytes.windows(2).any(|two| matches!(two, b"</" | b"<!" | b"<?" | b"/>")) {
        return true;
    }
    bytes.iter().enumerate().any(|(at, byte)| {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        if *byte != b'<' || !rest.first().is_some_and(u8::is_ascii_alphabetic) {
            return false;
        }
        let alone = at
            .checked_sub(1)
            .and_then(|at| bytes.get(at))
            .is_none_or(|before| !before.is_ascii_alphanumeric());
        let name = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
        match rest.get(name) {
            Some(b'>') => alone,
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'/') => rest.contains(&b'='),
            Some(_) | None => false,
        }
    })
}

/// Base64 or hexadecimal digits, in contrast to a name.
pub(super) fn is_encoded(bytes: &[u8], marks: Marks) -> bool {
    const STANDARD: Marks =
        Marks::LETTER.and(Marks::DIGIT).and(Marks::PLUS).and(Marks::SLASH).and(Marks::QUERY);
    const SAFE: Marks = Marks::WORD.and(Marks::QUERY);
    if marks.only(Marks::LETTER | Marks::DIGIT) && bytes.len() >= LONG_HEX && bytes.len().is_multiple_of(2) {
        let lower = bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        if lower || bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'A'..=b'F')) {
            return true;
        }
    }
    if marks.any(Marks::DOT) && bytes.starts_with(b"eyJ") && marks.only(Marks::WORD | Marks::DOT) {
        return true;
    }
    // Padding or a digit is in all that counts as base64.
    if bytes.len() < 8
        || !marks.any(Marks::QUERY | Marks::DIGIT)
        || !(marks.only(STANDARD) || marks.only(SAFE))
    {
        return false;
    }
    let held = bytes.strip_suffix(b"==").or(bytes.strip_suffix(b"=")).unwrap_or(bytes);
    if held.iter().any(|byte| matches!(byte, b'=' | b'?')) {
        return false;
    }
    let padded = held.len() < bytes.len() && bytes.len().is_multiple_of(4);
    let lower = held.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    let mixed = marks.any(Marks::DIGIT)
        && held.iter().any(u8::is_ascii_uppercase)
        && lower > 0
        // Words are mostly small letters, and their parts are joined by one sign each.
        && lower * 10 < held.len() * 6
        && held.iter().filter(|byte| matches!(byte, b'-' | b'_' | b'/')).count() * 12 < held.len();
    padded && (mixed || bytes.len() >= 12) || mixed && bytes.len() >= LONG
}
