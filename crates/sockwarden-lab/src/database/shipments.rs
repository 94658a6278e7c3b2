//! The ledger of shipments and its search, in a safe and in an injectable form.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows, named_params};
use serde::Serialize;

use crate::secret;

/// How many rows a search returns at most.
const MAX_ROWS: usize = 100;

/// How many bytes a search returns at most: an injected `SELECT` may ask for any value of any length.
const MAX_BYTES: usize = 1 << 20;

/// How long a search runs at most: an injected `SELECT` may ask for any amount of work.
const MAX_TIME: Duration = Duration::from_secs(10);

/// How many steps of its machine SQLite takes between two looks at the clock.
const STEPS: i32 = 10_000;

/// A shipment as the search shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Shipment {
    pub(crate) id: String,
    pub(crate) vessel: String,
    pub(crate) cargo: String,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) status: String,
    pub(crate) arrives: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Found {
    pub(crate) shipments: Vec<Shipment>,
    /// Whether there was more than one answer may hold.
    pub(crate) more: bool,
}

/// How many pairs are shown of those that were found.
pub(crate) const MAX_PAIRS: usize = 5;

/// Two shipments that could share a vessel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Pair {
    out: String,
    back: String,
    port: String,
    status: String,
}

const SELECT: &str = "SELECT id, vessel, cargo, origin, destination, status, arrives FROM shipments";

/// Searches vessels and cargoes for a text that is only ever a value.
pub(crate) fn search(connection: &mut Connection, query: &str) -> rusqlite::Result<Found> {
    let sql = format!("{SELECT} WHERE instr(lower(vessel || ' ' || cargo), lower(:q)) > 0 ORDER BY id");
    with_deadline(connection, |connection| {
        read(connection.prepare(&sql)?.query(named_params! {":q": query})?)
    })
}

/// Searches vessels and cargoes for a text that becomes part of the statement: the flaw `sql-injection`.
pub(crate) fn search_by_concatenation(connection: &mut Connection, query: &str) -> rusqlite::Result<Found> {
    let sql = format!("{SELECT} WHERE vessel || ' ' || cargo LIKE '%{query}%' ORDER BY id");
    with_deadline(connection, |connection| read(connection.prepare(&sql)?.query([])?))
}

/// Finds what could come back on the vessel that something else goes out on, the closest statuses first.
///
/// Each shipment is compared with each, letter by letter and in the one connection that there is: the work that a flood
/// of messages makes everybody wait for.
pub(crate) fn pairs(connection: &mut Connection) -> rusqlite::Result<Vec<Pair>> {
    let sql = "SELECT out.id, back.id, out.destination, out.status FROM shipments out, shipments back \
               WHERE lower(trim(out.destination)) = lower(trim(back.origin)) AND out.id <> back.id \
               ORDER BY lower(trim(out.status)) <> lower(trim(back.status)), out.id, back.id";
    with_deadline(connection, |connection| {
        connection
            .prepare(sql)?
            .query_map([], |row| {
                Ok(Pair { out: row.get(0)?, back: row.get(1)?, port: row.get(2)?, status: row.get(3)? })
            })?
            .collect()
    })
}

/// Counts the shipments by their status.
pub(crate) fn by_status(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u32>> {
    connection
        .prepare("SELECT status, count(*) FROM shipments GROUP BY status")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn with_deadline<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let deadline = Instant::now() + MAX_TIME;
    connection.progress_handler(STEPS, Some(move || Instant::now() > deadline))?;
    let outcome = work(connection);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    outcome
}

fn read(mut rows: Rows<'_>) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    let mut left = MAX_BYTES;
    while let Some(row) = rows.next()? {
        if found.shipments.len() == MAX_ROWS || left == 0 {
            found.more = true;
            break;
        }
        found.shipments.push(Shipment {
            id: text(row, 0, &mut left)?,
            vessel: text(row, 1, &mut left)?,
            cargo: text(row, 2, &mut left)?,
            origin: text(row, 3, &mut left)?,
            destination: text(row, 4, &mut left)?,
            status: text(row, 5, &mut left)?,
            arrives: text(row, 6, &mut left)?,
        });
    }
    Ok(found)
}

/// Reads a column of any type as a text of at most `left` bytes, and takes its length off `left`.
fn text(row: &Row<'_>, column: usize, left: &mut usize) -> rusqlite::Result<String> {
    let mut text = match row.get_ref(column)? {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(*left)]).into_owned(),
        ValueRef::Blob(bytes) => secret::hex(&bytes[..bytes.len().min(*left / 2)]),
    };
    text.truncate(text.floor_char_boundary(*left));
    *left -= text.len();
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Storage;
    use crate::database::Database;

    #[test]
    fn both_searches_agree_on_honest_queries() {
        check(|connection| {
            for query in ["halcyon", "COFFEE", "wire", "nothing like it", ""] {
                let safe = search(connection, query)?;
                assert_eq!(safe, search_by_concatenation(connection, query)?, "{query:?}");
                assert_eq!(safe.more, query.is_empty(), "{query:?}");
            }
            assert!(!search(connection, "halcyon")?.shipments.is_empty());
            Ok(())
        });
    }

    #[test]
    fn a_bound_query_is_never_syntax() {
        check(|connection| {
            for query in ["'", "%", "_", "' OR 1=1 --", "' UNION SELECT user, 1, 1, 1, 1, 1, 1 FROM users --"]
            {
                assert_eq!(search(connection, query)?, Found::default(), "{query:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn an_injected_value_is_cut_to_the_limit_of_an_answer() {
        check(|connection| {
            let query = "' UNION ALL SELECT zeroblob(4000000), zeroblob(9), 1, 2.5, NULL, 'ä', 1 --";
            let found = search_by_concatenation(connection, query)?;
            let bytes: usize = found.shipments.iter().map(|row| row.id.len() + row.vessel.len()).sum();
            assert!(bytes <= MAX_BYTES, "{bytes}");
            Ok(())
        });
    }

    #[test]
    fn a_search_changes_nothing_even_when_it_is_injected() {
        check(|connection| {
            for query in ["'; DELETE FROM users; --", "'; ATTACH 'x' AS y; --"] {
                search_by_concatenation(connection, query).unwrap_err();
            }
            let users: i64 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
            assert_eq!(users, 6);
            Ok(())
        });
    }

    fn check(script: impl FnOnce(&mut Connection) -> rusqlite::Result<()>) {
        Database::open(&Storage::Memory).unwrap().with(script).unwrap();
    }
}
