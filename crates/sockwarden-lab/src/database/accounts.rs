//! The people and what they own.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use crate::access::{Person, Role};
use crate::secret;

/// An account as its owner sees it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Account {
    user: String,
    name: String,
    role: String,
    email: String,
    card: String,
    balance_cents: i64,
}

const ACCOUNT: &str = "SELECT user, name, role, email, card, balance_cents FROM users";

/// Finds an account by its user.
pub(crate) fn account(connection: &Connection, user: &str) -> rusqlite::Result<Option<Account>> {
    connection.query_row(&format!("{ACCOUNT} WHERE user = ?1"), [user], read_account).optional()
}

/// Lists every account.
pub(crate) fn accounts(connection: &Connection) -> rusqlite::Result<Vec<Account>> {
    connection.prepare(&format!("{ACCOUNT} ORDER BY user"))?.query_map([], read_account)?.collect()
}

/// Gives a user a role; tells whether there is such a user.
pub(crate) fn grant(connection: &Connection, user: &str, role: Role) -> rusqlite::Result<bool> {
    let changed =
        connection.execute("UPDATE users SET role = ?2 WHERE user = ?1", params![user, role.name()])?;
    Ok(changed > 0)
}

/// Returns the role of a user.
pub(crate) fn role_of(connection: &Connection, user: &str) -> rusqlite::Result<Option<Role>> {
    let role: Option<String> = connection
        .query_row("SELECT role FROM users WHERE user = ?1", [user], |row| row.get(0))
        .optional()?;
    Ok(role.as_deref().and_then(Role::from_name))
}

/// Returns who logs in with these credentials, if they are right.
///
/// An unknown user costs the same hashing as a wrong password, so that the time tells nobody which users exist.
pub(crate) fn log_in(
    connection: &Connection,
    user: &str,
    password: &str,
) -> rusqlite::Result<Option<Person>> {
    const NOBODY: &str = "pbkdf2-sha256-20000$00000000000000000000000000000000$\
                          0000000000000000000000000000000000000000000000000000000000000000";
    let stored: Option<String> = connection
        .query_row("SELECT password_hash FROM users WHERE user = ?1", [user], |row| row.get(0))
        .optional()?;
    if !secret::password_matches(password, stored.as_deref().unwrap_or(NOBODY)) {
        return Ok(None);
    }
    Ok(role_of(connection, user)?.map(|role| Person { user: user.to_owned(), role }))
}

fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        user: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        email: row.get(3)?,
        card: row.get(4)?,
        balance_cents: row.get(5)?,
    })
}
