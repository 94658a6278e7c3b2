//! The variables of a transaction (`TX`).

use std::collections::HashMap;

/// The names that a rule set mentions, by number. The first ten are those of what an expression captured.
#[derive(Debug)]
pub(crate) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

/// How many captured parts there are.
pub(crate) const CAPTURES: usize = 10;

/// How many variables with names of their own a message may make.
const FREE: usize = 512;

impl Names {
    pub(crate) fn new() -> Self {
        let mut names = Self { numbers: HashMap::new(), names: Vec::new() };
        for number in 0..CAPTURES {
            names.number(&number.to_string());
        }
        names
    }

    /// Gives the number of a name, in lower case, and makes one where it has none.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        std::str::from_utf8(name).ok().and_then(|name| self.numbers.get(name).copied())
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// What a variable holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Datum {
    #[default]
    Unset,
    Number(i64),
    Text(Vec<u8>),
}

impl Datum {
    /// Takes a text: as a number where it is written as one.
    pub(crate) fn of(text: &[u8]) -> Self {
        let canonical = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        match canonical {
            Some(number) if number.to_string().as_bytes() == text => Self::Number(number),
            Some(_) | None => Self::Text(text.to_vec()),
        }
    }

    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Unset => 0,
            Self::Number(number) => *number,
            Self::Text(text) => leading_number(text),
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unset => {}
            Self::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Text(text) => out.extend_from_slice(text),
        }
    }
}

/// The number that a text begins with, as C reads it; none is zero.
pub(crate) fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut value = 0i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if negative { -value } else { value }
}

/// All variables while a message is judged.
#[derive(Debug, Default)]
pub(crate) struct Store {
    named: Vec<Datum>,
    /// Which were changed since `begin`.
    changed: Vec<u32>,
    /// Names that were made from what a message says.
    free: Vec<(Vec<u8>, Datum)>,
}

impl Store {
    pub(crate) fn new(names: &Names) -> Self {
        Self { named: vec![Datum::Unset; names.len()], ..Self::default() }
    }

    pub(crate) fn starting_with(named: Vec<Datum>) -> Self {
        Self { named, ..Self::default() }
    }

    pub(crate) fn named(&self) -> &[Datum] {
        &self.named
    }

    /// Forgets what the last message changed.
    pub(crate) fn begin(&mut self, start: &[Datum]) {
        for number in self.changed.drain(..) {
            if let (Some(here), Some(there)) =
                (self.named.get_mut(number as usize), start.get(number as usize))
            {
                here.clone_from(there);
            }
        }
        self.free.clear();
    }

    pub(crate) fn get(&self, number: u32) -> &Datum {
        self.named.get(number as usize).unwrap_or(&Datum::Unset)
    }

    pub(crate) fn set(&mut self, number: u32, datum: Datum) {
        if let Some(here) = self.named.get_mut(number as usize) {
            *here = datum;
            self.changed.push(number);
        }
    }

    /// Adds to a number; what is no number counts as zero.
    pub(crate) fn add(&mut self, number: u32, amount: i64) {
        let sum = self.get(number).number().saturating_add(amount);
        self.set(number, Datum::Number(sum));
    }

    /// Gives what a name of a message holds, to be changed. `None` where there are too many.
    pub(crate) fn free(&mut self, name: &[u8]) -> Option<&mut Datum> {
        let at = self.free.iter().position(|one| one.0 == name);
        if at.is_none() && self.free.len() >= FREE {
            return None;
        }
        let at = at.unwrap_or_else(|| {
            self.free.push((name.to_vec(), Datum::Unset));
            self.free.len() - 1
        });
        self.free.get_mut(at).map(|one| &mut one.1)
    }

    pub(crate) fn all_free(&self) -> impl Iterator<Item = (&[u8], &Datum)> {
        self.free.iter().map(|one| (one.0.as_slice(), &one.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_c_reads_it() {
        let check =
            |text: &str, expected: i64| assert_eq!(leading_number(text.as_bytes()), expected, "{text}");
        check("", 0);
        check("x", 0);
        check(" 12x", 12);
        check("-3", -3);
        check("99999999999999999999", i64::MAX);
    }

    #[test]
    fn what_a_message_changed_is_forgotten() {
        let mut names = Names::new();
        let score = names.number("score");
        let start = vec![Datum::Unset; names.len()];
        let mut store = Store::new(&names);
        store.add(score, 5);
        store.add(score, 5);
        *store.free(b"x").unwrap() = Datum::Number(1);
        assert_eq!(store.get(score), &Datum::Number(10));
        store.begin(&start);
        assert_eq!(store.get(score), &Datum::Unset);
        assert_eq!(store.all_free().count(), 0);
    }

    #[test]
    fn a_text_that_is_a_number_is_kept_as_one() {
        assert_eq!(Datum::of(b"5"), Datum::Number(5));
        assert_eq!(Datum::of(b"05"), Datum::Text(b"05".to_vec()));
        assert_eq!(Datum::of(b"5").number(), 5);
    }
}
