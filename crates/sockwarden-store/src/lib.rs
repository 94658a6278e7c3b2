//! The log of events: one JSON object a line, appended by a thread of its own and looked up by event id.
//!
//! The thread reads a bounded queue; whoever fills it never waits for a disk.

mod find;
mod write;

pub use find::{Found, find};
pub use write::{Destination, EventLog, EventWriter, Rotation};

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("the event log `{path}` cannot be opened")]
    Open {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file cannot be read any further.
    #[error("the event log `{path}` cannot be read")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
}
