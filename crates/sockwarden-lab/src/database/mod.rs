//! Harbor's database: one SQLite connection, asked from blocking threads.

pub(crate) mod accounts;
pub(crate) mod rooms;
mod schema;
pub(crate) mod sessions;
pub(crate) mod shipments;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use crate::config::Storage;
use crate::error::LabError;

/// A handle to the database; clones share the connection.
#[derive(Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
}

/// Why a query of the application's gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the query was lost with its thread")]
    Lost,
}

impl QueryError {
    /// Tells whether the database has reached its size limit.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

impl Database {
    /// Opens the database, and creates and fills its tables where they are missing.
    pub(crate) fn open(storage: &Storage) -> Result<Self, LabError> {
        let mut connection = match storage {
            Storage::Memory => Connection::open_in_memory()?,
            Storage::File(path) => Connection::open(path)?,
        };
        schema::prepare(&mut connection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs a piece of work on the connection and waits for it on this very thread.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // Each piece of work is one statement or one transaction, so that one which panicked left nothing half
        // done.
        work(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a piece of work on the connection, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueryError> {
        let database = self.clone();
        match tokio::task::spawn_blocking(move || database.with(work)).await {
            Ok(outcome) => outcome.map_err(QueryError::Sqlite),
            Err(_) => Err(QueryError::Lost),
        }
    }
}

/// Returns the seconds since 1970, which is how Harbor writes every time.
pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
