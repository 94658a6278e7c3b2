//! The sessions that log-ins opened.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::access::{Person, Role};

/// How many sessions are kept; one more pushes out the oldest.
const MAX_SESSIONS: i64 = 1024;

/// Records a session, and drops those that have expired or are too many.
pub(crate) fn open(
    connection: &mut Connection,
    fingerprint: &str,
    user: &str,
    now: i64,
    expires_at: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
    transaction.execute(
        "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4)",
        params![fingerprint, user, now, expires_at],
    )?;
    transaction.execute(
        "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions ORDER BY rowid DESC LIMIT -1 OFFSET ?1)",
        [MAX_SESSIONS],
    )?;
    transaction.commit()
}

/// Returns whose live session this is.
pub(crate) fn holder(
    connection: &Connection,
    fingerprint: &str,
    now: i64,
) -> rusqlite::Result<Option<Person>> {
    let found: Option<(String, String)> = connection
        .query_row(
            "SELECT users.user, users.role FROM sessions JOIN users USING (user) \
             WHERE fingerprint = ?1 AND expires_at > ?2",
            params![fingerprint, now],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    Ok(found.and_then(|(user, role)| Some(Person { user, role: Role::from_name(&role)? })))
}

/// Ends a session.
pub(crate) fn close(connection: &Connection, fingerprint: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM sessions WHERE fingerprint = ?1", [fingerprint])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Storage;
    use crate::database::Database;

    #[test]
    fn a_session_lives_until_it_expires_or_is_closed() {
        check(|connection| {
            open(connection, "a", "mara", 100, 200)?;
            open(connection, "b", "mara", 100, 200)?;
            assert_eq!(holder(connection, "a", 199)?.unwrap().user, "mara");
            assert_eq!(holder(connection, "a", 200)?, None);
            assert_eq!(holder(connection, "c", 100)?, None);
            close(connection, "a")?;
            assert_eq!(holder(connection, "a", 150)?, None);
            assert!(holder(connection, "b", 150)?.is_some());
            Ok(())
        });
    }

    #[test]
    fn the_table_of_sessions_does_not_grow_without_limit() {
        check(|connection| {
            for number in 0..=MAX_SESSIONS {
                open(connection, &number.to_string(), "mara", 0, 10)?;
            }
            assert_eq!(holder(connection, "0", 5)?, None, "the oldest went");
            assert!(holder(connection, "1", 5)?.is_some());
            open(connection, "late", "mara", 10, 20)?;
            let left: i64 = connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))?;
            assert_eq!(left, 1, "what had expired went");
            Ok(())
        });
    }

    fn check(script: impl FnOnce(&mut Connection) -> rusqlite::Result<()>) {
        Database::open(&Storage::Memory).unwrap().with(script).unwrap();
    }
}
