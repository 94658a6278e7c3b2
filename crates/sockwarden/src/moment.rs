//! Moments, as people write them.

use std::str::FromStr;

use sockwarden_config::HumanDuration;

use crate::clock::unix_ms;

/// A moment, in seconds since the Unix epoch: `now`, such seconds, or a date and time in UTC such as `2026-11-23T08:30:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) u64);

/// Says that a text is no [`Moment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a moment is `now`, a UTC time such as 2026-11-23T08:30:00Z, or seconds since the Unix epoch")]
pub(crate) struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if text == "now" {
            return Ok(Self(unix_ms() / 1000));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self).map_err(|_| NoMoment);
        }
        let seconds = of_date_time(text).ok_or(NoMoment)?;
        // What no calendar has is written in another way than it was read.
        if date_time(seconds * 1000).replace(".000Z", "Z") == text {
            Ok(Self(seconds))
        } else {
            Err(NoMoment)
        }
    }
}

/// Reads an end: a [`Moment`], or a span from now such as `8h`.
pub(crate) fn end(text: &str) -> Result<Moment, String> {
    match (text.parse::<Moment>(), text.parse::<HumanDuration>()) {
        (Ok(moment), _) => Ok(moment),
        (Err(_), Ok(span)) => Ok(Moment((unix_ms() / 1000).saturating_add(span.get().as_secs()))),
        (Err(no), Err(_)) => Err(format!("a span such as 8h or a moment is needed; {no}")),
    }
}

/// Writes a time as ISO 8601 has it, in UTC.
pub(crate) fn date_time(unix_ms: u64) -> String {
    let (days, of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    // Years begin in March, so that the leap day is the last; an era is 400 years (146,097 days).
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    let year = if month <= 2 { year + 1 } else { year };
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1_000)
}

/// Reads what [`date_time`] writes, without fractions, as if every month had each day that is written.
fn of_date_time(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != "2026-11-23T08:30:00Z".len() {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = bytes.get(from..to)?;
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if month == 0 || day == 0 {
        return None;
    }
    // As above: years begin in March.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = (era * 146_097 + year * 365 + year / 4 - year / 100 + day).checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |ms: u64, expected: &str| assert_eq!(date_time(ms), expected);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_709_251_199_999, "2024-02-29T23:59:59.999Z");
        check(1_735_689_600_001, "2025-01-01T00:00:00.001Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_moment_is_written_in_one_of_three_ways() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(text.parse::<Moment>().ok(), expected.map(Moment), "{text}");
        };
        check("0", Some(0));
        check("1750000000", Some(1_750_000_000));
        check("1970-01-01T00:00:00Z", Some(0));
        check("2024-02-29T23:59:59Z", Some(1_709_251_199));
        check("2000-03-01T00:00:00Z", Some(951_868_800));
        for text in [
            "",
            "soon",
            "-1",
            "1.5",
            "8h",
            "99999999999999999999999",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00+",
            "2024-01-01T00:00:0éZ",
        ] {
            check(text, None);
        }
        let now = "now".parse::<Moment>().unwrap().0;
        assert!(now.abs_diff(unix_ms() / 1000) <= 1);
    }

    #[test]
    fn an_end_is_a_moment_or_a_span_from_now() {
        assert_eq!(end("1750000000"), Ok(Moment(1_750_000_000)));
        assert!(end("1h").unwrap().0.abs_diff(unix_ms() / 1000 + 3600) <= 1);
        assert!(end("later").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0..253_402_300_800_u64) {
            let text = date_time(seconds * 1000).replace(".000Z", "Z");
            prop_assert_eq!(text.parse::<Moment>(), Ok(Moment(seconds)));
        }
    }
}
