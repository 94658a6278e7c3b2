//! A look into the database behind the application.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::access::Role;
use crate::database::{Database, accounts, unix_now};
use crate::error::LabError;

/// Reads Harbor's database behind the application's back, to judge what an attack really did.
///
/// Every method waits on the calling thread until the application's current query is done. Each fails only when
/// the database does.
#[derive(Clone)]
pub struct Ledger {
    database: Database,
}

/// A post as the database holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Post {
    /// The number of the post; later posts have higher ones.
    pub id: i64,
    /// The room it was posted to.
    pub room: String,
    /// Who posted it; `guest` for somebody who was not logged in.
    pub user: String,
    /// The whole text, however long.
    pub text: String,
    /// How many words were counted in it.
    pub words: u64,
    /// When it was posted, in seconds since 1970.
    pub posted_at: i64,
}

/// A live session, without what it would take to use it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Whose session it is.
    pub user: String,
    /// When it was opened, in seconds since 1970.
    pub created_at: i64,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
}

impl Ledger {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Returns the length of the longest post in bytes, 0 when there is none.
    pub fn longest_post(&self) -> Result<u64, LabError> {
        self.number("SELECT coalesce(max(length(CAST(text AS BLOB))), 0) FROM posts", [])
    }

    /// Counts the posts in all rooms.
    pub fn post_count(&self) -> Result<u64, LabError> {
        self.number("SELECT count(*) FROM posts", [])
    }

    /// Counts the posts whose text contains `needle`, byte for byte.
    pub fn posts_containing(&self, needle: &str) -> Result<u64, LabError> {
        self.number("SELECT count(*) FROM posts WHERE instr(text, ?1) > 0", [needle])
    }

    /// Returns the newest post of a room.
    pub fn last_post_in(&self, room: &str) -> Result<Option<Post>, LabError> {
        self.ask(|connection| {
            connection
                .query_row(
                    "SELECT post, room, user, text, words, posted_at FROM posts \
                     WHERE room = ?1 ORDER BY post DESC LIMIT 1",
                    [room],
                    |row| {
                        Ok(Post {
                            id: row.get(0)?,
                            room: row.get(1)?,
                            user: row.get(2)?,
                            text: row.get(3)?,
                            words: row.get(4)?,
                            posted_at: row.get(5)?,
                        })
                    },
                )
                .optional()
        })
    }

    /// Returns the role of a user, `None` when there is no such user.
    pub fn role_of(&self, user: &str) -> Result<Option<Role>, LabError> {
        self.ask(|connection| accounts::role_of(connection, user))
    }

    /// Tells whether a user belongs to a room.
    pub fn is_member(&self, room: &str, user: &str) -> Result<bool, LabError> {
        Ok(self.number("SELECT count(*) FROM members WHERE room = ?1 AND user = ?2", [room, user])? > 0)
    }

    /// Lists the live sessions, oldest first.
    pub fn sessions(&self) -> Result<Vec<Session>, LabError> {
        self.ask(|connection| {
            connection
                .prepare(
                    "SELECT user, created_at, expires_at FROM sessions WHERE expires_at > ?1 ORDER BY rowid",
                )?
                .query_map([unix_now()], |row| {
                    Ok(Session { user: row.get(0)?, created_at: row.get(1)?, expires_at: row.get(2)? })
                })?
                .collect()
        })
    }

    /// Ends every session of a user at once, as an administrator would after a theft; returns how many there
    /// were.
    pub fn revoke_sessions(&self, user: &str) -> Result<u64, LabError> {
        self.ask(|connection| connection.execute("DELETE FROM sessions WHERE user = ?1", params![user]))
            .map(|ended| ended as u64)
    }

    fn number(&self, sql: &str, params: impl rusqlite::Params) -> Result<u64, LabError> {
        self.ask(|connection| connection.query_row(sql, params, |row| row.get(0)))
    }

    fn ask<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LabError> {
        Ok(self.database.with(|connection| query(connection))?)
    }
}
