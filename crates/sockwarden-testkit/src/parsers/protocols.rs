//! What must hold of the parsers of sub-protocols.

use sockwarden_inspect::{
    Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Place, Protocol, Reader, Shape, Sink,
    Value, graphql::Measure,
};
use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

/// The most bytes that all values of a message hold, for each byte of it and of what was kept from earlier ones: each encoding inside
/// another one is told by itself, and a name may be told again as what it names.
const TOLD: usize = 16;

/// Any exchange is read the same way with used buffers as with new ones; no more is told than it holds; texts are texts.
///
/// Each line is a message: behind `>` (client) or `<` (server) a text, behind `)` or `(` bytes, behind `}` or `{` the body of an HTTP message.
pub fn protocols(bytes: &[u8]) {
    let limits = InspectLimits::default();
    let mut used = Reader::default();
    for protocol in Protocol::all().map(Some).chain([None]) {
        let opening = Opening::default();
        let mut conversations =
            (Conversation::new(protocol, &opening), Conversation::new(protocol, &opening));
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some((mark, content)) = line.split_first() else { continue };
            let (mut first, mut second) = (Transcript::default(), Transcript::default());
            say(&mut conversations.0, &mut used, &limits, (*mark, content), &mut first);
            say(&mut conversations.1, &mut Reader::default(), &limits, (*mark, content), &mut second);
            assert_eq!(first.lines, second.lines, "{protocol:?}");
            assert!(
                first.told <= TOLD * (content.len() + 64),
                "{protocol:?}: {} of {}",
                first.told,
                content.len()
            );
        }
    }
}

fn say(
    conversation: &mut Conversation,
    reader: &mut Reader,
    limits: &InspectLimits,
    (mark, bytes): (u8, &[u8]),
    out: &mut Transcript,
) {
    let direction = if matches!(mark, b'<' | b'(' | b'{') { Direction::Server } else { Direction::Client };
    if matches!(mark, b'{' | b'}') {
        return conversation.body(reader, limits, (direction, None), bytes, out);
    }
    let is_text = !matches!(mark, b'(' | b')') && std::str::from_utf8(bytes).is_ok();
    let kind = if is_text { MessageKind::Text } else { MessageKind::Binary };
    conversation.message(reader, limits, &Message { direction, kind, bytes }, out);
}

/// All that was told of a message.
#[derive(Default)]
struct Transcript {
    lines: Vec<String>,
    told: usize,
}

impl Sink for Transcript {
    fn value(&mut self, value: &Value<'_>) {
        assert!(value.shape == Shape::Bytes || value.text().is_some(), "{value:?}");
        self.told += value.bytes.len();
        self.lines.push(format!(
            "{} {:?} {} {}",
            value.place,
            value.role,
            value.kind(),
            value.bytes.escape_ascii()
        ));
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.lines.push(format!("{operation:?}"));
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.lines.push(format!("{anomaly} {place}"));
    }
}

/// Any document is measured; what an operation comes to is no less than what is written.
pub fn graphql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let measure = Measure::of(text, &InspectLimits::default());
    assert!(measure.tokens <= text.len());
    for operation in &measure.operations {
        assert!(operation.aliases <= operation.fields);
        assert!(
            u64::from(operation.depth) <= operation.fields
                && u64::from(operation.breadth) <= operation.fields
        );
        let names = measure.executed(operation.name).map(|executed| executed.name);
        assert!(names.into_iter().all(|name| name == operation.name));
    }
}
