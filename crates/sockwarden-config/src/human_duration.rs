//! A span of time as people write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A span of time in whole milliseconds: `"500 ms"`, `"10s"`, `"5m"`, `"1h30m"`, `"2 d"`.
///
/// Parts go from the largest unit to the smallest, each unit once. It is written in the same form without blanks, so
/// that what is written reads back as the same span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration {
    milliseconds: u64,
}

/// Why a text is no [`HumanDuration`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HumanDurationError {
    /// A part does not begin with a digit.
    #[error("a duration begins with a number, as in `10s`")]
    NoNumber,
    /// The number has a sign.
    #[error("a duration cannot be negative")]
    Negative,
    /// A number has a fraction.
    #[error("a duration is made of whole numbers: take a smaller unit, as in `1m30s` or `500ms`")]
    Fraction,
    /// A number has no unit.
    #[error("a duration needs a unit, as in `{0}s` or `{0}ms`")]
    NoUnit(u64),
    /// The unit is none.
    #[error("unknown unit `{0}`: use ms, s, m, h or d")]
    UnknownUnit(String),
    /// The parts are not in order, or a unit comes twice.
    #[error("`{0}` must come once, and after every larger unit, as in `1h30m`")]
    OutOfOrder(&'static str),
    /// It is more milliseconds than fit 64 bits.
    #[error("the duration is too long")]
    TooLong,
}

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest part of a wrong unit that an error repeats.
const LONGEST_UNIT: usize = 20;

impl HumanDuration {
    /// A number of milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// A number of seconds; the longest duration when it would not fit.
    pub const fn from_secs(seconds: u64) -> Self {
        Self { milliseconds: seconds.saturating_mul(1_000) }
    }

    /// Gives the span as the standard library counts it.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// Tells whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.milliseconds == 0
    }
}

impl From<HumanDuration> for Duration {
    fn from(span: HumanDuration) -> Self {
        span.get()
    }
}

impl FromStr for HumanDuration {
    type Err = HumanDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text.trim();
        if rest.starts_with('-') {
            return Err(HumanDurationError::Negative);
        }
        let mut milliseconds = 0_u64;
        let mut allowed = &UNITS[..];
        loop {
            let (number, after) = split_where(rest, |letter| !letter.is_ascii_digit());
            if number.is_empty() {
                return Err(HumanDurationError::NoNumber);
            }
            if after.starts_with(['.', ',']) {
                return Err(HumanDurationError::Fraction);
            }
            let number: u64 = number.parse().map_err(|_| HumanDurationError::TooLong)?;
            let (name, after) =
                split_where(after.trim_start(), |letter| letter.is_ascii_digit() || letter.is_whitespace());
            if name.is_empty() {
                return Err(HumanDurationError::NoUnit(number));
            }
            let (unit, factor) = unit(name)?;
            let place = allowed.iter().position(|(allowed, _)| *allowed == unit);
            let place = place.ok_or(HumanDurationError::OutOfOrder(unit))?;
            allowed = &allowed[place + 1..];
            let part = number.checked_mul(factor).ok_or(HumanDurationError::TooLong)?;
            milliseconds = milliseconds.checked_add(part).ok_or(HumanDurationError::TooLong)?;
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Self { milliseconds });
            }
        }
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut rest = self.milliseconds;
        for (unit, factor) in UNITS {
            if rest >= factor {
                text.push_str(&format!("{}{unit}", rest / factor));
                rest %= factor;
            }
        }
        out.pad(if text.is_empty() { "0s" } else { &text })
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

impl JsonSchema for HumanDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": crate::schema::DURATION,
            "pattern": r"^\s*([0-9]+\s*(ms|min|[dhms])\s*)+$",
            "description": "A span of time, such as \"500 ms\", \"10s\", \"5m\" or \"1h30m\".",
        })
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = HumanDuration;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a duration such as `10s`")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<HumanDuration, E> {
        Err(E::custom(HumanDurationError::NoUnit(number)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<HumanDuration, E> {
        Err(E::custom(u64::try_from(number).map_or(HumanDurationError::Negative, HumanDurationError::NoUnit)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HumanDuration, E> {
        text.parse().map_err(E::custom)
    }
}

fn split_where(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

fn unit(name: &str) -> Result<(&'static str, u64), HumanDurationError> {
    // `min` is how many write what the short form calls `m`.
    let short = if name == "min" { "m" } else { name };
    UNITS
        .into_iter()
        .find(|(unit, _)| *unit == short)
        .ok_or_else(|| HumanDurationError::UnknownUnit(name.chars().take(LONGEST_UNIT).collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let check = |text: &str, milliseconds| {
            assert_eq!(text.parse(), Ok(HumanDuration { milliseconds }), "{text}");
        };
        check("0s", 0);
        check("500 ms", 500);
        check("10s", 10_000);
        check("5m", 300_000);
        check("5 min", 300_000);
        check("1h30m", 5_400_000);
        check(" 1h 30 m ", 5_400_000);
        check("2d", 172_800_000);
        check("1d1h1m1s1ms", 90_061_001);
        check("90s", 90_000);
    }

    #[test]
    fn every_mistake_has_its_own_error() {
        let check = |text: &str, expected: HumanDurationError| {
            assert_eq!(text.parse::<HumanDuration>(), Err(expected), "{text}");
        };
        check("", HumanDurationError::NoNumber);
        check("soon", HumanDurationError::NoNumber);
        check("-1s", HumanDurationError::Negative);
        check("1.5h", HumanDurationError::Fraction);
        check("10", HumanDurationError::NoUnit(10));
        check("1h 30", HumanDurationError::NoUnit(30));
        check("1 fortnight", HumanDurationError::UnknownUnit("fortnight".into()));
        check("1S", HumanDurationError::UnknownUnit("S".into()));
        check("30m1h", HumanDurationError::OutOfOrder("h"));
        check("1s1s", HumanDurationError::OutOfOrder("s"));
        check("99999999999999999999s", HumanDurationError::TooLong);
        check("213503982335d", HumanDurationError::TooLong);
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_a_way_out() {
        let error = serde_json::from_str::<HumanDuration>("30").unwrap_err();
        assert!(error.to_string().contains("as in `30s` or `30ms`"), "{error}");
        assert!(serde_json::from_str::<HumanDuration>("-3").unwrap_err().to_string().contains("negative"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(milliseconds in any::<u64>(), small in 0_u64..100_000_000) {
            for milliseconds in [milliseconds, small] {
                let span = HumanDuration { milliseconds };
                prop_assert_eq!(span.to_string().parse(), Ok(span));
                let json = serde_json::to_string(&span).unwrap();
                prop_assert_eq!(serde_json::from_str::<HumanDuration>(&json).unwrap(), span);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), near in "([0-9]{0,21} ?[dhms.é-]{0,3}){0,3}") {
            let _ = (text.parse::<HumanDuration>(), near.parse::<HumanDuration>());
        }
    }
}
