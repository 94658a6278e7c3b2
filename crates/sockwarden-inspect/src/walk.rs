//! What parsers write to: it knows where the walk is, keeps the bounds and hands on what is found.

use sockwarden_model::Direction;

use crate::{
    Anomaly, Bound, Format, InspectLimits, Marks, Operation, Place, Role, Shape, Sink, Step, Value,
    format::{items::Open, json, names::Object},
    place::Path,
};

/// Buffers and counts of the message that is being read; the buffers serve the next one too.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) path: Path,
    /// Hashes of the names of all objects that are open, one behind the other.
    pub(crate) names: Vec<u64>,
    /// The objects that are open.
    pub(crate) objects: Vec<Object>,
    /// The containers of binary formats that are open.
    pub(crate) open: Vec<Open>,
    /// How many steps lead to the elements whose containers are noted, if any are.
    watched: usize,
    /// Which of them were objects and which arrays, a bit each.
    containers: (u32, u32),
    /// Whether what is read only looks like its format.
    pub(crate) guessing: bool,
    /// Buffers that are not in use.
    spare: Vec<Vec<u8>>,
    values: u32,
    layers: u8,
    decoded: usize,
    /// The bounds that were told of, a bit each.
    told: u16,
    /// Whether nothing is looked into: what takes the values does so.
    opaque: bool,
}

impl State {
    /// The most buffers that are kept, and the most bytes of each.
    const SPARE: (usize, usize) = (8, 64 * 1024);

    pub(crate) fn begin(&mut self) {
        self.path.clear();
        self.guessing = false;
        self.names.clear();
        self.objects.clear();
        self.open.clear();
        (self.values, self.layers, self.decoded) = (0, 0, 0);
        (self.told, self.opaque) = (0, false);
        self.watched = 0;
    }

    /// Notes from now on which elements of the array to which so many steps lead are objects or arrays: an empty one has no value
    /// that would tell.
    pub(crate) fn watch(&mut self, steps: usize) {
        (self.watched, self.containers) = (steps + 1, (0, 0));
    }

    /// Gives which of the first 32 elements were objects, and which were arrays, and notes no more.
    pub(crate) fn watched(&mut self) -> (u32, u32) {
        self.watched = 0;
        self.containers
    }

    /// Takes note that an object or an array begins.
    #[inline]
    pub(crate) fn opened(&mut self, object: bool) {
        if self.path.len() != self.watched {
            return;
        }
        if let Some(Step::Index(number @ 0..32)) = self.path.place().last() {
            let (objects, arrays) = &mut self.containers;
            *(if object { objects } else { arrays }) |= 1 << number;
        }
    }
}

/// A walk through one message.
pub(crate) struct Walk<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) limits: &'s InspectLimits,
    pub(crate) direction: Direction,
    sink: &'s mut dyn Sink,
}

impl<'s> Walk<'s> {
    pub(crate) fn new(
        state: &'s mut State,
        limits: &'s InspectLimits,
        direction: Direction,
        sink: &'s mut dyn Sink,
    ) -> Self {
        Self { state, limits, direction, sink }
    }

    /// Tells of a value at the place where the walk is.
    #[inline]
    pub(crate) fn value(&mut self, role: Role, shape: Shape, bytes: &[u8], marks: Marks) {
        if self.state.values >= self.limits.values {
            return self.beyond(Bound::Values);
        }
        self.state.values += 1;
        if bytes.len() > self.limits.digits.min(self.limits.text) {
            self.judge_length(shape, bytes.len());
        }
        self.sink.value(&Value { bytes, role, shape, marks, place: self.state.path.place() });
    }

    /// Tells, once a message, that a bound is exceeded.
    #[cold]
    pub(crate) fn beyond(&mut self, bound: Bound) {
        let bit = 1 << bound as u16;
        if self.state.told & bit == 0 {
            self.state.told |= bit;
            self.anomaly(Anomaly::Bound(bound));
        }
    }

    /// Judges how long a value is that is longer than most.
    fn judge_length(&mut self, shape: Shape, length: usize) {
        match shape {
            Shape::String if length > self.limits.text && self.state.path.len() > 0 => {
                self.beyond(Bound::Text)
            }
            Shape::Number if length > self.limits.digits => self.beyond(Bound::Digits),
            Shape::String | Shape::Number | Shape::Boolean | Shape::Null | Shape::Bytes => {}
        }
    }

    /// Goes on to the next element of an array, which has `begun` of them besides those that were gone on from.
    #[inline]
    pub(crate) fn next_element(&mut self, begun: u32) {
        let elements = self.state.path.next_index().saturating_add(begun);
        if elements > self.limits.items {
            self.beyond(Bound::Items);
        }
    }

    /// Tells of an operation.
    pub(crate) fn operation(&mut self, operation: &Operation<'_>) {
        self.sink.operation(operation);
    }

    /// Tells of an anomaly at the place where the walk is.
    pub(crate) fn anomaly(&mut self, anomaly: Anomaly) {
        let anomaly = if let (Anomaly::Malformed { format, at }, true) = (anomaly, self.state.guessing) {
            Anomaly::Doubtful { format, at }
        } else {
            anomaly
        };
        self.sink.anomaly(anomaly, self.state.path.place());
    }

