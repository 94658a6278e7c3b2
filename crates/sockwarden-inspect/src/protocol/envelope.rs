//! The members of an envelope, caught while its values go by: nothing is read twice and no tree is built.

use sockwarden_proto::MessageKind;

use super::Protocol;
use crate::{Anomaly, Breach, Message, Role, Shape, Step, Value, content, format::json, walk::Walk};

/// The members with these names, or the first elements, of the objects or arrays that a message consists of.
pub(super) struct Envelope<const N: usize> {
    /// The names of an object's members; none for the elements of an array.
    names: Option<[&'static str; N]>,
    /// How many steps lead to the object.
    base: usize,
    members: [Member; N],
    /// How many elements the array has, as far as they have told of themselves: an empty container does not.
    elements: u32,
}

/// Tells whether a message can be read as an envelope: a text that begins like JSON. What is none is told, and read as what it is.
pub(super) fn is_json(walk: &mut Walk<'_>, protocol: Protocol, message: &Message<'_>) -> bool {
    // Many servers take bytes for the text that they hold.
    if message.kind == MessageKind::Binary {
        walk.anomaly(Anomaly::Breach(protocol, Breach::WrongKind));
    }
    let is_json = json::begins(message.bytes) && is_text(message);
    if !is_json {
        walk.anomaly(Anomaly::Breach(protocol, Breach::NotOfTheProtocol));
        content::message(walk, message);
    }
    is_json
}

/// Tells whether a message is a text, or bytes that could be one.
pub(super) fn is_text(message: &Message<'_>) -> bool {
    message.kind == MessageKind::Text || std::str::from_utf8(message.bytes).is_ok()
}

/// One member.
#[derive(Default)]
struct Member {
    present: bool,
    /// What it is, where it is neither an object nor an array.
    scalar: Option<Shape>,
    text: Vec<u8>,
}

impl<const N: usize> Envelope<N> {
    /// Begins an envelope at the place where `walk` is: an object with these members.
    pub(super) fn at(walk: &mut Walk<'_>, names: [&'static str; N]) -> Self {
        Self::new(walk, Some(names))
    }

    /// Begins an envelope at the place where `walk` is: an array, of which the first elements count.
    pub(super) fn elements(walk: &mut Walk<'_>) -> Self {
        Self::new(walk, None)
    }

    fn new(walk: &mut Walk<'_>, names: Option<[&'static str; N]>) -> Self {
        let members = std::array::from_fn(|_| Member { text: walk.buffer(), ..Member::default() });
        Self { names, base: walk.state.path.len(), members, elements: 0 }
    }

    /// Begins again for an object to which so many steps lead.
    pub(super) fn begin(&mut self, base: usize) {
        (self.base, self.elements) = (base, 0);
        for member in &mut self.members {
            (member.present, member.scalar) = (false, None);
            member.text.clear();
        }
    }

    /// Takes a value that goes by.
    #[inline]
    pub(super) fn tap(&mut self, value: &Value<'_>) {
        let Some(names) = &self.names else { return self.tap_element(value) };
        // Of most values only this is asked.
        if value.place.len() != self.base + 1 {
            return;
        }
        let Some(Step::Key(name)) = value.place.last() else { return };
        let Some(number) = names.iter().position(|wanted| wanted.as_bytes() == name) else { return };
        let member = &mut self.members[number];
        match value.role {
            // Where a name stands twice, readers differ; the last one counts with most.
            Role::Key => {
                (member.present, member.scalar) = (true, None);
                member.text.clear();
            }
            Role::Value => {
                member.scalar = Some(value.shape);
                member.text.extend_from_slice(value.bytes);
            }
        }
    }

    fn tap_element(&mut self, value: &Value<'_>) {
        let Some(Step::Index(number)) = value.place.step(self.base) else { return };
        self.elements = self.elements.max(number.saturating_add(1));
        let Some(member) = self.members.get_mut(number as usize) else { return };
        member.present = true;
        if value.place.len() == self.base + 1 {
            member.scalar = Some(value.shape);
            member.text.extend_from_slice(value.bytes);
        }
    }

    /// Gives how many elements the array has; elements at its end that are empty containers do not count.
    pub(super) fn count(&self) -> u32 {
        self.elements
    }

    /// Tells whether a member is there, whatever it is.
    pub(super) fn has(&self, number: usize) -> bool {
        self.members[number].present
    }

    /// Gives a member that is a string or a number.
    pub(super) fn text(&self, number: usize) -> Option<&str> {
        let member = &self.members[number];
        let is_text = matches!(member.scalar, Some(Shape::String | Shape::Number));
        std::str::from_utf8(&member.text).ok().filter(|_| is_text)
    }

    /// Gives a member that is a string.
    pub(super) fn string(&self, number: usize) -> Option<&str> {
        self.text(number).filter(|_| self.members[number].scalar == Some(Shape::String))
    }

    /// Tells whether a member is there and is an object or an array.
    pub(super) fn is_container(&self, number: usize) -> bool {
        self.members[number].present && self.members[number].scalar.is_none()
    }

    /// Tells whether a member is there and is `null`.
    pub(super) fn is_null(&self, number: usize) -> bool {
        self.members[number].scalar == Some(Shape::Null)
    }

    /// Tells whether a member is there and is bytes.
    pub(super) fn is_bytes(&self, number: usize) -> bool {
        self.members[number].scalar == Some(Shape::Bytes)
    }

    /// Gives its buffers back.
    pub(super) fn release(self, walk: &mut Walk<'_>) {
        self.members.into_iter().for_each(|member| walk.give(member.text));
    }
}
