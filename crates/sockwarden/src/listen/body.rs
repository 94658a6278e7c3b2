//! What a message says, as lines for a person: JSON indented, text as it is, bytes in hexadecimal.

use serde::de::IgnoredAny;
use sockwarden_model::printable_text;
use sockwarden_proto::MessageKind;

/// How much of a message is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The longest line, in characters.
    pub(crate) width: usize,
    /// The most lines; `None` shows all of all lines.
    pub(crate) lines: Option<usize>,
}

/// Bytes in a line.
const ROW: usize = 16;

/// Gives the lines of a message; where they are more than there is room for, the last one says how many are missing.
pub(crate) fn lines(kind: MessageKind, bytes: &[u8], room: Room) -> Vec<String> {
    let mut lines = Lines { room, shown: Vec::new(), left_out: 0 };
    match std::str::from_utf8(bytes) {
        Ok(text) if kind == MessageKind::Text => {
            if is_structure(text) {
                indent(text, &mut |line| lines.text(line));
            } else {
                text.lines().for_each(|line| lines.text(line));
            }
        }
        Ok(_) | Err(_) => hex(bytes, &mut lines),
    }
    lines.ended()
}

struct Lines {
    room: Room,
    shown: Vec<String>,
    left_out: usize,
}

impl Lines {
    fn has_room(&mut self) -> bool {
        let room = self.room.lines.is_none_or(|most| self.shown.len() < most);
        if !room {
            self.left_out += 1;
        }
        room
    }

    fn text(&mut self, line: &str) {
        if self.has_room() {
            let limit = if self.room.lines.is_some() { self.room.width } else { usize::MAX };
            self.shown.push(printable_text(line, limit));
        }
    }

    fn ended(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.shown.push(format!("… {} more lines (--full shows them)", self.left_out));
        }
        self.shown
    }
}

/// Tells whether a text is one JSON array or object.
fn is_structure(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Breaks well-formed JSON into lines, its strings and numbers as they are written.
fn indent(json: &str, out: &mut dyn FnMut(&str)) {
    let (mut line, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let mut rest = json.chars().peekable();
    while let Some(letter) = rest.next() {
        if in_string {
            line.push(letter);
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                line.push(letter);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    line.push(end);
                } else {
                    depth += 1;
                    flush(&mut line, depth, out);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                flush(&mut line, depth, out);
                line.push(letter);
            }
            ',' => {
                line.push(letter);
                flush(&mut line, depth, out);
            }
            ':' => line.push_str(": "),
            other => {
                in_string = other == '"';
                line.push(other);
            }
        }
    }
    out(&line);
}

/// Ends a line and begins the next one, indented.
fn flush(line: &mut String, depth: usize, out: &mut dyn FnMut(&str)) {
    /// Deeper ones are indented no further.
    const DEEPEST: usize = 20;
    out(line);
    line.clear();
    line.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

/// Shows bytes by their offset, in hexadecimal, and as text.
fn hex(bytes: &[u8], lines: &mut Lines) {
    for (at, row) in bytes.chunks(ROW).enumerate() {
        if !lines.has_room() {
            continue;
        }
        let mut line = format!("{:08x} ", at * ROW);
        for place in 0..ROW {
            let gap = if place == ROW / 2 { "  " } else { " " };
            match row.get(place) {
                Some(byte) => line.push_str(&format!("{gap}{byte:02x}")),
                None => line.push_str(&format!("{gap}  ")),
            }
        }
        let seen = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        line.push_str("  |");
        line.extend(row.iter().map(seen));
        line.push('|');
        lines.shown.push(line);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { width: 40, lines: Some(12) };

    fn shown(kind: MessageKind, bytes: &[u8]) -> String {
        lines(kind, bytes, ROOM).join("\n")
    }

    #[test]
    fn json_is_indented_and_stays_what_it_is() {
        let text = r#" {"a":[1.50,{"b":{}}, [ ]],"a":"x: \"{\" \\","c":1e999,"d":"ü"} "#;
        insta::assert_snapshot!(shown(MessageKind::Text, text.as_bytes()), @r#"
        {
          "a": [
            1.50,
            {
              "b": {}
            },
            []
          ],
          "a": "x: \"{\" \\",
          "c": 1e999,
          "d": "ü"
        }
        "#);
    }

    #[test]
    fn what_only_looks_like_json_and_what_moves_the_cursor_is_text() {
        insta::assert_snapshot!(shown(MessageKind::Text, "{not\u{1b}[2J json}\nline two\u{202e}".as_bytes()), @r"
        {not\u{1b}[2J json}
        line two\u{202e}
        ");
    }

    #[test]
    fn bytes_are_shown_in_rows() {
        insta::assert_snapshot!(shown(MessageKind::Binary, b"\x00\x01plain text\x7f\x80\xff and more"), @r"
        00000000  00 01 70 6c 61 69 6e 20  74 65 78 74 7f 80 ff 20  |..plain text... |
        00000010  61 6e 64 20 6d 6f 72 65                           |and more|
        ");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so_but_not_in_full() {
        let text = format!("[{}1]", "1,".repeat(50));
        assert_eq!(
            lines(MessageKind::Text, text.as_bytes(), ROOM).last().unwrap(),
            "… 41 more lines (--full shows them)"
        );
        let full = lines(MessageKind::Text, text.as_bytes(), Room { lines: None, ..ROOM });
        assert_eq!(full.len(), 53);
        let long = lines(MessageKind::Text, "x".repeat(100).as_bytes(), ROOM);
        assert_eq!(long, [format!("{}…", "x".repeat(39))]);
        assert_eq!(lines(MessageKind::Binary, &[0; 1000], ROOM).len(), 13);
        assert_eq!(lines(MessageKind::Binary, &[0; 1000], Room { lines: None, ..ROOM }).len(), 63);
    }

    proptest! {
        #[test]
        fn indenting_changes_blanks_only(value in json()) {
            let text = value.to_string();
            let mut lines = Vec::new();
            indent(&text, &mut |line| lines.push(line.to_owned()));
            let joined = lines.join("\n");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&joined).unwrap(), value);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf =
            prop_oneof![any::<i32>().prop_map(Into::into), "[ -~\u{80}-\u{fff}]{0,8}".prop_map(Into::into)];
        leaf.prop_recursive(4, 20, 4, |inner: BoxedStrategy<serde_json::Value>| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec(("[ -~]{0,4}", inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
