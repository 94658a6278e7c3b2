//! How often what was seen.

use std::collections::BTreeMap;

use sockwarden_model::Direction;

use crate::{operator::columns, seen::Seen};

/// How many different names of one sort are counted; the rest are counted together.
const MOST: usize = 1_000;
/// What those are called.
const OTHERS: &str = "(others)";

/// Counts of what was seen.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    client: u64,
    server: u64,
    protocols: BTreeMap<String, u64>,
    kinds: BTreeMap<String, u64>,
    operations: BTreeMap<String, u64>,
    anomalies: BTreeMap<String, u64>,
}

impl Summary {
    /// Counts what was seen in a message.
    pub(crate) fn add(&mut self, direction: Direction, seen: &Seen) {
        match direction {
            Direction::Client => self.client += 1,
            Direction::Server => self.server += 1,
        }
        count(&mut self.protocols, seen.protocol.as_ref().map_or("none", |known| known.name));
        for value in &seen.values {
            count(&mut self.kinds, if value.role == "key" { "key" } else { value.kind });
        }
        for operation in &seen.operations {
            let name = operation.name.as_deref().unwrap_or_default();
            let words = format!("{} {} {name}", operation.protocol, operation.action);
            count(&mut self.operations, words.trim_end());
        }
        for anomaly in &seen.anomalies {
            count(&mut self.anomalies, &anomaly.id);
        }
    }

    /// Gives the counts as text, the most frequent first.
    pub(crate) fn text(&self) -> String {
        let (client, server) = (self.client, self.server);
        let mut out =
            format!("{} messages: {client} by the client, {server} by the server\n", client + server);
        let mut rows = Vec::new();
        for (sort, counts) in [
            ("protocol", &self.protocols),
            ("kind", &self.kinds),
            ("operation", &self.operations),
            ("anomaly", &self.anomalies),
        ] {
            let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            rows.extend(
                counts.into_iter().map(|(name, count)| [sort.to_owned(), count.to_string(), name.clone()]),
            );
        }
        if !rows.is_empty() {
            out.push_str(&columns(["SORT", "COUNT", "NAME"], &rows));
        }
        out
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    let name = if counts.len() < MOST || counts.contains_key(name) { name } else { OTHERS };
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::{InspectLimits, Message};
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::{inspect::Conversations, seen::Choice};

    #[test]
    fn what_was_seen_is_counted_the_most_frequent_first() {
        let mut conversations = Conversations::new(Choice::Auto, InspectLimits::default());
        let mut summary = Summary::default();
        for (direction, text) in [
            (Direction::Client, r#"{"jsonrpc":"2.0","id":1,"method":"add\u001b[2J","params":{"a":1,"a":2}}"#),
            (Direction::Client, r#"{"jsonrpc":"2.0","id":2,"method":"add\u001b[2J","params":["x y"]}"#),
            (Direction::Server, "just a text"),
        ] {
            let message = Message { direction, kind: MessageKind::Text, bytes: text.as_bytes() };
            summary.add(direction, &conversations.message(None, &message));
        }
        insta::assert_snapshot!(summary.text(), @r"
        3 messages: 2 by the client, 1 by the server
        SORT       COUNT  NAME
        protocol   2      json-rpc
        protocol   1      none
        kind       10     key
        kind       6      number
        kind       2      binary
        kind       2      text
        operation  2      json-rpc call add\x1b[2J
        anomaly    1      duplicate-key
        ");
    }

    #[test]
    fn the_names_that_a_peer_invents_are_bounded() {
        let mut counts = BTreeMap::new();
        for name in 0..MOST + 5 {
            count(&mut counts, &name.to_string());
        }
        assert_eq!((counts.len(), counts[OTHERS]), (MOST + 1, 5));
    }
}
