//! Transformations: what is done to a value before an operator looks at it, byte for byte as libmodsecurity 3 does it.

mod base64;
mod comments;
mod decode;
mod hexadecimal;
mod path;
mod space;
mod unicode;

use crate::bytes::ByteSet;

/// One transformation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transform {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    NormalizePath,
    NormalizePathWin,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    Utf8ToUnicode,
}

/// What the name of a transformation stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    One(Transform),
    /// Forget those before.
    None,
    /// Known, but not done here; with the reason.
    Refused(&'static str),
}

const NAMES: &[(&str, Transform)] = &[
    ("base64Decode", Transform::Base64Decode),
    ("base64DecodeExt", Transform::Base64DecodeExt),
    ("base64Encode", Transform::Base64Encode),
    ("cmdLine", Transform::CmdLine),
    ("compressWhitespace", Transform::CompressWhitespace),
    ("cssDecode", Transform::CssDecode),
    ("escapeSeqDecode", Transform::EscapeSeqDecode),
    ("hexDecode", Transform::HexDecode),
    ("hexEncode", Transform::HexEncode),
    ("htmlEntityDecode", Transform::HtmlEntityDecode),
    ("jsDecode", Transform::JsDecode),
    ("length", Transform::Length),
    ("lowercase", Transform::Lowercase),
    ("normalisePath", Transform::NormalizePath),
    ("normalisePathWin", Transform::NormalizePathWin),
    ("normalizePath", Transform::NormalizePath),
    ("normalizePathWin", Transform::NormalizePathWin),
    ("removeComments", Transform::RemoveComments),
    ("removeCommentsChar", Transform::RemoveCommentsChar),
    ("removeNulls", Transform::RemoveNulls),
    ("removeWhitespace", Transform::RemoveWhitespace),
    ("replaceComments", Transform::ReplaceComments),
    ("replaceNulls", Transform::ReplaceNulls),
    ("sqlHexDecode", Transform::SqlHexDecode),
    ("trim", Transform::Trim),
    ("trimLeft", Transform::TrimLeft),
    ("trimRight", Transform::TrimRight),
    ("uppercase", Transform::Uppercase),
    ("urlDecode", Transform::UrlDecode),
    ("urlDecodeUni", Transform::UrlDecodeUni),
    ("utf8toUnicode", Transform::Utf8ToUnicode),
];

impl Transform {
    pub(crate) const ALL: [Self; 29] = [
        Self::Base64Decode,
        Self::Base64DecodeExt,
        Self::Base64Encode,
        Self::CmdLine,
        Self::CompressWhitespace,
        Self::CssDecode,
        Self::EscapeSeqDecode,
        Self::HexDecode,
        Self::HexEncode,
        Self::HtmlEntityDecode,
        Self::JsDecode,
        Self::Length,
        Self::Lowercase,
        Self::NormalizePath,
        Self::NormalizePathWin,
        Self::RemoveComments,
        Self::RemoveCommentsChar,
        Self::RemoveNulls,
        Self::RemoveWhitespace,
        Self::ReplaceComments,
        Self::ReplaceNulls,
        Self::SqlHexDecode,
        Self::Trim,
        Self::TrimLeft,
        Self::TrimRight,
        Self::Uppercase,
        Self::UrlDecode,
        Self::UrlDecodeUni,
        Self::Utf8ToUnicode,
    ];

    /// Its place in a set of transformations.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Gives what a name stands for.
    pub(crate) fn named(name: &str) -> Option<Named> {
        if name.eq_ignore_ascii_case("none") {
            return Some(Named::None);
        }
        for refused in ["md5", "sha1"] {
            if name.eq_ignore_ascii_case(refused) {
                return Some(Named::Refused("no rule about a message compares digests"));
            }
        }
        for refused in ["parityEven7bit", "parityOdd7bit", "parityZero7bit", "urlEncode"] {
            if name.eq_ignore_ascii_case(refused) {
                return Some(Named::Refused("the transformation is not built in"));
            }
        }
        NAMES.iter().find(|known| known.0.eq_ignore_ascii_case(name)).map(|known| Named::One(known.1))
    }

    /// Tells, from which bytes a value holds, that it stays as it is. May say no where it would.
    pub(crate) fn keeps(self, held: &ByteSet) -> bool {
        const UPPER: ByteSet = ByteSet::range(b'A', b'Z');
        const LOWER: ByteSet = ByteSet::range(b'a', b'z');
        const WIDE: ByteSet = ByteSet::range(0x80, 0xff);
        const SPACES: ByteSet = ByteSet::of(b" \t\n\x0b\x0c\r");
        const CONTROL_SPACES: ByteSet = ByteSet::of(b"\t\n\x0b\x0c\r");
        const NUL: ByteSet = ByteSet::of(b"\0");
        let without = |set: &ByteSet| !held.meets(set);
        match self {
            Self::UrlDecode | Self::UrlDecodeUni => without(const { &ByteSet::of(b"%+") }),
            Self::HtmlEntityDecode => without(const { &ByteSet::of(b"&") }),
            Self::JsDecode | Self::CssDecode | Self::EscapeSeqDecode => {
                without(const { &ByteSet::of(b"\\") })
            }
            Self::Lowercase => without(&UPPER),
            Self::Uppercase => without(&LOWER),
            Self::RemoveNulls | Self::ReplaceNulls => without(&NUL),
            Self::RemoveWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => {
                without(&SPACES) && !held.contains(0xa0)
            }
            // One blank alone may be anywhere; whether there are two is asked of the value itself.
            Self::CompressWhitespace => without(&SPACES) && without(&CONTROL_SPACES),
            Self::ReplaceComments => without(const { &ByteSet::of(b"/") }),
            Self::RemoveComments | Self::RemoveCommentsChar => without(const { &ByteSet::of(b"/*<-#") }),
            Self::NormalizePath => without(const { &ByteSet::of(b"/.") }),
            Self::NormalizePathWin => without(const { &ByteSet::of(b"/.\\") }),
            Self::CmdLine => without(const { &ByteSet::of(b"\"'\\^ ,;\t\r\n/(") }) && without(&UPPER),
            Self::Utf8ToUnicode => without(&WIDE) && without(&NUL),
            Self::SqlHexDecode => without(const { &ByteSet::of(b"0") }),
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length => false,
        }
    }

