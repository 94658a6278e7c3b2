//! The admin listener in front of a real gateway, spoken to in bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail tests")]

mod operations;
mod refusals;
mod stage;
mod tickets;
mod work;
