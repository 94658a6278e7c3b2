//! What a message and its handshake say, as rules name it.

use std::net::IpAddr;

use sockwarden_inspect::{Place, Role, Step, Value};

/// Names with their values, in buffers that are used again.
///
/// The names of a message are those that libmodsecurity gives what is in JSON, so that rules and exclusions that were written for it fit:
/// `json.user.name`, `json.items.array_0`, and `json` for a message that is one value.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Where a name begins, where its value begins, where that ends.
    spans: Vec<(usize, usize, usize)>,
}

impl Fields {
    /// Gives no fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all fields and keeps the room for others.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Adds a value under its name.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.finish(start, value);
    }

    /// Adds a value that was read from a message. A key says nothing by itself: it is the last step of the name of what it names.
    pub fn push_value(&mut self, value: &Value<'_>) {
        match value.role {
            Role::Key => {}
            Role::Value => {
                let start = self.bytes.len();
                self.name(value.place);
                // `null` is written by its format, and holds nothing.
                let held = if value.shape == sockwarden_inspect::Shape::Null { b"" } else { value.bytes };
                self.finish(start, held);
            }
        }
    }

    fn name(&mut self, place: Place<'_>) {
        self.bytes.extend_from_slice(b"json");
        for step in place.steps() {
            self.bytes.push(b'.');
            match step {
                Step::Key(b"") => self.bytes.extend_from_slice(b"empty-key"),
                Step::Key(name) => self.bytes.extend_from_slice(name),
                Step::Index(number) => {
                    self.bytes.extend_from_slice(b"array_");
                    self.bytes.extend_from_slice(number.to_string().as_bytes());
                }
                Step::Inside(format) => self.bytes.extend_from_slice(format.to_string().as_bytes()),
            }
        }
    }

    fn finish(&mut self, start: usize, value: &[u8]) {
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.spans.push((start, middle, self.bytes.len()));
    }

    /// Tells how many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Gives names and values in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans.iter().map(|span| (&self.bytes[span.0..span.1], &self.bytes[span.1..span.2]))
    }

    /// Gives the field of this number.
    pub(crate) fn get(&self, number: usize) -> (&[u8], &[u8]) {
        self.spans
            .get(number)
            .map_or((b"", b""), |span| (&self.bytes[span.0..span.1], &self.bytes[span.1..span.2]))
    }

    /// `ARGS_COMBINED_SIZE`: the bytes of all names and values.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// What a rule set judges: one message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its values: `ARGS`, and by their names `ARGS_NAMES`.
    pub fields: &'a Fields,
    /// The whole message: `REQUEST_BODY` of a client's, `RESPONSE_BODY` of a server's.
    pub body: &'a [u8],
    /// The handshake, for rules that look at it. Looked at only by a plan that was made for it.
    pub handshake: Option<&'a Handshake>,
}

/// What a handshake says.
#[derive(Clone, Debug, Default)]
pub struct Handshake {
    /// The request target as it was sent: `REQUEST_URI`, and what is taken from it.
    pub target: Vec<u8>,
    /// Its header fields: `REQUEST_HEADERS`.
    pub headers: Fields,
    /// Its cookies: `REQUEST_COOKIES`.
    pub cookies: Fields,
    /// The parameters of its query, decoded: `ARGS_GET`, and `ARGS` before those of the message.
    pub query: Fields,
    /// The client's address: `REMOTE_ADDR`.
    pub address: Option<IpAddr>,
}

impl Handshake {
    /// The target without its query.
    pub(crate) fn path(&self) -> &[u8] {
        let end =
            self.target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(self.target.len());
        &self.target[..end]
    }

    /// The last step of the path.
    pub(crate) fn base(&self) -> &[u8] {
        let path = self.path();
        let start = path.iter().rposition(|byte| matches!(byte, b'/' | b'\\')).map_or(0, |at| at + 1);
        &path[start..]
    }

    pub(crate) fn query_text(&self) -> &[u8] {
        let start = self.target.iter().position(|byte| *byte == b'?').map_or(self.target.len(), |at| at + 1);
        let rest = &self.target[start..];
        let end = rest.iter().position(|byte| *byte == b'#').unwrap_or(rest.len());
        &rest[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_taken_apart() {
        let handshake = Handshake { target: b"/a/b.php?x=1&y#z".to_vec(), ..Handshake::default() };
        assert_eq!(handshake.path(), b"/a/b.php");
        assert_eq!(handshake.base(), b"b.php");
        assert_eq!(handshake.query_text(), b"x=1&y");
    }

    #[test]
    fn fields_come_back_as_they_were_added() {
        let mut fields = Fields::new();
        fields.push(b"a", b"1");
        fields.push(b"", b"");
        fields.push(b"bc", b"23");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [(&b"a"[..], &b"1"[..]), (b"", b""), (b"bc", b"23")]);
        assert_eq!((fields.len(), fields.size()), (3, 6));
        fields.clear();
        assert!(fields.is_empty());
    }
}
