//! What MessagePack and CBOR share: items one behind the other, in containers that announce how many they hold.
//!
//! One decoder per format says what comes; who listens is [`Told`], which tells it to a walk, or [`Plausible`], which only finds
//! out whether bytes of unknown origin are that format.

use std::fmt::Write as _;

use super::{Read, names};
use crate::{Anomaly, Bound, Format, Marks, Role, Shape, content, walk::Walk};

/// Why reading had to stop, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    pub(super) at: usize,
    pub(super) why: Anomaly,
}

impl Stopped {
    pub(super) fn malformed(format: Format, at: usize) -> Self {
        Self { at, why: Anomaly::Malformed { format, at } }
    }
}

/// Gives the number in so many bytes from `at` on, the highest first; `None` where they are not all there.
#[inline]
pub(super) fn big_endian(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let rest = bytes.get(at..)?;
    Some(match size {
        1 => (*rest.first()?).into(),
        2 => u16::from_be_bytes(*rest.first_chunk()?).into(),
        4 => u32::from_be_bytes(*rest.first_chunk()?).into(),
        8 => u64::from_be_bytes(*rest.first_chunk()?),
        _ => rest.get(..size)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    })
}

/// A number, as an item holds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// This one, or the one that is as far below zero.
    Integer {
        below: bool,
        size: u128,
    },
    Float(f64),
}

impl From<u64> for Number {
    fn from(size: u64) -> Self {
        Self::Integer { below: false, size: size.into() }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Integer { below: number < 0, size: number.unsigned_abs().into() }
    }
}

/// Is told what items come.
pub(super) trait Listener {
    /// A text, not yet known to be UTF-8.
    fn text(&mut self, bytes: &[u8]);
    /// Bytes; `inside` says what they are said to hold.
    fn bytes(&mut self, bytes: &[u8], inside: Option<Read>);
    /// A number.
    fn number(&mut self, number: Number);
    /// `true`, `false`, `null` and the like.
    fn word(&mut self, shape: Shape, word: &'static [u8]);
    /// An array or a map of so many elements or members; of `None` its end is told.
    fn open(&mut self, map: bool, count: Option<u64>, at: usize) -> Result<(), Stopped>;
    /// The end of a container whose count was not announced; `false` where none can end here.
    fn end(&mut self) -> bool;
    /// Something is wrong with what comes.
    fn anomaly(&mut self, anomaly: Anomaly);
    /// Tells whether the outermost item is complete.
    fn is_done(&self) -> bool;
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// How many items are still to come; of a map, a name and a value are two.
    left: u64,
    map: bool,
    /// Whether its end is told instead.
    endless: bool,
}

impl Open {
    fn new(map: bool, count: Option<u64>) -> Self {
        // No message has a quarter as many items as could be announced.
        let most = u64::MAX / 4;
        let left = count.map_or(most, |count| count.min(most));
        Self { left: if map { 2 * left } else { left }, map, endless: count.is_none() }
    }

    /// Tells whether a member's name comes next.
    #[inline]
    fn is_at_name(&self) -> bool {
        self.map && self.left.is_multiple_of(2)
    }

    /// Takes note that an item in it is complete.
    #[inline]
    fn completed(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.left == 0 && !self.endless
    }

    /// Tells whether it can end here by being told so.
    fn can_end(&self) -> bool {
        self.endless && (!self.map || self.is_at_name())
    }
}

/// Tells items to a walk.
pub(super) struct Told<'w, 's> {
    walk: &'w mut Walk<'s>,
    format: Format,
    /// How many steps, names and containers there were before.
    base: (usize, usize, usize, usize),
    /// The container that the next item stands in; those around it lie in the walk.
    top: Option<Open>,
    done: bool,
}

impl<'w, 's> Told<'w, 's> {
    /// Begins at the place where the walk is.
    pub(super) fn at(walk: &'w mut Walk<'s>, format: Format) -> Self {
        let state = &walk.state;
        let base = (state.path.len(), state.names.len(), state.objects.len(), state.open.len());
        Self { walk, format, base, top: None, done: false }
    }

    /// Leaves everything that is still open.
    pub(super) fn leave(self) {
        let (path, names, objects, open) = self.base;
        self.walk.state.path.truncate(path);
        self.walk.state.names.truncate(names);
        self.walk.state.objects.truncate(objects);
        self.walk.state.open.truncate(open);
    }

