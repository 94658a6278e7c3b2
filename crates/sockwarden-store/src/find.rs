//! Looking an event up.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use sockwarden_model::{CloseEvent, Event, EventId, OpenEvent, VerdictEvent};

use crate::LogError;

/// The longest line that is read as an event; a longer one is none of ours.
const LONGEST_LINE: u64 = 64 * 1024;

/// A verdict and what else the log says of its connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The verdict.
    pub verdict: VerdictEvent,
    /// When the connection opened, if it did.
    pub open: Option<OpenEvent>,
    /// How it closed, if it has.
    pub close: Option<CloseEvent>,
}

/// Finds the verdict with `id` in the log at `path`; lines that are no events are passed over.
///
/// # Errors
/// The file cannot be opened or read.
pub fn find(path: &Path, id: EventId) -> Result<Option<Found>, LogError> {
    let mut verdict = None;
    scan(path, |event| match event {
        Event::Verdict(found) if found.id == id => verdict = Some(found),
        Event::Verdict(_)
        | Event::Open(_)
        | Event::Close(_)
        | Event::Request(_)
        | Event::Notice(_)
        | Event::Audit(_) => {}
    })?;
    let Some(verdict) = verdict else { return Ok(None) };
    let mut found = Found { verdict, open: None, close: None };
    scan(path, |event| match event {
        Event::Open(open) if open.connection == found.verdict.connection => found.open = Some(open),
        Event::Close(close) if close.connection == found.verdict.connection => found.close = Some(close),
        Event::Verdict(_)
        | Event::Open(_)
        | Event::Close(_)
        | Event::Request(_)
        | Event::Notice(_)
        | Event::Audit(_) => {}
    })?;
    Ok(Some(found))
}

fn scan(path: &Path, mut visit: impl FnMut(Event)) -> Result<(), LogError> {
    let name = || path.display().to_string();
    let file = File::open(path).map_err(|source| LogError::Open { path: name(), source })?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|source| LogError::Read { path: name(), source })?;
        if length == 0 {
            return Ok(());
        }
        if let Ok(event) = serde_json::from_slice(&line) {
            visit(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::{Decision, Direction, Initiator, Mode, Severity, Traffic, event_channel};

    use super::*;
    use crate::{Destination, EventWriter};

    #[test]
    fn a_verdict_is_found_with_its_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let connection = EventId::from_random(1);
        let id = EventId::from_random(2);
        let verdict = VerdictEvent {
            at_ms: 5,
            id,
            connection,
            route: "app".into(),
            client: "127.0.0.1:9".into(),
            rule: "frame-limits".into(),
            mode: Mode::Block,
            decision: Decision::Close(1009),
            severity: Severity::Medium,
            direction: Some(Direction::Client),
            limit: None,
            reason: "too big".into(),
        };
        let close = |connection| CloseEvent {
            at_ms: 6,
            connection,
            route: "app".into(),
            code: 1009,
            initiator: Initiator::Gateway,
            duration_ms: 1,
            from_client: Traffic::default(),
            from_server: Traffic::default(),
            protocol: None,
            protocol_by: None,
        };
        let (sender, receiver) = event_channel(10);
        std::fs::write(&path, "not an event\n").unwrap();
        let writer = EventWriter::start(receiver, &Destination::File(path.clone())).unwrap();
        sender.send(Event::Close(close(EventId::from_random(3))));
        sender.send(Event::Verdict(verdict.clone()));
        sender.send(Event::Close(close(connection)));
        drop(sender);
        writer.finish().unwrap();
        let found = find(&path, id).unwrap().unwrap();
        assert_eq!(found, Found { verdict, open: None, close: Some(close(connection)) });
        assert_eq!(find(&path, EventId::from_random(9)).unwrap(), None);
        assert!(find(&folder.path().join("none"), id).is_err());
    }
}
