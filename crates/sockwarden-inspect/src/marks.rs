//! Which kinds of bytes a value holds: found in one pass, so that what looks for attacks starts only where their bytes are.

mod wide;

use std::ops::{BitOr, BitOrAssign};

/// A set of kinds of bytes. Harmless text holds few of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Marks(u32);

macro_rules! marks {
    ($($(#[$text:meta])* $name:ident = $number:literal, $bytes:expr;)*) => {
        impl Marks {
            $($(#[$text])* pub const $name: Self = Self(1 << $number);)*

            /// Every mark with its name and the bytes that it stands for.
            const ALL: &[(Self, &str, &[u8])] = &[$((Self::$name, stringify!($name), $bytes)),*];
        }
    };
}

marks! {
    /// `A`–`Z`, `a`–`z`.
    LETTER = 0, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// A control character, DEL among them, that is neither a tab nor ends a line.
    CONTROL = 1, b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f";
    /// `0`–`9`.
    DIGIT = 2, b"0123456789";
    /// A space.
    SPACE = 3, b" ";
    /// A tab, line feed or carriage return.
    LINE = 4, b"\t\n\r";
    /// `"` and `'`.
    QUOTE = 5, b"\"'";
    /// A backtick.
    BACKTICK = 6, b"`";
    /// `<` and `>`.
    ANGLE = 7, b"<>";
    /// `(` and `)`.
    PAREN = 8, b"()";
    /// `[` and `]`.
    BRACKET = 9, b"[]";
    /// `{` and `}`.
    BRACE = 10, b"{}";
    /// `;`.
    SEMICOLON = 11, b";";
    /// `|`.
    PIPE = 12, b"|";
    /// `&`.
    AMPERSAND = 13, b"&";
    /// `/`.
    SLASH = 14, b"/";
    /// `\`.
    BACKSLASH = 15, b"\\";
    /// `$`.
    DOLLAR = 16, b"$";
    /// `%`.
    PERCENT = 17, b"%";
    /// `#`.
    HASH = 18, b"#";
    /// `=` and `?`.
    QUERY = 19, b"=?";
    /// `*`.
    STAR = 20, b"*";
    /// `@`.
    AT = 21, b"@";
    /// `:`.
    COLON = 22, b":";
    /// `.`.
    DOT = 23, b".";
    /// `-`.
    DASH = 24, b"-";
    /// `_`.
    UNDERSCORE = 25, b"_";
    /// `+`.
    PLUS = 26, b"+";
    /// `,` and `!`.
    COMMA = 27, b",!";
    /// `^` and `~`.
    OTHER = 28, b"^~";
    /// A byte that is not ASCII.
    HIGH = 29, b"";
}

/// The mark of each byte.
static TABLE: [Marks; 256] = table();

const fn table() -> [Marks; 256] {
    let mut table = [Marks::HIGH; 256];
    let mut mark = 0;
    while mark < Marks::ALL.len() {
        let (value, _, bytes) = Marks::ALL[mark];
        let mut at = 0;
        while at < bytes.len() {
            table[bytes[at] as usize] = value;
            at += 1;
        }
        mark += 1;
    }
    table
}

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);
    /// What a name that a programmer chose is made of.
    pub const WORD: Self = Self(Self::LETTER.0 | Self::DIGIT.0 | Self::UNDERSCORE.0 | Self::DASH.0);

    /// Finds the marks of all `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.len() >= wide::WIDTH
            && let Some(marks) = wide::of(bytes)
        {
            return marks;
        }
        bytes.iter().fold(Self::NONE, |marks, byte| marks | Self::of_byte(*byte))
    }

    /// Finds the marks of what comes before the first `"`, `\` or control character, or a little less of it where the bytes end; tells how
    /// many bytes that are.
    #[inline]
    pub(crate) fn of_plain(bytes: &[u8]) -> (Self, usize) {
        if bytes.len() < wide::WIDTH { (Self::NONE, 0) } else { wide::of_plain(bytes) }
    }

    /// Gives the mark of one byte.
    #[inline]
    pub const fn of_byte(byte: u8) -> Self {
        TABLE[byte as usize]
    }

    /// Gives the names of the marks that it holds, as the constants are called.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(mark, _, _)| self.holds(*mark)).map(|(_, name, _)| *name)
    }

    /// Gives them as bits, so that a table can be looked up by each of them.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Tells whether it holds every one of `others`.
    #[inline]
    pub const fn holds(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Tells whether it holds any of `others`.
    #[inline]
    pub const fn any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Tells whether it holds none but `others`.
    #[inline]
    pub const fn only(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Gives both together.
    #[inline]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl BitOr for Marks {
    type Output = Self;

    #[inline]
    fn bitor(self, others: Self) -> Self {
        self.and(others)
    }
}

impl BitOrAssign for Marks {
    #[inline]
    fn bitor_assign(&mut self, others: Self) {
        *self = self.and(others);
    }
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_exactly_one_mark() {
        for byte in 0..=u8::MAX {
            let named = Marks::ALL.iter().filter(|(_, _, bytes)| bytes.contains(&byte)).count();
            assert_eq!(named, usize::from(byte.is_ascii()), "{byte:#x}");
            assert_eq!(Marks::of_byte(byte).0.count_ones(), 1, "{byte:#x}");
            assert_eq!(Marks::of_byte(byte) == Marks::HIGH, !byte.is_ascii(), "{byte:#x}");
        }
    }

    fn one_by_one(bytes: &[u8]) -> Marks {
        bytes.iter().fold(Marks::NONE, |marks, byte| marks | Marks::of_byte(*byte))
    }

    #[test]
    fn every_byte_has_the_same_mark_among_others() {
        for byte in 0..=u8::MAX {
            for place in [0, 31, 32, 40] {
                let mut bytes = [b'a'; 41];
                bytes[place] = byte;
                assert_eq!(Marks::of(&bytes), Marks::LETTER | Marks::of_byte(byte), "{byte:#x} at {place}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn many_bytes_have_the_marks_of_each(bytes in proptest::collection::vec(0x18_u8.., 0..100), text in "[ -~]{0,200}") {
            proptest::prop_assert_eq!(Marks::of(&bytes), one_by_one(&bytes));
            proptest::prop_assert_eq!(Marks::of(text.as_bytes()), one_by_one(text.as_bytes()));
            let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
            for text in [text.as_bytes(), &bytes] {
                let (marks, length) = Marks::of_plain(text);
                proptest::prop_assert_eq!(marks, one_by_one(&text[..length]));
                // Of the bytes that are too few to be looked at together none was.
                let looked_at = if length == 0 { 0 } else { text.len() / wide::WIDTH * wide::WIDTH };
                proptest::prop_assert_eq!(length, text[..looked_at].iter().take_while(|byte| plain(byte)).count());
                let begins_plain = text.first().is_some_and(plain) && text.len() >= wide::WIDTH;
                proptest::prop_assert!(length > 0 || !begins_plain || wide::of(text).is_none());
            }
        }
    }

    #[test]
    fn marks_are_named_in_order() {
        assert_eq!(Marks::of(b"<a' b>").names().collect::<Vec<_>>(), ["LETTER", "SPACE", "QUOTE", "ANGLE"]);
    }

    #[test]
    fn marks_are_those_of_the_bytes() {
        let check = |text: &str, marks: Marks| assert_eq!(Marks::of(text.as_bytes()), marks, "{text}");
        check("", Marks::NONE);
        check("user_name-1", Marks::WORD);
        check("a' or 1=1", Marks::LETTER | Marks::QUOTE | Marks::SPACE | Marks::DIGIT | Marks::QUERY);
        check("ü\n\u{7f}", Marks::HIGH | Marks::LINE | Marks::CONTROL);
    }
}
