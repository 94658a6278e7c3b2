//! The rooms, who belongs to them, and what was posted.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use crate::access::Standing;

/// How much of a post a room shows, in bytes; the database keeps all of it.
///
/// It bounds what one long post costs everybody else, so that only its author's flaw is tried, not the room's
/// memory.
pub(crate) const SHOWN: usize = 64 << 10;

/// How many posts one answer of the history has at most.
const HISTORY_POSTS: i64 = 50;

/// How many bytes of text one answer of the history has at most, the newest posts first.
const HISTORY_BYTES: usize = 1 << 20;

/// A room as the list of rooms shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Room {
    pub(crate) room: String,
    topic: String,
    pub(crate) open: bool,
    members: u32,
    /// Whether the one who asks belongs to it.
    pub(crate) member: bool,
}

/// A post as a room shows it: the text cut to [`SHOWN`] bytes, and how long it really is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct ShownPost {
    pub(crate) post: i64,
    pub(crate) room: String,
    pub(crate) user: String,
    pub(crate) text: String,
    pub(crate) bytes: usize,
    pub(crate) at: i64,
}

/// What came of a post.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Posted {
    pub(crate) post: i64,
    pub(crate) words: usize,
}

/// Lists every room, and whether `user` belongs to it.
pub(crate) fn rooms(connection: &Connection, user: Option<&str>) -> rusqlite::Result<Vec<Room>> {
    connection
        .prepare(
            "SELECT room, topic, open, \
                 (SELECT count(*) FROM members WHERE members.room = rooms.room), \
                 EXISTS (SELECT 1 FROM members WHERE members.room = rooms.room AND members.user = ?1) \
             FROM rooms ORDER BY rowid",
        )?
        .query_map([user], |row| {
            Ok(Room {
                room: row.get(0)?,
                topic: row.get(1)?,
                open: row.get(2)?,
                members: row.get(3)?,
                member: row.get(4)?,
            })
        })?
        .collect()
}

/// Returns what `user` is to a room; `None` when there is no such room.
pub(crate) fn standing(
    connection: &Connection,
    room: &str,
    user: Option<&str>,
) -> rusqlite::Result<Option<Standing>> {
    let found: Option<(bool, bool)> = connection
        .query_row(
            "SELECT open, EXISTS (SELECT 1 FROM members WHERE members.room = rooms.room AND members.user = ?2) \
             FROM rooms WHERE room = ?1",
            params![room, user],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    Ok(found.map(|found| match found {
        (_, true) => Standing::Member,
        (true, false) => Standing::Welcome,
        (false, false) => Standing::Stranger,
    }))
}

/// Makes a user a member of a room.
pub(crate) fn enrol(connection: &Connection, room: &str, user: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR IGNORE INTO members VALUES (?1, ?2)", [room, user])?;
    Ok(())
}

/// Returns the newest posts of a room, oldest first; with `find`, only those that have these words.
pub(crate) fn history(
    connection: &Connection,
    room: &str,
    find: Option<&str>,
) -> rusqlite::Result<Vec<ShownPost>> {
    let sql = match find {
        None => {
            "SELECT post, user, substr(text, 1, ?3), length(CAST(text AS BLOB)), posted_at FROM posts \
             WHERE room = ?1 AND ?2 IS NULL ORDER BY post DESC LIMIT ?4"
        }
        Some(_) => {
            "SELECT post, user, substr(text, 1, ?3), length(CAST(text AS BLOB)), posted_at FROM posts \
             WHERE room = ?1 AND post IN (SELECT rowid FROM post_index WHERE post_index MATCH ?2) \
             ORDER BY post DESC LIMIT ?4"
        }
    };
    // As one quoted phrase, nothing in it is an operator of the index's query language.
    let phrase = find.map(|words| format!("\"{}\"", words.replace('"', "\"\"")));
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![room, phrase, SHOWN as i64, HISTORY_POSTS])?;
    let mut posts = Vec::new();
    let mut room_left = HISTORY_BYTES;
    while let Some(row) = rows.next()? {
        let mut text: String = row.get(2)?;
        cut(&mut text);
        let Some(left) = room_left.checked_sub(text.len()) else { break };
        room_left = left;
        posts.push(ShownPost {
            post: row.get(0)?,
            room: room.to_owned(),
            user: row.get(1)?,
            text,
            bytes: row.get(3)?,
            at: row.get(4)?,
        });
    }
    posts.reverse();
    Ok(posts)
}