    /// Walks on at the member of this name.
    pub(crate) fn at_key<T>(&mut self, name: &[u8], inner: impl FnOnce(&mut Walk<'_>) -> T) -> T {
        let before = self.state.path.len();
        self.state.path.push_key(name);
        let out = inner(self);
        self.state.path.truncate(before);
        out
    }

    /// Walks on at the element of this number.
    pub(crate) fn at_index<T>(&mut self, number: u32, inner: impl FnOnce(&mut Walk<'_>) -> T) -> T {
        let before = self.state.path.len();
        self.state.path.push_index(number);
        let out = inner(self);
        self.state.path.truncate(before);
        out
    }

    /// Walks on in what is encoded where the walk is; `None` (and an anomaly) where that is one encoding too deep.
    pub(crate) fn inside<T>(&mut self, format: Format, inner: impl FnOnce(&mut Walk<'_>) -> T) -> Option<T> {
        if self.state.opaque {
            return None;
        }
        if self.state.layers >= self.limits.layers {
            self.anomaly(Anomaly::Bound(Bound::Layers));
            return None;
        }
        self.state.layers += 1;
        let before = self.state.path.len();
        self.state.path.push_inside(format);
        let out = inner(self);
        self.state.path.truncate(before);
        self.state.layers -= 1;
        Some(out)
    }

    /// Hands every value to `tap` instead of telling it, as long as `inner` runs, and looks into none; anomalies are told.
    pub(crate) fn caught<T>(
        &mut self,
        tap: &mut dyn FnMut(&Value<'_>, &mut dyn Sink),
        inner: impl FnOnce(&mut Walk<'_>) -> T,
    ) -> T {
        let followed = std::mem::replace(&mut self.state.opaque, true);
        let mut caught = Caught { sink: &mut *self.sink, tap };
        let out = inner(&mut Walk::new(self.state, self.limits, self.direction, &mut caught));
        self.state.opaque = followed;
        out
    }

    /// Tells of every value also to `tap`, as long as `inner` runs; what `tap` has to say comes after the value.
    pub(crate) fn tapped<T>(
        &mut self,
        tap: &mut dyn FnMut(&Value<'_>, &mut dyn Sink),
        inner: impl FnOnce(&mut Walk<'_>) -> T,
    ) -> T {
        let mut tapped = Tapped { sink: &mut *self.sink, tap };
        inner(&mut Walk::new(self.state, self.limits, self.direction, &mut tapped))
    }

    /// Takes note that decoding gave so many bytes more; `false` (and an anomaly) where that is too many.
    pub(crate) fn decoded(&mut self, length: usize) -> bool {
        self.state.decoded = self.state.decoded.saturating_add(length);
        let within = self.state.decoded <= self.limits.decoded;
        if !within {
            self.anomaly(Anomaly::Bound(Bound::Decoded));
        }
        within
    }

    /// Gives an empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.state.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let (most, bytes) = State::SPARE;
        if self.state.spare.len() < most && buffer.capacity() <= bytes {
            buffer.clear();
            self.state.spare.push(buffer);
        }
    }

    /// Reads JSON, then whatever follows where it ends or stops being well-formed.
    pub(crate) fn json(&mut self, bytes: &[u8]) {
        json::whole(self, bytes);
    }
}

struct Tapped<'a> {
    sink: &'a mut dyn Sink,
    tap: &'a mut dyn FnMut(&Value<'_>, &mut dyn Sink),
}

impl Sink for Tapped<'_> {
    fn value(&mut self, value: &Value<'_>) {
        self.sink.value(value);
        (self.tap)(value, self.sink);
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.sink.operation(operation);
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.sink.anomaly(anomaly, place);
    }
}

struct Caught<'a> {
    sink: &'a mut dyn Sink,
    tap: &'a mut dyn FnMut(&Value<'_>, &mut dyn Sink),
}

impl Sink for Caught<'_> {
    fn value(&mut self, value: &Value<'_>) {
        (self.tap)(value, self.sink);
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.sink.operation(operation);
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.sink.anomaly(anomaly, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Reader, sink::Sink};
    use sockwarden_proto::MessageKind;

    #[derive(Default)]
    struct Anomalies(Vec<String>);

    impl Sink for Anomalies {
        fn value(&mut self, _: &Value<'_>) {}
        fn operation(&mut self, _: &Operation<'_>) {}
        fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
            self.0.push(format!("{} {place}", anomaly.id()));
        }
    }

    #[test]
    fn names_elements_texts_and_numbers_have_bounds_which_are_told_once() {
        let limits = InspectLimits { keys: 2, items: 3, text: 4, digits: 5, ..InspectLimits::default() };
        let check = |kind, bytes: &[u8], expected: &[&str]| {
            let (mut sink, mut reader) = (Anomalies::default(), Reader::default());
            let mut conversation = crate::Conversation::of_no_protocol();
            let message = Message { direction: Direction::Client, kind, bytes };
            conversation.message(&mut reader, &limits, &message, &mut sink);
            assert_eq!(sink.0, expected, "{}", bytes.escape_ascii());
        };
        let text = |json: &str, expected: &[&str]| check(MessageKind::Text, json.as_bytes(), expected);
        text(r#"{"a":1,"b":{"c":1,"d":2}}"#, &[]);
        text(r#"{"a":1,"b":2,"c":3,"d":4}"#, &["bound:keys /c"]);
        text(r#"[{"a":1,"b":2},{"c":3,"d":4}]"#, &[]);
        text("[1,2,3]", &[]);
        text("[[1,2,3],[4,5,6]]", &[]);
        text("[1,2,3,4,5]", &["bound:items /3"]);
        text(r#"{"a":"1234","1234":[12345,-1.25]}"#, &[]);
        text(r#"{"a":"12345","b":"12345"}"#, &["bound:text /a"]);
        text(r#"["a",123456]"#, &["bound:digits /1"]);
        // What is no part of anything is as long as a message may be.
        text("hello", &[]);
        check(MessageKind::Binary, b"\x93\x01\x02\xa2hi", &[]);
        check(MessageKind::Binary, b"\x94\x01\x02\x03\xa2hi", &["bound:items /4"]);
        check(MessageKind::Binary, b"\x82\xa1a\x01\xa1b\xa5hello", &["bound:text /b"]);
    }
}