    #[inline]
    fn is_at_name(&self) -> bool {
        self.top.is_some_and(|open| open.is_at_name())
    }

    /// Steps to the member whose name this is, where a name comes next.
    #[inline]
    fn named(&mut self, name: &[u8], ordinary: bool) -> Role {
        if !self.is_at_name() {
            return Role::Value;
        }
        self.walk.state.path.push_key(name);
        names::remember(self.walk, names::hash(name));
        if !ordinary {
            self.walk.anomaly(Anomaly::KeyOfOtherKind);
        }
        Role::Key
    }

    /// Goes on to the next item, and closes what ends with this one.
    #[inline]
    fn completed(&mut self) {
        while let Some(open) = &mut self.top {
            open.completed();
            if !open.map {
                // The last one may have ended.
                self.walk.next_element(0);
            } else if open.is_at_name() {
                self.walk.state.path.pop();
            }
            if !open.is_full() {
                return;
            }
            self.close();
        }
        self.done = true;
    }

    fn close(&mut self) {
        let state = &mut *self.walk.state;
        let outer = if state.open.len() > self.base.3 { state.open.pop() } else { None };
        let Some(closed) = std::mem::replace(&mut self.top, outer) else { return };
        if closed.map {
            names::close(self.walk);
        } else {
            state.path.pop();
        }
    }
}

impl Listener for Told<'_, '_> {
    fn text(&mut self, bytes: &[u8]) {
        let role = self.named(bytes, true);
        let marks = Marks::of(bytes);
        let valid = !marks.any(Marks::HIGH) || std::str::from_utf8(bytes).is_ok();
        if !valid {
            self.walk.anomaly(Anomaly::InvalidUtf8);
        }
        if marks.any(Marks::CONTROL) && bytes.contains(&0) {
            self.walk.anomaly(Anomaly::NulCharacter);
        }
        match (role, valid) {
            (Role::Key, _) => {
                self.walk.value(role, if valid { Shape::String } else { Shape::Bytes }, bytes, marks);
            }
            (Role::Value, true) => {
                self.walk.value(role, Shape::String, bytes, marks);
                content::follow(self.walk, bytes, marks);
            }
            (Role::Value, false) => content::opaque(self.walk, bytes),
        }
        self.completed();
    }

    fn bytes(&mut self, bytes: &[u8], inside: Option<Read>) {
        match (self.named(bytes, false), inside) {
            (Role::Key, _) => self.walk.value(Role::Key, Shape::Bytes, bytes, Marks::of(bytes)),
            (Role::Value, None) => content::follow_bytes(self.walk, bytes),
            (Role::Value, Some(read)) => {
                self.walk.value(Role::Value, Shape::Bytes, bytes, Marks::of(bytes));
                self.walk.inside(self.format, |walk| read(walk, bytes));
            }
        }
        self.completed();
    }

    fn number(&mut self, number: Number) {
        let digits = Digits::of(number);
        let text = digits.as_bytes();
        // A whole number is a common name, and as good as its digits: a text of the same digits stands for the same member.
        let role = self.named(text, matches!(number, Number::Integer { .. }));
        if matches!(number, Number::Integer { size, .. } if size > 1 << 53) {
            self.walk.anomaly(Anomaly::BigNumber);
        }
        self.walk.value(role, Shape::Number, text, digits.marks);
        self.completed();
    }

    fn word(&mut self, shape: Shape, word: &'static [u8]) {
        let role = self.named(word, false);
        self.walk.value(role, shape, word, Marks::LETTER);
        self.completed();
    }

    fn open(&mut self, map: bool, count: Option<u64>, at: usize) -> Result<(), Stopped> {
        self.named(b"", false);
        self.walk.state.opened(map);
        if count == Some(0) {
            self.completed();
            return Ok(());
        }
        if self.walk.state.path.len() >= usize::from(self.walk.limits.depth) {
            return Err(Stopped { at, why: Anomaly::Bound(Bound::Depth) });
        }
        self.walk.state.open.extend(self.top.replace(Open::new(map, count)));
        if map {
            names::open(self.walk);
        } else {
            self.walk.state.path.push_index(0);
        }
        Ok(())
    }

