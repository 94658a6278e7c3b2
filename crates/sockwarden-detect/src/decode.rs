//! What a text says once its escapes are resolved: those of URLs, HTML, JavaScript and CSS, and letters that only look different.
//!
//! `inspect` resolves a value that is wholly in one encoding; here pieces of a value are resolved, in several encodings and inside one
//! another, for whoever filters by words is evaded with such pieces.

use sockwarden_inspect::Marks;

/// How often what was resolved is resolved again.
const ROUNDS: usize = 3;

/// Resolves all escapes into `plain`, with `spare` as room to work; tells whether that changed anything.
pub(crate) fn decode(bytes: &[u8], marks: Marks, plain: &mut Vec<u8>, spare: &mut Vec<u8>) -> bool {
    const ANY: Marks =
        Marks::PERCENT.and(Marks::AMPERSAND).and(Marks::BACKSLASH).and(Marks::HIGH).and(Marks::PLUS);
    if !marks.any(ANY) {
        return false;
    }
    plain.clear();
    if !round(bytes, plain) {
        return plus(bytes, marks, plain);
    }
    for _ in 1..ROUNDS {
        spare.clear();
        if !round(plain, spare) {
            break;
        }
        std::mem::swap(plain, spare);
    }
    // In a form a blank is a plus sign.
    if !marks.any(Marks::SPACE) && marks.any(Marks::PLUS) {
        plain.iter_mut().filter(|byte| **byte == b'+').for_each(|byte| *byte = b' ');
    }
    true
}

/// Takes plus signs for blanks where several words stand between them and no blank does.
fn plus(bytes: &[u8], marks: Marks, plain: &mut Vec<u8>) -> bool {
    let joins = bytes.iter().filter(|byte| **byte == b'+').count();
    if !marks.any(Marks::PLUS) || marks.any(Marks::SPACE) || joins < 2 {
        return false;
    }
    plain.clear();
    plain.extend(bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }));
    true
}

/// Resolves each escape once; tells whether there was any.
fn round(bytes: &[u8], plain: &mut Vec<u8>) -> bool {
    let mut at = 0;
    let mut changed = false;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // Most bytes begin nothing.
        let dull =
            rest.iter().position(|byte| matches!(byte, b'%' | b'&' | b'\\' | 0x80..)).unwrap_or(rest.len());
        let (dull, rest) = rest.split_at(dull);
        plain.extend_from_slice(dull);
        at += dull.len();
        let resolved = match rest.first() {
            Some(b'%') => percent(rest),
            Some(b'&') => entity(rest),
            Some(b'\\') => escape(rest),
            Some(0x80..) => letter(rest),
            Some(_) | None => None,
        };
        match resolved {
            Some((Resolved::Letter(letter), length)) => {
                push(plain, letter);
                at += length;
                changed = true;
            }
            Some((Resolved::Byte(byte), length)) => {
                plain.push(byte);
                at += length;
                changed = true;
            }
            Some((Resolved::Nothing, length)) => {
                at += length;
                changed = true;
            }
            None => {
                plain.extend(rest.first());
                at += 1;
            }
        }
    }
    changed
}

enum Resolved {
    Letter(u32),
    Byte(u8),
    Nothing,
}

/// Writes a character; of those that only look like ASCII, that.
fn push(plain: &mut Vec<u8>, letter: u32) {
    match char::from_u32(folded(letter).unwrap_or(letter)) {
        Some(letter) => plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None => plain.push(b'?'),
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| {
        char::from(*digit).to_digit(radix).and_then(|digit| sum.checked_mul(radix)?.checked_add(digit))
    })
}

/// `%XX`, and `%uXXXX` of old browsers and servers.
fn percent(rest: &[u8]) -> Option<(Resolved, usize)> {
    if let Some(b'u' | b'U') = rest.get(1) {
        return number(rest.get(2..6)?, 16).map(|letter| (Resolved::Letter(letter), 6));
    }
    let byte = number(rest.get(1..3)?, 16).and_then(|byte| u8::try_from(byte).ok())?;
    Some((Resolved::Byte(byte), 3))
}