    /// Writes what becomes of `input` behind what `out` holds.
    pub(crate) fn apply(self, input: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Base64Decode => base64::decode(input, out),
            Self::Base64DecodeExt => base64::decode_forgiving(input, out),
            Self::Base64Encode => base64::encode(input, out),
            Self::CmdLine => space::command_line(input, out),
            Self::CompressWhitespace => space::compress(input, out),
            Self::CssDecode => decode::css(input, out),
            Self::EscapeSeqDecode => decode::escapes(input, out),
            Self::HexDecode => hexadecimal::decode(input, out),
            Self::HexEncode => hexadecimal::encode(input, out),
            Self::HtmlEntityDecode => decode::html(input, out),
            Self::JsDecode => decode::javascript(input, out),
            Self::Length => out.extend_from_slice(input.len().to_string().as_bytes()),
            Self::Lowercase => out.extend(input.iter().map(u8::to_ascii_lowercase)),
            Self::NormalizePath => path::normalize(input, out),
            Self::NormalizePathWin => path::normalize_windows(input, out),
            Self::RemoveComments => comments::remove(input, out),
            Self::RemoveCommentsChar => comments::remove_marks(input, out),
            Self::RemoveNulls => out.extend(input.iter().filter(|byte| **byte != 0)),
            Self::RemoveWhitespace => space::remove(input, out),
            Self::ReplaceComments => comments::replace(input, out),
            Self::ReplaceNulls => out.extend(input.iter().map(|byte| if *byte == 0 { b' ' } else { *byte })),
            Self::SqlHexDecode => hexadecimal::decode_sql(input, out),
            Self::Trim => out.extend_from_slice(space::trim(input, true, true)),
            Self::TrimLeft => out.extend_from_slice(space::trim(input, true, false)),
            Self::TrimRight => out.extend_from_slice(space::trim(input, false, true)),
            Self::Uppercase => out.extend(input.iter().map(u8::to_ascii_uppercase)),
            Self::UrlDecode => decode::url(input, out, false),
            Self::UrlDecodeUni => decode::url(input, out, true),
            Self::Utf8ToUnicode => unicode::escape(input, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(transform: Transform, input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        transform.apply(input, &mut out);
        out
    }

    #[test]
    fn what_becomes_of_a_value_is_what_libmodsecurity_makes_of_it() {
        let check = |name: &str, input: &[u8], expected: &[u8]| {
            let Some(Named::One(transform)) = Transform::named(name) else { panic!("{name}") };
            assert_eq!(
                applied(transform, input).escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{name}"
            );
        };
        check("urlDecodeUni", b"a%41+%u0042%uff1c%zz%u12%", b"aA B<%zz%u12%");
        check("urlDecode", b"%41%u0041+%4", b"A%u0041 %4");
        check("htmlEntityDecode", b"&lt;&#x41;&#66;&quot&amp;&copy;&#;&nbsp;&", b"<AB\"&&copy;&#;\xa0&");
        check("jsDecode", br"\x41\u0042\101\n\'\uff1c\q\477\", b"AB\x41\n'<q\x27\x37\\");
        check("cssDecode", br"\41 \000042x\q\zb\1", b"ABxqzb\x01");
    }

    #[test]
    fn names_are_those_of_seclang() {
        assert_eq!(Transform::named("NONE"), Some(Named::None));
        assert_eq!(Transform::named("URLDecodeUni"), Some(Named::One(Transform::UrlDecodeUni)));
        assert!(matches!(Transform::named("sha1"), Some(Named::Refused(_))));
        assert_eq!(Transform::named("rot13"), None);
    }

    proptest! {
        #[test]
        fn what_is_said_to_stay_does_stay(input in proptest::collection::vec(any::<u8>(), 0..24)) {
            for (name, transform) in NAMES {
                if transform.keeps(&ByteSet::held(&input)) {
                    prop_assert_eq!(&applied(*transform, &input), &input, "{}", name);
                }
            }
        }

        #[test]
        fn no_value_grows_beyond_four_times_its_length(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            for (name, transform) in NAMES {
                prop_assert!(applied(*transform, &input).len() <= input.len() * 4 + 4, "{}", name);
            }
        }
    }
}
