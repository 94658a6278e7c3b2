//! What the replicas of a gateway share: which tickets are outstanding, what was revoked, and how much users may still send.
//!
//! [`StateConfig`] says where it is kept, in memory or on Redis; [`build`] reads it, and [`State::start`] begins. Times are
//! arguments, in milliseconds since the Unix epoch, and so are random bytes: whoever holds a [`State`] decides what time it is.
//!
//! A **ticket** is good for one handshake. [`State::issue`] notes it, [`State::take`] takes it in one step that cannot be
//! repeated, whoever tries and on which replica. Only its SHA-256 is kept.
//!
//! A **revocation** ends what was vouched for. It is kept until it concerns nothing any more, is asked for without waiting
//! ([`State::revoked`]), and reaches everybody who [subscribed](State::subscribe), on every replica.
//!
//! **Rates** are shared by [`Leases`]: a limiter asks ahead for what it will let pass, and no message waits for the server.
//!
//! # The server
//!
//! Redis 6.2 or newer, or Valkey; one server, or a cluster. Its user needs the keys `PREFIX:*` and `{PREFIX:*`, and the commands
//! `EVAL`, `GET`, `SET`, `TIME`, `PEXPIRE`, `ZADD`, `ZCARD`, `ZREM`, `ZREMRANGEBYSCORE`, `ZREVRANGEBYSCORE`, `ZSCORE`, `XADD`,
//! `XREAD`, `XREVRANGE`, in a cluster `CLUSTER SLOTS` too. A server that loses what it had loses tickets, which are refused then, and
//! revocations, which go on where they are known and reach no replica that starts later: it should write them to disk, and evict
//! nothing. Of rates it loses who has used up how much, and who is shut out. Replicas must agree about the time, to the second or
//! better; rates go by the server's own clock, which must not be set back.
//!
//! During an outage tickets are refused at once, revocations hold on the replica that is told, and those who gave the order hear
//! that it is to be said again; rates hold on each replica by itself. The link comes back by itself.

mod config;
mod feed;
mod health;
mod judge;
mod memory;
mod owner;
mod record;
mod remote;
mod revocation;
mod revocations;
mod state;
mod ticket;
mod url;

pub use config::{Problem, Settings, StateConfig, build};
pub use feed::{News, Subscription};
pub use health::{Health, TicketCounts};
pub use judge::{AddressBinding, Presented, Refused};
pub use record::{IssueError, RecordError, TicketRecord};
pub use remote::{Leases, RateCounts, RateNews};
pub use revocation::{Revocation, RevokeError, Revoked, Subject};
pub use state::State;
pub use ticket::{Malformed, NoTicketHash, Ticket, TicketHash};
pub use url::{NoStateUrl, StateUrl};

/// The longest that a ticket may live, in milliseconds; it is remembered for as long again.
pub const LONGEST_LIFE_MS: u64 = 300_000;
