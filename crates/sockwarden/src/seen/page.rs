//! What was seen in a message, for a person.

use std::fmt::Write as _;

use sockwarden_model::printable_text;

use crate::style::{FAINT, STRONG, WARNING};

use super::{Seen, SeenOperation, SeenProtocol};

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Columns.
    pub(crate) width: usize,
}

/// The longest part of an operation that is shown.
const LONGEST: usize = 80;

/// Tells what was seen, below a line that says which message it is: operations, values in columns, anomalies.
pub(crate) fn page(title: &str, seen: &Seen, layout: Layout) -> String {
    let mut out = format!("{STRONG}{}{STRONG:#}", printable_text(title, layout.width));
    if let Some(protocol) = &seen.protocol {
        out.push_str(&format!("  {}", say_protocol(protocol)));
    }
    out.push('\n');
    for operation in &seen.operations {
        out.push_str(&format!("  {STRONG}→{STRONG:#} {}\n", say_operation(operation)));
    }
    values(seen, layout, &mut out);
    for anomaly in &seen.anomalies {
        let place = if anomaly.place.is_empty() { "the message" } else { &anomaly.place };
        let place = printable_text(place, layout.width / 2);
        let _ = writeln!(
            out,
            "  {WARNING}!{WARNING:#} {place}: {} {FAINT}({}){FAINT:#}",
            anomaly.words, anomaly.id
        );
    }
    out
}

fn values(seen: &Seen, layout: Layout, out: &mut String) {
    const KIND: usize = 10;
    let most = layout.width / 3;
    let places: Vec<String> = seen.values.iter().map(|value| printable_text(&value.place, most)).collect();
    let widest = places.iter().map(|place| place.chars().count()).max().unwrap_or_default();
    let room = layout.width.saturating_sub(2 + widest + 2 + KIND + 2).max(10);
    for (value, place) in seen.values.iter().zip(&places) {
        let kind = if value.role == "key" { "key" } else { value.kind };
        let held = match (&value.text, &value.base64) {
            (Some(text), _) => printable_text(text, room),
            (None, base64) => printable_text(base64.as_deref().unwrap_or_default(), room),
        };
        let line = format!("  {place:widest$}  {FAINT}{kind:KIND$}{FAINT:#}  {held}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn say_protocol(protocol: &SeenProtocol) -> String {
    let mut words = format!("{} {FAINT}(known by {}){FAINT:#}", protocol.name, protocol.by);
    if let Some(inner) = &protocol.inner {
        words.push_str(&format!(", inside of it {}", say_protocol(inner)));
    }
    words
}

/// Says an operation in one line: `call add on /room (7)`.
pub(crate) fn say_operation(operation: &SeenOperation) -> String {
    let mut words = operation.action.to_owned();
    for (before, part, after) in
        [(" ", &operation.name, ""), (" on ", &operation.subject, ""), (" (", &operation.id, ")")]
    {
        if let Some(part) = part {
            words.push_str(&format!("{before}{}{after}", printable_text(part, LONGEST)));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::{InspectLimits, Message, Opening, Reader};
    use sockwarden_model::Direction;
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::seen::Choice;

    fn shown(kind: MessageKind, bytes: &[u8]) -> String {
        let mut conversation = Choice::Auto.begin(&Opening::default());
        let message = Message { direction: Direction::Client, kind, bytes };
        let seen = Seen::of(&mut conversation, &mut Reader::default(), &InspectLimits::default(), &message);
        anstream::adapter::strip_str(&page("1 client", &seen, Layout { width: 70 })).to_string()
    }

    #[test]
    fn places_kinds_and_values_stand_in_columns_cut_to_the_width() {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"add\u001b[2J","params":{{"b":"{}","b":"YcOkw6TDpMOk"}}}}"#,
            "long ".repeat(20)
        );
        insta::assert_snapshot!(shown(MessageKind::Text, text.as_bytes()), @r"
        1 client  json-rpc (known by first messages)
          → call add\u{1b}[2J (7)
          /jsonrpc          key         jsonrpc
          /jsonrpc          number      2.0
          /id               key         id
          /id               number      7
          /method           key         method
          /method           binary      add\u{1b}[2J
          /params           key         params
          /params/b         key         b
          /params/b         text        long long long long long long long lo…
          /params/b         key         b
          /params/b         identifier  YcOkw6TDpMOk
          /params/b|base64  text        aääää
          ! /params/b: a name stands twice in one object (duplicate-key)
        ");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_base64() {
        insta::assert_snapshot!(shown(MessageKind::Binary, b"\xff\xfe\x00hidden text\x00\xff"), @r"
        1 client
                   binary      //4AaGlkZGVuIHRleHQA/w==
          |text/0  text        hidden text
        ");
    }
}