/// The entities of HTML that stand for signs.
const ENTITIES: [(&[u8], u8); 30] = [
    (b"Tab", b'\t'),
    (b"NewLine", b'\n'),
    (b"amp", b'&'),
    (b"apos", b'\''),
    (b"ast", b'*'),
    (b"bsol", b'\\'),
    (b"colon", b':'),
    (b"comma", b','),
    (b"commat", b'@'),
    (b"dollar", b'$'),
    (b"equals", b'='),
    (b"excl", b'!'),
    (b"grave", b'`'),
    (b"gt", b'>'),
    (b"lbrace", b'{'),
    (b"lcub", b'{'),
    (b"lbrack", b'['),
    (b"lowbar", b'_'),
    (b"lpar", b'('),
    (b"lsqb", b'['),
    (b"lt", b'<'),
    (b"num", b'#'),
    (b"percnt", b'%'),
    (b"period", b'.'),
    (b"quot", b'"'),
    (b"rcub", b'}'),
    (b"rpar", b')'),
    (b"semi", b';'),
    (b"sol", b'/'),
    (b"vert", b'|'),
];

/// `&#N;`, `&#xH;` (the semicolon may be missing) and `&name;`.
fn entity(rest: &[u8]) -> Option<(Resolved, usize)> {
    if rest.get(1) == Some(&b'#') {
        let hexadecimal = matches!(rest.get(2), Some(b'x' | b'X'));
        let (start, radix) = if hexadecimal { (3, 16) } else { (2, 10) };
        let digits = rest.get(start..)?;
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let count =
            digits.iter().skip(zeros).take(8).take_while(|digit| char::from(**digit).is_digit(radix)).count();
        let letter = number(digits.get(zeros..zeros + count)?, radix)?;
        let end = start + zeros + count;
        let end = end + usize::from(rest.get(end) == Some(&b';'));
        return Some((Resolved::Letter(letter), end));
    }
    let end = rest.iter().take(12).position(|byte| *byte == b';')?;
    let name = rest.get(1..end)?;
    let (_, byte) = ENTITIES.iter().find(|(entity, _)| entity.eq_ignore_ascii_case(name))?;
    Some((Resolved::Byte(*byte), end + 1))
}

/// `\xXX`, `\uXXXX`, `\u{X}`, `\NNN` and, of CSS, `\XXXXXX` that begins with a zero.
fn escape(rest: &[u8]) -> Option<(Resolved, usize)> {
    match rest.get(1)? {
        b'x' | b'X' => number(rest.get(2..4)?, 16).map(|letter| (Resolved::Letter(letter), 4)),
        b'u' | b'U' if rest.get(2) == Some(&b'{') => {
            let end = rest.iter().take(12).position(|byte| *byte == b'}')?;
            number(rest.get(3..end)?, 16).map(|letter| (Resolved::Letter(letter), end + 1))
        }
        b'u' | b'U' => number(rest.get(2..6)?, 16).map(|letter| (Resolved::Letter(letter), 6)),
        b'0' => {
            let digits = rest.iter().skip(1).take(6).take_while(|digit| digit.is_ascii_hexdigit()).count();
            let (short, radix) = if digits >= 4 { (digits, 16) } else { (3, 8) };
            let letter = number(rest.get(1..1 + short)?, radix).filter(|letter| *letter > 0)?;
            Some((Resolved::Letter(letter), 1 + short))
        }
        b'1' => number(rest.get(1..4)?, 8)
            .filter(|letter| *letter < 0x80)
            .map(|letter| (Resolved::Letter(letter), 4)),
        _ => None,
    }
}