    fn end(&mut self) -> bool {
        if !self.top.is_some_and(|open| open.can_end()) {
            return false;
        }
        self.close();
        self.completed();
        true
    }

    fn anomaly(&mut self, anomaly: Anomaly) {
        self.walk.anomaly(anomaly);
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// Finds out whether bytes that no one has named are items of a format: nothing in them is unusual, and there is a text.
///
/// Any bytes can be taken for items with some luck, few for such.
pub(super) struct Plausible {
    open: [Open; Self::DEPTH],
    depth: usize,
    done: bool,
    unusual: bool,
    texts: bool,
}

impl Plausible {
    const DEPTH: usize = 64;

    /// Lets `read` tell it everything, and judges where that ended.
    pub(super) fn judge(bytes: &[u8], read: fn(&mut Self, &[u8], usize) -> Result<usize, Stopped>) -> bool {
        let mut judge = Self {
            open: [Open::new(false, None); Self::DEPTH],
            depth: 0,
            done: false,
            unusual: false,
            texts: false,
        };
        read(&mut judge, bytes, 0).is_ok_and(|end| end == bytes.len()) && judge.texts && !judge.unusual
    }

    #[inline]
    fn top(&mut self) -> Option<&mut Open> {
        self.open.get_mut(self.depth.checked_sub(1)?)
    }

    #[inline]
    fn item(&mut self, may_name: bool) {
        self.unusual |= !may_name && self.top().is_some_and(|open| open.is_at_name());
        self.completed();
    }

    #[inline]
    fn completed(&mut self) {
        while let Some(open) = self.top() {
            open.completed();
            if !open.is_full() {
                return;
            }
            self.depth -= 1;
        }
        self.done = true;
    }
}

/// Tells whether a text is UTF-8 without NUL characters.
#[inline]
fn is_usual(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = text.as_chunks();
    // The highest bit of a byte is set where it is not ASCII; of a zero, and at most of what comes behind one, by the difference.
    let unusual = words.iter().fold(0, |all, word| {
        let word = u64::from_le_bytes(*word);
        all | word | word.wrapping_sub(EACH)
    });
    let plain = unusual & (0x80 * EACH) == 0 && rest.iter().all(|byte| matches!(byte, 1..0x80));
    plain || std::str::from_utf8(text).is_ok() && !text.contains(&0)
}

impl Listener for Plausible {
    #[inline]
    fn text(&mut self, bytes: &[u8]) {
        self.texts |= !bytes.is_empty();
        self.unusual |= !is_usual(bytes);
        self.item(true);
    }

    fn bytes(&mut self, _: &[u8], _: Option<Read>) {
        self.item(false);
    }

    fn number(&mut self, number: Number) {
        self.item(matches!(number, Number::Integer { .. }));
    }

    fn word(&mut self, _: Shape, _: &'static [u8]) {
        self.item(false);
    }

    fn open(&mut self, map: bool, count: Option<u64>, at: usize) -> Result<(), Stopped> {
        self.unusual |= self.top().is_some_and(|open| open.is_at_name());
        if count == Some(0) {
            self.completed();
            return Ok(());
        }
        let depth = self.depth;
        let Some(open) = self.open.get_mut(depth) else {
            return Err(Stopped { at, why: Anomaly::Bound(Bound::Depth) });
        };
        *open = Open::new(map, count);
        self.depth += 1;
        Ok(())
    }

    fn end(&mut self) -> bool {
        if !self.top().is_some_and(|open| open.can_end()) {
            return false;
        }
        self.depth -= 1;
        self.completed();
        true
    }

    fn anomaly(&mut self, anomaly: Anomaly) {
        self.unusual |= anomaly != Anomaly::BigNumber;
    }

    fn is_done(&self) -> bool {
        // What is unusual already needs no further reading.
        self.done || self.unusual
    }
}

/// A number in decimal digits.
struct Digits {
    text: [u8; Self::MOST],
    /// Where it begins and ends.
    begin: usize,
    end: usize,
    marks: Marks,
}

impl Digits {
    /// A sign and the 39 digits of 2^128; a double has fewer.
    const MOST: usize = 40;

    /// Below it are the numbers of up to sixteen digits: nearly all.
    const SHORT: u128 = 10_000_000_000_000_000;

    #[inline]
    fn of(number: Number) -> Self {
        match number {
            Number::Integer { below, size } if size < Self::SHORT => Self::short(below, size as u64, 0),
            Number::Integer { .. } => Self::long(number),
            Number::Float(float) => match few_places(float) {
                Some((size, places)) => Self::short(float.is_sign_negative(), size, places),
                None => Self::long(number),
            },
        }
    }

    /// Writes digits from the last one on, of which so many stand behind a point.
    fn short(below: bool, mut size: u64, places: usize) -> Self {
        let mut digits =
            Self { text: [0; Self::MOST], begin: Self::MOST, end: Self::MOST, marks: Marks::DIGIT };
        for _ in 0..places {
            digits.prepend(b'0' + (size % 10) as u8);
            size /= 10;
        }
        if places > 0 {
            digits.prepend(b'.');
            digits.marks |= Marks::DOT;
        }
        loop {
            digits.prepend(b'0' + (size % 10) as u8);
            size /= 10;
            if size == 0 {
                break;
            }
        }
        if below {
            digits.prepend(b'-');
            digits.marks |= Marks::DASH;
        }
        digits
    }

    #[inline]
    fn prepend(&mut self, byte: u8) {
        self.begin -= 1;
        if let Some(room) = self.text.get_mut(self.begin) {
            *room = byte;
        }
    }

    /// Writes a number that is not short, as the library does.
    #[cold]
    fn long(number: Number) -> Self {
        let mut digits = Self { text: [0; Self::MOST], begin: 0, end: 0, marks: Marks::NONE };
        let written = match number {
            Number::Integer { below, size } => write!(digits, "{}{size}", if below { "-" } else { "" }),
            Number::Float(number) => write!(digits, "{number:?}"),
        };
        debug_assert!(written.is_ok(), "{number:?}");
        digits.marks = Marks::of(digits.as_bytes());
        digits
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.text.get(self.begin..self.end).unwrap_or_default()
    }
}

/// Gives the digits of a number that has fewest of them with one to four places behind the point, and how many places.
///
/// Two numbers of at most fifteen digits are never the same double, so that the digits found are the shortest.
fn few_places(number: f64) -> Option<(u64, usize)> {
    const MOST: f64 = 1e15;
    let number = number.abs();
    [10.0, 100.0, 1000.0, 10_000.0].into_iter().zip(1..).find_map(|(scale, places)| {
        // Of what is no number, or too large, nothing comes back that is equal.
        let digits = (number * scale + 0.5) as u64;
        ((digits as f64) < MOST && digits as f64 / scale == number).then_some((digits, places))
    })
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.end + text.len();
        self.text.get_mut(self.end..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(number: i128) {
        let digits = Digits::of(Number::Integer { below: number < 0, size: number.unsigned_abs() });
        assert_eq!(digits.as_bytes(), number.to_string().as_bytes());
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for power in 0..38 {
            let number = 10_i128.pow(power);
            [number - 1, number, number + 1, 1 - number, -number].into_iter().for_each(check);
        }
    }

    fn check_float(number: f64) {
        let digits = Digits::of(Number::Float(number));
        assert_eq!(String::from_utf8_lossy(digits.as_bytes()), format!("{number:?}"));
    }

    #[test]
    fn doubles_are_written_as_short_as_can_be() {
        for number in [0.0, -0.0, 0.1, -0.5, 1.0, 1234.5, 0.05, 0.0001, 0.00001, 0.3, 1e14, 1e15, 1e16, 1e300]
        {
            check_float(number);
        }
        [0.1 + 0.2, f64::NAN, f64::INFINITY, f64::MIN, f64::MIN_POSITIVE, f64::EPSILON, 99_999_999_999_999.9]
            .into_iter()
            .for_each(check_float);
    }

    proptest! {
        #[test]
        fn every_double_is_written_as_short_as_can_be(bits: u64, whole: i32, places in 0..8) {
            check_float(f64::from_bits(bits));
            check_float(f64::from(whole) / 10_f64.powi(places));
        }

        #[test]
        fn every_number_is_written_in_decimal(number: i128, small: i32) {
            check(number);
            check(small.into());
        }
    }
}
