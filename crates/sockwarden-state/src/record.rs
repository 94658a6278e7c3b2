//! What is known of a ticket, and what speaks against issuing it.

use std::{
    io::{self, Write},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};
use sockwarden_model::Identity;

use crate::LONGEST_LIFE_MS;

/// What is known of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketRecord {
    /// Whom it is for.
    pub identity: Identity,
    /// The name of the route that it is for.
    pub route: String,
    /// The Origin that it is bound to, as the header has it; to none where it was asked for without.
    pub origin: Option<String>,
    /// The address that it is bound to; to none where whoever asked for it does not know.
    pub client: Option<IpAddr>,
    /// When it was issued, in milliseconds since the Unix epoch.
    pub issued_at_ms: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
    /// What the issuer wants the application to know, at most [`TicketRecord::LONGEST_NOTE`] bytes.
    pub note: Option<String>,
}

impl TicketRecord {
    /// The longest note, in bytes.
    pub const LONGEST_NOTE: usize = 1024;

    /// The largest record, in bytes of JSON.
    pub const LARGEST: usize = 16 * 1024;

    /// Finds what speaks against keeping it.
    pub(crate) fn check(&self, now_ms: u64) -> Result<(), RecordError> {
        if self.note.as_ref().is_some_and(|note| note.len() > Self::LONGEST_NOTE) {
            return Err(RecordError::LongNote);
        }
        if self.expires_at_ms <= now_ms {
            return Err(RecordError::Over);
        }
        if self.expires_at_ms - now_ms > LONGEST_LIFE_MS {
            return Err(RecordError::LongLife);
        }
        serde_json::to_writer(Room(Self::LARGEST), self).map_err(|_| RecordError::Large)
    }
}

/// What speaks against a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The note is longer than [`TicketRecord::LONGEST_NOTE`].
    #[error("the note of a ticket has at most 1024 bytes")]
    LongNote,
    /// The ticket has ended before it begins.
    #[error("the ticket has ended already")]
    Over,
    /// The ticket would live longer than [`LONGEST_LIFE_MS`].
    #[error("a ticket lives five minutes at most")]
    LongLife,
    /// The record is larger than [`TicketRecord::LARGEST`].
    #[error("what is known of the caller does not fit a ticket: 16 KiB at most")]
    Large,
}

/// Why a ticket is not issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The user has as many outstanding ones as one may have, or the address, where there is no user.
    #[error("too many tickets of this user or address are outstanding")]
    TooMany,
    /// There is no room for more tickets.
    #[error("there is no room for more tickets")]
    Full,
    /// The same ticket was issued before: its random bytes are none.
    #[error("the ticket was issued before")]
    Repeated,
    /// The record cannot be kept.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The shared state cannot be reached.
    #[error("the shared state cannot be reached: {0}")]
    Unavailable(String),
}

/// Room for so many more bytes, which are not kept.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_limits() {
        let good = TicketRecord {
            identity: Identity::of_user("mara"),
            route: "chat".to_owned(),
            origin: None,
            client: None,
            issued_at_ms: 1000,
            expires_at_ms: 1000 + LONGEST_LIFE_MS,
            note: Some("n".repeat(TicketRecord::LONGEST_NOTE)),
        };
        let check = |change: &dyn Fn(&mut TicketRecord), expected| {
            let mut record = good.clone();
            change(&mut record);
            assert_eq!(record.check(1000), expected);
        };
        check(&|_| (), Ok(()));
        check(&|r| r.note = Some("n".repeat(1025)), Err(RecordError::LongNote));
        check(&|r| r.expires_at_ms = 1000, Err(RecordError::Over));
        check(&|r| r.expires_at_ms = 0, Err(RecordError::Over));
        check(&|r| r.expires_at_ms += 1, Err(RecordError::LongLife));
        check(&|r| r.identity.roles = vec!["r".repeat(100); 200], Err(RecordError::Large));
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<TicketRecord>(&text).unwrap(), good);
    }
}
