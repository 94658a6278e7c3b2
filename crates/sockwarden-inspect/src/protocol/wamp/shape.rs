//! What the elements of a message must be.

use super::{
    super::elements::{Elements, Is},
    MOST, Match,
    kinds::{Kind, Tail, Wanted},
};
use crate::Breach;

/// Tells what is wrong with the elements of a message.
pub(super) fn misshapen(kind: &Kind, elements: &Elements<MOST>, matches: Match) -> Option<Breach> {
    let least = kind.wanted.len() + 1;
    if elements.count() < least {
        return Some(Breach::MissingField);
    }
    // What a router takes back it numbers zero.
    let may_be_zero = kind.tail == Tail::Details;
    let good = kind.wanted.iter().enumerate().all(|(number, wanted)| {
        let number = number + 1;
        match wanted {
            Wanted::Id => elements.digits(number).is_some_and(|id| is_id(id, may_be_zero)),
            Wanted::Type => {
                matches!(elements.digits(number), Some("16" | "32" | "34" | "48" | "64" | "66" | "68"))
            }
            Wanted::Uri => elements.text(number).is_some_and(|uri| is_uri(uri, matches)),
            Wanted::Realm => {
                elements.is(number) == Some(Is::Other)
                    || elements.text(number).is_some_and(|uri| is_uri(uri, matches))
            }
            Wanted::Text => elements.text(number).is_some(),
            Wanted::Dict => elements.is(number) == Some(Is::Object),
        }
    });
    let tail: &[Is] = match kind.tail {
        Tail::Nothing => &[],
        Tail::Payload => &[Is::Array, Is::Object],
        Tail::Details => &[Is::Object],
    };
    let present = elements.count() - least;
    let good_tail =
        tail.iter().take(present).enumerate().all(|(at, is)| elements.is(least + at) == Some(*is));
    match (good && good_tail, present > tail.len()) {
        (false, _) => Some(Breach::BadField),
        (true, true) => Some(Breach::TrailingData),
        (true, false) => None,
    }
}

/// Tells whether this is an id: from 1 to 2^53 (§2.1.2).
fn is_id(digits: &str, may_be_zero: bool) -> bool {
    digits.parse::<u64>().is_ok_and(|id| id <= 1 << 53 && (id > 0 || may_be_zero))
}

/// Tells whether this is a URI by the loose rules (§2.1.1).
fn is_uri(uri: &str, matches: Match) -> bool {
    !uri.contains(|c: char| c == '#' || c.is_whitespace())
        && (matches != Match::Exact || uri.split('.').all(|part| !part.is_empty()))
}
