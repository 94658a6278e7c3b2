//! Tickets, revocations and rates by the public door: in memory, and on servers that are started for it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod differential;
mod memory;
mod outage;
mod rates;
mod redis;
mod server;
