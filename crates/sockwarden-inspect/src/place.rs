//! Where a value stands.

use std::fmt;

use crate::Format;

/// One step on the way to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The member of this name.
    Key(&'a [u8]),
    /// The element of this number, from zero.
    Index(u32),
    /// What a value holds when it is decoded.
    Inside(Format),
}

/// Where a value stands in its message, lent for as long as the value is.
///
/// It is shown as a JSON pointer (RFC 6901); a step into an encoding is `|` and its name, as in `/data|json/user`. In names `~`, `/` and
/// `|` are written `~0`, `~1` and `~2`. The whole message is the empty place.
#[derive(Clone, Copy)]
pub struct Place<'a>(&'a Path);

impl<'a> Place<'a> {
    /// Tells how many steps lead to it.
    #[inline]
    pub fn len(self) -> usize {
        self.0.steps.len()
    }

    /// Tells whether it is the whole message.
    pub fn is_empty(self) -> bool {
        self.0.steps.is_empty()
    }

    /// Gives the step of this number, from zero.
    #[inline]
    pub fn step(self, number: usize) -> Option<Step<'a>> {
        self.0.steps.get(number).map(|kept| self.0.read(*kept))
    }

    /// Gives the last step.
    #[inline]
    pub fn last(self) -> Option<Step<'a>> {
        self.0.steps.last().map(|kept| self.0.read(*kept))
    }

    /// Gives the steps from the whole message on.
    pub fn steps(self) -> impl Iterator<Item = Step<'a>> {
        self.0.steps.iter().map(move |kept| self.0.read(*kept))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.steps() {
            match step {
                Step::Index(number) => write!(f, "/{number}")?,
                Step::Inside(format) => write!(f, "|{format}")?,
                Step::Key(name) => {
                    f.write_str("/")?;
                    for c in String::from_utf8_lossy(name).chars() {
                        match c {
                            '~' => f.write_str("~0")?,
                            '/' => f.write_str("~1")?,
                            '|' => f.write_str("~2")?,
                            other => write!(f, "{other}")?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// The way to where a walk is. Names are kept one behind the other, so that a step costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Path {
    steps: Vec<Kept>,
    /// The names, in the first `used` bytes.
    names: Vec<u8>,
    used: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kept {
    /// The name's length; it begins at `start`.
    Key {
        start: u32,
        length: u32,
    },
    Index(u32),
    Inside(Format),
}

impl Path {
    pub(crate) fn place(&self) -> Place<'_> {
        Place(self)
    }

    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.used = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    #[inline]
    pub(crate) fn push_key(&mut self, name: &[u8]) {
        // A message is far smaller than 4 GiB.
        let start = u32::try_from(self.used).unwrap_or(u32::MAX);
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        let end = self.used.saturating_add(name.len());
        let room = match self.names.get_mut(self.used..end) {
            Some(room) => room,
            None => self.grown(self.used, end),
        };
        copy(name, room);
        self.used = end;
        self.steps.push(Kept::Key { start, length });
    }

    /// Steps from a member to the one beside it whose name, of less than eight bytes, is this: they and zeros, the first one lowest.
    #[inline]
    pub(crate) fn replace_short(&mut self, word: u64, name: usize) {
        let Some(Kept::Key { start, length }) = self.steps.last_mut() else { return };
        let begin = *start as usize;
        *length = name as u32;
        self.used = begin + name;
        match self.names.get_mut(begin..).and_then(<[u8]>::first_chunk_mut) {
            Some(room) => *room = word.to_le_bytes(),
            None => {
                let end = begin + size_of_val(&word);
                self.grown(begin, end).copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    /// Makes room for a name that ends there.
    #[cold]
    fn grown(&mut self, start: usize, end: usize) -> &mut [u8] {
        self.names.resize(end.next_power_of_two().max(256), 0);
        &mut self.names[start..end]
    }

    #[inline]
    pub(crate) fn push_index(&mut self, number: u32) {
        self.steps.push(Kept::Index(number));
    }

    pub(crate) fn push_inside(&mut self, format: Format) {
        self.steps.push(Kept::Inside(format));
    }

    #[inline]
    pub(crate) fn pop(&mut self) {
        if let Some(Kept::Key { start, .. }) = self.steps.pop() {
            self.used = self.used.min(start as usize);
        }
    }

    /// Goes back to the first `length` steps.
    pub(crate) fn truncate(&mut self, length: usize) {
        while self.steps.len() > length {
            self.pop();
        }
    }

    /// Goes on to the next element of an array.
    #[inline]
    pub(crate) fn next_index(&mut self) -> u32 {
        let Some(Kept::Index(number)) = self.steps.last_mut() else { return 0 };
        *number = number.saturating_add(1);
        *number
    }

    /// Tells whether the last step is one into an array.
    #[inline]
    pub(crate) fn is_in_array(&self) -> bool {
        matches!(self.steps.last(), Some(Kept::Index(_)))
    }

    #[inline]
    fn read(&self, kept: Kept) -> Step<'_> {
        match kept {
            Kept::Key { start, length } => {
                let start = start as usize;
                Step::Key(self.names.get(start..start + length as usize).unwrap_or_default())
            }
            Kept::Index(number) => Step::Index(number),
            Kept::Inside(format) => Step::Inside(format),
        }
    }
}

/// Copies a name; of a short one, as most are, both ends, which may overlap.
#[inline]
fn copy(name: &[u8], room: &mut [u8]) {
    match name.len() {
        8..=16 => ends::<8>(name, room),
        4..8 => ends::<4>(name, room),
        2..4 => ends::<2>(name, room),
        _ => room.copy_from_slice(name),
    }
}

#[inline]
fn ends<const N: usize>(name: &[u8], room: &mut [u8]) {
    if let (Some(first), Some(last)) = (name.first_chunk::<N>(), name.last_chunk::<N>()) {
        if let Some(room) = room.first_chunk_mut() {
            *room = *first;
        }
        if let Some(room) = room.last_chunk_mut() {
            *room = *last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_json_pointer_with_steps_into_encodings() {
        let mut path = Path::default();
        assert_eq!(path.place().to_string(), "");
        path.push_key(b"a/b~c|d");
        path.push_index(0);
        path.next_index();
        path.push_inside(Format::Json);
        path.push_key(b"");
        assert_eq!(path.place().to_string(), "/a~1b~0c~2d/1|json/");
        assert_eq!(path.place().step(1), Some(Step::Index(1)));
        assert_eq!(path.place().last(), Some(Step::Key(b"")));
        path.truncate(1);
        assert_eq!(path.place().last(), Some(Step::Key(b"a/b~c|d")));
        path.pop();
        assert!(path.place().is_empty() && path.used == 0);
    }

    #[test]
    fn names_of_any_length_are_kept() {
        let mut path = Path::default();
        let names: Vec<Vec<u8>> = (0..40).map(|length| (0..length).collect()).collect();
        names.iter().for_each(|name| path.push_key(name));
        let kept: Vec<_> = path.place().steps().collect();
        assert_eq!(kept, names.iter().map(|name| Step::Key(name)).collect::<Vec<_>>());
    }
}