/// Stores a post, counts its words and puts each of them into the index, all of it or nothing.
pub(crate) fn post(
    connection: &mut Connection,
    room: &str,
    user: &str,
    text: &str,
    now: i64,
) -> rusqlite::Result<Posted> {
    let transaction = connection.transaction()?;
    let posted = insert(&transaction, room, user, text, now)?;
    transaction.commit()?;
    Ok(posted)
}

/// Stores and indexes a post within the caller's transaction.
pub(crate) fn insert(
    connection: &Connection,
    room: &str,
    user: &str,
    text: &str,
    now: i64,
) -> rusqlite::Result<Posted> {
    let words = text.split_whitespace().count();
    connection.execute(
        "INSERT INTO posts (room, user, text, words, posted_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![room, user, text, words, now],
    )?;
    let post = connection.last_insert_rowid();
    connection.execute("INSERT INTO post_index (rowid, text) VALUES (?1, ?2)", params![post, text])?;
    Ok(Posted { post, words })
}

/// Cuts a text to what a room shows of it, between two characters.
pub(crate) fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(SHOWN));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Storage;
    use crate::database::Database;

    #[test]
    fn history_is_the_newest_posts_in_the_order_of_posting() {
        check(|connection| {
            for number in 0..60 {
                post(connection, "customs", "ines", &format!("post {number}"), number)?;
            }
            let shown = history(connection, "customs", None)?;
            assert_eq!(shown.len(), 50);
            assert_eq!((shown[0].text.as_str(), shown[49].text.as_str()), ("post 10", "post 59"));
            Ok(())
        });
    }

    #[test]
    fn a_long_post_is_kept_whole_and_shown_cut() {
        check(|connection| {
            let text = "ä ".repeat(SHOWN);
            let posted = post(connection, "customs", "ines", &text, 0)?;
            assert_eq!(posted.words, SHOWN);
            let shown = history(connection, "customs", None)?;
            let last = shown.last().unwrap();
            assert_eq!(last.bytes, text.len());
            assert!(last.text.len() <= SHOWN && text.starts_with(&last.text));
            Ok(())
        });
    }

    #[test]
    fn one_answer_of_the_history_has_a_limit_in_bytes() {
        check(|connection| {
            for _ in 0..20 {
                post(connection, "customs", "ines", &"x".repeat(2 * SHOWN), 0)?;
            }
            let shown = history(connection, "customs", None)?;
            assert_eq!(shown.iter().map(|post| post.text.len()).sum::<usize>(), HISTORY_BYTES);
            Ok(())
        });
    }

    #[test]
    fn the_index_finds_words_and_takes_no_operators() {
        check(|connection| {
            let found = |words| history(connection, "office", Some(words)).map(|posts| posts.len());
            assert_eq!(found("halcyon")?, 2);
            assert_eq!(found("free until")?, 1);
            assert_eq!(found("halcyon OR crane")?, 0);
            assert_eq!(found("\" OR halcyon")?, 0);
            assert_eq!(found("")?, 0);
            Ok(())
        });
    }

    #[test]
    fn standing_tells_members_guests_and_strangers_apart() {
        check(|connection| {
            assert_eq!(standing(connection, "customs", Some("ines"))?, Some(Standing::Member));
            assert_eq!(standing(connection, "customs", Some("mara"))?, Some(Standing::Stranger));
            assert_eq!(standing(connection, "quayside", Some("mara"))?, Some(Standing::Welcome));
            assert_eq!(standing(connection, "quayside", None)?, Some(Standing::Welcome));
            assert_eq!(standing(connection, "nowhere", Some("mara"))?, None);
            enrol(connection, "quayside", "mara")?;
            enrol(connection, "quayside", "mara")?;
            assert_eq!(standing(connection, "quayside", Some("mara"))?, Some(Standing::Member));
            Ok(())
        });
    }

    fn check(script: impl FnOnce(&mut Connection) -> rusqlite::Result<()>) {
        Database::open(&Storage::Memory).unwrap().with(script).unwrap();
    }
}
