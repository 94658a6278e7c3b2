//! The tables, their limits and their first rows.

use rusqlite::limits::Limit;
use rusqlite::{Connection, params};

use super::{rooms, unix_now};
use crate::error::LabError;
use crate::seed;
use crate::{config, secret};

/// Pages of 4 KiB: the whole database never grows beyond 512 MiB, whatever is posted.
const MAX_PAGES: i64 = 131_072;

/// Above [`config::MESSAGE_CAP`], so that SQLite never refuses what the message limit let in.
const MAX_VALUE: usize = config::MESSAGE_CAP + (8 << 20);

/// A search is a few hundred bytes; megabytes of SQL are nobody's.
const MAX_SQL: i32 = 64 << 10;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS users (
    user          TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    email         TEXT NOT NULL,
    card          TEXT NOT NULL,
    balance_cents INTEGER NOT NULL,
    password_hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    fingerprint TEXT PRIMARY KEY,
    user        TEXT NOT NULL REFERENCES users(user),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS rooms (
    room  TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    open  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS members (
    room TEXT NOT NULL REFERENCES rooms(room),
    user TEXT NOT NULL REFERENCES users(user),
    PRIMARY KEY (room, user)
) STRICT;
CREATE TABLE IF NOT EXISTS posts (
    post      INTEGER PRIMARY KEY,
    room      TEXT NOT NULL REFERENCES rooms(room),
    user      TEXT NOT NULL,
    text      TEXT NOT NULL,
    words     INTEGER NOT NULL,
    posted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS posts_by_room ON posts (room, post);
CREATE VIRTUAL TABLE IF NOT EXISTS post_index USING fts5(text, content='posts', content_rowid='post');
CREATE TABLE IF NOT EXISTS shipments (
    id          TEXT PRIMARY KEY,
    vessel      TEXT NOT NULL,
    cargo       TEXT NOT NULL,
    origin      TEXT NOT NULL,
    destination TEXT NOT NULL,
    status      TEXT NOT NULL,
    arrives     TEXT NOT NULL
) STRICT;
";

/// Sets the limits, creates the tables, and seeds them when there is no user yet.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), LabError> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(MAX_VALUE).unwrap_or(i32::MAX))?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update_and_check(None, "max_page_count", MAX_PAGES, |_| Ok(()))?;
    connection.execute_batch(TABLES)?;
    let users: i64 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    if users == 0 {
        seed(connection)?;
    }
    Ok(())
}

fn seed(connection: &mut Connection) -> Result<(), LabError> {
    let transaction = connection.transaction()?;
    for account in &seed::ACCOUNTS {
        transaction.execute(
            "INSERT INTO users VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                account.user,
                account.name,
                account.role.name(),
                account.email,
                account.card,
                account.balance_cents,
                secret::hash_password(account.password)?,
            ],
        )?;
    }
    let now = unix_now();
    for room in &seed::ROOMS {
        transaction
            .execute("INSERT INTO rooms VALUES (?1, ?2, ?3)", params![room.name, room.topic, room.open])?;
        for user in room.members {
            transaction.execute("INSERT INTO members VALUES (?1, ?2)", params![room.name, user])?;
        }
        for ((user, text), minutes_ago) in room.history.iter().zip((0..room.history.len() as i64).rev()) {
            rooms::insert(&transaction, room.name, user, text, now - minutes_ago * 60)?;
        }
    }
    for shipment in seed::shipments() {
        transaction.execute(
            "INSERT INTO shipments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                shipment.id,
                shipment.vessel,
                shipment.cargo,
                shipment.origin,
                shipment.destination,
                shipment.status,
                shipment.arrives,
            ],
        )?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparing_twice_seeds_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&mut connection).unwrap();
        let count = |connection: &Connection, table: &str| -> i64 {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        let tables = ["users", "rooms", "members", "posts", "shipments"];
        let before: Vec<_> = tables.iter().map(|table| count(&connection, table)).collect();
        assert!(before.iter().all(|rows| *rows > 0), "{before:?}");
        prepare(&mut connection).unwrap();
        let after: Vec<_> = tables.iter().map(|table| count(&connection, table)).collect();
        assert_eq!(before, after);
    }

    #[test]
    fn a_database_that_is_full_says_so_and_stays_usable() {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&mut connection).unwrap();
        let used: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", used + 20, |_| Ok(())).unwrap();
        let refused =
            rooms::post(&mut connection, "office", "mara", &"word ".repeat(100_000), 0).unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        rooms::post(&mut connection, "office", "mara", "short", 0).unwrap();
    }
}
