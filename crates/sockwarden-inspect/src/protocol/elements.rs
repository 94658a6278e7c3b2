//! The elements of a message that is an array, in JSON or MessagePack, caught while its values go by: nothing is read twice and no tree
//! is built.

use crate::{Role, Shape, Sink, Step, Value, format::Read, walk::Walk};

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Text,
    Number,
    Object,
    Array,
    /// True, false or nothing.
    Other,
}

/// The elements of one message; of the first `N` also what they hold.
pub(super) struct Elements<const N: usize> {
    /// How many steps lead to the array.
    base: usize,
    count: usize,
    elements: [Element; N],
}

#[derive(Default)]
struct Element {
    is: Option<Is>,
    is_null: bool,
    text: Vec<u8>,
}

impl<const N: usize> Elements<N> {
    /// Reads a message in this format; each of its values is shown to `other` too.
    pub(super) fn read(
        walk: &mut Walk<'_>,
        format: Read,
        bytes: &[u8],
        mut other: impl FnMut(&Value<'_>),
    ) -> Self {
        let elements = std::array::from_fn(|_| Element { is: None, is_null: false, text: walk.buffer() });
        let mut elements = Self { base: walk.state.path.len(), count: 0, elements };
        walk.state.watch(elements.base);
        walk.tapped(
            &mut |value: &Value<'_>, _: &mut dyn Sink| {
                elements.tap(value);
                other(value);
            },
            |walk| format(walk, bytes),
        );
        let (objects, arrays) = walk.state.watched();
        let highest = u32::BITS - (objects | arrays).leading_zeros();
        elements.count = elements.count.max(highest as usize);
        for (number, element) in elements.elements.iter_mut().enumerate().take(32) {
            if objects >> number & 1 == 1 {
                element.is = Some(Is::Object);
            } else if arrays >> number & 1 == 1 {
                element.is = Some(Is::Array);
            }
        }
        elements
    }

    fn tap(&mut self, value: &Value<'_>) {
        if value.place.len() != self.base + 1 || value.role == Role::Key {
            return;
        }
        let Some(Step::Index(number)) = value.place.last() else { return };
        let number = number as usize;
        self.count = self.count.max(number.saturating_add(1));
        let Some(element) = self.elements.get_mut(number) else { return };
        element.is = Some(match value.shape {
            Shape::String => Is::Text,
            Shape::Number => Is::Number,
            Shape::Boolean | Shape::Null | Shape::Bytes => Is::Other,
        });
        element.is_null = value.shape == Shape::Null;
        element.text.clear();
        element.text.extend_from_slice(value.bytes);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Tells what an element is; `None` where it is missing.
    pub(super) fn is(&self, number: usize) -> Option<Is> {
        self.elements.get(number)?.is
    }

    /// Tells whether an element is null.
    pub(super) fn is_null(&self, number: usize) -> bool {
        self.elements.get(number).is_some_and(|element| element.is_null)
    }

    /// Gives an element that is a text.
    pub(super) fn text(&self, number: usize) -> Option<&str> {
        self.written(number, Is::Text)
    }

    /// Gives an element that is a whole number without a sign, as it is written.
    pub(super) fn digits(&self, number: usize) -> Option<&str> {
        self.written(number, Is::Number).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
    }

    fn written(&self, number: usize, is: Is) -> Option<&str> {
        let element = self.elements.get(number).filter(|element| element.is == Some(is))?;
        std::str::from_utf8(&element.text).ok()
    }

    /// Gives its buffers back.
    pub(super) fn release(self, walk: &mut Walk<'_>) {
        self.elements.into_iter().for_each(|element| walk.give(element.text));
    }
}
