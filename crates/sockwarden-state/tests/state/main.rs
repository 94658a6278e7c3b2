//! Tickets and revocations by the public door: in memory, and on servers that are started for it.

mod common;
mod memory;
mod outage;
mod redis;
mod server;