/// Letters of full width, signs that nobody sees, and bytes that write ASCII longer than it is (RFC 3629 §3).
fn letter(rest: &[u8]) -> Option<(Resolved, usize)> {
    if let [first @ (0xc0 | 0xc1), second, ..] = rest {
        return Some((Resolved::Byte((first & 1) << 6 | second & 0x3f), 2));
    }
    let overlong = match rest {
        [0xe0, second @ 0x80..=0x9f, third @ 0x80..=0xbf, ..] => Some((second & 1, *third, 3)),
        [0xf0, 0x80, third @ 0x80..=0xbf, fourth @ 0x80..=0xbf, ..] => Some((third & 1, *fourth, 4)),
        [0xf8, 0x80, 0x80, third @ 0x80..=0xbf, fourth @ 0x80..=0xbf, ..] => Some((third & 1, *fourth, 5)),
        [0xfc, 0x80, 0x80, 0x80, third @ 0x80..=0xbf, fourth @ 0x80..=0xbf, ..] => {
            Some((third & 1, *fourth, 6))
        }
        _ => None,
    };
    if let Some((high, low, length)) = overlong {
        return Some((Resolved::Byte(high << 6 | low & 0x3f), length));
    }
    let (letter, length) = match rest {
        [first @ 0xc2..=0xdf, second, ..] => (u32::from(first & 0x1f) << 6 | u32::from(second & 0x3f), 2),
        [first @ 0xe0..=0xef, second, third, ..] => {
            (u32::from(first & 0xf) << 12 | u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f), 3)
        }
        _ => return None,
    };
    if is_unseen(letter) {
        return Some((Resolved::Nothing, length));
    }
    folded(letter).map(|letter| (Resolved::Letter(letter), length))
}

/// Tells whether a character takes no room.
pub(crate) const fn is_unseen(letter: u32) -> bool {
    matches!(letter, 0xad | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0x2066..=0x2069 | 0xfeff)
}

/// Gives the sign of ASCII that many readers take a character for.
const fn folded(letter: u32) -> Option<u32> {
    Some(match letter {
        0xff01..=0xff5e => letter - 0xfee0,
        0x3000 | 0xa0 => b' ' as u32,
        0x02b9 | 0x02bc | 0x2032 => b'\'' as u32,
        0x2024 | 0x3002 | 0xff61 => b'.' as u32,
        0x2460..=0x2468 => letter - 0x2460 + b'1' as u32,
        0x24ea => b'0' as u32,
        0x24b6..=0x24cf => letter - 0x24b6 + b'a' as u32,
        0x24d0..=0x24e9 => letter - 0x24d0 + b'a' as u32,
        0x2044 | 0x2215 | 0x29f8 => b'/' as u32,
        0x2216 | 0x29f5 | 0xfe68 => b'\\' as u32,
        0xfe64 => b'<' as u32,
        0xfe65 => b'>' as u32,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: Option<&[u8]>) {
        let (mut plain, mut spare) = (Vec::new(), Vec::new());
        let changed = decode(text, Marks::of(text), &mut plain, &mut spare);
        let got = changed.then_some(plain.as_slice());
        assert_eq!(
            got.map(<[u8]>::escape_ascii).map(|x| x.to_string()),
            expected.map(|x| x.escape_ascii().to_string())
        );
    }

    #[test]
    fn escapes_of_all_kinds_are_resolved() {
        check(b"plain text", None);
        check(b"100% sure & so on \\ there", None);
        check(b"%27%20or", Some(b"' or"));
        check(b"%2527", Some(b"'"));
        check(b"%%32%37", Some(b"'"));
        check(b"%u0027%u003cb", Some(b"'<b"));
        check(b"&lt;a&#x3A;&#58&#0000058;&colon;", Some(b"<a::::"));
        check(br"\x3cscript\u003e\u{3e}\074\00003c", Some(b"<script>><<"));
        check("＜ｓcript＞".as_bytes(), Some(b"<script>"));
        check("se\u{200b}lect".as_bytes(), Some(b"select"));
        check(b"\xc0\xae\xc0\xae\xc0\xaf\xe0\x80\xaf", Some(b"..//"));
        check(b"1'+or+'1'='1", Some(b"1' or '1'='1"));
        check(b"%27+or+1", Some(b"' or 1"));
        check("Grüße, привет, 你好".as_bytes(), None);
        check(b"\xc0", None);
        check(b"a&b&c;%", None);
    }
}
