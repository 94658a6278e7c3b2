//! The fields that packets of MQTT are made of (5 §1.5).

use crate::{Anomaly, Breach, Marks, Role, Shape, content, walk::Walk};

/// What is left of a packet, or of a part of one.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives all that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Breach> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Breach::BadLength)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Breach> {
        let (first, rest) = self.0.split_first().ok_or(Breach::BadLength)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Breach> {
        Ok(self.bytes(2)?.iter().fold(0, |number, byte| number << 8 | u16::from(*byte)))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Breach> {
        Ok(self.bytes(4)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Reads a variable byte integer, and tells whether it is as short as it must be.
    pub(super) fn variable(&mut self) -> Result<(u32, bool), Breach> {
        match variable(self.0) {
            Variable::Complete { number, length, shortest } => {
                self.bytes(length)?;
                Ok((number, shortest))
            }
            Variable::Incomplete => Err(Breach::BadLength),
            Variable::TooLong => Err(Breach::BadField),
        }
    }

    /// Reads bytes with their length in front.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Breach> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    /// Reads a text, tells of it where the walk is, and gives it where it is one.
    pub(super) fn text(&mut self, walk: &mut Walk<'_>) -> Result<Option<&'a str>, Breach> {
        self.binary().map(|bytes| text(walk, Role::Value, bytes))
    }
}

/// Tells of a text (5 §1.5.4) where the walk is, and gives it where it is one.
pub(super) fn text<'a>(walk: &mut Walk<'_>, role: Role, bytes: &'a [u8]) -> Option<&'a str> {
    let marks = Marks::of(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        walk.anomaly(Anomaly::InvalidUtf8);
        walk.value(role, Shape::Bytes, bytes, marks);
        return None;
    };
    if marks.any(Marks::CONTROL) && bytes.contains(&0) {
        walk.anomaly(Anomaly::NulCharacter);
    }
    walk.value(role, Shape::String, bytes, marks);
    if role == Role::Value {
        content::follow(walk, bytes, marks);
    }
    Some(text)
}

/// A variable byte integer (5 §1.5.5) as far as it has come.
pub(super) enum Variable {
    /// All of it.
    Complete { number: u32, length: usize, shortest: bool },
    /// More bytes must come.
    Incomplete,
    /// More than four bytes.
    TooLong,
}

/// Reads the variable byte integer that `bytes` begin with.
pub(super) fn variable(bytes: &[u8]) -> Variable {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Variable::Complete { number, length: at + 1, shortest: at == 0 || *byte != 0 };
        }
    }
    if bytes.len() < 4 { Variable::Incomplete } else { Variable::TooLong }
}

/// A number in decimal, without an allocation.
pub(super) struct Decimal {
    digits: [u8; 10],
    start: usize,
}

impl Decimal {
    pub(super) fn of(mut number: u32) -> Self {
        let mut decimal = Self { digits: [b'0'; 10], start: 10 };
        for digit in decimal.digits.iter_mut().rev() {
            // Below ten, so that nothing is cut.
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            decimal.start -= 1;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    pub(super) fn text(&self) -> &str {
        let digits = self.digits.get(self.start..).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_byte_integer_is_read_as_far_as_it_has_come() {
        let check = |bytes: &[u8], expected: Option<(u32, usize, bool)>| {
            let read = match variable(bytes) {
                Variable::Complete { number, length, shortest } => Some((number, length, shortest)),
                Variable::Incomplete | Variable::TooLong => None,
            };
            assert_eq!(read, expected, "{bytes:x?}");
        };
        check(&[0], Some((0, 1, true)));
        check(&[0x7f, 9], Some((127, 1, true)));
        check(&[0x80, 1], Some((128, 2, true)));
        check(&[0xff, 0xff, 0xff, 0x7f], Some((268_435_455, 4, true)));
        check(&[0x80, 0], Some((0, 2, false)));
        check(&[0x81, 0x80, 0], Some((1, 3, false)));
        check(&[], None);
        check(&[0x80], None);
        assert!(matches!(variable(&[0x80; 3]), Variable::Incomplete));
        assert!(matches!(variable(&[0x80; 4]), Variable::TooLong));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 65535, u32::MAX] {
            assert_eq!(Decimal::of(number).text(), number.to_string());
        }
    }
}
