//! The members of a JSON envelope, caught while its values go by: nothing is read twice and no tree is built.

use crate::{Role, Shape, Step, Value, walk::Walk};

/// The members with these names, of the objects that a message consists of.
pub(super) struct Envelope<const N: usize> {
    names: [&'static str; N],
    /// How many steps lead to the object.
    base: usize,
    members: [Member; N],
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
    /// Begins an envelope at the place where `walk` is.
    pub(super) fn at(walk: &mut Walk<'_>, names: [&'static str; N]) -> Self {
        let members = std::array::from_fn(|_| Member { text: walk.buffer(), ..Member::default() });
        Self { names, base: walk.state.path.len(), members }
    }

    /// Begins again for an object to which so many steps lead.
    pub(super) fn begin(&mut self, base: usize) {
        self.base = base;
        for member in &mut self.members {
            (member.present, member.scalar) = (false, None);
            member.text.clear();
        }
    }

    /// Takes a value that goes by.
    pub(super) fn tap(&mut self, value: &Value<'_>) {
        // Of most values only this is asked.
        if value.place.len() != self.base + 1 {
            return;
        }
        let Some(Step::Key(name)) = value.place.last() else { return };
        let Some(number) = self.names.iter().position(|wanted| wanted.as_bytes() == name) else { return };
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

    /// Gives its buffers back.
    pub(super) fn release(self, walk: &mut Walk<'_>) {
        self.members.into_iter().for_each(|member| walk.give(member.text));
    }
}
