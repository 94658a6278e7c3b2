//! A number of bytes as people write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A number of bytes: `"64 KiB"`, `"1MiB"`, `"512 B"` or `65536`.
///
/// Units are powers of 1024, and their case does not matter. It is written with the largest unit that leaves no rest, so
/// that what is written reads back as the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Why a text is no [`ByteSize`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// It does not begin with a digit.
    #[error("a size begins with a number, as in `64 KiB`")]
    NoNumber,
    /// The number has a sign.
    #[error("a size cannot be negative")]
    Negative,
    /// The number has a fraction.
    #[error("a size is a whole number: take a smaller unit")]
    Fraction,
    /// The unit counts in thousands, or does not say in what.
    #[error("the unit `{given}` is ambiguous: write `{meant}` (1 KiB = 1024 B)")]
    AmbiguousUnit {
        /// What was written.
        given: String,
        /// The unit in powers of 1024 that looks most like it.
        meant: &'static str,
    },
    /// The unit is none.
    #[error("unknown unit `{0}`: use B, KiB, MiB, GiB or TiB")]
    UnknownUnit(String),
    /// It is more than fits 64 bits.
    #[error("the size is larger than 16 EiB")]
    TooLarge,
}

const UNITS: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The longest part of a wrong unit that an error repeats.
const LONGEST_UNIT: usize = 20;

impl ByteSize {
    /// A number of bytes.
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// A number of KiB (1024 bytes); the largest size when it would not fit.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// A number of MiB (1024 KiB); the largest size when it would not fit.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// Gives the number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Gives the number of bytes as a length in memory; the largest length where it would not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(if text.starts_with('-') {
                ByteSizeError::Negative
            } else {
                ByteSizeError::NoNumber
            });
        }
        if unit.starts_with(['.', ',']) {
            return Err(ByteSizeError::Fraction);
        }
        let factor = factor(unit.trim_start())?;
        let number: u64 = number.parse().map_err(|_| ByteSizeError::TooLarge)?;
        number.checked_mul(factor).map(Self).ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .iter()
            .rev()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(&UNITS[0]);
        out.pad(&format!("{} {unit}", self.0 / factor))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "format": crate::schema::BYTE_SIZE,
            "pattern": r"^\s*[0-9]+\s*([Bb]|[KkMmGgTt][Ii][Bb])?\s*$",
            "minimum": 0,
            "description": "A number of bytes, such as \"64 KiB\", \"1MiB\" or 65536.",
        })
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a size such as `64 KiB`")
    }

    fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(count))
    }

    fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<ByteSize, E> {
        u64::try_from(count).map(ByteSize).map_err(|_| E::custom(ByteSizeError::Negative))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}

fn factor(unit: &str) -> Result<u64, ByteSizeError> {
    if unit.is_empty() {
        return Ok(1);
    }
    if let Some((_, factor)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        return Ok(*factor);
    }
    let given: String = unit.chars().take(LONGEST_UNIT).collect();
    let prefix = unit.as_bytes()[0];
    let thousands = unit.len() == 1 || (unit.len() == 2 && unit.as_bytes()[1].eq_ignore_ascii_case(&b'b'));
    let meant = UNITS[1..].iter().find(|(name, _)| name.as_bytes()[0].eq_ignore_ascii_case(&prefix));
    match meant {
        Some((meant, _)) if thousands => Err(ByteSizeError::AmbiguousUnit { given, meant }),
        Some(_) | None => Err(ByteSizeError::UnknownUnit(given)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str, expected: u64| assert_eq!(text.parse(), Ok(ByteSize(expected)), "{text}");
        check("0", 0);
        check("65536", 65536);
        check("512 B", 512);
        check("64 KiB", 65536);
        check("64kib", 65536);
        check(" 1MiB ", 1 << 20);
        check("3  GiB", 3 << 30);
        check("16777215 TiB", 16_777_215 << 40);
    }

    #[test]
    fn every_mistake_has_its_own_error() {
        let check = |text: &str, expected: ByteSizeError| {
            assert_eq!(text.parse::<ByteSize>(), Err(expected), "{text}");
        };
        let ambiguous = |given: &str, meant| ByteSizeError::AmbiguousUnit { given: given.into(), meant };
        check("", ByteSizeError::NoNumber);
        check("KiB", ByteSizeError::NoNumber);
        check("-1", ByteSizeError::Negative);
        check("1.5 MiB", ByteSizeError::Fraction);
        check("1,5 MiB", ByteSizeError::Fraction);
        check("1 KB", ambiguous("KB", "KiB"));
        check("1m", ambiguous("m", "MiB"));
        check("1 pages", ByteSizeError::UnknownUnit("pages".into()));
        check("1 KiB 2", ByteSizeError::UnknownUnit("KiB 2".into()));
        check("1 é", ByteSizeError::UnknownUnit("é".into()));
        check("99999999999999999999", ByteSizeError::TooLarge);
        check("16777216 TiB", ByteSizeError::TooLarge);
    }

    #[test]
    fn the_largest_unit_without_rest_is_written() {
        let check = |count, expected: &str| assert_eq!(ByteSize(count).to_string(), expected);
        check(0, "0 B");
        check(1000, "1000 B");
        check(1024, "1 KiB");
        check(1 << 20, "1 MiB");
        check((1 << 20) + 1024, "1025 KiB");
        check(u64::MAX, "18446744073709551615 B");
    }

    #[test]
    fn serde_takes_numbers_and_texts() {
        let check = |json: &str, expected: Result<u64, &str>| {
            let found = serde_json::from_str::<ByteSize>(json);
            match expected {
                Ok(count) => assert_eq!(found.unwrap(), ByteSize(count)),
                Err(part) => assert!(found.unwrap_err().to_string().contains(part), "{json}"),
            }
        };
        check("65536", Ok(65536));
        check("\"64 KiB\"", Ok(65536));
        check("-1", Err("negative"));
        check("1.5", Err("a size such as `64 KiB`"));
        check("\"1 KB\"", Err("write `KiB`"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(count in any::<u64>(), shift in 0_u32..40) {
            for size in [ByteSize(count), ByteSize(count >> 24 << shift)] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
                let json = serde_json::to_string(&size).unwrap();
                prop_assert_eq!(serde_json::from_str::<ByteSize>(&json).unwrap(), size);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), near in "[0-9]{0,22} ?[kKmMiIbB.é-]{0,4}") {
            let _ = (text.parse::<ByteSize>(), near.parse::<ByteSize>());
        }
    }
}
